"""pipeline.golden: a result against what a card expects, the difference named."""

from typing import Any

import numpy as np
import pytest

from edgex_inference.contracts.results import Classification, Detections, Raw, Regression
from edgex_inference.pipeline.planning.golden import compare

NEAR = {"score": 0.01, "box": 0.01}
REGRESSION = Regression(values=np.array([3.0, 200.0], np.float32))
CLASSES = Classification(scores=np.array([0.25, 0.75], np.float32), labels=("off", "on"))
BOXES = Detections(
    boxes=np.array([[0.1, 0.1, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9]], np.float32),
    scores=np.array([0.9, 0.8], np.float32),
    classes=np.array([0, 1]),
    labels=("cat", "dog"),
    width=4,
    height=4,
)
ITEMS: list[dict[str, Any]] = [
    {"label": "dog", "score": 0.8, "box": [0.6, 0.6, 0.9, 0.9]},
    {"label": "cat", "score": 0.9, "box": [0.1, 0.1, 0.5, 0.5]},
]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (REGRESSION, {"value": 3.0, "value.1": 201.9, "values": [3.009, 199.0]}),
        (REGRESSION, {"value": 3, "value.1": 201}),
        (CLASSES, {"label": "on", "index": 1, "score": 0.755, "top2": ["on", "off"]}),
        (BOXES, {"count": 2, "count.cat": 1, "present": True, "detections": {"items": ITEMS}}),
        (Raw(tensors={"y": np.array([[1.0, 2.0]])}), {"y": [1.0, 2.0], "y.1": 2.0}),
        (REGRESSION, {}),
    ],
)
def test_alike(result: Any, expected: dict[str, Any]) -> None:
    assert compare(result, expected, NEAR) == ""


@pytest.mark.parametrize(
    ("result", "expected", "difference"),
    [
        (REGRESSION, {"value": 3.05}, "value is 3.0 instead of 3.05 (tolerance 0.01)"),
        (REGRESSION, {"value.1": 203.0}, "value.1 is 200.0 instead of 203.0"),
        (REGRESSION, {"value": 3.0, "values": [3.0]}, "values has 2 entries instead of 1"),
        (REGRESSION, {"value.9": 1.0}, "value.9 is None instead of 1.0"),
        (CLASSES, {"label": "off"}, "label is on instead of off"),
        (CLASSES, {"index": 0}, "index is 1 instead of 0"),
        (BOXES, {"count": 3}, "count is 2 instead of 3"),
        (BOXES, {"detections": {"items": ITEMS[:1]}}, "2 detections instead of 1"),
        (BOXES, {"detections": {"items": [ITEMS[0], {**ITEMS[1], "label": "dog"}]}}, "no dog at [0.1"),
        (BOXES, {"detections": {"items": [ITEMS[0], {**ITEMS[1], "box": [0.1, 0.1, 0.5, 0.52]}]}},
         "cat at [0.1, 0.1, 0.5, 0.5] instead of [0.1, 0.1, 0.5, 0.52]"),
        (BOXES, {"detections": {"items": [ITEMS[0], {**ITEMS[1], "score": 0.7}]}},
         "cat with score 0.9 instead of 0.7"),
    ],
)  # fmt: skip
def test_the_first_difference_is_named(result: Any, expected: dict[str, Any], difference: str) -> None:
    assert compare(result, expected, NEAR).startswith(difference)


def test_tolerances_by_value() -> None:
    expected = {"value": 3.2, "value.1": 200.0}
    assert compare(REGRESSION, expected, {**NEAR, "value": 0.1}) == ""
    assert compare(REGRESSION, {"value.1": 201.0}, {**NEAR, "value.1": 0.001}) != "", "relative above 1"
