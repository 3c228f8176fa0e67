"""What a file is that somebody took for a model: a web page, a pointer, an archive, another kind of model; and the fix.

A download, a clone and a copy go wrong in few ways, and each runtime says of all of them that the file is broken.
"""

import codecs
import shlex
from collections.abc import Mapping
from pathlib import Path

from edgex_inference.contracts.accelerator import OPENVINO_IR, TFLITE, TFLITE_EDGETPU, Format
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.engine.cards.card import BY_SUFFIX
from edgex_inference.engine.formats.archives import unpacked
from edgex_inference.engine.formats.kinds import ABOUT, Kind
from edgex_inference.engine.formats.recognize import recognize
from edgex_inference.engine.formats.routes import STEPS

_HEAD = 4096
_POINTER = b"version https://git-lfs.github.com/spec/"
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body")
_STREAMS: Mapping[bytes, str] = {
    b"\x1f\x8b": "gunzip",
    b"BZh": "bunzip2",
    b"\xfd7zXZ\0": "unxz",
    b"\x28\xb5\x2f\xfd": "unzstd",
}
_ARCHIVES: Mapping[bytes, str] = {
    b"PK\x03\x04": "unzip",
    b"PK\x05\x06": "unzip",
    b"7z\xbc\xaf\x27\x1c": "7z x",
    b"Rar!": "unrar x",
}
_TAR = slice(257, 262)
_QUOTED = 60


def mishap(path: Path) -> str:
    """What befell a file on its way here, by its first bytes, and how to get the model; empty where nothing is seen."""
    try:
        if path.is_dir():
            return ""
        if not path.is_file():
            return "is no file" if path.exists() else "no such file"
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if not head:
        return "the file is empty: a download or a copy broke off, get it again"
    if head.startswith(_POINTER):
        return "is a Git LFS pointer, which stands for the model: run `git lfs pull` in the clone, or download the file"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        return "is a web page: the link led to a page about the model, download the file itself"
    return _packed(path, head)


def is_there(path: Path) -> bool:
    """Whether there is something; also where it lies in a folder that must not be looked into."""
    try:
        return path.exists()
    except OSError:
        return True


def instead(path: Path, format_: Format) -> str:
    """What a file is that is no model of this format, and the way out; empty where that is not known. Reads it all."""
    told = mishap(path)
    if told or format_ not in _RECOGNIZED or path.is_dir():
        return told
    try:
        kind = recognize(path)
    except (ModelRejected, OSError):
        return "" if format_ == OPENVINO_IR else text(path)  # which may begin with a long comment
    about = ABOUT[kind]
    if about.format == format_ or (about.format, format_) == (TFLITE, TFLITE_EDGETPU):
        return ""  # Google's compiler names a file so too of which it took nothing
    if about.format is not None:
        return f"is {about.label}, whatever its name says: call it {_suited(path, about.format)}"
    return f"is {about.label}, whatever its name says: {_way(path, kind)}"


def foreign(path: Path) -> str:
    """Which model a file or folder is whose name does not tell it, and the way from there; empty for what is none."""
    try:
        kind = recognize(path)
    except (ModelRejected, OSError):
        return ""
    about = ABOUT[kind]
    way = f"call it {_suited(path, about.format)}" if about.format is not None else _way(path, kind)
    return f"is {about.label}: {way}"


def _way(path: Path, kind: Kind) -> str:
    convertible = any(kind in step.sources for step in STEPS)
    return f"`edgex-inference model convert {shlex.quote(str(path))}`" if convertible else ABOUT[kind].nearest


_RECOGNIZED = frozenset(about.format for about in ABOUT.values() if about.format is not None)


def _packed(path: Path, head: bytes) -> str:
    """Of an archive, or of one compressed file; models that are archives themselves are not looked for here."""
    name = shlex.quote(path.name)
    if head[_TAR] == b"ustar" or unpacked(head)[_TAR] == b"ustar":
        return f"is a packed folder (tar): unpack it first, `tar -xf {name}`, and name the model in it"
    for magic, tool in _STREAMS.items():
        if head.startswith(magic) and _is_plain(path):
            plain = path.stem if path.suffix.lower() in _ENDINGS else f"unpacked-{path.name}"
            return f"is compressed: unpack it first, `{tool} < {name} > {shlex.quote(plain)}`"
    for magic, tool in _ARCHIVES.items():
        if head.startswith(magic) and _is_plain(path):
            return f"is an archive: unpack it first, `{tool} {name}`, and name the model in it"
    return ""


_ENDINGS = (".gz", ".bz2", ".xz", ".zst")


def _is_plain(path: Path) -> bool:
    """Whether an archive is none that a framework writes as its model."""
    try:
        return recognize(path) is Kind.NUMPY
    except (ModelRejected, OSError):
        return True


def _suited(path: Path, format_: Format) -> str:
    if format_ == TFLITE_EDGETPU:
        return f"{path.stem}_edgetpu.tflite"
    suffix = next((ending for ending, known in BY_SUFFIX.items() if known == format_), "")
    return path.with_suffix(suffix).name


def text(path: Path) -> str:
    """What words stand where a model should be, such as a server's excuse; empty where there are none."""
    if path.is_dir():
        return ""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    try:
        words = codecs.getincrementaldecoder("utf-8")().decode(head)  # its last letter may be cut
    except UnicodeDecodeError:
        return ""
    if len(words) < 4 or not all(one.isprintable() or one in "\t\r\n" for one in words):
        return ""
    first = " ".join(words.split())[:_QUOTED]
    return f"is a text, no model; it begins with {first!r}"
