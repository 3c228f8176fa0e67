"""Frames one after the other, each with what those before it left: ONNX's Scan around nodes of ours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgex_inference.importers.graph import Ended, Extents, Graph

BATCH = "batch"
_END = np.iinfo(np.int64).max
_LAST, _FIRST = -1, -_END
"""Both ends of a Slice that turns an axis round."""

Named = tuple[str, int]
"""A value and how many columns it has."""
Round = Callable[[Sequence[str], Sequence[str]], tuple[Sequence[str], Sequence[Named]]]
"""From the states and the frames of one round to the states of the next one and what it gives."""


@dataclass(frozen=True, slots=True)
class Way:
    """How time goes: `stride` frames in one round, from the last frame to the first where `backward`.

    `same` are values of one frame, [batch, 1, columns], which every round reads, behind its frames: OpenVINO takes
    nothing but constants from around a body, so that they are states that stay as they are.
    """

    stride: int = 1
    backward: bool = False
    same: Sequence[Named] = ()


def scan(graph: Graph, frames: Sequence[Named], states: Sequence[int], one: Round, way: Way) -> list[Named]:
    """What every round gives, over as many frames as the first of `frames`.

    Values are [batch, frames, columns], in a round [batch, stride, columns]. States, of that many columns, begin as
    zeros. Nothing may stand before the first frame, so that a round begins with it.
    """
    first = frames[0][0]
    fed = [_cut(graph, name, dim, way) for name, dim in frames]
    begin = [_zeros(graph, first, way.stride, dim) for dim in states] + [name for name, _ in way.same]
    shapes = [_shape(way, dim) for dim in states] + [(None, 1, dim) for _, dim in way.same]
    with graph.body() as body:
        held = [_end(graph, body.inputs, "state", shape) for shape in shapes]
        seen = [_end(graph, body.inputs, "frame", _shape(way, dim)) for _, dim in frames]
        following, given = one(held[: len(states)], seen + held[len(states) :])
        ends = [*following, *held[len(states) :], *(name for name, _ in given)]
        for name, shape in zip(ends, shapes + [_shape(way, dim) for _, dim in given], strict=True):
            # A body may not end in what it was given.
            body.outputs.append(Ended(graph.node("Identity", (name,), "round/end"), shape))
    names = ["scan/state"] * len(shapes) + ["scan/frames"] * len(given)
    found = graph.scan(begin, fed, body, names)[len(shapes) :]
    return [(_joined(graph, name, first, dim, way), dim) for name, (_, dim) in zip(found, given, strict=True)]


def _shape(way: Way, dim: int) -> Extents:
    return (BATCH, way.stride, dim)


def _end(graph: Graph, ends: list[Ended], what: str, shape: Extents) -> str:
    ends.append(Ended(graph.name(f"round/{what}"), shape))
    return ends[-1].name


def _turned(graph: Graph, name: str) -> str:
    """The last frame first."""
    shape = graph.shape
    return graph.node("Slice", (name, shape(_LAST), shape(_FIRST), shape(1), shape(-1)), "scan/Turned")


def _count(graph: Graph, name: str) -> str:
    """How many frames there are: [1]."""
    return graph.node("Shape", (name,), "scan/Shape", start=1, end=2)


def _cut(graph: Graph, name: str, dim: int, way: Way) -> str:
    """[rounds, batch, stride, columns], zeros behind the last frame."""
    if way.backward:
        name = _turned(graph, name)
    if way.stride > 1:
        stride, count = graph.shape(way.stride), _count(graph, name)
        up = graph.node("Add", (count, graph.shape(way.stride - 1)), "scan/Add")
        whole = graph.node("Mul", (graph.node("Div", (up, stride), "scan/Div"), stride), "scan/Mul")
        behind = graph.node("Sub", (whole, count), "scan/Sub")
        pads = graph.node("Concat", (graph.shape(0, 0, 0, 0), behind, graph.shape(0)), "scan/Concat", axis=0)
        name = graph.node("Pad", (name, pads), "scan/Pad")
    name = graph.node("Reshape", (name, graph.shape(0, -1, way.stride, dim)), "scan/Reshape")
    return graph.node("Transpose", (name,), "scan/Transpose", perm=(1, 0, 2, 3))


def _joined(graph: Graph, name: str, like: str, dim: int, way: Way) -> str:
    """[batch, frames, columns] of what `_cut` would make of it."""
    name = graph.node("Transpose", (name,), "scan/Transpose", perm=(1, 0, 2, 3))
    name = graph.node("Reshape", (name, graph.shape(0, -1, dim)), "scan/Reshape")
    if way.stride > 1:
        ends = (graph.shape(0), _count(graph, like), graph.shape(1))
        name = graph.node("Slice", (name, *ends), "scan/Slice")
    return _turned(graph, name) if way.backward else name


def _zeros(graph: Graph, like: str, stride: int, dim: int) -> str:
    batch = graph.node("Shape", (like,), "scan/Shape", start=0, end=1)
    shape = graph.node("Concat", (batch, graph.shape(stride, dim)), "scan/Concat", axis=0)
    return graph.node("ConstantOfShape", (shape,), "scan/Zeros")
