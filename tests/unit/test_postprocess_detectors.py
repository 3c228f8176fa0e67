"""Detectors: what is encoded as the networks do it is decoded again, and selected as the settings say."""

from collections.abc import Mapping
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
    Quantization,
    Task,
)
from edgex_inference.contracts.results import Detections, Geometry, Sample
from edgex_inference.contracts.tensors import Datatype, TensorSpec
from edgex_inference.postprocess import table
from edgex_inference.postprocess.detection import ssd

KINDS = ("bolt", "nut", "washer")
PRIORS = Priors(steps=(8, 16), sizes=((10, 16), (32,)))
WHOLE = Sample(tensors={}, geometry=Geometry(width=320, height=240))
ROLES: dict[str, tuple[OutputCard, ...]] = {
    "centernet": (
        OutputCard(name="heat", role="centers", parameters={"stride": 8}),
        OutputCard(name="size", role="sizes"),
        OutputCard(name="shift", role="offsets"),
    ),
    "fastestdet": (OutputCard(name="grid", tensor="758", role="grid"),),
    "rfb": (
        OutputCard(name="scores", role="scores", parameters={"background": 0}),
        OutputCard(name="boxes", role="offsets"),
    ),
}


def detect(
    decoder: str,
    tensors: Mapping[str, np.ndarray],
    sample: Sample = WHOLE,
    size: tuple[int, int] = (64, 48),
    **said: Any,
) -> Detections:
    """What the decoder finds; the declared shapes are open, so the answer's count."""
    build = Build(
        path=Path("m.onnx"),
        format=ONNX,
        inputs=(ImageInput(name="image", size=size),),
        outputs=said.pop("outputs", ROLES.get(decoder)),
        decoder=decoder,
    )
    card = ModelCard(
        name="parts",
        version="1",
        task=Task.DETECTION,
        folder=Path("."),
        builds=(build,),
        labels=KINDS,
        priors=PRIORS,
    )
    specs = [
        TensorSpec(name=name, datatype=Datatype.of(array.dtype), shape=(None,) * array.ndim)
        for name, array in tensors.items()
    ]
    interpret = table.build(card, build, specs, settings=Postprocess(**said), labels=None)
    result = interpret(tensors, sample)
    assert isinstance(result, Detections)
    return result


Part = tuple[int, int, int, float, float, float, float]


@st.composite
def parts(draw: st.DrawFn) -> list[Part]:
    """Class, column, row, offsets in the cell, extents; no two in neighboring cells of a 8 x 6 grid."""
    cells = draw(
        st.lists(st.sampled_from([(x, y) for x in (1, 4, 6) for y in (1, 4)]), unique=True, max_size=6)
    )
    inside, extent = st.floats(0.05, 0.95), st.floats(0.02, 0.1)
    return [
        (draw(st.integers(0, 2)), x, y, draw(inside), draw(inside), draw(extent), draw(extent))
        for x, y in cells
    ]


def corners(x: float, y: float, width: float, height: float) -> list[float]:
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def same(found: Detections, wanted: list[tuple[int, list[float]]]) -> None:
    """Equal up to order: the encoded ones all have one score."""
    have = sorted(zip(found.classes.tolist(), found.boxes.tolist(), strict=True))
    assert [kind for kind, _ in have] == [kind for kind, _ in sorted(wanted)]
    for (_, box), (_, expected) in zip(have, sorted(wanted), strict=True):
        assert box == pytest.approx(expected, abs=1e-5)


def centernet_tensors(some: list[Part]) -> dict[str, np.ndarray]:
    heat, size, shift = (np.zeros((1, n, 6, 8), np.float32) for n in (3, 2, 2))
    for kind, x, y, dx, dy, width, height in some:
        heat[0, :, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = 0.45
        heat[0, kind, y, x] = 0.9
        size[0, :, y, x] = width, height
        shift[0, :, y, x] = dx, dy
    return {"heat": heat, "size": size, "shift": shift}


@given(parts())
def test_centernet_decodes_what_was_encoded(some: list[Part]) -> None:
    found = detect("centernet", centernet_tensors(some), score_threshold=0.5)
    same(found, [(k, corners((x + dx) / 8, (y + dy) / 6, w, h)) for k, x, y, dx, dy, w, h in some])


@given(parts(), st.sampled_from(("cells", "pixels", "shares")), st.booleans())
def test_centernet_with_raw_centers_and_sizes_in_any_unit(some: list[Part], unit: str, said: bool) -> None:
    tensors = centernet_tensors(some)
    heat = np.clip(tensors["heat"], 1e-6, None)
    tensors["heat"] = np.log(heat / (1 - heat)).astype(np.float32)
    whole = {"cells": (8, 6), "pixels": (64, 48), "shares": (1, 1)}[unit]
    tensors["size"] *= np.array(whole, np.float32)[:, None, None]
    if unit == "cells":
        tensors["size"][0, :, 0, 0] = 2.5  # one cell that is no center shows what all of them are in
    said = said or unit == "pixels"
    heads = (
        OutputCard(name="heat", role="centers", parameters={"stride": 8}),
        OutputCard(name="size", role="sizes", parameters={"coordinates": unit} if said else {}),
        OutputCard(name="shift", role="offsets"),
    )
    found = detect("centernet", tensors, outputs=heads, score_threshold=0.5)
    same(found, [(k, corners((x + dx) / 8, (y + dy) / 6, w, h)) for k, x, y, dx, dy, w, h in some])
    assert found.scores.tolist() == pytest.approx([0.9] * len(some), abs=1e-5)


def test_centernet_takes_only_local_maxima() -> None:
    tensors = centernet_tensors([(1, 4, 4, 0.5, 0.5, 0.1, 0.1)])
    tensors["size"][:] = 0.05
    found = detect("centernet", tensors, score_threshold=0.4)
    assert np.count_nonzero(found.classes == 1) == 1, "the slope around a maximum is no second part"


def test_centernet_measures_a_picture_that_is_no_multiple_of_the_stride() -> None:
    tensors = centernet_tensors([(0, 4, 3, 0.0, 0.0, 0.1, 0.1)])
    found = detect("centernet", tensors, size=(60, 44))
    assert found.boxes[0].tolist() == pytest.approx(corners(4 * 8 / 60, 3 * 8 / 44, 0.1, 0.1), abs=1e-6)


@given(parts())
def test_fastestdet_decodes_what_was_encoded(some: list[Part]) -> None:
    grid = np.zeros((1, 8, 6, 8), np.float32)
    for kind, x, y, dx, dy, width, height in some:
        raw = np.arctanh(dx), np.arctanh(dy), np.log(width / (1 - width)), np.log(height / (1 - height))
        grid[0, :, y, x] = (0.9, *raw, *(0.8 * (np.arange(3) == kind)))
    found = detect("fastestdet", {"758": grid})
    same(found, [(k, corners((x + dx) / 8, (y + dy) / 6, w, h)) for k, x, y, dx, dy, w, h in some])
    assert found.scores.tolist() == pytest.approx([0.9**0.6 * 0.8**0.4] * len(some), abs=1e-6)


def encode(boxes: np.ndarray, priors: np.ndarray) -> np.ndarray:
    """Corners as offsets from priors, as the networks are trained."""
    center, extent = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    place = (center - priors[:, :2]) / (0.1 * priors[:, 2:])
    return np.concatenate((place, np.log(extent / priors[:, 2:]) / 0.2), axis=1).astype(np.float32)


@given(st.data())
def test_rfb_decodes_what_was_encoded(data: st.DataObject) -> None:
    priors = ssd.priors(PRIORS, (64, 48))
    place, extent = st.floats(0.2, 0.8), st.floats(0.05, 0.3)
    row = data.draw(st.integers(0, len(priors) - 1))
    wanted = corners(*data.draw(st.tuples(place, place, extent, extent)))
    scores = np.tile(np.array([1, 0, 0, 0], np.float32), (1, len(priors), 1))
    scores[0, row] = 0.1, 0, 0.9, 0
    offsets = np.zeros((1, len(priors), 4), np.float32)
    offsets[0, row] = encode(np.array([wanted]), priors[row : row + 1])[0]
    found = detect("rfb", {"scores": scores, "boxes": offsets})
    same(found, [(1, wanted)])


def test_rfb_priors_divide_by_cells() -> None:
    priors = ssd.priors(Priors(steps=(16,), sizes=((8, 80),)), (40, 16))
    assert priors.shape == (3 * 1 * 2, 4)
    assert priors[0].tolist() == pytest.approx([1 / 6, 0.5, 0.2, 0.5])
    assert priors[1].tolist() == pytest.approx([1 / 6, 0.5, 1, 1]), "extents are clipped"
    assert priors[2, 0] == pytest.approx(0.5), "all sizes of a cell come before the next cell"


CORNERS = (
    OutputCard(name="scores", role="scores", parameters={"background": 1}),
    OutputCard(name="boxes", role="boxes", parameters={"form": "corners"}),
)


def crowd(*rows: tuple[list[float], list[float]]) -> dict[str, np.ndarray]:
    """Boxes with scores of bolt, background, nut, washer."""
    boxes, scores = zip(*rows, strict=True)
    return {"scores": np.array([scores], np.float32), "boxes": np.array([boxes], np.float32)}


MIXED = crowd(
    ([0.1, 0.1, 0.3, 0.3], [0.7, 0, 0.6, 0]),
    ([0.1, 0.1, 0.3, 0.3], [0.8, 0, 0, 0]),
    ([0.5, 0.5, 0.6, 0.6], [0, 1, 0, 0.95]),
    ([0.2, 0.2, 0.9, 0.9], [0.2, 0.9, 0, 0]),
)


SOFT = [("washer", 0.95), ("bolt", 0.8), ("nut", 0.6), ("bolt", 0.1999)]
"""The twin of a bolt falls to 0.7·exp(-1/0.5); the large one overlaps the first by 0.02."""


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, [("washer", 0.95), ("bolt", 0.8), ("nut", 0.6)]),
        ({"score_threshold": 0.7}, [("washer", 0.95), ("bolt", 0.8)]),
        ({"nms_iou": 1.0}, [("washer", 0.95), ("bolt", 0.8), ("bolt", 0.7), ("nut", 0.6)]),
        ({"classes": ("nut", "bolt")}, [("bolt", 0.8), ("nut", 0.6)]),
        ({"min_area": 0.02}, [("bolt", 0.8), ("nut", 0.6)]),
        ({"top": 1}, [("washer", 0.95)]),
        ({"class_agnostic": True}, [("washer", 0.95), ("bolt", 0.8)]),
        ({"multi_label": False}, [("washer", 0.95), ("bolt", 0.8)]),
        ({"multi_label": False, "classes": ("nut",)}, []),
        ({"soft_nms": 0.5}, [("washer", 0.95), ("bolt", 0.8), ("nut", 0.6)]),
        ({"soft_nms": 0.5, "score_threshold": 0.08}, [*SOFT, ("bolt", 0.0947)]),
    ],
)
def test_selection(said: dict[str, Any], expected: list[tuple[str, float]]) -> None:
    found = detect("rfb", MIXED, outputs=CORNERS, **said)
    have = [
        (found.labels[kind], round(float(score), 4))
        for kind, score in zip(found.classes, found.scores, strict=True)
    ]
    assert have == expected


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_left_out(bad: float) -> None:
    spoiled = {name: array.copy() for name, array in MIXED.items()}
    spoiled["boxes"][0, 2, 1] = bad
    spoiled["scores"][0, 1, 0] = bad
    found = detect("rfb", spoiled, outputs=CORNERS)
    assert [found.labels[kind] for kind in found.classes] == ["bolt", "nut"]
    assert np.isfinite(found.boxes).all()
    assert np.isfinite(found.scores).all()


def test_boxes_outside_the_picture_are_left_out() -> None:
    found = detect(
        "rfb", crowd(([1.1, 0, 1.3, 1], [0.9, 0, 0, 0]), ([-1, 0, 0, 1], [0.9, 0, 0, 0])), outputs=CORNERS
    )
    assert found.scores.size == 0
    assert found.boxes.shape == (0, 4)


def test_min_area_is_a_share_of_the_source() -> None:
    quarter = Sample(tensors={}, geometry=Geometry(width=8, height=8, scale=(0.5, 0.5), shift=(0.5, 0.5)))
    one = crowd(([0, 0, 0.5, 0.5], [0.9, 0, 0, 0]))
    assert detect("rfb", one, quarter, outputs=CORNERS, min_area=0.0625).boxes.tolist() == [
        [0.5, 0.5, 0.75, 0.75]
    ]
    assert detect("rfb", one, quarter, outputs=CORNERS, min_area=0.07).boxes.size == 0


def test_quantized_answers_are_real_numbers() -> None:
    steps = Quantization(scale=1 / 255, zero=0)
    outputs = tuple(
        OutputCard(name=card.name, role=card.role, parameters=card.parameters, quantization=steps)
        for card in CORNERS
    )
    bytes_ = {name: np.round(array * 255).astype(np.uint8) for name, array in MIXED.items()}
    found = detect("rfb", bytes_, outputs=outputs)
    assert found.scores.tolist() == pytest.approx([0.95, 0.8, 0.6], abs=1 / 255)


def test_a_flood_of_candidates_is_bounded() -> None:
    rng = np.random.default_rng(1)
    corner = rng.uniform(0, 0.9, (6000, 2))
    boxes = np.concatenate((corner, corner + 0.01), axis=1).astype(np.float32)
    scores = rng.uniform(0, 1, (6000, 4)).astype(np.float32)
    found = detect("rfb", {"scores": scores, "boxes": boxes}, outputs=CORNERS, score_threshold=0.0)
    assert 0 < len(found.scores) <= 2000
    assert (np.diff(found.scores) <= 0).all()


@pytest.mark.parametrize(
    ("decoder", "tensors", "text"),
    [
        ("fastestdet", {"758": np.zeros((1, 5, 6, 8), np.float32)}, "5 \\+ classes"),
        ("fastestdet", {"758": np.zeros((1, 30, 6, 8), np.float32)}, "25 classes.* 3 labels"),
        ("fastestdet", {"758": np.zeros((4,), np.float32)}, "grid.*shape \\(4,\\)"),
        (
            "rfb",
            {"scores": np.zeros((1, 9, 4), np.float32), "boxes": np.zeros((1, 9, 4), np.float32)},
            "priors make",
        ),
        (
            "rfb",
            {"scores": np.zeros((1, 9, 4), np.float32), "boxes": np.zeros((1, 9), np.float32)},
            "four numbers",
        ),
        ("centernet", {**centernet_tensors([]), "size": np.zeros((1, 2, 6, 9), np.float32)}, "size.*beside"),
        ("centernet", {**centernet_tensors([]), "heat": np.zeros((3, 0, 8), np.float32)}, "heat.*shape"),
        ("fastestdet", {"758": np.array([["a"]], dtype=object)}, "numbers expected"),
    ],
)
def test_nonsense_shapes_fail_clearly(decoder: str, tensors: dict[str, np.ndarray], text: str) -> None:
    with pytest.raises(InferenceFailed, match=text):
        detect(decoder, tensors)


def test_without_geometry_the_model_s_picture_is_the_source() -> None:
    found = detect("rfb", MIXED, Sample(tensors={}), outputs=CORNERS)
    assert (found.width, found.height) == (64, 48)
    assert found.boxes[0].tolist() == pytest.approx([0.5, 0.5, 0.6, 0.6])


@pytest.mark.parametrize(("order", "score"), [("xy", 4 / 7), ("yx", 0.5)])
def test_raw_scores_beside_a_background_are_those_of_their_framework(order: str, score: float) -> None:
    """Softmax, or the logistic function where y comes first, as TensorFlow writes it."""
    raw, boxes = (
        np.log(np.array([[[1, 1, 1, 4]]], np.float32)) - np.log(4),
        np.array([[[0, 0, 1, 1]]], np.float32),
    )
    cards = (
        OutputCard(name="scores", parameters={"background": 0}),
        OutputCard(name="boxes", parameters={"order": order, "form": "corners"}),
    )
    tensors = {"scores": raw.astype(np.float32), "boxes": boxes}
    found = detect("ssd", tensors, outputs=cards, score_threshold=0.3)
    assert found.scores.tolist() == pytest.approx([score])


TWINS = {
    "yolov10": {"o": np.array([[[0, 0, 64, 48, 0.9, 1], [0, 0, 64, 48, 0.8, 1]]], np.float32)},
    "detr": {
        "logits": np.array([[[-9, 2, -9], [-9, 1, -9]]], np.float32),
        "pred_boxes": np.tile(np.float32((0.5, 0.5, 0.2, 0.2)), (1, 2, 1)),
    },
}


@pytest.mark.parametrize("decoder", TWINS)
def test_end_to_end_models_are_not_suppressed_unless_that_is_asked_for(decoder: str) -> None:
    assert len(detect(decoder, TWINS[decoder], outputs=()).scores) == 2
    assert len(detect(decoder, TWINS[decoder], outputs=(), nms_iou=0.5).scores) == 1
