"""What MIGraphX's C library does not tell of an ONNX file: its tensors' names, and whether it is quantized.

Read without the package onnx.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgex_inference.contracts.protobuf import Damaged, fields

_GRAPH = 7
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12
_OPERATOR = 4
_QUANTIZED = ("QuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")
_NAME, _TYPE, _TENSOR, _SHAPE, _DIM = 1, 2, 1, 2, 1
_INITIALIZER_NAME = 8


@dataclass(frozen=True, slots=True)
class Names:
    """Inputs that must be fed with their extents (None where open), and outputs, both in the file's order.

    `quantized`: the file computes in int8 by itself.
    """

    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: Sequence[str]
    quantized: bool = False


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
    quantized = False
    for field, value in fields(graph):
        if not isinstance(value, memoryview):
            continue
        if field == _INPUT:
            inputs[_text(value, _NAME)] = _extents(value)
        elif field == _OUTPUT:
            outputs.append(_text(value, _NAME))
        elif field == _INITIALIZER:
            constants.add(_text(value, _INITIALIZER_NAME))
        elif field == _NODE and not quantized:
            quantized = _text(value, _OPERATOR) in _QUANTIZED
    if not outputs:
        raise Damaged("its graph has no outputs")
    fed = {name: extents for name, extents in inputs.items() if name not in constants}
    return Names(fed, outputs, quantized)


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
