"""Paths become events: pictures, folders of pictures, videos, tables, captured messages."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgex_inference.cli.trying import captured, table, video
from edgex_inference.cli.trying.given import PICTURES, TABLES, VIDEOS, Given, InputError, Wanted
from edgex_inference.contracts.events import Reading, ValueType
from edgex_inference.preprocess.headers import sniff

_MEDIA = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "bmp": "image/bmp"}


def events(paths: Sequence[Path], wanted: Wanted, *, every: int = 1) -> Iterator[Given]:
    """The events of all inputs in order; raises InputError for what cannot be read. `every` is for videos."""
    for path in paths:
        try:
            yield from _events(path, wanted, every)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _events(path: Path, wanted: Wanted, every: int) -> Iterator[Given]:
    suffix = path.suffix.lower()
    if path.is_dir():
        yield from _folder(path, wanted)
    elif suffix in TABLES:
        yield from table.events(path, wanted)
    elif suffix in VIDEOS:
        yield from video.events(path, wanted, every=every)
    else:
        data = path.read_bytes()
        if not data:
            raise InputError(f"{path}: the file is empty")
        if suffix in PICTURES or sniff(data) is not None:
            yield _picture(path, data, wanted)
        else:
            yield from captured.events(path, data, wanted)


def _folder(path: Path, wanted: Wanted) -> Iterator[Given]:
    found = sorted(one for one in path.iterdir() if one.suffix.lower() in PICTURES and one.is_file())
    if not found:
        raise InputError(
            f"{path}: has no picture ({', '.join(sorted(PICTURES))}); name other files one by one"
        )
    for one in found:
        yield _picture(one, one.read_bytes(), wanted)


def _picture(path: Path, data: bytes, wanted: Wanted) -> Given:
    now = time.time_ns()
    resource = wanted.picture(str(path))
    reading = Reading(
        origin=now,
        device_name=wanted.device,
        profile_name=wanted.binding.profile,
        resource_name=resource,
        value_type=ValueType.BINARY,
        media_type=_MEDIA.get(sniff(data) or "", "image/jpeg"),
        binary_value=data,
    )
    return Given(name=str(path), event=wanted.event(resource, (reading,), now))
