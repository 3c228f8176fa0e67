"""What a model's results will hold, as far as its declaration tells: which output values can ever be there."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgex_inference.config.places import listed, suggest
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import Task
from edgex_inference.contracts.outputs import array_carriers, element_carriers, parameter
from edgex_inference.contracts.tensors import Datatype

_ELEMENTS: dict[Datatype, ValueType] = {
    Datatype.BOOL: ValueType.BOOL,
    Datatype.UINT8: ValueType.UINT8,
    Datatype.UINT16: ValueType.UINT16,
    Datatype.UINT32: ValueType.UINT32,
    Datatype.UINT64: ValueType.UINT64,
    Datatype.INT8: ValueType.INT8,
    Datatype.INT16: ValueType.INT16,
    Datatype.INT32: ValueType.INT32,
    Datatype.INT64: ValueType.INT64,
    Datatype.FP16: ValueType.FLOAT32,
    Datatype.FP32: ValueType.FLOAT32,
    Datatype.FP64: ValueType.FLOAT64,
    Datatype.BYTES: ValueType.STRING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """An output tensor of one sample; dequantized ones are FP32. `size` None: each run may give another."""

    datatype: Datatype
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """Tensors under the card's names, how many numbers a regression has, the labels, whether channels have shares."""

    tensors: Mapping[str, Promised]
    values: int | None = None
    labels: tuple[str, ...] | None = None
    contributions: bool = True

    def objection(self, task: Task, value: str) -> str:
        """Why a legal value of the task will never be in a result; empty when it may."""
        word, rest = parameter(value)
        match task:
            case Task.RAW:
                return self._no_element(value)
            case Task.REGRESSION if rest and self.values is not None and int(rest) >= self.values:
                return f"the model gives {_numbers(self.values)}: value.0 to value.{self.values - 1}"
            case Task.DETECTION | Task.SEGMENTATION if word in ("count", "share") and rest:
                return self._no_label(rest)
            case Task.ANOMALY if value == "contributions" and not self.contributions:
                return "the model gives a score alone: contributions need decoder reconstruction over numbers"
        return ""

    def raw(self, value: str) -> tuple[ValueType, tuple[ValueType, ...]]:
        """The default type of a raw model's value, and every type that can carry it."""
        name, index = self._named(value)
        promised = self.tensors[name]
        element = _ELEMENTS[promised.datatype]
        if index is not None:
            return element, element_carriers(element)
        whole = array_carriers(element)
        alone = element_carriers(element) if promised.size in (1, None) else ()
        return ValueType(f"{element}Array"), (*whole, *alone)

    def _named(self, value: str) -> tuple[str, int | None]:
        """Tensor and index; the name of a tensor goes before that of an element."""
        name, dot, index = value.rpartition(".")
        if value in self.tensors or not (dot and index.isascii() and index.isdecimal()):
            return value, None
        return name, int(index)

    def _no_element(self, value: str) -> str:
        name, index = self._named(value)
        if name not in self.tensors:
            there = listed(self.tensors, last="and")
            return f"{value!r} is no output of the model{suggest(name, self.tensors)}; there are {there}"
        size = self.tensors[name].size
        if index is None or size is None or index < size:
            return ""
        return f"{name} has {_numbers(size)}: {name}.0 to {name}.{size - 1}"

    def _no_label(self, label: str) -> str:
        if self.labels is None:
            return (
                ""
                if label.isdecimal()
                else f"{label!r} is no label: nobody named the classes, so say 0, 1, …"
            )
        return (
            "" if label in self.labels else f"{label!r} is not one of the labels{suggest(label, self.labels)}"
        )


def _numbers(count: int) -> str:
    return f"{count} number{'' if count == 1 else 's'}"
