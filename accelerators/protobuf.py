"""The wire format of protocol buffers, read field by field: for files that are looked into without their library."""

from collections.abc import Iterator


class Damaged(ValueError):
    """The bytes are not what they should be."""


def fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Each field's number and value; raises Damaged."""
    at, end = 0, len(data)
    while at < end:
        key, at = _number(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _number(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            length, at = _number(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise Damaged(f"a field of unknown kind {kind} at byte {at}")
        if length > end - at:
            raise Damaged(f"it ends in the middle of a field of {length} bytes")
        yield key >> 3, data[at : at + length]
        at += length


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise Damaged("it ends in the middle of a number")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise Damaged("a number of more than ten bytes")
