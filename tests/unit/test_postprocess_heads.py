"""Detector heads: objects encoded as the networks write them are found again, whatever the layout."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.contracts.errors import InferenceFailed
from edgex_inference.contracts.models import (
    Build,
    ImageInput,
    ModelCard,
    OutputCard,
    Postprocess,
    Priors,
    Task,
)
from edgex_inference.contracts.results import Detections, Geometry, Sample
from edgex_inference.contracts.tensors import Datatype, TensorSpec
from edgex_inference.postprocess import table
from edgex_inference.postprocess.detection import ssd, yolov5, yolox

KINDS = ("bolt", "nut", "washer")
SIZE = (128, 96)
WHOLE = Sample(tensors={}, geometry=Geometry(width=SIZE[0], height=SIZE[1]))
PRIORS = Priors(steps=(16, 32), sizes=((20.0, (30.0, 16.0)), ((64.0, 48.0),)), clip=False)
Tensors = Mapping[str, np.ndarray]
Thing = tuple[int, float, float, float, float]
"""Class, center and extent in shares of the picture."""


def detect(decoder: str, tensors: Tensors, sample: Sample = WHOLE, **said: Any) -> Detections:
    """What the decoder finds; the declared shapes are those of the tensors, or of `declared`."""
    keys = ("labels", "priors")
    card_says = {key: said.pop(key) for key in keys if key in said}
    image = ImageInput(name="image", size=SIZE)
    build = Build(
        path=Path("m.onnx"), format=ONNX, inputs=(image,), outputs=said.pop("outputs", ()), decoder=decoder
    )
    card = ModelCard(
        name="parts", version="1", task=Task.DETECTION, folder=Path("."), builds=(build,),
        **{"labels": KINDS, **card_says},
    )  # fmt: skip
    specs = [
        TensorSpec(name=name, datatype=Datatype.of(array.dtype), shape=array.shape)
        for name, array in said.pop("declared", tensors).items()
    ]
    result = table.build(card, build, specs, settings=Postprocess(**said), labels=None)(tensors, sample)
    assert isinstance(result, Detections)
    return result


@st.composite
def things(draw: st.DrawFn) -> list[Thing]:
    """Up to four objects in their own quarters, so that nothing suppresses another."""
    quarters = draw(
        st.lists(st.sampled_from([(x, y) for x in (0, 1) for y in (0, 1)]), unique=True, max_size=4)
    )
    place, extent = st.floats(0.2, 0.3), st.floats(0.05, 0.3)
    return [
        (draw(st.integers(0, 2)), x / 2 + draw(place), y / 2 + draw(place), draw(extent), draw(extent))
        for x, y in quarters
    ]


def same(found: Detections, wanted: Sequence[Thing], score: float = 0.9) -> None:
    have = [np.array((kind, *box)) for kind, box in zip(found.classes, found.boxes, strict=True)]
    for thing in wanted:
        want = np.array((thing[0], *np.clip(as_corners(thing), 0, 1)))
        near = min(range(len(have)), key=lambda at: float(np.abs(have[at] - want).max()), default=0)
        assert have.pop(near).tolist() == pytest.approx(want.tolist(), abs=1e-4)
    assert found.scores.tolist() == pytest.approx([score] * len(wanted), abs=1e-4)


def logit(share: Any) -> Any:
    return np.log(share / (1 - np.asarray(share)))


def scored(kind: int, score: float = 0.9, classes: int = 3) -> np.ndarray:
    scores = np.full(classes, 0.02, np.float32)
    scores[kind] = score
    return scores


def pixels(thing: Thing) -> np.ndarray:
    return np.array(thing[1:]) * (*SIZE, *SIZE)


def as_corners(thing: Thing) -> np.ndarray:
    _, x, y, w, h = thing
    return np.array((x - w / 2, y - h / 2, x + w / 2, y + h / 2))


def yolov8(some: Sequence[Thing], unit: Callable[[Thing], Any] = pixels) -> np.ndarray:
    """[1, 7, 40]; rows without an object have a box and low scores."""
    rows = np.tile(np.concatenate((unit((0, 0.5, 0.5, 1, 1)), [0.01] * 3)), (40, 1))
    for at, thing in enumerate(some):
        rows[at * 7 + 3] = (*unit(thing), *scored(thing[0]))
    return rows.T[None].astype(np.float32)


@given(things())
def test_yolov8(some: list[Thing]) -> None:
    tensor = yolov8(some)
    for layout in (tensor, tensor.transpose(0, 2, 1), np.ascontiguousarray(tensor[0])):
        same(detect("yolov8", {"output0": layout}), some)
        same(detect("yolov8", {"output0": layout}, labels=None), some)
    same(detect("yolov8", {"output0": yolov8(some, lambda thing: np.array(thing[1:]))}), some)


def test_more_classes_than_rows_are_told_by_the_labels() -> None:
    labels = tuple(map(str, range(50)))
    rows = np.zeros((1, 54, 9), np.float32)
    rows[0, :4, 4], rows[0, 4 + 42, 4] = (64, 48, 32, 24), 0.9
    for layout in (rows, rows.transpose(0, 2, 1)):
        found = detect("yolov8", {"o": layout}, labels=labels)
        assert [found.labels[kind] for kind in found.classes] == ["42"]


def yolov5_rows(some: Sequence[Thing]) -> np.ndarray:
    rows = np.tile(np.array((64.0, 48, 128, 96, 0.1, 0.9, 0.9, 0.9)), (40, 1))
    for at, thing in enumerate(some):
        rows[at * 7 + 3] = (*pixels(thing), 0.95, *scored(thing[0], 0.9 / 0.95))
    return rows[None].astype(np.float32)


@given(things())
def test_yolov5_decoded(some: list[Thing]) -> None:
    same(detect("yolov5", {"output": yolov5_rows(some)}), some)
    exported = {"raw": np.zeros((1, 3, 12, 16, 8), np.float32), "output": yolov5_rows(some)}
    same(detect("yolov5", exported), some)


def yolov5_grids(some: Sequence[Thing]) -> dict[str, np.ndarray]:
    """Raw grids [1, 3, rows, columns, 8] of the shipped anchors; each object lies on the one that can hold it."""
    grids = {step: np.full((3, SIZE[1] // step, SIZE[0] // step, 8), -6.0) for step in (8, 16, 32)}
    for thing in some:
        x, y, width, height = pixels(thing)
        step, index, (aw, ah) = next(
            (step, index, (aw, ah))
            for step, sizes in zip((8, 16, 32), yolov5.COCO_ANCHORS.sizes, strict=True)
            for index, (aw, ah) in enumerate(ssd.pairs(sizes).tolist())
            if width < 3.9 * aw and height < 3.9 * ah
        )
        column, row = int(x / step), int(y / step)
        at = ((x / step - column) + 0.5) / 2, ((y / step - row) + 0.5) / 2
        extent = (np.sqrt(width / aw) / 2, np.sqrt(height / ah) / 2)
        grids[step][index, row, column] = logit((*at, *extent, 0.95, *scored(thing[0], 0.9 / 0.95)))
    return {f"grid{step}": grid[None].astype(np.float32) for step, grid in grids.items()}


@given(things())
def test_yolov5_raw(some: list[Thing]) -> None:
    grids = yolov5_grids(some)
    flat = {
        name: grid.transpose(0, 1, 4, 2, 3).reshape(1, 24, *grid.shape[2:4]) for name, grid in grids.items()
    }
    for layout in (
        grids,
        dict(reversed(grids.items())),
        {name: 1 / (1 + np.exp(-grid)) for name, grid in grids.items()},
        flat,
        {name: grid.transpose(0, 2, 3, 1) for name, grid in flat.items()},
    ):
        same(detect("yolov5", layout), some)
    roles = tuple(OutputCard(name=name, role="grid") for name in grids)
    same(detect("yolov5", grids, outputs=roles, priors=yolov5.COCO_ANCHORS), some)


@given(things(), st.sampled_from((3, 4)))
def test_yolox(some: list[Thing], levels: int) -> None:
    size = (128, 96) if levels == 3 else (128, 128)
    cells = yolox.cells((8, 16, 32, 64)[:levels], size)
    raw = np.zeros((1, len(cells), 8), np.float32)
    raw[..., 4:] = 0.01
    decoded = raw.copy()
    decoded[0, :, :2] = (cells[:, :2] + 0.5) * cells[:, 2:]
    for at, thing in enumerate(some):
        x, y, w, h = np.array(thing[1:]) * (*size, *size)
        row = 11 + at * 40
        column, line, stride = cells[row]
        raw[0, row] = (
            x / stride - column,
            y / stride - line,
            *np.log(np.array((w, h)) / stride),
            0.95,
            0,
            0,
            0,
        )
        decoded[0, row] = (x, y, w, h, 0.95, 0, 0, 0)
        raw[0, row, 5:] = decoded[0, row, 5:] = scored(thing[0], 0.9 / 0.95)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "SIZE", size)
        same(detect("yolox", {"output": decoded}), some)
        for tensor, form in ((raw, "raw"), (decoded, "decoded")):
            said = (OutputCard(name="output", parameters={"form": form}),)
            same(detect("yolox", {"output": tensor}, outputs=said), some)


def test_raw_yolox_is_recognized() -> None:
    cells = yolox.cells((8, 16, 32), SIZE)
    raw = np.zeros((1, len(cells), 8), np.float32)
    raw[0, 20] = (0.5, 0.5, np.log(2), np.log(3), 1, *scored(1))
    same(detect("yolox", {"o": raw}), [(1, (4 + 0.5) * 8 / 128, (1 + 0.5) * 8 / 96, 16 / 128, 24 / 96)])


@given(things(), st.booleans())
def test_end_to_end(some: list[Thing], in_pixels: bool) -> None:
    scale = np.array((*SIZE, *SIZE)) if in_pixels else 1
    rows, long = np.zeros((1, 20, 6), np.float32), np.zeros((20, 7), np.float32)
    for at, thing in enumerate(some):
        box = as_corners(thing) * scale
        rows[0, at] = (*box, 0.9, thing[0])
        long[at] = (0, *box, thing[0], 0.9)
    for name in ("yolov10", "end2end"):
        same(detect(name, {"output0": rows}), some)
    same(detect("end2end", {"output": long[: len(some)]}), some)


def builtin(some: Sequence[Thing], first: int = 0) -> dict[str, np.ndarray]:
    boxes, classes, scores = np.zeros((1, 10, 4)), np.full((1, 10), float(first)), np.zeros((1, 10))
    for at, thing in enumerate(some):
        boxes[0, at] = as_corners(thing)[[1, 0, 3, 2]]
        classes[0, at], scores[0, at] = thing[0] + first, 0.9
    boxes[0, len(some) :], scores[0, len(some) :] = (
        (0.3, 0.3, 0.9, 0.9),
        0.99,
    )  # rows behind the count are leftovers
    made = {"boxes": boxes, "classes": classes, "scores": scores, "count": np.array([len(some)])}
    return {name: array.astype(np.float32) for name, array in made.items()}


TFLITE1 = ("boxes", "classes", "scores", "count")
TFLITE2 = ("scores", "boxes", "count", "classes")


@given(things())
def test_builtin_nms(some: list[Thing]) -> None:
    made = builtin(some)
    same(detect("builtin-nms", made), some)
    for order in (TFLITE1, TFLITE2):
        same(detect("builtin-nms", {f"Detector:{at}": made[role] for at, role in enumerate(order)}), some)
    frozen = {"detection_boxes": "boxes", "num_detections": "count", "detection_scores": "scores"}
    named = {name: made[role] for name, role in frozen.items()} | {
        "detection_classes": builtin(some, 1)["classes"]
    }
    cards = tuple(
        OutputCard(name=name, parameters={"background": 0} if name == "detection_classes" else {})
        for name in named
    )
    same(detect("builtin-nms", named, outputs=cards), some)


@given(things())
def test_builtin_nms_with_x_first_in_pixels(some: list[Thing]) -> None:
    """As TensorRT's plug-in writes them."""
    made = builtin(some)
    scale = np.array((*SIZE, *SIZE), np.float32)
    tensors = {
        "num_dets": made["count"].astype(np.int32)[None],
        "det_boxes": made["boxes"][..., [1, 0, 3, 2]] * scale,
        "det_scores": made["scores"],
        "det_classes": made["classes"].astype(np.int32),
    }
    cards = tuple(
        OutputCard(name=name, parameters={"order": "xy"} if name == "det_boxes" else {}) for name in tensors
    )
    same(detect("builtin-nms", tensors, outputs=cards), some)


@given(things())
def test_rows_of_seven(some: list[Thing]) -> None:
    rows = np.zeros((1, 1, 10, 7), np.float32)
    rows[..., 0] = -1
    for at, thing in enumerate(some):
        rows[0, 0, at] = (0, thing[0] + 1, 0.9, *as_corners(thing))
    background = (OutputCard(name="out", parameters={"background": 0}),)
    same(detect("builtin-nms", {"out": rows}, outputs=background), some)


@given(things(), st.sampled_from(("softmax", "sigmoid", "none")), st.sampled_from(("xy", "yx")))
def test_ssd_with_anchors(some: list[Thing], activation: str, order: str) -> None:
    anchors = ssd.priors(PRIORS, SIZE)
    scores, offsets = np.full((1, len(anchors), 4), 0.01), np.zeros((1, len(anchors), 4), np.float32)
    scores[..., 0] = 0.97
    for at, thing in enumerate(some):
        row = 5 + at * 13
        anchor = anchors[row]
        center = (np.array(thing[1:3]) - anchor[:2]) / anchor[2:] / 0.1
        offsets[0, row] = (*center, *(np.log(np.array(thing[3:]) / anchor[2:]) / 0.2))
        scores[0, row] = 0.05, 0.025, 0.025, 0.025
        scores[0, row, 1 + thing[0]] = 0.9
    raw = {"softmax": np.log(scores), "sigmoid": logit(scores), "none": scores}[activation]
    raw = raw + (3 if activation == "softmax" else 0)
    if order == "yx":
        offsets = offsets[..., [1, 0, 3, 2]]
    cards = (
        OutputCard(name="scores", parameters={"background": 0, "activation": activation}),
        OutputCard(name="offsets", parameters={"order": order}),
    )
    same(
        detect("ssd", {"scores": raw.astype(np.float32), "offsets": offsets}, outputs=cards, priors=PRIORS),
        some,
    )
    if activation == "softmax" and order == "xy":  # all of it unsaid: told by shapes and numbers
        unsaid = {"confidences": raw.astype(np.float32), "boxes_raw": offsets}
        cards = (OutputCard(name="confidences", parameters={"background": 0}), OutputCard(name="boxes_raw"))
        same(detect("ssd", unsaid, outputs=cards, priors=PRIORS, labels=KINDS), some)


@given(things())
def test_ssd_with_boxes(some: list[Thing]) -> None:
    """As YOLO-NAS writes them: corners in pixels beside activated scores."""
    boxes, scores = np.zeros((1, 30, 4), np.float32), np.zeros((1, 30, 3), np.float32)
    for at, thing in enumerate(some):
        boxes[0, at], scores[0, at] = as_corners(thing) * (*SIZE, *SIZE), scored(thing[0])
    same(detect("ssd", {"pred_bboxes": boxes, "pred_scores": scores}), some)


@given(things(), st.sampled_from(("no-object", "sigmoid", "rows")))
def test_detr(some: list[Thing], kind: str) -> None:
    boxes, shares = np.full((1, 30, 4), 0.5), np.full((1, 30, 4), 0.01)
    shares[..., 3] = 0.97
    for at, thing in enumerate(some):
        boxes[0, at] = thing[1:]
        shares[0, at] = (*scored(thing[0]), 0.06)
    tensors = {
        "no-object": {"logits": np.log(shares) - 2, "pred_boxes": boxes},
        "sigmoid": {"dets": boxes, "labels": logit(shares[..., :3])},
        "rows": {"output0": np.concatenate((boxes, shares[..., :3]), axis=2)},
    }[kind]
    same(detect("detr", {name: array.astype(np.float32) for name, array in tensors.items()}), some)
    if kind == "no-object":
        cards = tuple(
            OutputCard(name=name, parameters={"background": 3} if name == "logits" else {})
            for name in tensors
        )
        found = {name: array.astype(np.float32) for name, array in tensors.items()}
        same(detect("detr", found, outputs=cards, labels=None), some)


HEADS: dict[str, Tensors] = {
    "yolov8": {"o": yolov8([])},
    "yolov5": {"o": yolov5_rows([])},
    "yolov5 grids": yolov5_grids([]),
    "yolox": {"o": np.zeros((1, 252, 8), np.float32)},
    "yolov10": {"o": np.zeros((1, 20, 6), np.float32)},
    "builtin-nms": builtin([]),
    "ssd": {"s": np.zeros((1, 30, 3), np.float32), "b": np.zeros((1, 30, 4), np.float32)},
    "detr": {"l": np.zeros((1, 30, 3), np.float32), "b": np.zeros((1, 30, 4), np.float32)},
}


@pytest.mark.parametrize("head", HEADS)
def test_nothing_is_found_in_nothing(head: str) -> None:
    found = detect(head.split()[0], HEADS[head], score_threshold=0.6)
    assert found.boxes.shape == (0, 4)
    assert found.labels == KINDS


@pytest.mark.parametrize("head", HEADS)
@given(st.data())
def test_no_answer_breaks_a_head(head: str, data: st.DataObject) -> None:
    """Whatever a run gives: detections that are sound, or InferenceFailed."""
    seed = data.draw(st.integers(0, 1 << 30))
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, array in HEADS[head].items():
        shape = array.shape
        if data.draw(st.booleans()):
            shape = tuple(data.draw(st.lists(st.integers(0, 9), max_size=5)))
        spoiled = np.asarray(rng.normal(0, 1, shape) * data.draw(st.sampled_from((0.3, 50.0))), np.float32)
        spoiled[rng.random(shape) < 0.1] = data.draw(st.sampled_from((np.nan, np.inf, -np.inf, 0.7)))
        tensors[name] = spoiled
    try:
        found = detect(head.split()[0], tensors, declared=HEADS[head])
    except InferenceFailed:
        return
    assert np.isfinite(found.boxes).all()
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
    assert len(found.boxes) == len(found.scores) == len(found.classes)
    assert ((found.classes >= 0) & (found.classes < len(found.labels))).all()
