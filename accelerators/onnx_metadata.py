"""The words in an ONNX file that readers of other vendors drop; shared, as `tflite.py` is."""

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

_METADATA_PROPS = 14


def onnx_metadata(path: Path) -> Mapping[str, str]:
    """The metadata that an exporter left in an ONNX file: names of classes and such."""
    found: dict[str, str] = {}
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for field, start, end in _fields(content, 0, len(content)):
                if field == _METADATA_PROPS:
                    pair = {key: content[first:last] for key, first, last in _fields(content, start, end)}
                    found[pair.get(1, b"").decode()] = pair.get(2, b"").decode()
    except (OSError, ValueError, IndexError):
        return {}
    return found


def _fields(content: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The length-delimited fields of a protobuf message: number, start and end of each."""
    while at < end:
        tag, at = _number(content, at)
        kind = tag & 7
        if kind == 0:
            _, at = _number(content, at)
        elif kind == 2:
            length, at = _number(content, at)
            if at + length > end:
                raise ValueError("a field reaches beyond its message")
            yield tag >> 3, at, at + length
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"no protobuf field begins with {tag}")


def _number(content: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
