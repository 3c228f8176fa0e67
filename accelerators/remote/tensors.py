"""Arrays as the protocol's bytes and as its JSON, and back. BF16 is float32 on this side."""

from typing import Any

import numpy as np

from edgex_inference.contracts.tensors import Array, Datatype

BF16 = "BF16"
_LITTLE = {one.value: one.numpy.newbyteorder("<") for one in Datatype if one is not Datatype.BYTES}


def datatype_of(word: str) -> Datatype:
    """Our datatype for a word of the protocol; raises ValueError for one that is none."""
    return Datatype.FP32 if word == BF16 else Datatype(word)


def check_shape(shape: tuple[int, ...]) -> None:
    """Raises ValueError for an answer with an open extent: reshaping would make up what is missing."""
    if any(extent < 0 for extent in shape):
        raise ValueError(f"the shape {list(shape)} is open")


def to_bytes(array: Array, word: str) -> bytes:
    """Row-major and little-endian; raises ValueError for texts that are none."""
    if word == Datatype.BYTES:
        return b"".join(len(item).to_bytes(4, "little") + item for item in map(_encoded, array.flat))
    if word == BF16:
        bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()
    return array.astype(_LITTLE[word], copy=False).tobytes()


def from_bytes(raw: bytes | memoryview, word: str, shape: tuple[int, ...]) -> Array:
    """An array of its own; raises ValueError where the bytes do not fill the shape."""
    check_shape(shape)
    if word == Datatype.BYTES:
        return _objects(_texts(memoryview(raw)), shape)
    if word == BF16:
        half = np.frombuffer(raw, "<u2").astype(np.uint32) << 16
        return half.view(np.float32).reshape(shape)
    found = np.frombuffer(raw, _LITTLE[word]).reshape(shape)
    return found.astype(Datatype(word).numpy)


def to_json(array: Array, word: str) -> list[Any]:
    """Flat and row-major; raises ValueError for what JSON cannot say."""
    if word == Datatype.BYTES:
        return [_encoded(item).decode() for item in array.flat]
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("infinity cannot be said in JSON")
    items: list[Any] = array.ravel().tolist()
    return items


def from_json(data: object, word: str, shape: tuple[int, ...]) -> Array:
    """Nested or flat data; None stands for NaN. Raises ValueError where it does not fit."""
    check_shape(shape)
    flat: list[Any] = []
    _flatten(data, flat)
    if word == Datatype.BYTES:
        if not all(isinstance(item, str) for item in flat):
            raise ValueError("a text is expected")
        return _objects(flat, shape)
    dtype = datatype_of(word).numpy
    allowed = {"b": (bool, int), "f": (int, float, type(None))}.get(dtype.kind, (int,))
    if not all(isinstance(item, allowed) for item in flat):
        raise ValueError(f"{word} is expected")
    try:
        return np.array(flat, dtype).reshape(shape)
    except OverflowError:
        raise ValueError(f"a number is too large for {word}") from None


def _flatten(data: object, into: list[Any]) -> None:
    if not isinstance(data, list):
        raise ValueError("a list is expected")
    if data and isinstance(data[0], list):
        for part in data:
            _flatten(part, into)
    else:
        into.extend(data)


def _encoded(item: object) -> bytes:
    if isinstance(item, bytes):
        return item
    if isinstance(item, str):
        return item.encode()
    raise ValueError(f"a text is expected, not {type(item).__name__}")


def _texts(raw: memoryview) -> list[object]:
    found: list[object] = []
    at = 0
    while at < len(raw):
        end = at + 4 + int.from_bytes(raw[at : at + 4], "little")
        if end > len(raw):
            raise ValueError("a text is cut short")
        item = bytes(raw[at + 4 : end])
        at = end
        try:
            found.append(item.decode())
        except UnicodeDecodeError:
            found.append(item)
    return found


def _objects(items: list[Any], shape: tuple[int, ...]) -> Array:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array.reshape(shape)
