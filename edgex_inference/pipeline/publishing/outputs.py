"""A binding's outputs: which value becomes which reading, and in which order they stand in the event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgex_inference.contracts import outputs as vocabulary
from edgex_inference.contracts.bindings import Binding, Output
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
            type=_type(binding, output, task, tensors),
            units=output.units,
        )
        for output in binding.outputs
    ]
    return tuple(
        sorted(settled, key=lambda column: column.type in (ValueType.OBJECT, ValueType.OBJECT_ARRAY))
    )


def _type(binding: Binding, output: Output, task: Task, tensors: Mapping[str, Datatype]) -> ValueType:
    """The type of an output: what it says where that can carry the value, else the value's own."""
    model = binding.model.name if binding.model is not None else binding.name
    where = f"outputs.{output.name}: {output.value!r}"
    known = vocabulary.find(task, output.value)
    if known is None:
        raise ModelRejected(model, f"{where} is no value of task {task}")
    if not known.built:
        raise ModelRejected(model, f"{where} is not yet supported")
    default = known.type or result_values.raw_type(output.value, tensors)
    if output.type is not None and output.type != default and output.type not in known.types:
        raise ModelRejected(model, f"{where} cannot be carried by type {output.type}; {default} can")
    return output.type or default


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
