"""Boxes: what suppression promises, and the way back to the source picture."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgex_inference.contracts.results import Geometry
from edgex_inference.postprocess.detection import boxes as room
from edgex_inference.postprocess.detection.boxes import areas, overlapping, soften, suppress, to_source

GRID = st.integers(0, 8).map(lambda n: n / 8)
BOX = st.tuples(GRID, GRID, GRID, GRID)


@st.composite
def crowds(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Boxes best first with classes, on a coarse grid: touching, identical, inverted and flat ones are common."""
    some = draw(st.lists(st.tuples(BOX, st.integers(0, 2)), max_size=40))
    boxes = np.array([box for box, _ in some], dtype=np.float32).reshape(-1, 4)
    return boxes, np.array([kind for _, kind in some], dtype=np.int64)


def plainly(boxes: np.ndarray, classes: np.ndarray, iou: float) -> list[int]:
    """Suppression in its textbook form, in fractions of the grid: exact."""
    kept: list[int] = []
    for index, (box, kind) in enumerate(zip(boxes.tolist(), classes.tolist(), strict=True)):
        rivals = (other for other in kept if classes[other] == kind)
        if not any(_overlap(box, boxes[other].tolist()) > iou for other in rivals):
            kept.append(index)
    return kept


def _overlap(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    area = [max(c[2] - c[0], 0) * max(c[3] - c[1], 0) for c in (a, b)]
    return both / (sum(area) - both) if both else 0.0


@given(crowds(), st.sampled_from((0.0, 0.3017, 0.4511, 0.7013, 1.0)))
def test_suppression_is_the_textbook_s(crowd: tuple[np.ndarray, np.ndarray], iou: float) -> None:
    assert suppress(*crowd, iou).tolist() == plainly(*crowd, iou)


@given(crowds(), st.floats(0, 1, width=32))
def test_suppression_keeps_its_promises(crowd: tuple[np.ndarray, np.ndarray], iou: float) -> None:
    boxes, classes = crowd
    kept = suppress(boxes, classes, iou)
    assert (np.diff(kept) > 0).all()
    left, kinds = boxes[kept], classes[kept]
    pairs = overlapping(left, left, iou) & (kinds[:, None] == kinds[None, :])
    assert not np.triu(pairs, 1).any()
    assert suppress(left, kinds, iou).tolist() == list(range(len(kept)))
    lost = np.setdiff1d(np.arange(len(boxes)), kept)
    beaten = overlapping(left, boxes[lost], iou) & (kinds[:, None] == classes[lost][None, :])
    assert (beaten & (kept[:, None] < lost[None, :])).any(axis=0).all()


@settings(max_examples=30)
@given(crowds(), st.sampled_from((0.2017, 0.5013)))
def test_blocks_change_nothing(crowd: tuple[np.ndarray, np.ndarray], iou: float) -> None:
    whole = suppress(*crowd, iou).tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_BLOCK", 3)
        assert suppress(*crowd, iou).tolist() == whole


def softly(
    boxes: np.ndarray, scores: list[float], classes: np.ndarray, sigma: float, threshold: float
) -> list[tuple[int, float]]:
    """Gaussian soft suppression in its textbook form."""
    left, taken = dict(enumerate(scores)), list[tuple[int, float]]()
    while left and max(left.values()) >= threshold:
        best = max(left, key=lambda index: left[index])
        taken.append((best, left.pop(best)))
        for other in left:
            if classes[other] == classes[best]:
                share = _overlap(boxes[best].tolist(), boxes[other].tolist())
                left[other] *= math.exp(-share * share / sigma)
    return taken


@given(crowds(), st.sampled_from((0.1, 0.5, 2.0)), st.sampled_from((0.01, 0.3)), st.integers(1, 9))
def test_soft_suppression_is_the_textbook_s(
    crowd: tuple[np.ndarray, np.ndarray], sigma: float, threshold: float, most: int
) -> None:
    boxes, classes = crowd
    scores = np.float32([0.99 * 0.93**index for index in range(len(boxes))])  # no two alike
    wanted = softly(boxes, scores.tolist(), classes, sigma, threshold)
    stay, reached = soften(boxes, scores, classes, sigma, threshold)
    assert dict(zip(stay.tolist(), reached.tolist(), strict=True)) == pytest.approx(dict(wanted), abs=1e-5)
    assert (np.diff(reached) <= 0).all(), "best first"
    few, their = soften(boxes, scores, classes, sigma, threshold, most)
    assert (few.tolist(), their.tolist()) == (stay[:most].tolist(), reached[:most].tolist())


def test_touching_boxes_both_stay_and_identical_ones_are_one() -> None:
    boxes = np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1], [0, 0, 0.5, 1]], dtype=np.float32)
    assert suppress(boxes, np.zeros(3, dtype=np.int64), 0.0).tolist() == [0, 1]
    assert suppress(boxes, np.array([0, 0, 1]), 0.0).tolist() == [0, 1, 2], "another class is no rival"


def test_no_boxes() -> None:
    assert suppress(np.empty((0, 4), np.float32), np.empty(0, np.int64), 0.5).tolist() == []


def test_areas_of_inverted_boxes_are_nothing() -> None:
    assert areas(np.array([[0, 0, 0.5, 0.5], [1, 1, 0, 0], [0, 0, 0, 1]], np.float32)).tolist() == [
        0.25,
        0,
        0,
    ]


def test_region_of_interest_lands_in_its_place() -> None:
    half = Geometry(width=640, height=480, scale=(0.5, 1.0), shift=(0.5, 0.0))
    found = to_source(np.array([[0, 0, 1, 1], [0.5, 0.25, 1.25, 0.5]], np.float32), half)
    assert found.tolist() == [[0.5, 0, 1, 1], [0.75, 0.25, 1, 0.5]]
    left = Geometry(width=640, height=480, scale=(0.5, 1.0))
    beyond = to_source(np.array([[0.5, 0, 1.5, 1]], np.float32), left)
    assert beyond.tolist() == [[0.25, 0, 0.5, 1]], "the model did not see what lies beyond its region"


def test_letterbox_is_undone_and_its_bars_are_cut_off() -> None:
    wide = Geometry(width=640, height=320, scale=(1.0, 2.0), shift=(0.0, -0.5))
    found = to_source(np.array([[0, 0.25, 1, 0.75], [0.5, 0, 1, 0.2]], np.float32), wide)
    assert found.tolist() == [[0, 0, 1, 1], [0.5, 0, 1, 0]]


@given(
    st.tuples(*(st.floats(0, 1, width=32),) * 4),
    st.floats(0.125, 1, width=32),
    st.floats(0, 0.75, width=32),
)
def test_what_lies_in_the_region_comes_back_exactly(
    box: tuple[float, ...], scale: float, shift: float
) -> None:
    geometry = Geometry(width=100, height=100, scale=(scale, scale), shift=(shift, shift))
    found = to_source(np.array([box], np.float32), geometry)[0]
    assert found == pytest.approx([min(side * scale + shift, 1) for side in box], abs=1e-6)
