"""The table of output values: what each task can say and as which type."""

import pytest

from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import Task
from edgex_inference.contracts.outputs import default_type, find, legal, parameter


@pytest.mark.parametrize(
    ("task", "value", "expected"),
    [
        (Task.DETECTION, "count", ValueType.UINT16),
        (Task.DETECTION, "count.person", ValueType.UINT16),
        (Task.DETECTION, "count.traffic light", ValueType.UINT16),
        (Task.DETECTION, "present", ValueType.BOOL),
        (Task.DETECTION, "detections", ValueType.OBJECT),
        (Task.CLASSIFICATION, "label", ValueType.STRING),
        (Task.CLASSIFICATION, "top3", ValueType.STRING_ARRAY),
        (Task.CLASSIFICATION, "index", ValueType.INT32),
        (Task.AUDIO, "scores", ValueType.FLOAT32_ARRAY),
        (Task.REGRESSION, "value.0", ValueType.FLOAT32),
        (Task.REGRESSION, "values", ValueType.FLOAT32_ARRAY),
        (Task.ANOMALY, "contributions", ValueType.FLOAT32_ARRAY),
        (Task.RAW, "any tensor.3", None),
        (Task.RAW, "state", ValueType.BOOL),
        *((task, "latency", ValueType.FLOAT32) for task in Task),
    ],
)
def test_legal_values_have_their_default_type(task: Task, value: str, expected: ValueType | None) -> None:
    known = find(task, value)
    assert known is not None
    assert known.type == expected
    assert default_type(task, value) == expected
    assert expected is None or expected in known.types


@pytest.mark.parametrize(
    ("task", "value"),
    [
        (Task.DETECTION, "score"),
        (Task.DETECTION, "count."),
        (Task.CLASSIFICATION, "top"),
        (Task.CLASSIFICATION, "top0"),
        (Task.CLASSIFICATION, "count"),
        (Task.REGRESSION, "value.x"),
        (Task.REGRESSION, "value.01"),
        (Task.ANOMALY, "label"),
    ],
)
def test_other_values_are_not_legal(task: Task, value: str) -> None:
    assert find(task, value) is None
    assert default_type(task, value) is None


def test_types_that_would_change_the_meaning_cannot_carry_a_value() -> None:
    count, score = find(Task.DETECTION, "count"), find(Task.ANOMALY, "score")
    assert count is not None
    assert score is not None
    assert ValueType.INT64 in count.types
    assert ValueType.STRING not in count.types
    assert ValueType.UINT16 not in score.types
    assert ValueType.FLOAT64 in score.types


def test_without_a_task_the_values_of_all_tasks_are_legal_but_no_tensor_names() -> None:
    assert find(None, "count.person") is not None
    assert find(None, "value.3") is not None
    assert find(None, "nonsense") is None
    assert {value.form for value in legal(None)} >= {"count", "label", "vector", "state"}


def test_a_value_and_its_parameter() -> None:
    assert parameter("count.a.b") == ("count", "a.b")
    assert parameter("top12") == ("top", "12")
    assert parameter("label") == ("label", "")
