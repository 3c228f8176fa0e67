"""The one matcher for topics and filters, with MQTT's meaning, whatever the bus itself speaks.

A filter is a topic whose levels may be `+` (any one level) or, last, `#` (the parent and everything below).
A leading wildcard never matches a topic whose first level starts with `$`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar

T = TypeVar("T")

_LONGEST = 65535
_REMEMBERED = 20_000
"""Topics whose answer a TopicMap keeps; past it the memory starts anew."""


@lru_cache(maxsize=8192)
def mistake_in_topic(topic: str) -> str | None:
    """What keeps this text from being a topic to publish on, or None."""
    if "+" in topic or "#" in topic:
        return "a topic to publish on has no wildcards ('+', '#')"
    return _mistake_in_text(topic)


def mistake_in_filter(text: str) -> str | None:
    """What keeps this text from being a filter to subscribe to, or None."""
    levels = text.split("/")
    for number, level in enumerate(levels):
        if "#" in level and (level != "#" or number != len(levels) - 1):
            return "'#' stands alone, as the last level"
        if "+" in level and level != "+":
            return "'+' stands alone in its level"
    return _mistake_in_text(text)


def _mistake_in_text(text: str) -> str | None:
    if not text:
        return "it is empty"
    if "\0" in text:
        return "it has a NUL character"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "it is no valid Unicode"
    return f"it is longer than {_LONGEST} bytes" if size > _LONGEST else None


def matches(pattern: str, topic: str) -> bool:
    """Whether the filter lets this topic through."""
    return covers(pattern, topic)


def covers(wide: str, narrow: str) -> bool:
    """Whether every topic that `narrow` (a filter or a topic) lets through passes `wide` too."""
    if wide == "+/#":  # equals '#': there is no topic without a first level
        wide = "#"
    wider, narrower = wide.split("/"), narrow.split("/")
    for index, level in enumerate(wider):
        if level == "#":
            return index > 0 or not narrow.startswith("$")
        if index >= len(narrower) or narrower[index] == "#":
            return False
        if level == "+":
            if index == 0 and narrow.startswith("$"):
                return False
        elif level != narrower[index]:
            return False
    return len(wider) == len(narrower)


def overlaps(one: str, other: str) -> bool:
    """Whether some topic passes both filters."""
    left, right = one.split("/"), other.split("/")
    for index in range(max(len(left), len(right))):
        a = left[index] if index < len(left) else None
        b = right[index] if index < len(right) else None
        hidden = index == 0 and (one.startswith("$") or other.startswith("$"))
        if "#" in (a, b):
            return not hidden
        if a is None or b is None:
            return False
        if "+" in (a, b):
            if hidden:
                return False
        elif a != b:
            return False
    return True


def minimal_cover(filters: Iterable[str]) -> tuple[str, ...]:
    """The smallest subset of the filters that lets through all that they all do; sorted."""
    kept: list[str] = []
    for candidate in sorted(set(filters), key=lambda text: (text.count("/"), text)):
        if not any(covers(wide, candidate) for wide in kept):
            kept = [narrow for narrow in kept if not covers(candidate, narrow)]
            kept.append(candidate)
    return tuple(sorted(kept))


def disjoint_cover(filters: Iterable[str]) -> tuple[str, ...]:
    """The minimal cover, with filters that overlap in part joined into one that is wider than both.

    No topic passes two of its filters, so that a broker which delivers a message once for each matching
    subscription delivers it once: `a/+/c` and `a/b/+` become `a/+/+`.
    """
    kept: list[str] = []
    for candidate in minimal_cover(filters):
        growing = candidate
        while clash := next((other for other in kept if overlaps(other, growing)), None):
            kept.remove(clash)
            growing = _joined(clash, growing)
        kept.append(growing)
    return tuple(sorted(kept))


def _joined(one: str, other: str) -> str:
    """The narrowest single filter that lets through all that both do."""
    if covers(one, other):
        return one
    if covers(other, one):
        return other
    left, right = one.split("/"), other.split("/")
    levels: list[str] = []
    for a, b in zip(left, right, strict=False):
        if "#" in (a, b):
            return "/".join([*levels, "#"])
        levels.append(a if a == b else "+")
    return "/".join(levels if len(left) == len(right) else [*levels, "#"])


@dataclass(slots=True)
class _Node(Generic[T]):
    children: "dict[str, _Node[T]]" = field(default_factory=dict)
    here: list[T] = field(default_factory=list)
    below: list[T] = field(default_factory=list)


class TopicMap(Generic[T]):
    """Values under filters, found by topic: a tree of levels, with the answers for known topics kept."""

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        self._root: _Node[T] = _Node()
        self._known: dict[str, tuple[T, ...]] = {}
        self._order: dict[int, int] = {}
        for pattern, value in entries:
            self._order.setdefault(id(value), len(self._order))
            self._insert(pattern.split("/"), value)

    def _insert(self, levels: Sequence[str], value: T) -> None:
        node = self._root
        for level in levels:
            if level == "#":
                node.below.append(value)
                return
            node = node.children.setdefault(level, _Node())
        node.here.append(value)

    def find(self, topic: str) -> tuple[T, ...]:
        """Each value once, in the order of entry, of which at least one filter matches."""
        found = self._known.get(topic)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[topic] = self._search(topic)
        return found

    def _search(self, topic: str) -> tuple[T, ...]:
        hits: dict[int, T] = {}
        nodes = [self._root]
        levels = topic.split("/")
        for index, level in enumerate(levels):
            wild = index > 0 or not topic.startswith("$")
            following: list[_Node[T]] = []
            for node in nodes:
                if wild:
                    hits.update((id(value), value) for value in node.below)
                following += [
                    node.children[key] for key in ((level, "+") if wild else (level,)) if key in node.children
                ]
            nodes = following
        for node in nodes:
            hits.update((id(value), value) for value in (*node.here, *node.below))
        return tuple(hits[key] for key in sorted(hits, key=self._order.__getitem__))
