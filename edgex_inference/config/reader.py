"""Typed reading of values with places: every mistake is collected, none is raised.

reader = Reader(document.root, problems=problems)
name = reader.need("name").text()
queue = reader.at("queue").integer(low=1)      # None: absent, or wrong and already in `problems`
reader.close()                                 # keys that nobody asked for
"""

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from edgex_inference.config import durations
from edgex_inference.config.places import Node, Place, Steps, listed, nearest, spell, suggest
from edgex_inference.contracts.errors import Problem

YAML_1_1_BOOLEANS = frozenset(
    form for word in ("yes", "no", "on", "off") for form in (word, word.title(), word.upper())
)
"""Words that YAML 1.1 readers take for booleans; here they are texts."""

_T = TypeVar("_T")
DURATION = re.compile(r"[0-9]{1,18}(ns|us|ms|s|m|h)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """One value that may be absent; each read gives None when it is absent or wrong, and says what is wrong."""

    node: Node | None
    place: Place
    steps: Steps
    problems: list[Problem]

    @property
    def given(self) -> bool:
        """Whether the value was written."""
        return self.node is not None

    @property
    def path(self) -> str:
        """The dotted path."""
        return spell(self.steps)

    def say(self, message: str, *, severity: str = "error") -> None:
        """Adds a problem with this value."""
        self.problems.append(self.place.problem(self.path, message, severity=severity))

    def text(self) -> str | None:
        """A non-empty text; a number or boolean that wants quotes is refused with the text to write."""
        node = self._present()
        if node is None:
            return None
        if isinstance(node.value, str):
            if node.value:
                return node.value
            self.say("must not be empty")
        elif node.written is not None:
            self.say(f'must be a text, and YAML reads {node.kind} here: write "{node.written}" in quotes')
        else:
            self.say(f"must be a text, not {node.kind}")
        return None

    def choice(self, words: Collection[str]) -> str | None:
        """One of these words."""
        text = self.text()
        if text is None or text in words:
            return text
        self.say(f"{text!r} is not {listed(words)}{suggest(text, words)}")
        return None

    def number(self, low: float = -math.inf, high: float = math.inf) -> float | None:
        """A finite number in low..high."""
        node = self._present()
        if node is None:
            return None
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            quoted = isinstance(value, str) and _is_number(value)
            self.say(f"must be a number, not {node.kind}" + (": remove the quotes" if quoted else ""))
            return None
        if not math.isfinite(value):
            self.say("must be a finite number")
            return None
        if not low <= value <= high:
            self.say(f"{node.written or value} is not {_interval(low, high)}")
            return None
        return float(value)

    def integer(self, low: float = -math.inf, high: float = math.inf) -> int | None:
        """A whole number in low..high."""
        number = self.number(low, high)
        if number is None:
            return None
        assert self.node is not None
        if not isinstance(self.node.value, int):
            self.say(f"must be a whole number, not {self.node.written or self.node.value}")
            return None
        return self.node.value

    def boolean(self) -> bool | None:
        """`true` or `false`, and no other word for them."""
        node = self._present()
        if node is None or isinstance(node.value, bool):
            return None if node is None else bool(node.value)
        text = node.value if isinstance(node.value, str) else node.kind
        hint = ", a text: remove the quotes" if text in ("true", "false") else ""
        self.say(f"must be true or false, not {text}{hint}")
        return None

    def duration(self) -> float | None:
        """Seconds, from a text such as `800ms`."""
        node = self._present()
        if node is None:
            return None
        text = node.value if isinstance(node.value, str) else node.written or node.kind
        if DURATION.fullmatch(text):
            return durations.seconds(text)
        bare = ": the unit is missing" if not isinstance(node.value, str) and node.written else ""
        self.say(f"{text!r} is no duration such as 800ms, 5s or 1h (units ns us ms s m h){bare}")
        return None

    def items(self, *, length: int | None = None) -> "list[Cursor] | None":
        """The elements of a list, of `length` where that is given."""
        node = self._present()
        if node is None:
            return None
        if not isinstance(node.value, tuple):
            self.say(f"must be a list, not {node.kind}")
            return None
        if length is not None and len(node.value) != length:
            self.say(f"must have {length} elements, not {len(node.value)}")
            return None
        return [
            Cursor(node=item, place=item.place, steps=(*self.steps, index), problems=self.problems)
            for index, item in enumerate(node.value)
        ]

    def texts(self) -> tuple[str, ...] | None:
        """A list of texts; None when one of them is wrong."""
        items = self.items()
        return None if items is None else _whole([item.text() for item in items])

    def numbers(
        self, low: float = -math.inf, high: float = math.inf, *, length: int | None = None
    ) -> tuple[float, ...] | None:
        """A list of finite numbers in low..high; None when one of them is wrong."""
        items = self.items(length=length)
        return None if items is None else _whole([item.number(low, high) for item in items])

    def reader(self) -> "Reader | None":
        """The map's reader."""
        node = self._present()
        if node is None:
            return None
        if isinstance(node.value, tuple | str | int | float):
            self.say(f"must be a map, not {node.kind}")
            return None
        return Reader(node, self.steps, self.problems)

    def readers(self) -> "list[Reader]":
        """The readers of a list of maps; elements that are no maps are said and left out."""
        found = [item.reader() for item in self.items() or ()]
        return [reader for reader in found if reader is not None]

    def plain(self) -> Any:
        """The value as plain data, unchecked; None when it is absent."""
        return self.node.plain() if self.node is not None else None

    def _present(self) -> Node | None:
        if self.node is not None and self.node.value is None:
            self.say("is empty: give it a value or remove the key")
            return None
        return self.node


@dataclass(slots=True)
class Reader:
    """A map whose keys are asked for one by one; `close` reports those that nobody asked for.

    `lacking` holds what was said because a key is not there: a misspelt one is one mistake, and told once.
    """

    node: Node
    steps: Steps = ()
    problems: list[Problem] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    lacking: dict[str, list[Problem]] = field(default_factory=dict)

    @property
    def keys(self) -> Sequence[str]:
        """The keys as written, in order."""
        return tuple(self.node.entries)

    def at(self, key: str) -> Cursor:
        """The value of a key, which may be absent."""
        self.asked.add(key)
        node = self.node.child(key)
        place = node.place if node is not None else self.node.place
        return Cursor(node=node, place=place, steps=(*self.steps, key), problems=self.problems)

    def need(self, key: str) -> Cursor:
        """The value of a key that must be there."""
        cursor = self.at(key)
        if not cursor.given:
            self.lack(key, "is missing", at=cursor)
        return cursor

    def lack(self, key: str, message: str, *, at: Cursor | None = None) -> None:
        """Adds a problem that there is because this key is absent; `at` another value than the map itself.

        To be said before `close`, which takes it back where it finds the key misspelt.
        """
        if at is None:
            self.say(message)
        else:
            at.say(message)
        self.lacking.setdefault(key, []).append(self.problems[-1])

    def each(self) -> list[tuple[str, Cursor]]:
        """Every key with its value, for maps whose keys are names."""
        return [(key, self.at(key)) for key in self.keys]

    def say(self, message: str, *, severity: str = "error") -> None:
        """Adds a problem with the map itself."""
        self.problems.append(self.node.place.problem(spell(self.steps), message, severity=severity))

    def say_key(self, key: str, message: str, *, severity: str = "error") -> None:
        """Adds a problem with a key, placed at the key and not at its value."""
        place = self.node.nearest((key,), key=True)
        self.problems.append(place.problem(spell((*self.steps, key)), message, severity=severity))

    def close(self, *, what: str = "key") -> None:
        """Reports every key that was not asked for, with the nearest that was."""
        for key in self.keys:
            if key in self.asked:
                continue
            meant = nearest(key, sorted(self.asked))
            told = self.lacking.pop(meant, [])
            self.problems[:] = [one for one in self.problems if all(one is not other for other in told)]
            hint = suggest(key, [meant]) or (
                f"; known: {', '.join(sorted(self.asked))}" if len(self.asked) <= 12 else ""
            )
            yaml_1_1 = "; YAML 1.1 makes it a boolean" if key in YAML_1_1_BOOLEANS else ""
            self.say_key(key, f"unknown {what} {key!r}{hint}{yaml_1_1}")


def _whole(found: Sequence[_T | None]) -> tuple[_T, ...] | None:
    kept = tuple(one for one in found if one is not None)
    return kept if len(kept) == len(found) else None


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _interval(low: float, high: float) -> str:
    if high == math.inf:
        return f"at least {_bound(low)}"
    if low == -math.inf:
        return f"at most {_bound(high)}"
    return f"in {_bound(low)}..{_bound(high)}"


def _bound(number: float) -> str:
    """Whole numbers with all their digits."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else f"{number:g}"
