"""What an ONNX file says of itself, read without a runtime: a protobuf's fields, the weights skipped."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.protobuf import as_message, as_number, as_text, contents, fields
from edgex_inference.contracts.unchanged import while_unchanged

_ELEMENTS = {
    1: "FP32", 2: "UINT8", 3: "INT8", 4: "UINT16", 5: "INT16", 6: "INT32", 7: "INT64", 8: "BYTES", 9: "BOOL",
    10: "FP16", 11: "FP64", 12: "UINT32", 13: "UINT64", 16: "BF16",
}  # fmt: skip
NAMELESS = "?"
"""An open extent that the file gives no name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A tensor as the file declares it; an open extent is its symbol, or `NAMELESS`."""

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


@while_unchanged(32)
def read(path: Path) -> OnnxFile:
    """Raises ModelRejected for a file that is no ONNX model, OSError when it cannot be read."""
    whole = contents(path)
    if not whole:
        raise ModelRejected(path, "the file is empty")
    try:
        return _model(whole)
    except (ValueError, IndexError, RecursionError):
        raise ModelRejected(path, "is no ONNX model, or a truncated one: copy or download it again") from None


def metadata(path: Path) -> Mapping[str, str]:
    """The words that an exporter left in a file, names of classes and such; empty where it cannot be read."""
    try:
        return read(path).metadata
    except (OSError, ModelRejected):
        return {}


def _model(data: memoryview) -> OnnxFile:
    plain: dict[int, int | str] = {}
    opsets: dict[str, int] = {}
    metadata: dict[str, str] = {}
    graph: memoryview | None = None
    within = Counter[str]()
    for number, value in fields(data):
        if number == 7:
            graph = as_message(value)
        elif number == 25:
            within += _graph(as_message(value), node=7)[2]
        elif number == 8:
            found = dict(fields(as_message(value)))
            opsets[as_text(found.get(1)) or "ai.onnx"] = as_number(found.get(2, 0))
        elif number == 14:
            found = dict(fields(as_message(value)))
            metadata[as_text(found.get(1))] = as_text(found.get(2))
        elif number in (1, 2, 3):
            plain[number] = value if isinstance(value, int) else as_text(value)
    if graph is None or not opsets:
        raise ValueError("no graph")
    inputs, outputs, operators, external = _graph(graph)
    operators += within
    return OnnxFile(
        ir_version=as_number(plain.get(1, 0)),
        opsets=opsets,
        producer=f"{plain.get(2, '')} {plain.get(3, '')}".strip(),
        inputs=inputs,
        outputs=outputs,
        operators=dict(operators.most_common()),
        metadata=metadata,
        external=external,
    )


def _graph(
    data: memoryview, node: int = 1
) -> tuple[tuple[Declared, ...], tuple[Declared, ...], Counter[str], tuple[str, ...]]:
    """Of a graph, or of a function, whose nodes have another number and which has no more of this."""
    inputs, outputs = list[Declared](), list[Declared]()
    operators = Counter[str]()
    constants, external = set[str](), dict[str, None]()
    for number, value in fields(data):
        if number == node:
            inside = as_message(value)
            operators[as_text(dict(fields(inside)).get(4))] += 1
            places, further = _inside_node(inside)
            operators += further
            external.update(dict.fromkeys(places))
        elif node != 1:
            continue
        elif number == 5:
            name, places = _constant(as_message(value))
            constants.add(name)
            external.update(dict.fromkeys(places))
        elif number in (11, 12):
            (inputs if number == 11 else outputs).append(_declared(as_message(value)))
    fed = tuple(one for one in inputs if one.name not in constants)
    return fed, tuple(outputs), operators, tuple(external)


def _constant(data: memoryview) -> tuple[str, list[str]]:
    """A weight's name, and the files beside the model that hold it."""
    name, places = "", []
    for number, value in fields(data):
        if number == 8:
            name = as_text(value)
        elif number == 13:
            entry = dict(fields(as_message(value)))
            if as_text(entry.get(1)) == "location":
                places.append(as_text(entry.get(2)))
    return name, places


def _inside_node(data: memoryview) -> tuple[list[str], Counter[str]]:
    """Files of weights in a node's attributes and in the graphs of its branches and loops, and their operators."""
    places, operators = list[str](), Counter[str]()
    for number, value in fields(data):
        for kind, part in fields(as_message(value)) if number == 5 else ():
            if kind in (5, 10):
                places += _constant(as_message(part))[1]
            elif kind in (6, 11):
                _, _, further, more = _graph(as_message(part))
                places += more
                operators += further
    return places, operators


def _declared(data: memoryview) -> Declared:
    own = dict(fields(data))
    kind = dict(fields(as_message(own[2]))) if 2 in own else {}
    tensor = dict(fields(as_message(kind[1]))) if 1 in kind else {}
    element = _ELEMENTS.get(as_number(tensor.get(1, 0)), "other")
    shape: tuple[int | str, ...] | None = None
    if 2 in tensor:
        shape = tuple(
            _extent(as_message(one)) for number, one in fields(as_message(tensor[2])) if number == 1
        )
    return Declared(name=as_text(own.get(1)), element=element if tensor else "other", shape=shape)


def _extent(data: memoryview) -> int | str:
    found = dict(fields(data))
    number = as_number(found.get(1, 0))
    # exporters write -1, or 0, for what is open
    return number if 0 < number < 1 << 63 else as_text(found.get(2)) or NAMELESS
