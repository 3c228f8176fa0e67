"""A binding's outputs: which value becomes which reading, and in which order they stand in the event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgex_inference.contracts import outputs as vocabulary
from edgex_inference.contracts.bindings import Binding
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.events import Reading, ValueType
from edgex_inference.contracts.models import Task
from edgex_inference.contracts.results import Classification, Result
from edgex_inference.contracts.tensors import Datatype
from edgex_inference.edgex import values as wire_values
from edgex_inference.postprocess import values as result_values


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """All that one inference knows when its readings are written; `latency` in seconds."""

    result: Result
    state: bool | None
    latency: float
    model: str
    accelerator: str
    unknown_below: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One output with its type settled."""

    name: str
    value: str
    type: ValueType
    units: str


def columns(binding: Binding, task: Task, tensors: Mapping[str, Datatype]) -> tuple[Column, ...]:
    """The outputs with default types filled in, flat readings first and Objects last; raises ModelRejected.

    `tensors` are the model's outputs under the card's names, which the values of a raw model are.
    """
    settled = [
        Column(
            name=output.name,
            value=output.value,
            type=output.type or _default(task, output.value, tensors),
            units=output.units,
        )
        for output in binding.outputs
    ]
    return tuple(
        sorted(settled, key=lambda column: column.type in (ValueType.OBJECT, ValueType.OBJECT_ARRAY))
    )


def _default(task: Task, value: str, tensors: Mapping[str, Datatype]) -> ValueType:
    known = vocabulary.default_type(task, value)
    if known is None and task is Task.RAW:
        return result_values.raw_type(value, tensors)
    if known is None:
        raise ModelRejected(value, f"outputs: {value!r} is no value of task {task}")
    return known


def write(
    settled: Sequence[Column], moment: Moment, *, device: str, profile: str, origin: int
) -> tuple[dict[str, Reading], list[str]]:
    """The readings by output name, and the names of outputs whose number does not fit its type."""
    readings: dict[str, Reading] = {}
    unfit: list[str] = []
    for column in settled:
        value = evaluate(moment, column.value, column.type)
        if value is None:
            continue
        try:
            readings[column.name] = wire_values.reading(
                column.name,
                value,
                column.type,
                device=device,
                profile=profile,
                origin=origin,
                units=column.units,
            )
        except wire_values.Unfit:
            unfit.append(column.name)
    return readings, unfit


def evaluate(moment: Moment, value: str, kind: ValueType) -> object:
    """One value of the table of output values; None where there is nothing to say."""
    match value:
        case "state":
            return moment.state
        case "latency":
            return moment.latency * 1e3
        case "model":
            return moment.model
        case "accelerator":
            return moment.accelerator
        case "isUnknown" if isinstance(moment.result, Classification):
            best = result_values.evaluate(moment.result, "score")
            limit = moment.unknown_below
            return None if limit is None else isinstance(best, float) and best < limit
        case _:
            return result_values.evaluate(moment.result, value, kind)
