"""pipeline.outputs: which value becomes which reading, in which order."""

from typing import Any

import numpy as np
import pytest

from edgex_inference.contracts.bindings import Binding, ModelChoice, Output
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import Task
from edgex_inference.contracts.results import Anomaly, Classification, Detections, Raw, Regression, Result
from edgex_inference.contracts.tensors import Datatype
from edgex_inference.pipeline.publishing import outputs
from edgex_inference.postprocess.prospect import Promised, Prospect

NAN = float("nan")


def binding(**values: str | tuple[str, ValueType]) -> Binding:
    said = [
        Output(name=name, value=value if isinstance(value, str) else value[0],
               type=None if isinstance(value, str) else value[1], units="mm")
        for name, value in values.items()
    ]  # fmt: skip
    return Binding(profile="p", resource="X", name="B", model=ModelChoice(name="m"), outputs=tuple(said))


PROSPECT = Prospect(
    tensors={"y": Promised(datatype=Datatype.FP64), "n": Promised(datatype=Datatype.INT64)},
    labels=("cat", "dog"),
)


def settle(of: Binding, task: Task) -> tuple[outputs.Column, ...]:
    return outputs.in_order(outputs.column(of, one, task, PROSPECT) for one in of.outputs)


def moment(result: Result, **more: Any) -> outputs.Moment:
    said = {"state": None, "latency": 0.0125, "model": "m", "accelerator": "fake:CPU", **more}
    return outputs.Moment(result=result, **said)


def written(task: Task, at: outputs.Moment, **values: Any) -> tuple[dict[str, object], list[str]]:
    settled = settle(binding(**values), task)
    readings, unfit = outputs.write(settled, at, device="d", profile="p-inference", origin=7)
    assert all(
        (one.device_name, one.profile_name, one.origin, one.units, one.resource_name)
        == ("d", "p-inference", 7, "mm", name)
        for name, one in readings.items()
    )
    assert len({one.id for one in readings.values()}) == len(readings)
    return {name: one.object_value or one.value for name, one in readings.items()}, unfit


def found(*classes: int) -> Detections:
    count = len(classes)
    return Detections(
        boxes=np.full((count, 4), 0.5, np.float32),
        scores=np.linspace(0.9, 0.5, count, dtype=np.float32),
        classes=np.array(classes, np.int64),
        labels=("cat", "dog"),
        width=4,
        height=3,
    )


def test_flat_readings_first_and_the_object_last() -> None:
    settled = settle(
        binding(All="detections", Count="count", Labels="labels", Top="maxScore"), Task.DETECTION
    )
    assert [(column.name, column.type) for column in settled] == [
        ("Count", ValueType.UINT16),
        ("Labels", ValueType.STRING_ARRAY),
        ("Top", ValueType.FLOAT32),
        ("All", ValueType.OBJECT),
    ]


def test_detections() -> None:
    values, unfit = written(Task.DETECTION, moment(found(1, 1, 0)), Count="count", Dogs="count.dog", Any="present",
                            Labels="labels", All="detections")  # fmt: skip
    items = values.pop("All")["items"]  # type: ignore[index]
    assert values == {"Count": "3", "Dogs": "2", "Any": "true", "Labels": '["cat","dog"]'}
    assert [one["label"] for one in items] == ["dog", "dog", "cat"]
    assert unfit == []


def test_nothing_detected() -> None:
    values, _ = written(Task.DETECTION, moment(found()), Count="count", Top="maxScore", Labels="labels")
    assert values == {"Count": "0", "Top": "0e+00", "Labels": "[]"}


def test_values_of_every_task() -> None:
    at = moment(Regression(values=np.array([2.5], np.float32)), state=True)
    values, _ = written(Task.REGRESSION, at, S="state", L="latency", M="model", A="accelerator", V="value")
    assert values == {"S": "true", "L": "1.25e+01", "M": "m", "A": "fake:CPU", "V": "2.5e+00"}
    assert list(values) == ["S", "L", "M", "A", "V"]


def test_what_has_nothing_to_say_is_left_out_and_is_no_fault() -> None:
    at = moment(Classification(scores=np.array([0.3, 0.7], np.float32), labels=("a", "b")))
    values, unfit = written(Task.CLASSIFICATION, at, S="state", U="isUnknown", L="label")
    assert (values, unfit) == ({"L": "b"}, [])


@pytest.mark.parametrize(("score", "unknown"), [(0.39, "true"), (0.41, "false")])
def test_unknown_is_below_the_limit(score: float, unknown: str) -> None:
    result = Classification(scores=np.array([score, 0.1], np.float32), labels=("a", "b"))
    values, _ = written(Task.CLASSIFICATION, moment(result, unknown_below=0.4), U="isUnknown")
    assert values == {"U": unknown}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (NAN, ValueType.FLOAT32),
        (float("inf"), ValueType.FLOAT64),
        (1e39, ValueType.FLOAT32),
    ],
)
def test_numbers_that_do_not_fit_are_left_out_and_named(value: float, kind: ValueType) -> None:
    result = Raw(tensors={"y": np.array([value, 1.0]), "n": np.array([1])})
    values, unfit = written(Task.RAW, moment(result), Bad=("y.0", kind), Good="y.1")
    assert unfit == ["Bad"]
    assert list(values) == ["Good"]


@pytest.mark.parametrize(("value", "kind"), [(300, ValueType.UINT8), (-1, ValueType.UINT16)])
def test_whole_numbers_that_do_not_fit_are_named_too(value: int, kind: ValueType) -> None:
    assert written(Task.RAW, moment(Raw(tensors={"n": np.array([value])})), Bad=("n.0", kind)) == (
        {},
        ["Bad"],
    )


def test_values_that_a_run_did_not_give_are_named() -> None:
    result = Raw(tensors={"y": np.array([1.0, 2.0]), "n": np.array([1])})
    said = {"Far": "y.2", "One": ("y", ValueType.FLOAT64), "Good": "n.0"}
    assert written(Task.RAW, moment(result), **said) == ({"Good": "1"}, ["Far", "One"])


def test_an_empty_array_of_numbers_is_never_written() -> None:
    result = Raw(tensors={"y": np.zeros((0,)), "n": np.array([1])})
    values, _ = written(Task.RAW, moment(result), Empty="y", N="n")
    assert values == {"N": "[1]"}


def test_contributions_by_channel() -> None:
    result = Anomaly(score=1.0, contributions=np.array([0.25, 0.75], np.float32), channels=("x", "y"))
    values, _ = written(
        Task.ANOMALY, moment(result), Flat="contributions", By=("contributions", ValueType.OBJECT)
    )
    assert values == {"Flat": "[2.5e-01, 7.5e-01]", "By": {"x": 0.25, "y": 0.75}}


@pytest.mark.parametrize(
    ("task", "value", "kind", "sentence"),
    [
        (Task.REGRESSION, "count", None, "outputs.Y.value: 'count' is no value of task regression"),
        (Task.REGRESSION, "count", ValueType.UINT16, "is no value of task regression"),
        (Task.DETECTION, "tracks", None, "is not yet supported"),
        (
            Task.DETECTION,
            "count",
            ValueType.STRING,
            "outputs.Y.type: String cannot carry count: it takes Uint8",
        ),
        (Task.DETECTION, "state", ValueType.FLOAT32, "Float32 cannot carry state: it takes Bool"),
        (Task.RAW, "z", None, "is no output of the model"),
        (Task.RAW, "z.0", ValueType.FLOAT32, "is no output of the model"),
    ],
)
def test_what_cannot_be_is_found_when_the_plan_is_drawn(
    task: Task, value: str, kind: ValueType | None, sentence: str
) -> None:
    said = value if kind is None else (value, kind)
    with pytest.raises(ModelRejected, match=sentence.replace("(", r"\(")):
        settle(binding(Y=said), task)


def test_types_of_raw_values_are_those_of_the_tensor() -> None:
    settled = settle(binding(A="y", B="n.3", C=("n", ValueType.FLOAT64_ARRAY)), Task.RAW)
    assert [column.type for column in settled] == [
        ValueType.FLOAT64_ARRAY,
        ValueType.INT64,
        ValueType.FLOAT64_ARRAY,
    ]
