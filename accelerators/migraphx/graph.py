"""The tensors' names of an ONNX file, which MIGraphX's C library does not tell; read without the package onnx."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgex_inference.contracts.protobuf import Damaged, fields

_GRAPH = 7
_INITIALIZER, _INPUT, _OUTPUT = 5, 11, 12
_NAME, _TYPE, _TENSOR, _SHAPE, _DIM = 1, 2, 1, 2, 1
_INITIALIZER_NAME = 8


@dataclass(frozen=True, slots=True)
class Names:
    """Inputs that must be fed with their extents (None where open), and outputs, both in the file's order."""

    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: Sequence[str]


def names(data: bytes) -> Names:
    """Raises Damaged."""
    graph = next(
        (
            value
            for field, value in fields(memoryview(data))
            if field == _GRAPH and isinstance(value, memoryview)
        ),
        None,
    )
    if graph is None:
        raise Damaged("it has no graph")
    inputs: dict[str, tuple[int | None, ...]] = {}
    outputs: list[str] = []
    constants: set[str] = set()
    for field, value in fields(graph):
        if not isinstance(value, memoryview):
            continue
        if field == _INPUT:
            inputs[_text(value, _NAME)] = _extents(value)
        elif field == _OUTPUT:
            outputs.append(_text(value, _NAME))
        elif field == _INITIALIZER:
            constants.add(_text(value, _INITIALIZER_NAME))
    if not outputs:
        raise Damaged("its graph has no outputs")
    return Names({name: extents for name, extents in inputs.items() if name not in constants}, outputs)


def _extents(info: memoryview) -> tuple[int | None, ...]:
    shape = _inside(_inside(_inside(info, _TYPE), _TENSOR), _SHAPE)
    found = []
    for field, dim in fields(shape):
        if field == _DIM and isinstance(dim, memoryview):
            fixed = next((value for kind, value in fields(dim) if kind == 1 and isinstance(value, int)), None)
            found.append(fixed)
    return tuple(found)


def _inside(data: memoryview, number: int) -> memoryview:
    found = (value for field, value in fields(data) if field == number and isinstance(value, memoryview))
    return next(found, memoryview(b""))


def _text(data: memoryview, number: int) -> str:
    return str(_inside(data, number), "utf-8", "replace")
