"""The YAML walker: text to values with places, and every mistake in the text itself as a Problem.

One loader for device profiles, side-cars, devices files, model cards and configuration; JSON counts as YAML. Plain
words mean what Go's yaml.v3 makes of them, so `yes`, `off` and `1:30` stay texts. Keys are always texts.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from edgex_inference.config.places import Entry, Node, Place, Plain, Source, Steps, spell
from edgex_inference.contracts.errors import Problem

MOST_BYTES = 4 << 20
MOST_DEPTH = 60
MOST_NODES = 200_000
MOST_DIGITS = 60

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_TAG + name for name in ("null", "bool", "int", "float", "map", "seq"))
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+")
_REAL = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_WORDS: Mapping[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{sign + word: math.inf for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Document:
    """One parsed text; after a syntax error `root` is empty, and the error is in `problems`."""

    source: Source
    root: Node
    problems: tuple[Problem, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "Document":
        """Reads and parses a file; raises OSError when it cannot be read, all else is in `problems`."""
        with path.open("rb") as file:
            return cls.decode(file.read(MOST_BYTES + 1), str(path))

    @classmethod
    def decode(cls, raw: bytes, file: str) -> "Document":
        """Parses the bytes of a YAML or JSON file; never raises."""
        source = Source(file=file)
        if len(raw) > MOST_BYTES:
            return _refused(Place(source=source), f"the file is larger than {MOST_BYTES >> 20} MiB")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
            where = Place(source=source, line=line, column=column)
            return _refused(where, f"byte 0x{raw[error.start]:02x} is no UTF-8 text")
        return cls.parse(text, file)

    @classmethod
    def parse(cls, text: str, file: str) -> "Document":
        """Parses YAML or JSON; never raises."""
        source = Source(file=file, lines=tuple(_LINE_END.split(text)))
        builder = _Builder(source)
        try:
            for event in yaml.parse(text, Loader=_Loader):
                builder.take(event)
        except _Refused as refused:
            return _refused(refused.place, str(refused))
        except yaml.YAMLError as error:
            return _refused(_place_of(error, source, text), _words_of(error))
        except RecursionError:
            return _refused(Place(source=source), "nested too deeply")
        root = builder.root or Node(place=Place(source=source, line=1, column=1), value=None)
        return cls(source=source, root=root, problems=tuple(builder.problems))

    @classmethod
    def of(cls, data: object, file: str) -> "Document":
        """A document from plain data without a text: its problems name file and path only."""
        place = Place(source=Source(file=file))
        try:
            return cls(source=place.source, root=_node_of(data, place))
        except _Refused as refused:
            return _refused(place, str(refused))

    @property
    def data(self) -> Any:
        """The values as dicts, lists and plain values; None for an empty or broken text."""
        return self.root.plain()

    def problem(
        self, steps: Steps, message: str, *, severity: str = "error", key: bool = False, hide: int = 0
    ) -> Problem:
        """A Problem at these steps (with `key` at the key itself); the first `hide` steps are not shown."""
        return self.root.nearest(steps, key=key).problem(spell(steps[hide:]), message, severity=severity)

    def nested(self, steps: Steps) -> "Document":
        """The document inside a text value, such as JSON in `protocols`; all its places are that text's place."""
        node = self.root.find(*steps)
        if node is None or not isinstance(node.value, str):
            return _refused(self.root.nearest(steps), "must be a text that holds JSON")
        inner = Document.parse(node.value, self.source.file)
        if inner.root.value is None and inner.problems:
            return _refused(node.place, f"the text holds no JSON: {inner.problems[0].message}")
        problems = tuple(node.place.problem(p.path, p.message, severity=p.severity) for p in inner.problems)
        return Document(source=self.source, root=_node_of(inner.data, node.place), problems=problems)


def _refused(place: Place, message: str) -> Document:
    root = Node(place=place, value=None)
    return Document(source=place.source, root=root, problems=(place.problem("", message),))


def _node_of(data: object, place: Place, depth: int = 0) -> Node:
    if depth > MOST_DEPTH:
        raise _Refused(place, f"nested more than {MOST_DEPTH} levels deep")
    if isinstance(data, Mapping):
        pairs = [(str(key), _node_of(value, place, depth + 1)) for key, value in data.items()]
        return Node(place=place, value={key: Entry(key=place, node=node) for key, node in pairs})
    if isinstance(data, list | tuple):
        return Node(place=place, value=tuple(_node_of(item, place, depth + 1) for item in data))
    if data is None or isinstance(data, str | int | float | bool):
        return Node(place=place, value=data)
    return Node(place=place, value=str(data))


def _place_of(error: yaml.YAMLError, source: Source, text: str) -> Place:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return Place(source=source, line=mark.line + 1, column=mark.column + 1)
    position = getattr(error, "position", None)
    if not isinstance(position, int):
        return Place(source=source)
    before = text[:position]
    return Place(source=source, line=before.count("\n") + 1, column=position - (before.rfind("\n") + 1) + 1)


def _words_of(error: yaml.YAMLError) -> str:
    said = [getattr(error, name, None) for name in ("context", "problem", "reason")]
    words = ", ".join(part for part in said if isinstance(part, str) and part)
    hint = " (a tab? YAML indents with spaces)" if "cannot start any token" in words else ""
    return f"no valid YAML: {words or 'unreadable'}{hint}"


class _Refused(Exception):
    def __init__(self, place: Place, message: str) -> None:
        self.place = place
        super().__init__(message)


@dataclass(slots=True)
class _Open:
    """A map or list that is being read; `key` is the one that waits for its value."""

    place: Place
    anchor: str | None
    entries: dict[str, Entry] | None = None
    items: list[Node] = field(default_factory=list)
    merges: list[Node] = field(default_factory=list)
    key: Node | None = None
    size: int = 1
    depth: int = 1


class _Builder:
    """Turns parser events into nodes without recursion; alias and depth bombs end it."""

    def __init__(self, source: Source) -> None:
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._source = source
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        self._documents = 0

    def take(self, event: Any) -> None:
        """One event of the parser, in order."""
        mark = event.start_mark
        place = Place(source=self._source, line=mark.line + 1, column=mark.column + 1)
        if isinstance(event, yaml.ScalarEvent):
            self._finish(self._scalar(event, place), event.anchor, size=1, depth=0)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._start(event, place)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._end()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(str(event.anchor), place)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _Refused(place, "a second YAML document begins here: one document a file")

    def _scalar(self, event: Any, place: Place) -> Node:
        text: str = event.value
        quoted = bool(event.style) or event.tag in ("!", _TAG + "str")
        if event.tag not in (None, "!", _TAG + "str", *_PLAIN_TAGS):
            message = f"the tag {event.tag.replace(_TAG, '!!')} is not allowed: plain values only"
            self.problems.append(place.problem(self._where(), message))
        if quoted:
            return Node(place=place, value=text)
        return Node(place=place, value=_plain(text), written=text)

    def _start(self, event: Any, place: Place) -> None:
        if len(self._open) >= MOST_DEPTH:
            raise _Refused(place, f"nested more than {MOST_DEPTH} levels deep")
        entries: dict[str, Entry] | None = {} if isinstance(event, yaml.MappingStartEvent) else None
        if event.tag not in (None, "!", *_PLAIN_TAGS):
            message = f"the tag {event.tag.replace(_TAG, '!!')} is not allowed: plain values only"
            self.problems.append(place.problem(self._where(), message))
        self._open.append(_Open(place=place, anchor=event.anchor, entries=entries))

    def _end(self) -> None:
        done = self._open.pop()
        if done.entries is None:
            node = Node(place=done.place, value=tuple(done.items))
        else:
            for merge in done.merges:
                for key, entry in merge.entries.items():
                    done.entries.setdefault(key, entry)
            node = Node(place=done.place, value=done.entries)
        self._finish(node, done.anchor, size=done.size, depth=done.depth)

    def _alias(self, anchor: str, place: Place) -> None:
        if any(opened.anchor == anchor for opened in self._open):
            raise _Refused(place, f"*{anchor} contains itself")
        if anchor not in self._anchors:
            raise _Refused(place, f"*{anchor} has no anchor &{anchor} before it")
        node, size, depth = self._anchors[anchor]
        self._finish(node, None, size=size, depth=depth)

    def _finish(self, node: Node, anchor: str | None, *, size: int, depth: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size, depth)
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        parent.size += size
        parent.depth = max(parent.depth, depth + 1)
        if parent.size > MOST_NODES:
            raise _Refused(parent.place, f"holds more than {MOST_NODES} values with its aliases")
        if parent.depth + len(self._open) > MOST_DEPTH + 1:
            raise _Refused(parent.place, f"nested more than {MOST_DEPTH} levels deep")
        if parent.entries is None:
            parent.items.append(node)
        elif parent.key is None:
            parent.key = node
        else:
            self._entry(parent, parent.key, node)
            parent.key = None

    def _entry(self, parent: _Open, key: Node, node: Node) -> None:
        entries = parent.entries
        assert entries is not None
        if key.written == "<<":
            self._merge(parent, key, node)
            return
        if isinstance(key.value, str):
            name = key.value
        elif key.written is not None:
            name = key.written
            kind = key.kind if key.value is not None else "null"
            message = f'{kind} as a key: core-metadata refuses it; write "{name}" in quotes'
            self.problems.append(key.place.problem(self._where(name), message))
        else:
            self.problems.append(key.place.problem(self._where(), f"{key.kind} cannot be a key"))
            return
        if name in entries:
            message = f"the key is written twice, first in line {entries[name].key.line}"
            self.problems.append(key.place.problem(self._where(name), message))
            return
        entries[name] = Entry(key=key.place, node=node)

    def _merge(self, parent: _Open, key: Node, node: Node) -> None:
        maps = node.items if isinstance(node.value, tuple) else (node,)
        if all(isinstance(one.value, Mapping) for one in maps):
            parent.merges.extend(maps)
        else:
            self.problems.append(key.place.problem(self._where("<<"), "must name a map or a list of maps"))

    def _where(self, *more: str) -> str:
        steps: list[str | int] = []
        for opened, inner in zip(self._open, [*self._open, None][1:], strict=True):
            if inner is None and more:
                break
            if opened.entries is None:
                steps.append(len(opened.items))
            elif opened.key is not None and isinstance(opened.key.value, Plain):
                steps.append(opened.key.written or str(opened.key.value))
        return spell((*steps, *more))


def _plain(text: str) -> Plain:
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > MOST_DIGITS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if _REAL.fullmatch(text):
        return float(text)
    return text
