"""Bytes with a declared element type and shape: the parameters of `application/octet-stream`."""

import re
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, Literal

import numpy as np

from edgex_inference.contracts.tensors import Array, Datatype
from edgex_inference.preprocess.elements import Unfit

OCTETS = "application/octet-stream"
_SHAPE = re.compile(r"[0-9]{1,9}(?:[x,][0-9]{1,9}){0,7}")
_ENDIAN: dict[str, Literal["<", ">"]] = {"little": "<", "big": ">"}
_DTYPES: dict[str, np.dtype[Any]] = {
    name.lower(): datatype.numpy
    for datatype in Datatype
    if datatype is not Datatype.BYTES
    for name in (datatype.value, datatype.numpy.name)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a media type says of the bytes; None is: not said. `dtype` has the byte order of the bytes."""

    essence: str = ""
    dtype: np.dtype[Any] | None = None
    shape: tuple[int, ...] | None = None
    color: Literal["rgb", "bgr"] = "rgb"


@lru_cache(maxsize=256)
def declared(resource: str, reading: str) -> Declared:
    """Reads the media types of the resource and of the reading, whose parameters win.

    `application/octet-stream; dtype=float32; shape=3x512; endian=little; color=rgb`: dtype as numpy or the Open
    Inference Protocol spell it, shape with `x` between the extents, little endian by default. Other parameters are
    left alone. Raises ValueError for a value that cannot be read.
    """
    said = {**_parameters(resource), **_parameters(reading)}
    essence = (reading or resource).partition(";")[0].strip().lower()
    color = said.get("color", "rgb")
    if color not in ("rgb", "bgr"):
        raise ValueError(f"media type parameter color={color}: rgb or bgr is expected")
    return Declared(
        essence=essence, dtype=_dtype(said), shape=_shape(said), color="bgr" if color == "bgr" else "rgb"
    )


def array(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...] | None) -> Array:
    """The bytes as an array in the machine's byte order, flat when the shape is unknown.

    Raises Unfit (`empty`, `length`) unless the number of bytes fits exactly.
    """
    if not data:
        raise Unfit("empty", "the binary value is empty")
    if shape is not None and len(data) != prod(shape) * dtype.itemsize:
        extents = "x".join(str(extent) for extent in shape)
        wanted = prod(shape) * dtype.itemsize
        raise Unfit("length", f"{len(data)} bytes, but {dtype.name} of shape {extents} takes {wanted}")
    if len(data) % dtype.itemsize:
        raise Unfit("length", f"{len(data)} bytes are no whole number of {dtype.name} elements")
    if dtype.kind == "b":
        found: Array = np.frombuffer(data, np.uint8) != 0
    else:
        found = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))
    return found if shape is None else found.reshape(shape)


def _parameters(media_type: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in media_type.split(";")[1:])
    return {key.strip().lower(): value.strip().strip('"').lower() for key, _, value in pairs}


def _dtype(said: dict[str, str]) -> np.dtype[Any] | None:
    order = _ENDIAN.get(said.get("endian", "little"))
    if order is None:
        raise ValueError(f"media type parameter endian={said['endian']}: little or big is expected")
    if "dtype" not in said:
        return None
    found = _DTYPES.get(said["dtype"])
    if found is None:
        raise ValueError(
            f"media type parameter dtype={said['dtype']}: one of {', '.join(_numpy_names())} is expected"
        )
    return found.newbyteorder(order)


def _shape(said: dict[str, str]) -> tuple[int, ...] | None:
    if "shape" not in said:
        return None
    text = said["shape"].strip("[]()").replace(" ", "")
    shape = tuple(int(n) for n in re.split("[x,]", text)) if _SHAPE.fullmatch(text) else ()
    if not shape or 0 in shape:
        raise ValueError(f"media type parameter shape={said['shape']}: extents such as 3x512 are expected")
    return shape


def _numpy_names() -> list[str]:
    return sorted({dtype.name for dtype in _DTYPES.values()})
