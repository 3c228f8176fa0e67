"""A net, layer by layer, into an ONNX graph."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.importers.caffe import net as nets
from edgex_inference.importers.caffe.layers.table import ELSE, LAYERS, WAYS_AROUND, WITHOUT_EFFECT
from edgex_inference.importers.caffe.net import Layer, Net
from edgex_inference.importers.caffe.prototxt import Malformed, Message
from edgex_inference.importers.caffe.step import FixedBatch, Refused, Step, Value
from edgex_inference.importers.graph import Ended, Graph

BATCH = "batch"
_NONE_NAMED = 12
"""Unknown layers that a message names one by one."""


def convert(
    prototxt: Path, caffemodel: Path | None, *, shapes: Mapping[str, Sequence[int]] | None = None
) -> Any:
    """The ONNX model (a ModelProto) of a Caffe net; the caffemodel may be None for a net without weights.

    The first axis of inputs and outputs is open, named `batch`, where no layer computes across samples; else it is the
    prototxt's, and the metadata `batch` says which layer fixed it. `shapes` replaces the prototxt's for the inputs that
    it names; `""` is the only input. Raises ModelRejected, naming the file, the layer and the way out; OSError for a
    file that cannot be read.
    """
    found = nets.read(prototxt, caffemodel)
    _refuse_unknown(found)
    inputs = dict(found.inputs)
    for name, shape in (shapes or {}).items():
        if not name and len(inputs) == 1:
            name = next(iter(inputs))
        if name not in inputs:
            raise ModelRejected(prototxt, f"has no input {name!r}: its inputs are {', '.join(inputs)}")
        inputs[name] = nets.checked(prototxt, name, shape)
    found = replace(found, inputs=inputs)
    batches = {dims[0] for dims in inputs.values() if dims}
    if len(batches) == 1 and all(len(dims) > 1 for dims in inputs.values()):
        try:
            return _Importing(found, batches.pop(), dynamic=True).model("any")
        except _FixedBy as fixed:
            return _Importing(found, None, dynamic=False).model(f"fixed by layer {fixed}")
    return _Importing(found, None, dynamic=False).model("fixed by inputs of unequal batch")


def _refuse_unknown(net: Net) -> None:
    """Raises ModelRejected naming all layers that are not known, with the way around each kind."""
    unknown: dict[str, list[str]] = {}
    for layer in net.layers:
        if layer.kind not in LAYERS:
            unknown.setdefault(layer.kind, []).append(layer.name)
    if not unknown:
        return
    parts = [
        f"{kind} ({', '.join(map(repr, names[:3]))}{f' and {len(names) - 3} more' if len(names) > 3 else ''}): "
        f"{WAYS_AROUND.get(kind, ELSE)}"
        for kind, names in list(unknown.items())[:_NONE_NAMED]
    ]
    more = f"; and {len(unknown) - _NONE_NAMED} kinds more" if len(unknown) > _NONE_NAMED else ""
    raise ModelRejected(net.path, f"has layers that are not known: {'; '.join(parts)}{more}")


class _FixedBy(Exception):
    """The layer that computes across samples."""


class _Importing:
    """One pass over the net, with the batch open or fixed."""

    def __init__(self, net: Net, batch: int | None, *, dynamic: bool) -> None:
        self._net, self._batch, self._dynamic = net, batch, dynamic
        self._graph = Graph(net.path, net.size)
        self._blobs: dict[str, Value] = {}
        self._read: set[str] = set()
        self._metadata: dict[str, str] = {}
        self._makers: dict[str, str] = {}
        self._heads: dict[str, str] = {}
        """Blobs that a detection head reads, and the layers that made them."""

    def model(self, batch: str) -> Any:
        """Raises _FixedBy where the batch cannot stay open, else ModelRejected."""
        inputs = []
        for name, dims in self._net.inputs.items():
            shape = (None, *dims[1:]) if self._dynamic else dims
            self._blobs[name] = Value(self._graph.name(name), shape)
            inputs.append(Ended(name, _extents(shape)))
        for layer in self._net.layers:
            self._add(layer)
        # An input that a layer overwrites in place is an output under another name.
        shown = {
            name: (
                value.name,
                Ended(f"{name}_out" if name in self._net.inputs else name, _extents(value.shape)),
            )
            for name, value in self._blobs.items()
            if name not in self._read and not (name in self._net.inputs and value.name == name)
        }
        if not shown:
            raise ModelRejected(self._net.path, "has no output: every blob is read by a layer")
        # Caffe knows a blob by its top, OpenCV by the layer that made it last.
        makers = {one.name: self._makers[name] for name, (_, one) in shown.items() if name in self._makers}
        self._metadata["caffe.layers"] = json.dumps({**makers, **self._heads})
        metadata = {"converted.from": "caffe", "batch": batch, **self._metadata}
        return self._graph.build(inputs, list(shown.values()), metadata)

    def _add(self, layer: Layer) -> None:
        missing = [bottom for bottom in layer.bottoms if bottom not in self._blobs]
        if missing:
            raise self._rejected(layer, f"reads {missing[0]!r}, which no layer before it makes")
        step = Step(layer, self._graph, tuple(self._blobs[one] for one in layer.bottoms), self._batch)
        known = LAYERS[layer.kind]
        try:
            values = known.make(step)
            unheeded = ", ".join(sorted(_unheeded(layer)))
            if unheeded:
                step.refuse(f"says {unheeded}, which is not known: a fork's key may change what it computes")
        except FixedBatch:
            raise _FixedBy(f"{layer.name!r} ({layer.kind})") from None
        except (Refused, Malformed) as error:
            raise self._rejected(layer, str(error)) from None
        tops = tuple(layer.tops[0] + tail for tail in known.tops) if known.tops and layer.tops else layer.tops
        if len(tops) != len(values):
            raise self._rejected(layer, f"has {len(tops)} tops where {len(values)} belong")
        self._read |= set(layer.bottoms)
        for top, value in zip(tops, values, strict=True):
            # A blob that is made anew, in place or not, is unread again.
            self._blobs.pop(top, None)
            self._blobs[top] = value
            self._read.discard(top)
        if "caffe.head" in step.metadata:
            self._heads |= {one: self._makers[one] for one in layer.bottoms if one in self._makers}
        self._makers |= dict.fromkeys(tops, layer.name)
        self._metadata |= step.metadata

    def _rejected(self, layer: Layer, reason: str) -> ModelRejected:
        return ModelRejected(self._net.path, f"layer {layer.name!r} ({layer.kind}) {reason}")


def _unheeded(layer: Layer) -> Iterator[str]:
    """Keys of the layer's own parameters that its function did not look for, and that change what it computes."""
    for name, values in layer.body.fields.items():
        if name.endswith("_param") and name in layer.body.asked:
            for value in values:
                keys = value.fields.keys() - value.asked if isinstance(value, Message) else ()
                yield from (
                    f"{name}.{key}"
                    for key in keys
                    if not key.endswith("filler") and key not in WITHOUT_EFFECT
                )


def _extents(shape: Sequence[int | None]) -> tuple[int | str, ...]:
    return tuple(BATCH if extent is None else extent for extent in shape)
