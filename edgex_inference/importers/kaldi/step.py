"""One component on its way into the graph; every value is [batch, frames, columns]."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgex_inference.contracts.tensors import Array
from edgex_inference.importers.graph import Attribute, Graph
from edgex_inference.importers.kaldi.files import Component
from edgex_inference.importers.kaldi.items import Malformed
from edgex_inference.importers.kaldi.spans import ALWAYS, Span

MOST_COLUMNS = 1 << 20
"""Of a frame: a limit of ours, so that a few bytes cannot ask for gigabytes."""
_END = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Step:
    """What a component's function works with: the value that it is fed and how many columns that has."""

    graph: Graph
    component: Component
    value: str
    dim: int
    pads: bool = False
    """Whether frames that a Splice of nnet1 asks for beyond the ends are the first and the last again."""
    given: Span = ALWAYS
    """The frames of the value that it is fed, and those that it makes."""
    span: Span = ALWAYS
    every: tuple[int, int] = (1, 1)
    """Of how many frames it is fed one, and of how many it makes one."""

    def node(self, op: str, *inputs: str, **attributes: Attribute) -> str:
        return self.graph.node(op, inputs, f"{self.component.name}/{op}", **attributes)

    def weight(self, array: Array, what: str) -> str:
        return self.graph.weight(np.asarray(array, np.float32), f"{self.component.name}.{what}")

    def number(self, value: float) -> str:
        return self.graph.constant(value)

    def fits(self, dim: int, what: str = "columns") -> None:
        """Raises Malformed where the component is made for another width."""
        if dim != self.dim:
            raise Malformed(f"is made for {dim} {what} and is fed {self.dim}")

    def folded(self, value: str, *extents: int) -> str:
        """The columns as blocks: [batch, frames, *extents]."""
        return self.node("Reshape", value, self.graph.shape(0, 0, *extents))

    def columns(self, value: str, first: int, end: int) -> str:
        shape = self.graph.shape
        return self.node("Slice", value, shape(first), shape(end), shape(2))

    def frames(self, value: str, skip: int, leave: int) -> str:
        """Without that many frames in front and behind, as many of them as are made."""
        given, shape = self.every[0], self.graph.shape
        step = self.every[1] // given
        if not skip and not leave and step == 1:
            return value
        ends = shape(skip // given), shape(-leave // given if leave else _END), shape(1)
        return self.node("Slice", value, *ends, *((shape(step),) if step > 1 else ()))

    def gathered(self, value: str, columns: Array) -> str:
        """The columns with these numbers; raises Malformed for one that is not there."""
        if columns.size > MOST_COLUMNS or (
            columns.size and not 0 <= columns.min() <= columns.max() < self.dim
        ):
            raise Malformed(f"takes columns that are not among its {self.dim}")
        index = self.graph.weight(columns.astype(np.int64), f"{self.component.name}.columns")
        return self.node("Gather", value, index, axis=2)

    def product(self, value: str, matrix: Array) -> str:
        """Times the transpose of a matrix [outputs, inputs]."""
        return self.node("MatMul", value, self.weight(matrix.T, "matrix"))

    def plus(self, value: str, vector: Array) -> str:
        return self.node("Add", value, self.weight(vector, "bias")) if vector.size else value

    def times(self, value: str, vector: Array) -> str:
        return self.node("Mul", value, self.weight(vector, "scale"))

    def repeated(self, vector: Array, dim: int | None = None) -> Array:
        """A vector for each block of the columns, for all of them."""
        dim = dim or self.dim
        if not vector.size or dim % vector.size:
            raise Malformed(f"has {vector.size} numbers for {dim} columns")
        return np.tile(vector, dim // vector.size)

    def divided(self, parts: int, what: str) -> int:
        """How many columns each of so many parts has; raises Malformed where it does not divide."""
        if parts < 1 or self.dim % parts:
            raise Malformed(f"divides {self.dim} columns by {parts} {what}")
        return self.dim // parts


Made = tuple[str, int]
"""A component's value and how many columns it has."""


def offsets(component: Component, token: str, index: int = 0) -> Sequence[int]:
    """A list of frames; raises Malformed for none, or for one that is too far."""
    found = [int(one) for one in component.integers(token, index).reshape(-1)]
    if not found or max(map(abs, found)) > 10_000:
        raise Malformed(f"has the frames {found[:8]}, which are none or too far")
    return found
