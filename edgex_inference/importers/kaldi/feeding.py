"""What a node is fed: its descriptor as nodes of the graph, over frames of other nodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgex_inference.importers.graph import Graph
from edgex_inference.importers.kaldi.descriptor import (
    Constant,
    Descriptor,
    Node,
    Once,
    Scaled,
    Sum,
    Switch,
)
from edgex_inference.importers.kaldi.items import Malformed
from edgex_inference.importers.kaldi.spans import Span
from edgex_inference.importers.kaldi.step import MOST_COLUMNS

_END = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Value:
    """A node's frames over a span, one of `every`; `once` where it has one for the utterance, whatever the span."""

    name: str
    dim: int
    span: Span
    once: bool = False
    every: int = 1


Look = Callable[[Node | Once, Span], Value]
"""The frames of another node as the one with this span sees them."""


def fed(graph: Graph, descriptor: Descriptor, span: Span, look: Look) -> Value:
    """The descriptor's frames over a span; raises Malformed."""
    if isinstance(descriptor, Node | Once):
        return look(descriptor, span)
    if isinstance(descriptor, Constant):
        if not 0 < descriptor.dim <= MOST_COLUMNS:
            raise Malformed(f"has a constant of {descriptor.dim} columns")
        return Value(graph.weight(_full(descriptor), "constant"), descriptor.dim, span, once=True)
    if isinstance(descriptor, Scaled):
        part = fed(graph, descriptor.part, span, look)
        factor = graph.constant(descriptor.factor)
        return Value(graph.node("Mul", (part.name, factor), "descriptor/Mul"), part.dim, span, part.once)
    parts = [fed(graph, one, span, look) for one in descriptor.parts]
    if isinstance(descriptor, Switch):
        return _switched(graph, parts, span, descriptor.before)
    return _sum(graph, parts, span) if isinstance(descriptor, Sum) else _append(graph, parts, span)


def shown(graph: Graph, value: Value, wanted: Span, span: Span, every: int = 1) -> Value:
    """The frames of `wanted` as those of `span`, one of `every`: zeros where the value has none."""
    if value.once or (value.span == wanted and value.every == every):
        return Value(value.name, value.dim, span, value.once, every)
    before, behind = ((wanted[0] - value.span[0]) // value.every, (value.span[1] - wanted[1]) // value.every)
    name, shape, step = value.name, graph.shape, every // value.every
    if before < 0 or behind < 0:
        pads = shape(0, max(-before, 0), 0, 0, max(-behind, 0), 0)
        name = graph.node("Pad", (name, pads), "descriptor/Pad")
    if before > 0 or behind > 0 or step > 1:
        ends = (shape(max(before, 0)), shape(-behind if behind > 0 else _END), shape(1))
        name = graph.node("Slice", (name, *ends, *((shape(step),) if step > 1 else ())), "descriptor/Slice")
    return Value(name, value.dim, span, every=every)


def counted(graph: Graph, value: Value, one: Node, span: Span) -> Value:
    """Of a value over the span that a rounded node is read in those frames that it is read at."""
    if value.once:
        return value
    first = span[0] + one.before
    behind = span[1] - span[0] - (value.span[1] - value.span[0])
    number = _numbers(graph, value.name, behind, first % one.every)
    stride = graph.shape(one.every)
    number = graph.node("Mul", (graph.node("Div", (number, stride), "every/Div"), stride), "every/Mul")
    return Value(graph.node("Gather", (value.name, number), "every/Gather", axis=1), value.dim, span)


def _numbers(graph: Graph, like: str, behind: int, first: int) -> str:
    """[frames]: first, first + 1, … for as many frames as a value has, and `behind` more."""
    count = graph.node("Shape", (like,), "numbers/Shape", start=1, end=2)
    end = graph.node("Add", (count, graph.shape(behind + first)), "numbers/Add")
    end = graph.node("Squeeze", (end,), "numbers/Squeeze")
    start, step = graph.constant(first, np.int64), graph.constant(1, np.int64)
    return graph.node("Range", (start, end, step), "numbers/Range")


def _switched(graph: Graph, parts: Sequence[Value], span: Span, before: int) -> Value:
    """The parts in turn, frame by frame."""
    model = next((one for one in parts if not one.once), None)
    if len({one.dim for one in parts}) > 1 or model is None:
        raise Malformed("switches between parts of other widths, or of one frame")
    number = _numbers(graph, model.name, 0, (span[0] + before) % len(parts))
    turn = graph.node("Mod", (number, graph.shape(len(parts))), "switch/Mod")
    turn = graph.node("Unsqueeze", (turn, graph.shape(1)), "switch/Unsqueeze")
    name = parts[0].name
    for index, part in enumerate(parts[1:], 1):
        mine = graph.node("Equal", (turn, graph.shape(index)), "switch/Equal")
        name = graph.node("Where", (mine, part.name, name), "switch/Where")
    return Value(name, model.dim, span)


def columns(graph: Graph, source: Value, first: int, dim: int) -> Value:
    """Some of its columns; raises Malformed for ones that it has not."""
    if first + dim > source.dim:
        raise Malformed(f"takes columns {first} to {first + dim} of {source.dim}")
    ends = (graph.shape(first), graph.shape(first + dim), graph.shape(2))
    return replace(source, name=graph.node("Slice", (source.name, *ends), "columns/Slice"), dim=dim)


def _sum(graph: Graph, parts: Sequence[Value], span: Span) -> Value:
    first, second = parts
    if first.dim != second.dim:
        raise Malformed(f"sums {first.dim} and {second.dim} columns")
    name = graph.node("Add", (first.name, second.name), "descriptor/Add")
    return Value(name, first.dim, span, first.once and second.once)


def _append(graph: Graph, parts: Sequence[Value], span: Span) -> Value:
    """Side by side; what has one frame is repeated for all."""
    if len(parts) == 1:
        return parts[0]
    model = next((one for one in parts if not one.once), None)
    names = []
    for part in parts:
        name = part.name
        if part.once and model is not None:
            frames = graph.node("Shape", (model.name,), "descriptor/Shape", start=0, end=2)
            shape = graph.node("Concat", (frames, graph.shape(part.dim)), "descriptor/Concat", axis=0)
            name = graph.node("Expand", (name, shape), "descriptor/Expand")
        names.append(name)
    name = graph.node("Concat", names, "descriptor/Append", axis=2)
    return Value(name, sum(one.dim for one in parts), span, model is None)


def _full(constant: Constant) -> Any:
    return np.full((1, 1, constant.dim), constant.value, np.float32)
