"""Output values: plain Python types for every name of the table, also of nothing."""

import json

import numpy as np
import pytest

from edgex_inference.contracts.errors import SetupError
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import Task
from edgex_inference.contracts.outputs import legal
from edgex_inference.contracts.results import (
    Anomaly,
    Classification,
    Detections,
    Embedding,
    Raw,
    Regression,
    Result,
    Segmentation,
)
from edgex_inference.postprocess.values import evaluate


def f32(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float32)


CLASSES = Classification(scores=f32(0.25, 0.5, 0.125, 0.125), labels=("a", "b", "c", "d"))
FOUND = Detections(
    boxes=np.array([[0.1234567, 0, 0.5, 1], [0, 0, 1 / 3, 1], [0, 0, 1, 1]], dtype=np.float32),
    scores=f32(0.9, 0.75, 0.5),
    classes=np.array([2, 0, 2]),
    labels=("nut", "bolt", "washer"),
    width=640,
    height=480,
)
NONE = Detections(
    boxes=np.empty((0, 4), np.float32),
    scores=f32(),
    classes=np.empty(0, np.int64),
    labels=("nut",),
    width=640,
    height=480,
)
WEAR = Anomaly(score=1.5, contributions=f32(0.25, 0.75), channels=("x", "y"))
GROUND = Segmentation(shares=f32(0.5, 0.25), labels=("road", "car"), area=0.75)
RAW = Raw(
    tensors={
        "heat": np.array([[1.5, 2.5], [3.5, 4.5]], dtype=np.float32),
        "count": np.array([3], dtype=np.int64),
        "flag": np.array(True),
        "conv.1": np.array([7, 8], dtype=np.uint8),
        "conv": np.array([9], dtype=np.uint8),
        "words": np.array(["a", b"b"], dtype=object),
        "nothing": np.empty((0,), dtype=np.float32),
    }
)


@pytest.mark.parametrize(
    ("result", "value", "expected"),
    [
        (CLASSES, "label", "b"),
        (CLASSES, "score", 0.5),
        (CLASSES, "index", 1),
        (CLASSES, "top1", ["b"]),
        (CLASSES, "top3", ["b", "a", "c"]),
        (CLASSES, "top99", ["b", "a", "c", "d"]),
        (CLASSES, "scores", [0.25, 0.5, 0.125, 0.125]),
        (Classification(scores=f32(0, 1)), "label", "1"),
        (FOUND, "count", 3),
        (FOUND, "count.washer", 2),
        (FOUND, "count.bolt", 0),
        (FOUND, "count.unheard of", 0),
        (FOUND, "labels", ["nut", "washer"]),
        (FOUND, "maxScore", 0.8999999761581421),
        (FOUND, "present", True),
        (NONE, "count", 0),
        (NONE, "count.nut", 0),
        (NONE, "labels", []),
        (NONE, "maxScore", 0.0),
        (NONE, "present", False),
        (NONE, "detections", {"image": {"width": 640, "height": 480}, "items": []}),
        (WEAR, "score", 1.5),
        (WEAR, "contributions", [0.25, 0.75]),
        (Anomaly(score=1.0), "contributions", None),
        (Regression(values=f32(1.5, 2.5)), "value", 1.5),
        (Regression(values=f32(1.5, 2.5)), "value.1", 2.5),
        (Regression(values=f32(1.5, 2.5)), "value.2", None),
        (Regression(values=f32(1.5, 2.5)), "values", [1.5, 2.5]),
        (GROUND, "share.car", 0.25),
        (GROUND, "share.plane", 0.0),
        (GROUND, "area", 0.75),
        (Embedding(vector=f32(0.5, -0.5)), "vector", [0.5, -0.5]),
        (RAW, "heat", [1.5, 2.5, 3.5, 4.5]),
        (RAW, "heat.3", 4.5),
        (RAW, "heat.4", None),
        (RAW, "flag", [True]),
        (RAW, "conv.1", [7, 8]),
        (RAW, "conv.0", 9),
        (RAW, "words", ["a", "b"]),
        (RAW, "words.1", "b"),
        (RAW, "nothing", []),
        (RAW, "absent", None),
    ],
)
def test_value(result: Result, value: str, expected: object) -> None:
    found = evaluate(result, value)
    assert found == expected
    assert type(found) is type(expected)
    assert json.loads(json.dumps(found)) == expected


def test_detections_are_small_and_json_safe() -> None:
    found = evaluate(FOUND, "detections")
    assert json.loads(json.dumps(found)) == {
        "image": {"width": 640, "height": 480},
        "items": [
            {"label": "washer", "score": 0.9, "box": [0.12346, 0.0, 0.5, 1.0]},
            {"label": "nut", "score": 0.75, "box": [0.0, 0.0, 0.33333, 1.0]},
            {"label": "washer", "score": 0.5, "box": [0.0, 0.0, 1.0, 1.0]},
        ],
    }


def test_contributions_as_an_object() -> None:
    assert evaluate(WEAR, "contributions", ValueType.OBJECT) == {"x": 0.25, "y": 0.75}
    nameless = Anomaly(score=1.0, contributions=f32(0.5, np.nan))
    assert evaluate(nameless, "contributions", ValueType.OBJECT) == {"0": 0.5}
    assert evaluate(Anomaly(score=1.0), "contributions", ValueType.OBJECT) is None


def test_a_raw_tensor_as_a_single_number() -> None:
    assert evaluate(RAW, "count", ValueType.INT64) == 3
    assert evaluate(RAW, "count", ValueType.INT64_ARRAY) == [3]
    assert evaluate(RAW, "heat", ValueType.FLOAT32) is None, "not just its first number"


def test_numbers_that_are_not_finite_stay_for_the_publisher_to_judge() -> None:
    assert np.isnan(evaluate(Anomaly(score=float("nan")), "score"))  # type: ignore[call-overload]
    assert np.isnan(evaluate(Classification(scores=f32(0, np.nan)), "score"))  # type: ignore[call-overload]
    assert evaluate(Regression(values=f32(np.inf)), "value") == float("inf")


@pytest.mark.parametrize("value", ["lable", "top", "top0", "count.a", "value", "state", ""])
def test_unknown_values_are_refused(value: str) -> None:
    with pytest.raises(SetupError, match="no such value"):
        evaluate(CLASSES, value)


@pytest.mark.parametrize(
    ("task", "result"),
    [
        (Task.CLASSIFICATION, CLASSES),
        (Task.DETECTION, FOUND),
        (Task.ANOMALY, WEAR),
        (Task.REGRESSION, Regression(values=f32(1))),
    ],
)
def test_every_legal_value_of_a_task_is_there(task: Task, result: Result) -> None:
    own = [known for known in legal(task) if known.built and not known.whole]
    assert own
    for known in own:
        value = known.form.replace("<k>", "2").replace("<i>", "0").replace("<label>", "nut")
        assert evaluate(result, value) is not None, value
