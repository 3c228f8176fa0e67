"""The fields of a protobuf message, read without a schema: how foreign model files are told apart and looked into."""

import mmap
from collections.abc import Iterator
from pathlib import Path

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_MOST_VARINT = 10

Field = tuple[int, int | memoryview]
"""A field's number, and its value: a number, or the bytes of a text or of a message."""


_MOST_READ = 256 << 20
"""Bytes: larger files are mapped while they are looked at, so that they take no memory."""


def contents(path: Path) -> memoryview:
    """The bytes of a file; raises OSError when it cannot be read.

    A mapping goes with the last view into it. One of a file that somebody cuts short ends the process.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        whole = file.read() if size <= _MOST_READ else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return memoryview(whole)


class Damaged(ValueError):
    """The bytes are not what they should be."""


def fields(data: memoryview) -> Iterator[Field]:
    """The fields of a message; raises Damaged for bytes that are none, and follows no size that they do not have."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise Damaged("a field with number 0")
        if wire == VARINT:
            value, at = varint(data, at)
            yield number, value
            continue
        if wire == BYTES:
            size, at = varint(data, at)
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
        else:
            raise Damaged(f"a field of unknown kind {wire} at byte {at}")
        if at + size > len(data):
            raise Damaged(f"it ends in the middle of a field of {size} bytes")
        yield number, data[at : at + size]
        at += size


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at a place, and the place behind it; raises as `fields` does."""
    value = 0
    for index in range(_MOST_VARINT):
        if at + index >= len(data):
            raise Damaged("it ends in the middle of a number")
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise Damaged("a number of more than ten bytes")


def as_message(value: int | memoryview) -> memoryview:
    """The bytes of a text or a message; raises Damaged for a number."""
    if isinstance(value, int):
        raise Damaged("a number where a message belongs")
    return value


def as_text(value: int | memoryview | None) -> str:
    """A text, empty where there is none; raises Damaged for what is none."""
    return "" if value is None else str(as_message(value), "utf-8")


def as_number(value: int | str | memoryview) -> int:
    """A number; raises Damaged for what is none."""
    if not isinstance(value, int):
        raise Damaged("a message where a number belongs")
    return value
