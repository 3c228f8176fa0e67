"""The files of a model: a graph, the weights that lie beside it, or a whole folder; their marks and their digest."""

import hashlib
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

from edgex_inference.contracts.accelerator import OPENVINO_IR, PADDLE, Format

_WEIGHTS: Mapping[Format, str] = {OPENVINO_IR: ".bin", PADDLE: ".pdiparams"}
_CHUNK = 1 << 20


def parts(path: Path, format_: Format) -> Sequence[Path]:
    """The files that make up one build: a folder's files in the order of their names, a graph and its weights."""
    if path.is_dir():
        return sorted((one for one in path.rglob("*") if one.is_file()), key=lambda one: one.as_posix())
    weights = path.with_suffix(_WEIGHTS[format_]) if format_ in _WEIGHTS else None
    return [path, weights] if weights is not None and weights.is_file() else [path]


def digest(path: Path, format_: Format) -> str:
    """The sha256 of a build; reads all of it, raises OSError.

    Of several files it is the sha256 of what `sha256sum` prints for them, with names as seen from beside the graph
    or from inside the folder: `sha256sum model.xml model.bin | sha256sum`.
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


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
