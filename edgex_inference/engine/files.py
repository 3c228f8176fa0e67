"""The files of a model: a graph, the weights that lie beside it, or a whole folder; their marks and their digest."""

import hashlib
import os
import time
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from edgex_inference.contracts.accelerator import ONNX, OPENVINO_IR, PADDLE, Format
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.engine import onnx_file

_WEIGHTS: Mapping[Format, str] = {OPENVINO_IR: ".bin", PADDLE: ".pdiparams"}
_CHUNK = 1 << 20
_SETTLED = 2.0
"""Seconds: clocks of file systems are coarse."""


def parts(path: Path, format_: Format) -> Sequence[Path]:
    """The files that make up one build: a folder's files in the order of their names, a graph and then its weights.

    Raises OSError where the graph cannot be read.
    """
    if path.is_dir():
        return sorted((one for one in path.rglob("*") if one.is_file()), key=lambda one: one.as_posix())
    inside = [path.parent / name for name in companions(path, format_) if is_inside(name)]
    return [path, *(beside for beside in inside if beside.is_file())]


def companions(path: Path, format_: Format) -> Sequence[str]:
    """The weights that a graph needs beside it, as paths from its folder, whether they are there or not.

    Of ONNX what the file itself names as external data, in the order of the names; nothing where it cannot be
    understood, which is for the runtime to say. Raises OSError.
    """
    if format_ == ONNX:
        try:
            return sorted(onnx_file.read(path).external)
        except ModelRejected:
            return ()
    return (path.with_suffix(_WEIGHTS[format_]).name,) if format_ in _WEIGHTS else ()


def is_inside(name: str) -> bool:
    """Whether a file that a graph names lies in the graph's folder or below it; others are no part of a model."""
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def digest(path: Path, format_: Format) -> str:
    """The sha256 of a build; reads all of it, raises OSError.

    Of several files it is the sha256 of what `sha256sum` prints for them, with names as seen from beside the graph
    or from inside the folder: `sha256sum model.xml model.bin | sha256sum`. External data count as files.
    """
    files = parts(path, format_)
    if not path.is_dir() and len(files) == 1:
        return _sha256(path)
    base = path if path.is_dir() else path.parent
    lines = "".join(f"{_sha256(file)}  {file.relative_to(base).as_posix()}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def mark(path: Path) -> Hashable:
    """Changes whenever a file of the model may have changed: external data may be any file beside the graph."""
    inside = path.rglob("*") if path.is_dir() else ()
    try:
        beside = [Path(entry.path) for entry in os.scandir(path.parent)]
        files = [(one.as_posix(), one.stat()) for one in (*beside, *inside) if one.is_file()]
    except OSError:
        return ()
    return tuple(sorted((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in files))


def state(stat: os.stat_result) -> tuple[int, ...]:
    """What tells a file from what it was: another one, written, or with other rights."""
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _sha256(path: Path) -> str:
    """Of a file's content, read once for as long as the file is what it was: a start asks several times.

    One that was written just now may be written again within the same tick of the clock: it is read each time.
    """
    stat = path.stat()
    if time.time() - max(stat.st_mtime, stat.st_ctime) < _SETTLED:
        return _content(path)
    return _kept(path, state(stat))


@lru_cache(maxsize=256)
def _kept(path: Path, _state: tuple[int, ...]) -> str:
    return _content(path)


def _content(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
