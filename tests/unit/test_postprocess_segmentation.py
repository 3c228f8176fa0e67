"""Segmentation and embeddings: shares of the picture, whatever the layout; vectors as they are, or of length 1."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.contracts.errors import InferenceFailed, ModelRejected
from edgex_inference.contracts.models import (
    Build,
    ImageInput,
    ModelCard,
    NumbersInput,
    OutputCard,
    Postprocess,
    Task,
)
from edgex_inference.contracts.results import Embedding, Geometry, Result, Sample, Segmentation
from edgex_inference.contracts.tensors import Datatype, TensorSpec
from edgex_inference.postprocess import table
from edgex_inference.postprocess.values import evaluate

KINDS = ("road", "car", "sky")
ROWS, COLUMNS = 12, 16
WHOLE = Sample(tensors={}, geometry=Geometry(width=640, height=480))
MAPS = st.integers(0, 1 << 30).map(lambda seed: np.random.default_rng(seed).integers(0, 3, (ROWS, COLUMNS)))


def interpreted(tensors: Mapping[str, np.ndarray], sample: Sample, task: Task, **said: Any) -> Result:
    inputs = (ImageInput(name="image", size=(64, 48), layout=said.pop("layout", "NCHW")),)
    build = Build(
        path=Path("m.onnx"),
        format=ONNX,
        inputs=(NumbersInput(name="x"),) if task is Task.EMBEDDING else inputs,
        outputs=said.pop("outputs", ()),
        decoder=said.pop("decoder", None),
    )
    labels = said.pop("labels", None)
    card = ModelCard(name="m", version="1", task=task, folder=Path("."), builds=(build,), labels=labels)
    specs = [
        TensorSpec(name=name, datatype=Datatype.of(array.dtype), shape=array.shape)
        for name, array in tensors.items()
    ]
    return table.build(card, build, specs, settings=Postprocess(**said), labels=None)(tensors, sample)


def segment(tensor: np.ndarray, sample: Sample = WHOLE, **said: Any) -> Segmentation:
    found = interpreted({"map": tensor}, sample, Task.SEGMENTATION, **{"labels": KINDS, **said})
    assert isinstance(found, Segmentation)
    return found


def logits(kinds: np.ndarray, classes: int = 3) -> np.ndarray:
    """[1, classes, rows, columns]: the right class is ahead by 3, wherever zero is."""
    scores = np.random.default_rng(int(kinds.sum())).normal(0, 0.3, (1, classes, *kinds.shape))
    scores[0] += 4 * (np.arange(classes)[:, None, None] == kinds)
    return scores.astype(np.float32)


def share(kinds: np.ndarray, kind: int) -> float:
    return float((kinds == kind).mean())


@given(MAPS)
def test_the_best_class_of_each_pixel(kinds: np.ndarray) -> None:
    scores = logits(kinds)
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    for tensor in (scores, shares, scores.transpose(0, 2, 3, 1), scores[0]):
        for decoder in (None, "argmax"):
            found = segment(tensor, decoder=decoder)
            assert found.shares.tolist() == pytest.approx([share(kinds, kind) for kind in range(3)])
            assert found.area == pytest.approx(1)


@given(MAPS)
def test_maps_of_classes(kinds: np.ndarray) -> None:
    unlabeled = kinds.copy()
    unlabeled[0] = 255
    for dtype in (np.uint8, np.int64, np.float32):
        for tensor in (kinds[None], kinds[None, None], kinds[None, ..., None], kinds):
            found = segment(tensor.astype(dtype), decoder="class-map")
            assert found.shares.tolist() == pytest.approx([share(kinds, kind) for kind in range(3)])
    found = segment(unlabeled[None])  # whole numbers need no decoder
    assert found.shares.tolist() == pytest.approx([share(unlabeled, kind) for kind in range(3)])
    assert found.area == pytest.approx(1 - 1 / ROWS)


@given(MAPS)
def test_the_background_has_no_share(kinds: np.ndarray) -> None:
    outputs = (OutputCard(name="map", parameters={"background": 0}),)
    for tensor, decoder in ((logits(kinds), "argmax"), (kinds[None], "class-map")):
        found = segment(tensor, outputs=outputs, decoder=decoder, labels=("car", "sky"))
        assert found.labels == ("car", "sky")
        assert found.shares.tolist() == pytest.approx([share(kinds, 1), share(kinds, 2)])
        assert found.area == pytest.approx(1 - share(kinds, 0))


@given(MAPS)
def test_only_the_wanted_classes_count(kinds: np.ndarray) -> None:
    for tensor, decoder in (
        (logits(kinds), "argmax"),
        (kinds[None], "class-map"),
        (logits(kinds) - 2, "mask"),
    ):
        found = segment(tensor, decoder=decoder, classes=("car",))
        assert evaluate(found, "share.car") == pytest.approx(share(kinds, 1))
        assert evaluate(found, "share.sky") == 0
        assert evaluate(found, "area") == pytest.approx(share(kinds, 1))


def test_masks_overlap() -> None:
    planes = np.full((1, 3, ROWS, COLUMNS), -4, np.float32)
    planes[0, 0], planes[0, 1, :3], planes[0, 1, 3:6] = 4, 4, 1
    planes[0, 0, 6:] = -4
    found = segment(planes, decoder="mask")
    assert found.shares.tolist() == pytest.approx([0.5, 0.5, 0])
    assert found.area == pytest.approx(0.5), "a pixel of two classes counts once"
    strict = segment(planes, decoder="mask", score_threshold=0.9)
    assert strict.shares.tolist() == pytest.approx([0.5, 0.25, 0])


@pytest.mark.parametrize("decoder", [None, "mask", "argmax"])
def test_one_plane_is_a_mask(decoder: str | None) -> None:
    plane = np.full((1, 1, ROWS, COLUMNS), 0.2, np.float32)
    plane[..., :4] = 0.8
    for tensor in (plane, plane[0], plane[0, 0], plane.transpose(0, 2, 3, 1), np.log(plane / (1 - plane))):
        found = segment(tensor, decoder=decoder, labels=("person",))
        assert (evaluate(found, "share.person"), evaluate(found, "area")) == (0.25, 0.25)
        assert segment(tensor, decoder=decoder, labels=("person",), score_threshold=0.9).area == 0


def test_uncertain_pixels_belong_to_nobody() -> None:
    scores = np.zeros((1, 3, ROWS, COLUMNS), np.float32)
    scores[0, 1, :, :8] = 5
    assert segment(scores, score_threshold=0.6).shares.tolist() == [0, 0.5, 0]
    assert segment(scores).shares.tolist() == [0.5, 0.5, 0]


def test_a_letterbox_s_margins_do_not_count() -> None:
    geometry = Geometry(width=640, height=240, scale=(1, 2), shift=(0, -0.5), seen=(0, 0.25, 1, 0.75))
    kinds = np.zeros((ROWS, COLUMNS), int)
    kinds[3:6] = 2
    sample = Sample(tensors={}, geometry=geometry)
    for tensor, decoder in (
        (logits(kinds), "argmax"),
        (kinds[None], "class-map"),
        (logits(kinds) - 2, "mask"),
    ):
        assert segment(tensor, sample, decoder=decoder).shares.tolist() == pytest.approx([0.5, 0, 0.5])


def test_classes_without_labels_have_numbers() -> None:
    kinds = np.zeros((ROWS, COLUMNS), int)
    kinds[:3] = 7
    for tensor, decoder in ((kinds[None], "class-map"), (logits(kinds, 9), "argmax")):
        found = segment(tensor, decoder=decoder, labels=None)
        assert [evaluate(found, f"share.{kind}") for kind in ("0", "7", "8")] == pytest.approx(
            [0.75, 0.25, 0]
        )


def test_pixels_that_are_no_number_belong_to_nobody() -> None:
    scores = logits(np.ones((ROWS, COLUMNS), int))
    scores[0, :, :6] = np.nan
    assert segment(scores).shares.tolist() == [0, 0.5, 0]


@pytest.mark.parametrize(
    ("tensor", "said", "text"),
    [
        (np.zeros((1, 5, ROWS, COLUMNS), np.float32), {}, "5 classes, but there are 3 labels"),
        (np.zeros((1, 2, 3, 4, 5), np.float32), {}, r"expected \[classes, rows, columns\]"),
        (np.zeros((1, 3, 0, 4), np.float32), {}, "expected"),
        (np.full((1, 4, 5), 9), {}, "class 9 is none of 3 classes"),
        (np.full((1, 4, 5), -1), {}, "no classes"),
        (np.full((1, 4, 5), 1 << 40), {}, "no classes"),
        (np.full((1, 4, 5), np.nan, np.float32), {"decoder": "class-map"}, "no classes"),
        (np.full((1, 4, 5), 0.5, np.float32), {"decoder": "class-map"}, "no classes"),
        (np.zeros((7,), np.float32), {"decoder": "class-map"}, "class of each pixel"),
    ],
)
def test_nonsense_fails_clearly(tensor: np.ndarray, said: dict[str, Any], text: str) -> None:
    with pytest.raises(InferenceFailed, match=text):
        segment(tensor, **said)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"decoder": "softmax"}, "softmax belongs to task classification"),
        ({"decoder": "sigmoid"}, r"'sigmoid' is not one of .*did you mean mask\?"),
        ({"classes": ("cars",)}, r"'cars' is no label \(did you mean car\?\)"),
        ({"nms_iou": 0.5}, "nmsIou: does nothing for task segmentation"),
        (
            {"outputs": (OutputCard(name="map", role="scores", parameters={"activation": "relu"}),)},
            "'relu' is not",
        ),
    ],
)
def test_cards_that_cannot_be_used(said: dict[str, Any], text: str) -> None:
    with pytest.raises(ModelRejected, match=text):
        segment(np.zeros((1, 3, ROWS, COLUMNS), np.float32), **said)


def embed(tensor: np.ndarray, decoder: str | None = None) -> Embedding:
    found = interpreted({"features": tensor}, Sample(tensors={}), Task.EMBEDDING, decoder=decoder)
    assert isinstance(found, Embedding)
    return found


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=32))
def test_embeddings(numbers: list[float]) -> None:
    vector = np.array(numbers, np.float32)
    for tensor in (vector, vector[None], vector[None, :, None, None]):
        assert evaluate(embed(tensor), "vector") == vector.tolist()
        length = float(np.linalg.norm(embed(tensor, "l2").vector))
        assert length == pytest.approx(1 if np.linalg.norm(vector) > 0 else 0, abs=1e-4)
    angle = embed(vector, "l2").vector @ vector
    assert angle == pytest.approx(float(np.linalg.norm(vector)), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("shape", [(1, 2, 8), (1, 0)])
def test_an_embedding_is_one_vector(shape: tuple[int, ...]) -> None:
    with pytest.raises(InferenceFailed, match="expected one vector"):
        embed(np.zeros(shape, np.float32))
