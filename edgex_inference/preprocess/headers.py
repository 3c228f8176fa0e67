"""What the first bytes of a picture say, read without a decoder: kind, EXIF orientation, a WebP's size."""

import struct
from collections.abc import Iterator
from typing import Literal

Kind = Literal["jpeg", "png", "webp", "bmp"]

_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112
_SHORT = 3
_SCAN, _END, _APP1 = 0xDA, 0xD9, 0xE1


def sniff(data: bytes) -> Kind | None:
    """The kind of picture by its magic bytes, None for anything else."""
    if data[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return "bmp" if data[:2] == b"BM" else None


def jpeg_is_cut(data: bytes) -> bool:
    """Whether a JPEG's end marker is missing."""
    return data.rfind(b"\xff\xd9") < 0


def jpeg_orientation(data: bytes) -> int:
    """EXIF orientation 1 to 8 of a JPEG; 1 when it has none or a broken one."""
    for marker, start, end in _segments(data):
        if marker == _APP1 and data[start : start + 6] == _EXIF:
            return exif_orientation(data[start:end])
    return 1


def exif_orientation(exif: bytes) -> int:
    """Orientation 1 to 8 of an EXIF block with or without its `Exif` prefix; 1 when there is none."""
    tiff = exif.removeprefix(_EXIF)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return 1
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    if directory + 2 > len(tiff):
        return 1
    (count,) = struct.unpack_from(order + "H", tiff, directory)
    for at in range(directory + 2, min(directory + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, at)
        if tag == _ORIENTATION:
            return value if kind == _SHORT and 1 <= value <= 8 else 1
    return 1


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP's canvas, None when its header is cut short or unknown."""
    if len(data) < 30:
        return None
    form = data[12:16]
    if form == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if form == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if form == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the content of each segment before the picture's scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (_SCAN, _END):
        if data[at + 1] == 0xFF:  # fill byte
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2:
            return
        yield data[at + 1], at + 4, at + 2 + length
        at += 2 + length
