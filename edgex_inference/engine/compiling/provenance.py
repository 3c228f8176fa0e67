"""What lies beside an artefact: where it comes from, and what tells whether it is still itself."""

import hashlib
import os
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edgex_inference.contracts.accelerator import Artefact, Format

FILE = "provenance.json"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """What running it showed: `difference` is the largest to the golden answers, None where there are none."""

    difference: float | None
    samples: int
    date: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The content of provenance.json: `source` and `hashes` are sha256, paths are relative to its folder."""

    key: str
    accelerator: str
    device: str
    model: str
    version: str
    file: str
    source: str
    format: str
    precision: str
    options: str
    shapes: Mapping[str, Sequence[int | None]]
    tools: Mapping[str, str]
    compiled: Mapping[str, str]
    path: str
    hashes: Mapping[str, str]
    seconds: float
    date: str
    size: int
    beside: tuple[str, ...] = ()
    batch: int | None = None
    parity: Parity | None = field(default=None)

    def artefact(self, folder: Path) -> Artefact:
        """The artefact that lies in this folder, as the port knows it."""
        return Artefact(
            path=folder / self.path,
            format=Format(self.format),
            beside=tuple(folder / name for name in self.beside),
            made_with=self.tools,
        )


class Damaged(Exception):
    """An artefact is not what was made; the text says in which way."""


def read(folder: Path) -> Provenance | None:
    """The provenance in this folder, None where there is none; raises Damaged, and OSError where reading fails."""
    try:
        text = (folder / FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if folder.is_dir():
            raise Damaged(f"{FILE} is missing") from None
        return None
    except (IsADirectoryError, PermissionError) as error:
        raise Damaged(f"{FILE} cannot be read: {error.strerror}") from error
    try:
        return msgspec.json.decode(text, type=Provenance)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"{FILE} cannot be understood: {error}") from error


def check(folder: Path, said: Provenance, key: str) -> None:
    """Compares every file with its hash, which is due before each load: artefacts are code. Raises Damaged, OSError."""
    if said.key != key:
        raise Damaged(f"{FILE} belongs to another artefact")
    if not _inside(said.path) or not all(map(_inside, (*said.beside, *said.hashes))):
        raise Damaged(f"{FILE} names a file outside its folder")
    try:
        found = hashes(folder)
    except PermissionError as error:
        raise Damaged(f"{Path(error.filename).name} cannot be read: {error.strerror}") from error
    if said.path not in found and not (folder / said.path).is_dir():
        raise Damaged(f"{said.path} is missing")
    for name in sorted({*found, *said.hashes}):
        if name not in found:
            raise Damaged(f"{name} is missing")
        if name not in said.hashes:
            raise Damaged(f"{name} is no part of it")
        if found[name] != said.hashes[name]:
            raise Damaged(f"{name} has changed")


def write(folder: Path, said: Provenance) -> None:
    """Writes it at once or not at all, for whoever may read what lies beside it; raises OSError."""
    beside = folder / f".{FILE}-{uuid.uuid4().hex}"
    try:
        with beside.open("xb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(said), indent=1) + b"\n")
        os.replace(beside, folder / FILE)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def hashes(folder: Path) -> dict[str, str]:
    """The sha256 of every file below a folder, but for the provenance itself; raises OSError."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and path.name != FILE and not name.startswith(f".{FILE}-"):
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
            found[name] = digest.hexdigest()
    return found


def size(folder: Path) -> int:
    """Bytes of all files below a folder, as far as they are there."""
    total = 0
    with suppress(OSError):
        for path in folder.rglob("*"):
            with suppress(OSError):
                total += path.stat().st_size if path.is_file() else 0
    return total


def _inside(name: str) -> bool:
    return bool(name) and not Path(name).is_absolute() and ".." not in Path(name).parts
