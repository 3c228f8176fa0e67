"""Configuration texts, YAML or TOML, as documents whose values know where they stand."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce
from pathlib import Path, PurePosixPath

from edgex_inference.config.places import Entry, Node, Place, Source, Steps
from edgex_inference.config.problems import MOST_BYTES, Document

SUFFIXES = (".toml", ".yaml", ".yml")
_SUFFIX = "must end in .toml, .yaml or .yml"
_TOML_NAME = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_TOML_LINE = re.compile(
    rf"\s*(?:\[\[?\s*(?P<table>{_TOML_NAME}(?:\s*\.\s*{_TOML_NAME})*)\s*\]"
    rf"|(?P<key>{_TOML_NAME}(?:\s*\.\s*{_TOML_NAME})*)\s*=\s*(?P<value>))"
)
_TOML_MISTAKE = re.compile(
    r"(?P<text>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)"
)


def read(path: Path) -> Document:
    """A file by its suffix; never raises, everything wrong is in its `problems`."""
    if path.suffix.lower() not in SUFFIXES:
        return _broken(str(path), _SUFFIX)
    try:
        with path.open("rb") as file:
            return parse(file.read(MOST_BYTES + 1), str(path))
    except OSError as error:
        return _broken(str(path), error.strerror or str(error))


def parse(raw: bytes, file: str) -> Document:
    """A text by the suffix of its file's name or address; never raises."""
    suffix = PurePosixPath(file.partition("?")[0]).suffix.lower()
    if suffix in (".yaml", ".yml"):
        return Document.decode(raw, file)
    if suffix == ".toml":
        return _toml(raw, file)
    return _broken(file, _SUFFIX)


def common_part(document: Document) -> Document:
    """EdgeX's common file has one part for all services and one for each kind; plain files pass as they are."""
    parts = [document.root.find(name) for name in ("all-services", "app-services")]
    if not any(parts):
        return document
    filled = [part for part in parts if part is not None and part.entries]
    return replace(document, root=reduce(Node.merged, filled) if filled else replace(document.root, value={}))


def _toml(raw: bytes, file: str) -> Document:
    if len(raw) > MOST_BYTES:
        return _broken(file, f"the file is larger than {MOST_BYTES >> 20} MiB")
    try:
        text = raw.decode("utf-8-sig")
        data = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line, column = raw.count(b"\n", 0, error.start) + 1, error.start - raw.rfind(b"\n", 0, error.start)
        return _broken(file, f"byte 0x{raw[error.start]:02x} is no UTF-8 text", line, column)
    except tomllib.TOMLDecodeError as error:
        said = _TOML_MISTAKE.fullmatch(str(error))
        if said is None:
            return _broken(file, f"no valid TOML: {error}")
        line = int(said["line"] or text.count("\n") + 1)
        return _broken(file, f"no valid TOML: {said['text']}", line, int(said["column"] or 1))
    except RecursionError:
        return _broken(file, "nested too deeply")
    lines = tuple(text.splitlines())
    source = Source(file=file, lines=lines)
    return Document(source=source, root=_placed(Document.of(data, file).root, source, _toml_places(lines)))


def _toml_places(lines: Iterable[str]) -> Mapping[Steps, tuple[int, int, int]]:
    """Line, column and the value's column of every table and key that has a line of its own; the first one wins."""
    places: dict[Steps, tuple[int, int, int]] = {}
    table: Steps = ()
    for number, line in enumerate(lines, start=1):
        found = _TOML_LINE.match(line)
        if found is None:
            continue
        written = found["table"] or found["key"]
        names = tuple(name.strip("\"'") for name in re.findall(_TOML_NAME, written))
        if found["table"]:
            table = names
        steps = table if found["table"] else (*table, *names)
        column = found.start("table" if found["table"] else "key") + 1
        for length in range(1, len(steps)):
            places.setdefault(steps[:length], (number, column, column))
        places.setdefault(steps, (number, column, column if found["table"] else found.start("value") + 1))
    return places


def _placed(
    node: Node,
    source: Source,
    places: Mapping[Steps, tuple[int, int, int]],
    steps: Steps = (),
    around: tuple[int, int] = (1, 1),
) -> Node:
    """The node with its places; what has no line of its own, as in an inline table, is where that table is."""
    line, _, column = places.get(steps, (around[0], 0, around[1]))
    place = Place(source=source, line=line, column=column)
    if not isinstance(node.value, Mapping):
        return replace(node, place=place)
    entries = {}
    for key, entry in node.entries.items():
        inner = _placed(entry.node, source, places, (*steps, key), (line, column))
        own = places.get((*steps, key))
        at = Place(source=source, line=own[0], column=own[1]) if own is not None else inner.place
        entries[key] = Entry(key=at, node=inner)
    return replace(node, place=place, value=entries)


def _broken(file: str, message: str, line: int = 0, column: int = 1) -> Document:
    source = Source(file=file)
    place = Place(source=source, line=line, column=column if line else 0)
    return Document(source=source, root=Node(place=place, value=None), problems=(place.problem("", message),))
