"""One layer on its way into the graph: its inputs, its keys, and the nodes that it becomes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from edgex_inference.contracts.tensors import Array
from edgex_inference.importers.caffe.net import Layer
from edgex_inference.importers.caffe.prototxt import Message
from edgex_inference.importers.graph import Attribute, Graph

Shape = tuple[int | None, ...]
"""An extent that is open is None: the batch, at the first axis only."""
MOST_ELEMENTS = 1 << 31
"""Of a blob: Caffe's own limit."""


class Refused(Exception):
    """The layer cannot be brought over; the text says why and what to do, without the layer's name."""


class FixedBatch(Exception):
    """The layer computes across samples: the batch must be the prototxt's."""


@dataclass(frozen=True, slots=True)
class Value:
    """A blob at one point of the net; `known` are its numbers where they do not depend on the input."""

    name: str
    shape: Shape
    known: Array | None = None

    @property
    def sample(self) -> int:
        """Numbers of one sample: all extents after the first."""
        return math.prod(extent for extent in self.shape[1:] if extent is not None)


@dataclass(slots=True)
class Step:
    """What a layer's function works with."""

    layer: Layer
    graph: Graph
    inputs: tuple[Value, ...]
    batch: int | None
    metadata: dict[str, str] = field(default_factory=dict)

    def param(self, key: str) -> Message:
        return self.layer.body.message(key)

    @property
    def only(self) -> Value:
        """The one input; raises Refused where there are others."""
        return self.several(1)[0]

    def several(self, count: int) -> tuple[Value, ...]:
        """The inputs; raises Refused where there are not `count`."""
        if len(self.inputs) != count:
            self.refuse(f"has {len(self.inputs)} inputs where {count} belong")
        return self.inputs

    def refuse(self, reason: str) -> NoReturn:
        raise Refused(reason)

    def axis(self, key: str, said: int, rank: int, *, end: bool = False) -> int:
        """An axis counted from the front; `end` allows the one after the last."""
        found = said + rank if said < 0 else said
        if not 0 <= found < rank + end:
            self.refuse(f"{key} {said} is no axis of a blob with {rank}")
        return found

    def fixed(self, shape: Shape) -> tuple[int, ...]:
        """The shape with the batch known; raises FixedBatch where it is open."""
        known = tuple(extent for extent in shape if extent is not None)
        if len(known) < len(shape):
            raise FixedBatch
        return known

    def blob(self, index: int, what: str, shape: tuple[int, ...] | None = None) -> Array:
        """An array of the caffemodel, in this shape if its count fits; raises Refused."""
        if index >= len(self.layer.blobs):
            self.refuse(f"has no {what} in the caffemodel: do prototxt and caffemodel belong together?")
        found = self.layer.blobs[index]
        if shape is None:
            return found
        if found.size != math.prod(shape):
            said, wanted = "×".join(map(str, found.shape)), "×".join(map(str, shape))
            self.refuse(
                f"has {what} of {said}, but the prototxt makes it {wanted}: they do not belong together"
            )
        return found.reshape(shape)

    def weight(self, array: Array, what: str) -> str:
        return self.graph.weight(array, f"{self.layer.name}.{what}")

    def node(self, op: str, inputs: Sequence[Value | str], shape: Shape, **attributes: Attribute) -> Value:
        """A new node's only output; raises Refused for a blob that is none."""
        self.check(shape)
        names = [one if isinstance(one, str) else one.name for one in inputs]
        return Value(self.graph.node(op, names, f"{self.layer.name}/{op}", **attributes), shape)

    def check(self, shape: Shape) -> None:
        """Raises Refused for extents that no blob has."""
        extents = [1 if extent is None else extent for extent in shape]
        if min(extents, default=1) < 1 or math.prod(extents) >= MOST_ELEMENTS:
            said = "×".join("batch" if extent is None else str(extent) for extent in shape)
            self.refuse(f"gives a blob of {said}: is the input's shape, or a kernel, stride or pad, right?")

    def known(self, array: Array, what: str) -> Value:
        """A blob that does not depend on the input."""
        found = np.ascontiguousarray(array, np.float32)
        return Value(self.weight(found, what), found.shape, found)

    def reshape(self, value: Value, shape: Shape) -> Value:
        """The numbers in another shape; raises FixedBatch where an open batch would not stay in front."""
        if value.known is not None:
            return self.known(value.known.reshape(self.fixed(shape)), "reshaped")
        if (value.shape[:1] == (None,)) != (shape[:1] == (None,)):
            raise FixedBatch
        if value.shape == shape:
            return value
        # 0 keeps the extent in front, whatever it is.
        wanted = self.graph.shape(*(0 if extent is None else extent for extent in shape))
        return self.node("Reshape", (value, wanted), shape)

    def scalar(self, number: float) -> str:
        return self.graph.constant(number)
