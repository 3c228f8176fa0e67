"""Inputs and outputs of a model as OpenVINO declares them, and what it must not be given."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.tensors import Array, Datatype, TensorSpec, holds_nan

_ELEMENTS: Mapping[str, Datatype] = {
    "boolean": Datatype.BOOL,
    "f16": Datatype.FP16,
    "f32": Datatype.FP32,
    "f64": Datatype.FP64,
    **{f"i{bits}": Datatype(f"INT{bits}") for bits in (8, 16, 32, 64)},
    **{f"u{bits}": Datatype(f"UINT{bits}") for bits in (8, 16, 32, 64)},
}
_LEAST, _MOST = -(2**31), 2**31 - 1


def spec_of(path: Path, port: Any, what: str, known: str = "") -> TensorSpec:
    """The port as declared; raises ModelRejected for what cannot be fed or read. `what` is `input 0` and such.

    `known` is how the file calls it: compiled, a port has the names of neighbors too that were optimized away.
    """
    called, element = known or name_of(port, what.replace(" ", "")), port.get_element_type().get_type_name()
    datatype = _ELEMENTS.get(element)
    if datatype is None:
        raise ModelRejected(path, f"{what} ({called}) is of type {element}, which cannot be fed or read")
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        if what.startswith("input"):
            raise ModelRejected(
                path, f"{what} ({called}) leaves its number of axes open: export it with a shape"
            )
        return TensorSpec(name=called, datatype=datatype, shape=(None,))
    extents = tuple(extent.get_length() if extent.is_static else None for extent in shape)
    return TensorSpec(name=called, datatype=datatype, shape=extents)


def name_of(port: Any, otherwise: str) -> str:
    """The shortest of a port's names, which is the one that people gave; their order in the runtime is random."""
    return min(port.get_names(), key=lambda name: (len(name), name), default=otherwise)


def specs_of(path: Path, ports: Sequence[Any], what: str, names: Sequence[str]) -> tuple[TensorSpec, ...]:
    """All inputs or all outputs, by these names; raises as `spec_of`."""
    return tuple(spec_of(path, port, f"{what} {n}", names[n]) for n, port in enumerate(ports))


def called(model: Any, compiled: Any, known: Sequence[TensorSpec]) -> tuple[Sequence[str], Sequence[str]]:
    """The names of inputs and outputs: the file's own, else those of outputs that were noted beside a blob."""
    if model is not None:
        return _names(model.inputs, "input"), _names(model.outputs, "output")
    outputs = _names(compiled.outputs, "output")
    if len(known) == len(outputs):
        outputs = [spec.name for spec in known]
    return _names(compiled.inputs, "input"), outputs


def _names(ports: Sequence[Any], what: str) -> Sequence[str]:
    return [name_of(port, f"{what}{n}") for n, port in enumerate(ports)]


def most_rows(port: Any) -> int | None:
    """The most rows that an open axis 0 with an upper bound takes; None without a bound."""
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic or not len(shape) or shape[0].is_static:
        return None
    most = int(shape[0].get_max_length())
    return most if most > 0 else None


def guard(datatype: Datatype) -> Callable[[Array], str]:
    """Tells values of which OpenVINO would make plausible but wrong numbers; empty when an array has none."""
    if datatype.numpy.kind == "f":
        return _nan
    if datatype in (Datatype.INT64, Datatype.UINT64, Datatype.UINT32):
        return _beyond_32_bits
    return _harmless


def _nan(array: Array) -> str:
    return "NaN, which OpenVINO may turn into a plausible number" if holds_nan(array) else ""


def _beyond_32_bits(array: Array) -> str:
    for number in (int(array.min()), int(array.max())) if array.size else ():
        if not _LEAST <= number <= _MOST:
            return f"{number}; OpenVINO keeps no more than 32 bits of it"
    return ""


def _harmless(array: Array) -> str:
    return ""


def extents(port: Any, wanted: tuple[int | None, ...] | None, rows: int | None) -> list[Any] | None:
    """The declared extents with those filled in that are open and wanted, `rows` on axis 0; None where none is."""
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return None if wanted is None else [-1 if one is None else one for one in wanted]
    have = list(shape)
    if wanted is not None and len(have) != len(wanted):
        raise ValueError(f"{name_of(port, 'the input')} has {len(have)} axes, {len(wanted)} are asked for")
    asked = list(wanted or [None] * len(have))
    asked[:1] = [asked[0] if asked[0] is not None else rows] if asked else []
    filled = [
        want if old.is_dynamic and want is not None else old for old, want in zip(have, asked, strict=True)
    ]
    return filled if any(new is not old for new, old in zip(filled, have, strict=True)) else None
