"""Values with the places where a person wrote them, and how places and near misses are spelled."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgex_inference.contracts.errors import Problem

Steps = tuple[str | int, ...]
Plain = str | int | float | bool | None
_LONGEST = 200
_MOST_SOURCE = 4000
_MOST_MESSAGE = 800
_SIMPLE_KEY = re.compile(r"[^\s.\[\]\"]+")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """A text that places point into; `origin` says in a user's words where its values come from."""

    file: str
    lines: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something stands; `line` and `column` count from 1, 0 is unknown."""

    source: Source
    line: int = 0
    column: int = 0

    def problem(self, path: str, message: str, *, severity: str = "error") -> Problem:
        """A Problem here, with the source line; `path` is the dotted path that the user sees.

        Endless lines and messages (a file without line ends, a huge text as a value) are left out and cut.
        """
        lines = self.source.lines
        source = lines[self.line - 1] if 0 < self.line <= len(lines) else ""
        if len(message) > _MOST_MESSAGE:
            message = message[: _MOST_MESSAGE // 2] + " … " + message[-_MOST_MESSAGE // 2 :]
        return Problem(
            file=self.source.file,
            path=path,
            message=message,
            line=self.line,
            column=self.column,
            source=source if len(source) <= _MOST_SOURCE else "",
            severity=severity,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """One value and its place: a mapping of Entries, a tuple of Nodes, or a plain value.

    `written` is the text of an unquoted scalar (`1.10` for the number 1.1), None for a quoted one.
    """

    place: Place
    value: "Mapping[str, Entry] | tuple[Node, ...] | Plain"
    written: str | None = None

    @property
    def entries(self) -> "Mapping[str, Entry]":
        """The entries of a mapping; empty for anything else."""
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def items(self) -> "tuple[Node, ...]":
        """The elements of a sequence; empty for anything else."""
        return self.value if isinstance(self.value, tuple) else ()

    @property
    def kind(self) -> str:
        """What a person calls it: a map, a list, a text, a number, a boolean, empty."""
        if isinstance(self.value, Mapping):
            return "a map"
        if isinstance(self.value, tuple):
            return "a list"
        if self.value is None:
            return "empty"
        return {str: "a text", bool: "a boolean"}.get(type(self.value), "a number")

    def child(self, step: str | int) -> "Node | None":
        """The node under a key or at an index, or None."""
        if isinstance(step, str):
            entry = self.entries.get(step)
            return entry.node if entry is not None else None
        return self.items[step] if 0 <= step < len(self.items) else None

    def find(self, *steps: str | int) -> "Node | None":
        """The node at these steps below this one, or None."""
        node: Node | None = self
        for step in steps:
            node = node.child(step) if node is not None else None
        return node

    def nearest(self, steps: Steps, *, key: bool = False) -> Place:
        """The place of the deepest existing node on the way; with `key` that of the last step's key."""
        node = self
        for index, step in enumerate(steps):
            if key and index == len(steps) - 1 and isinstance(step, str) and step in node.entries:
                return node.entries[step].key
            found = node.child(step)
            if found is None:
                break
            node = found
        return node.place

    def plain(self) -> Any:
        """The value as dicts, lists and plain values."""
        if isinstance(self.value, Mapping):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        return self.value

    def labelled(self, origin: str) -> "Node":
        """The same values under another origin, such as `device pump-3`."""
        return self._moved(replace(self.place.source, origin=origin))

    def _moved(self, source: Source) -> "Node":
        value = self.value
        if isinstance(value, Mapping):
            value = {
                key: Entry(key=replace(entry.key, source=source), node=entry.node._moved(source))
                for key, entry in value.items()
            }
        elif isinstance(value, tuple):
            value = tuple(item._moved(source) for item in value)
        return replace(self, place=replace(self.place, source=source), value=value)

    def merged(self, over: "Node") -> "Node":
        """This node with `over` laid on it: maps merge key by key, everything else is replaced."""
        if not (isinstance(self.value, Mapping) and isinstance(over.value, Mapping)):
            return over
        entries = dict(self.value)
        for key, entry in over.value.items():
            mine = entries.get(key)
            entries[key] = replace(entry, node=mine.node.merged(entry.node)) if mine is not None else entry
        return replace(self, value=entries)

    def leaves(self, steps: Steps = ()) -> "Iterator[tuple[Steps, Node]]":
        """Every node that is no filled map, with its steps from here."""
        if not self.entries:
            yield steps, self
        for key, entry in self.entries.items():
            yield from entry.node.leaves((*steps, key))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A key's place and its value."""

    key: Place
    node: Node


def spell(steps: Steps) -> str:
    """The dotted path of these steps: `People.accelerator[0]`; odd keys are quoted: `zones["a.b"]`."""
    text = ""
    for step in steps:
        if isinstance(step, str) and _SIMPLE_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{step if isinstance(step, int) else json.dumps(step, ensure_ascii=False)}]"
    return text


def suggest(word: str, choices: Iterable[str]) -> str:
    """` (did you mean X?)` for the nearest choice, or nothing."""
    near = nearest(word, choices)
    return f" (did you mean {near}?)" if near else ""


def nearest(word: str, choices: Iterable[str]) -> str:
    """The choice that was probably meant, or nothing; letters of either case count as equal."""
    matcher = difflib.SequenceMatcher(b=word[:_LONGEST].lower())
    best, found = 0.6, ""
    for choice in choices:
        matcher.set_seq1(choice[:_LONGEST].lower())
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best and matcher.ratio() > best:
            best, found = matcher.ratio(), choice
    return found


def listed(words: Iterable[str], *, last: str = "or") -> str:
    """`a, b or c`."""
    every = list(words)
    return f"{', '.join(every[:-1])} {last} {every[-1]}" if len(every) > 1 else "".join(every)
