"""A binding's outputs: which value becomes which reading, and in which order they stand in the event."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from edgex_inference.config.places import listed
from edgex_inference.contracts import outputs as vocabulary
from edgex_inference.contracts.bindings import Binding, Output
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.events import Reading, ValueType
from edgex_inference.contracts.models import Task
from edgex_inference.contracts.results import Classification, Result
from edgex_inference.edgex import values as wire_values
from edgex_inference.postprocess import values as result_values
from edgex_inference.postprocess.prospect import Prospect

_UNDECIDED = ("state", "isUnknown")
"""Values that may be missing without a fault: nothing was decided."""


class Moment(msgspec.Struct, frozen=True, kw_only=True, eq=False):
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


def column(binding: Binding, output: Output, task: Task, prospect: Prospect) -> Column:
    """An output with its type settled; raises ModelRejected for one that the model's results can never fill."""
    known = vocabulary.find(task, output.value)
    if known is None:
        raise _refused(binding, output, "value", f"{output.value!r} is no value of task {task}")
    if not known.built:
        raise _refused(binding, output, "value", f"{output.value} is not yet supported")
    reason = "" if known.whole else prospect.objection(task, output.value)
    if reason:
        raise _refused(binding, output, "value", reason)
    default, types = (known.type, known.types) if known.type else prospect.raw(output.value)
    if output.type is not None and output.type not in types:
        reason = f"{output.type} cannot carry {output.value}: it takes {listed(types)}"
        raise _refused(binding, output, "type", reason)
    return Column(name=output.name, value=output.value, type=output.type or default, units=output.units)


def in_order(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Flat readings first, Objects last."""
    return tuple(
        sorted(columns, key=lambda column: column.type in (ValueType.OBJECT, ValueType.OBJECT_ARRAY))
    )


def _refused(binding: Binding, output: Output, key: str, reason: str) -> ModelRejected:
    model = binding.model.name if binding.model is not None else binding.name
    return ModelRejected(model, reason, block=("outputs", output.name, key))


def write(
    settled: Sequence[Column], moment: Moment, *, device: str, profile: str, origin: int
) -> tuple[dict[str, Reading], list[str]]:
    """The readings by output name, and the names of outputs whose value is missing or does not fit its type.

    An empty array of numbers is left out: core-data cannot take one.
    """
    readings: dict[str, Reading] = {}
    unfit: list[str] = []
    for column in settled:
        value = evaluate(moment, column.value, column.type)
        if value is None and column.value not in _UNDECIDED:
            unfit.append(column.name)
        if value is None or (value == [] and column.type is not ValueType.STRING_ARRAY):
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
    """One value of the table of output values; None where it is missing."""
    known = _OF_MOMENT.get(value)
    if known is not None:
        return known(moment)
    if value == "isUnknown" and isinstance(moment.result, Classification):
        best = result_values.evaluate(moment.result, "score")
        limit = moment.unknown_below
        return None if limit is None else isinstance(best, float) and best < limit
    return result_values.evaluate(moment.result, value, kind)


def milliseconds(latency: float) -> float:
    """Four digits of a latency in seconds: more would be noise, and dear to write."""
    return float(f"{latency * 1e3:.3e}")


def milliseconds_text(latency: float) -> str:
    """The text of `milliseconds` of a latency of at least 0 in a reading of Float32 or Float64."""
    text = f"{latency * 1e3:.3e}"
    if text[4] != "0":
        return text
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{exponent}"


_OF_MOMENT: Mapping[str, Callable[[Moment], object]] = {
    "state": lambda moment: moment.state,
    "latency": lambda moment: milliseconds(moment.latency),
    "model": lambda moment: moment.model,
    "accelerator": lambda moment: moment.accelerator,
}
