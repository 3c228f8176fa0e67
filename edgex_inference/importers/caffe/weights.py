"""A caffemodel's arrays by layer, read from protobuf's wire format: no schema, no copy of the weights."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.protobuf import fields, varint
from edgex_inference.contracts.tensors import Array

_MOST_AXES = 32
_LAYERS, _LAYER = 2, 100
"""NetParameter's fields: V1LayerParameter, and LayerParameter since."""
_NAME_AND_BLOBS = {_LAYERS: (4, 6), _LAYER: (1, 7)}
_V0 = 1

Weights = Mapping[str, tuple[Array, ...]]


def read(path: Path) -> Weights:
    """The arrays of each layer that has some, float32 or float64; raises ModelRejected, or OSError."""
    data = path.read_bytes()
    if not data:
        raise ModelRejected(path, "the file is empty")
    found: dict[str, tuple[Array, ...]] = {}
    layers = 0
    try:
        for number, value in fields(memoryview(data)):
            if number in _NAME_AND_BLOBS and isinstance(value, memoryview):
                layers += 1
                name, blobs = _layer(path, value, *_NAME_AND_BLOBS[number], first=number == _LAYERS)
                if blobs:
                    found.setdefault(name, blobs)
    except (ValueError, IndexError) as error:
        raise ModelRejected(path, f"is no caffemodel, or a truncated one ({error})") from None
    if not layers:
        raise ModelRejected(path, "is no caffemodel: it holds no layers")
    return found


def _layer(
    path: Path, data: memoryview, name_field: int, blob_field: int, *, first: bool
) -> tuple[str, tuple[Array, ...]]:
    name, blobs = "", list[Array]()
    for number, value in fields(data):
        if not isinstance(value, memoryview):
            continue
        if number == name_field:
            name = str(value, "utf-8")
        elif number == blob_field:
            blobs.append(_blob(path, name, value))
        elif first and number == _V0:
            reason = "has layers of Caffe's first format: run Caffe's upgrade_net_proto_binary over it"
            raise ModelRejected(path, reason)
    return name, tuple(blobs)


@dataclass(slots=True)
class _Blob:
    """What a BlobProto holds; `legacy` are num, channels, height and width."""

    dims: list[int] = field(default_factory=list)
    legacy: dict[int, int] = field(default_factory=dict)
    shaped: bool = False
    parts: list[Array] = field(default_factory=list)

    def add(self, number: int, value: int | memoryview) -> None:
        if number == 7 and isinstance(value, memoryview):
            self.shaped = True
            for inner, dim in fields(value):
                if inner == 1:
                    self.dims += [dim] if isinstance(dim, int) else _varints(dim)
        elif 1 <= number <= 4 and isinstance(value, int):
            self.legacy[number] = value
        elif number in (5, 8) and isinstance(value, memoryview):
            # Whole views: a length that is no multiple of a number raises ValueError.
            self.parts.append(np.frombuffer(value, "<f4" if number == 5 else "<f8"))

    def shape(self) -> tuple[int, ...]:
        if self.shaped:
            return tuple(self.dims)
        return tuple(self.legacy.get(number, 0) for number in range(1, 5)) if self.legacy else ()


def _blob(path: Path, layer: str, data: memoryview) -> Array:
    blob = _Blob()
    for number, value in fields(data):
        blob.add(number, value)
    array = blob.parts[0] if len(blob.parts) == 1 else np.concatenate(blob.parts or [np.zeros(0, "<f4")])
    shape = blob.shape()
    if len(shape) > _MOST_AXES or math.prod(shape) != array.size or any(extent < 0 for extent in shape):
        said = "×".join(map(str, shape[:8])) or "nothing"
        reason = f"layer {layer!r}: an array of {said} has {array.size} numbers; get the file again"
        raise ModelRejected(path, reason)
    return array.reshape(shape)


def _varints(data: memoryview) -> list[int]:
    found, at = list[int](), 0
    while at < len(data) and len(found) <= _MOST_AXES:
        value, at = varint(data, at)
        found.append(value)
    return found
