"""What an ONNX file says of itself, read without a runtime: a protobuf's fields, the weights skipped."""

import mmap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgex_inference.contracts.errors import ModelRejected

_ELEMENTS = {
    1: "FP32", 2: "UINT8", 3: "INT8", 4: "UINT16", 5: "INT16", 6: "INT32", 7: "INT64", 8: "BYTES", 9: "BOOL",
    10: "FP16", 11: "FP64", 12: "UINT32", 13: "UINT64", 16: "BF16",
}  # fmt: skip
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_VARINT = 10
_MOST_READ = 256 << 20
"""Bytes: larger graphs are mapped while they are looked at."""

Field = tuple[int, int | memoryview]
"""A field's number, and its value: a number, or the bytes of a text or of a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A tensor as the file declares it; an open extent is its symbol, `?` without one."""

    name: str
    element: str
    shape: tuple[int | str, ...] | None

    def __str__(self) -> str:
        extents = "any shape" if self.shape is None else ", ".join(map(str, self.shape))
        return f"{self.name} {self.element}[{extents}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxFile:
    """`opsets` by domain (`ai.onnx` is the standard one), `operators` counts nodes, `external` files hold weights."""

    ir_version: int
    opsets: Mapping[str, int]
    producer: str
    inputs: tuple[Declared, ...]
    outputs: tuple[Declared, ...]
    operators: Mapping[str, int]
    metadata: Mapping[str, str]
    external: tuple[str, ...]


def read(path: Path) -> OnnxFile:
    """Raises ModelRejected for a file that is no ONNX model, OSError when it cannot be read."""
    with path.open("rb") as file:
        size = path.stat().st_size
        if not size:
            raise ModelRejected(path, "the file is empty")
        # A mapping goes with the last view into it. One of a file that somebody cuts short ends the process.
        whole = file.read() if size <= _MOST_READ else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        return _model(memoryview(whole))
    except (ValueError, IndexError, RecursionError):
        raise ModelRejected(path, "is no ONNX model, or a truncated one") from None


def _model(data: memoryview) -> OnnxFile:
    plain: dict[int, int | str] = {}
    opsets: dict[str, int] = {}
    metadata: dict[str, str] = {}
    graph: memoryview | None = None
    for number, value in _fields(data):
        if number == 7:
            graph = _message(value)
        elif number == 8:
            found = dict(_fields(_message(value)))
            opsets[_text(found.get(1)) or "ai.onnx"] = _number(found.get(2, 0))
        elif number == 14:
            found = dict(_fields(_message(value)))
            metadata[_text(found.get(1))] = _text(found.get(2))
        elif number in (1, 2, 3):
            plain[number] = value if isinstance(value, int) else _text(value)
    if graph is None or not opsets:
        raise ValueError("no graph")
    inputs, outputs, operators, external = _graph(graph)
    return OnnxFile(
        ir_version=_number(plain.get(1, 0)),
        opsets=opsets,
        producer=f"{plain.get(2, '')} {plain.get(3, '')}".strip(),
        inputs=inputs,
        outputs=outputs,
        operators=operators,
        metadata=metadata,
        external=external,
    )


def _graph(
    data: memoryview,
) -> tuple[tuple[Declared, ...], tuple[Declared, ...], Mapping[str, int], tuple[str, ...]]:
    inputs, outputs = list[Declared](), list[Declared]()
    operators = Counter[str]()
    constants, external = set[str](), dict[str, None]()
    for number, value in _fields(data):
        if number == 1:
            node = _message(value)
            operators[_text(dict(_fields(node)).get(4))] += 1
            external.update(dict.fromkeys(_inside_node(node)))
        elif number == 5:
            name, places = _constant(_message(value))
            constants.add(name)
            external.update(dict.fromkeys(places))
        elif number in (11, 12):
            (inputs if number == 11 else outputs).append(_declared(_message(value)))
    fed = tuple(one for one in inputs if one.name not in constants)
    return fed, tuple(outputs), dict(operators.most_common()), tuple(external)


def _constant(data: memoryview) -> tuple[str, list[str]]:
    """A weight's name, and the files beside the model that hold it."""
    name, places = "", []
    for number, value in _fields(data):
        if number == 8:
            name = _text(value)
        elif number == 13:
            entry = dict(_fields(_message(value)))
            if _text(entry.get(1)) == "location":
                places.append(_text(entry.get(2)))
    return name, places


def _inside_node(data: memoryview) -> Iterator[str]:
    """The files that hold weights in a node's attributes, or in the graphs of its branches and loops."""
    for number, value in _fields(data):
        if number != 5:
            continue
        for kind, part in _fields(_message(value)):
            if kind in (5, 10):
                yield from _constant(_message(part))[1]
            elif kind in (6, 11):
                yield from _graph(_message(part))[3]


def _declared(data: memoryview) -> Declared:
    fields = dict(_fields(data))
    kind = dict(_fields(_message(fields[2]))) if 2 in fields else {}
    tensor = dict(_fields(_message(kind[1]))) if 1 in kind else {}
    element = _ELEMENTS.get(_number(tensor.get(1, 0)), "other")
    shape: tuple[int | str, ...] | None = None
    if 2 in tensor:
        shape = tuple(_extent(_message(one)) for number, one in _fields(_message(tensor[2])) if number == 1)
    return Declared(name=_text(fields.get(1)), element=element if tensor else "other", shape=shape)


def _extent(data: memoryview) -> int | str:
    found = dict(_fields(data))
    return _number(found[1]) if 1 in found else _text(found.get(2)) or "?"


def _fields(data: memoryview) -> Iterator[Field]:
    """The fields of a message; raises ValueError or IndexError for bytes that are none."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise ValueError("field 0")
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(wire, -1)
        if size < 0 or at + size > len(data):
            raise ValueError("truncated")
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index in range(_MOST_VARINT):
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise ValueError("endless number")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message belongs")
    return value


def _text(value: int | memoryview | None) -> str:
    return "" if value is None else str(_message(value), "utf-8")


def _number(value: int | str | memoryview) -> int:
    if not isinstance(value, int):
        raise ValueError("a message where a number belongs")
    return value
