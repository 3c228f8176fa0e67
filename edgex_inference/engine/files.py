"""The files of a model: a graph, the weights that lie beside it, or a whole folder; their marks and their digest."""

import hashlib
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

from edgex_inference.contracts import onnx_file
from edgex_inference.contracts.accelerator import ONNX, OPENVINO_IR, PADDLE, Format
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.unchanged import while_unchanged

_WEIGHTS: Mapping[Format, str] = {OPENVINO_IR: ".bin", PADDLE: ".pdiparams"}
_CHUNK = 1 << 20


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


@while_unchanged(256)
def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
