"""A network, node by node, into an ONNX graph that keeps nothing between runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.importers.graph import Ended, Graph
from edgex_inference.importers.kaldi import files
from edgex_inference.importers.kaldi.components.table import ELSE, GENERATIONS, WAYS_AROUND, Known
from edgex_inference.importers.kaldi.descriptor import (
    Constant,
    Descriptor,
    Node,
    Once,
    Scaled,
    Sum,
    references,
)
from edgex_inference.importers.kaldi.files import Component, KaldiFile
from edgex_inference.importers.kaldi.items import Malformed, Scalar
from edgex_inference.importers.kaldi.network import Columns, Computed, Input, Network, chain, wired
from edgex_inference.importers.kaldi.step import MOST_COLUMNS, Step

BATCH, FRAMES = "batch", "frames"
_NONE_NAMED = 12
_MOST_REACH = 100_000
"""Frames of context."""
Span = tuple[int, int]
"""First and last frame that is needed, from the one that is computed."""
Edges = Literal["held", "cut"]


@dataclass(frozen=True, slots=True)
class Value:
    """A node's frames over a span; `once` where it has one frame for the whole utterance, whatever the span."""

    name: str
    dim: int
    span: Span
    once: bool = False


def convert(path: Path, *, edges: Edges = "held") -> Any:
    """The ONNX model (a ModelProto) of a Kaldi network, raw or within an acoustic model (`.mdl`), text or binary.

    Input `input` is [batch, frames, columns], the output [batch, frames, columns]. With `edges` `held` there are as
    many frames out as in, and the first and the last frame stand for what would be before and behind, as Kaldi does it
    for a whole utterance. With `cut` a frame comes out where all that it depends on went in: a window of
    `left + 1 + right` frames (metadata `context.left`, `context.right`) gives one. A network that pools an utterance
    gives one frame for all, and is always cut. An iVector is an input [batch, columns] of its own.

    Raises ModelRejected, naming the file, the component and the way out; OSError for a file that cannot be read.
    """
    file = files.read(path)
    _refuse_unknown(file)
    if not file.components:
        raise ModelRejected(path, "has no components")
    try:
        network = wired(file) if file.generation == "nnet3" else chain(file, _width(file.components[0]))
    except Malformed as error:
        raise ModelRejected(path, f"component {file.components[0].name!r} {error}") from None
    return _Importing(network, edges).model()


def _refuse_unknown(file: KaldiFile) -> None:
    """Raises ModelRejected naming all components that are not known, with the way around each kind."""
    known = GENERATIONS[file.generation]
    unknown: dict[str, list[str]] = {}
    for component in file.components:
        if component.kind not in known:
            unknown.setdefault(component.kind, []).append(component.name)
    if not unknown:
        return
    parts = [
        f"{kind} ({', '.join(map(repr, names[:3]))}{f' and {len(names) - 3} more' if len(names) > 3 else ''}): "
        f"{WAYS_AROUND.get(kind, ELSE)}"
        for kind, names in list(unknown.items())[:_NONE_NAMED]
    ]
    more = f"; and {len(unknown) - _NONE_NAMED} kinds more" if len(unknown) > _NONE_NAMED else ""
    raise ModelRejected(
        file.path, f"has components that are not known to {file.generation}: {'; '.join(parts)}{more}"
    )


def _width(component: Component) -> int:
    """How many columns the first component of a chain is fed."""
    if "dims" in component.fields:
        return component.integer("dims") if len(component.fields["dims"]) < 2 else _second(component)
    for token in ("InputDim", "Dim"):
        if token in component:
            return component.integer(token)
    for token, axis in (("LinearParams", 1), ("CuMatrix", 1), ("Scales", 0), ("Bias", 0), ("Sizes", 0)):
        if token in component:
            array = component.item(token)
            blocks = component.integer("NumBlocks", 1)
            if not isinstance(array, Scalar) and array.ndim > axis:
                return int(array.sum() if token == "Sizes" else array.shape[axis] * blocks)
    raise Malformed(
        f"({component.kind}) does not say how many columns it is fed: put it behind another component"
    )


def _second(component: Component) -> int:
    found = component.item("dims", 1)
    return found.integer if isinstance(found, Scalar) else 0


class _Importing:
    """One pass: what each node must give, then the nodes."""

    def __init__(self, network: Network, edges: Edges) -> None:
        self._network = network
        self._graph = Graph(network.path, network.path.stat().st_size)
        self._known = GENERATIONS[network.generation]
        pools = any(isinstance(one, Computed) and self._of(one).pools for one in network.nodes.values())
        self._held = edges == "held" and not pools
        self._pads = self._held and network.generation == "nnet1"
        self._values: dict[str, Value] = {}

    def _of(self, node: Computed) -> Known:
        return self._known[node.component.kind]

    def model(self) -> Any:
        """Raises ModelRejected."""
        network, spans = self._network, self._spans()
        fed = [name for name, node in network.nodes.items() if isinstance(node, Input)]
        each = [name for name in fed if name not in network.once]
        if not each:
            raise ModelRejected(network.path, "has no input that is fed frame by frame")
        whole = (min(0, *(spans[name][0] for name in each)), max(0, *(spans[name][1] for name in each)))
        inputs = [self._input(name, whole) for name in fed]
        for name, node in network.nodes.items():
            if not isinstance(node, Input):
                self._values[name] = self._node(name, node, spans[name])
        outputs = []
        for name, descriptor in network.outputs.items():
            found = self._checked(f"output-node {name!r}", lambda fed=descriptor: self._fed(fed, (0, 0)))
            frames = 1 if found.once else FRAMES if self._held else "frames_out"
            shown = name if name not in network.nodes else f"{name}_out"
            outputs.append((found.name, Ended(shown, (BATCH, frames, found.dim))))
        metadata = {
            "converted.from": f"kaldi {network.generation}",
            "context.left": str(-whole[0]),
            "context.right": str(whole[1]),
            "edges": "held" if self._held else "cut",
        }
        return self._graph.build(inputs, outputs, metadata)

    def _spans(self) -> Mapping[str, Span]:
        """What each node must give for one frame of each output."""
        spans: dict[str, Span] = {}
        for descriptor in self._network.outputs.values():
            _widen(spans, descriptor, (0, 0))
        for name, node in reversed(list(self._network.nodes.items())):
            if isinstance(node, Computed):
                _widen(spans, node.fed, self._reached(node, spans[name]))
            elif isinstance(node, Columns):
                _widen(spans, Node(node.source), spans[name])
        for name, (first, last) in spans.items():
            if last - first > _MOST_REACH:
                raise ModelRejected(
                    self._network.path, f"node {name!r} needs more than {_MOST_REACH} frames of context"
                )
        return spans

    def _reached(self, node: Computed, span: Span) -> Span:
        known = self._of(node)
        if known.pools:
            return (0, 0)
        if known.reach is None or self._pads:
            return span
        try:
            first, last = known.reach(node.component)
        except Malformed as error:
            raise self._rejected(node.component, error) from None
        return span[0] + first, span[1] + last

    def _input(self, name: str, whole: Span) -> Ended:
        """An input, held at its ends where the utterance is to keep its length."""
        node = self._network.nodes[name]
        dim = node.dim if isinstance(node, Input) else 0
        if not 0 < dim <= MOST_COLUMNS:
            raise ModelRejected(self._network.path, f"input {name!r} has {dim} columns")
        value = self._graph.name(name)
        if name in self._network.once:
            one = self._graph.node("Unsqueeze", (value, self._graph.shape(1)), f"{name}/Unsqueeze")
            self._values[name] = Value(one, dim, (0, 0), once=True)
            return Ended(name, (BATCH, dim))
        if self._held and whole != (0, 0):
            pads = self._graph.shape(0, -whole[0], 0, 0, whole[1], 0)
            value = self._graph.node("Pad", (value, pads), f"{name}/Pad", mode="edge")
        self._values[name] = Value(value, dim, whole)
        return Ended(name, (BATCH, FRAMES, dim))

    def _node(self, name: str, node: Computed | Columns, span: Span) -> Value:
        if isinstance(node, Columns):
            return self._checked(f"node {name!r}", lambda: self._columns(name, node, span))
        component, known = node.component, self._of(node)
        try:
            fed = self._fed(node.fed, self._reached(node, span))
            step = Step(self._graph, component, fed.name, fed.dim, pads=self._pads)
            if fed.once and (known.pools or known.reach is not None):
                raise Malformed("looks at other frames of an input that has one")
            value, dim = known.make(step)
        except Malformed as error:
            raise self._rejected(component, error) from None
        if not 0 < dim <= MOST_COLUMNS:
            raise self._rejected(component, Malformed(f"makes {dim} columns"))
        return Value(value, dim, span, once=fed.once or known.pools)

    def _columns(self, name: str, node: Columns, span: Span) -> Value:
        source = self._fed(Node(node.source), span)
        if node.first + node.dim > source.dim:
            raise Malformed(f"takes columns {node.first} to {node.first + node.dim} of {source.dim}")
        shape = self._graph.shape
        ends = (shape(node.first), shape(node.first + node.dim), shape(2))
        value = self._graph.node("Slice", (source.name, *ends), f"{name}/Slice")
        return Value(value, node.dim, span, once=source.once)

    def _fed(self, descriptor: Descriptor, span: Span) -> Value:
        """The descriptor's frames over a span."""
        if isinstance(descriptor, Once):
            return self._values[descriptor.name]
        if isinstance(descriptor, Node):
            return self._shown(
                self._values[descriptor.name],
                (span[0] + descriptor.offset, span[1] + descriptor.offset),
                span,
            )
        if isinstance(descriptor, Constant):
            if not 0 < descriptor.dim <= MOST_COLUMNS:
                raise Malformed(f"has a constant of {descriptor.dim} columns")
            name = self._graph.weight(_full(descriptor), "constant")
            return Value(name, descriptor.dim, span, once=True)
        if isinstance(descriptor, Scaled):
            part = self._fed(descriptor.part, span)
            factor = self._graph.constant(descriptor.factor)
            return Value(
                self._graph.node("Mul", (part.name, factor), "descriptor/Mul"), part.dim, span, part.once
            )
        parts = [self._fed(one, span) for one in descriptor.parts]
        return self._sum(parts, span) if isinstance(descriptor, Sum) else self._append(parts, span)

    def _shown(self, value: Value, wanted: Span, span: Span) -> Value:
        if value.once or value.span == wanted:
            return Value(value.name, value.dim, span, value.once)
        skip, leave = wanted[0] - value.span[0], value.span[1] - wanted[1]
        shape = self._graph.shape
        ends = (shape(skip), shape(-leave if leave else (1 << 63) - 1), shape(1))
        return Value(self._graph.node("Slice", (value.name, *ends), "descriptor/Slice"), value.dim, span)

    def _sum(self, parts: Sequence[Value], span: Span) -> Value:
        first, second = parts
        if first.dim != second.dim:
            raise Malformed(f"sums {first.dim} and {second.dim} columns")
        name = self._graph.node("Add", (first.name, second.name), "descriptor/Add")
        return Value(name, first.dim, span, first.once and second.once)

    def _append(self, parts: Sequence[Value], span: Span) -> Value:
        """Side by side; what has one frame is repeated for all."""
        if len(parts) == 1:
            return parts[0]
        model = next((one for one in parts if not one.once), None)
        names = []
        for part in parts:
            name = part.name
            if part.once and model is not None:
                frames = self._graph.node("Shape", (model.name,), "descriptor/Shape", start=0, end=2)
                shape = self._graph.node(
                    "Concat", (frames, self._graph.shape(part.dim)), "descriptor/Concat", axis=0
                )
                name = self._graph.node("Expand", (name, shape), "descriptor/Expand")
            names.append(name)
        name = self._graph.node("Concat", names, "descriptor/Append", axis=2)
        return Value(name, sum(one.dim for one in parts), span, model is None)

    def _checked(self, what: str, make: Any) -> Value:
        try:
            found: Value = make()
        except Malformed as error:
            raise ModelRejected(self._network.path, f"{what} {error}") from None
        return found

    def _rejected(self, component: Component, error: Malformed) -> ModelRejected:
        return ModelRejected(self._network.path, f"component {component.name!r} ({component.kind}) {error}")


def _widen(spans: dict[str, Span], descriptor: Descriptor, span: Span) -> None:
    for one in references(descriptor):
        offset = one.offset if isinstance(one, Node) else 0
        first, last = span[0] + offset, span[1] + offset
        known = spans.get(one.name, (first, last))
        spans[one.name] = (min(known[0], first), max(known[1], last))


def _full(constant: Constant) -> Any:
    return np.full((1, 1, constant.dim), constant.value, np.float32)
