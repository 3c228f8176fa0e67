"""EdgeX topics as Redis channels and patterns: `/` is `.` there, and `*` crosses levels."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edgex_inference.buses.topics import minimal_cover

_GLOB = re.compile(r"([*?\[\]\\])")
_REMEMBERED = 20_000


def channel_of(topic: str) -> str:
    """The channel of a topic; a dot in a name is escaped as EdgeX does, else it would be a level more."""
    return topic.replace(".", "%2E").replace("/", ".")


def topic_of(channel: str) -> str:
    """The topic of a channel: names stay escaped, as on every bus."""
    return channel.replace(".", "/")


def escaped(topic: str) -> str:
    """A topic or filter as `topic_of` would give it back."""
    return topic.replace(".", "%2E")


def patterns_of(filters: Iterable[str]) -> tuple[str, ...]:
    """What to PSUBSCRIBE to, to hear everything that the filters let through, and more.

    A filter that ends in `#` means its parent too, which needs a pattern of its own.
    """
    patterns: dict[str, None] = {}
    for text in minimal_cover(filters):
        levels = channel_of(text).split(".")
        glob = ".".join("*" if level in ("+", "#") else _GLOB.sub(r"\\\1", level) for level in levels)
        patterns[glob] = None
        if len(levels) > 1 and levels[-1] == "#":
            patterns[glob.removesuffix(".*")] = None
    return tuple(patterns)


def _regex(pattern: str) -> re.Pattern[str]:
    """What Redis's own matching makes of one of `patterns_of`."""
    parts = re.split(r"(\\.|\*)", pattern)
    return re.compile(
        "".join(".*" if part == "*" else re.escape(part.removeprefix("\\") or part) for part in parts),
        re.DOTALL,
    )


@dataclass(slots=True)
class Patterns:
    """The patterns in force at this point of the server's stream.

    Redis sends a message once for each pattern that it matches; the copy of the first of them is the one that counts.
    """

    _all: dict[str, re.Pattern[str]] = field(default_factory=dict)
    _first: dict[str, str | None] = field(default_factory=dict)

    def add(self, pattern: str) -> None:
        self._all[pattern] = _regex(pattern)
        self._first.clear()

    def remove(self, pattern: str) -> None:
        self._all.pop(pattern, None)
        self._first.clear()

    def clear(self) -> None:
        self._all.clear()
        self._first.clear()

    @property
    def in_force(self) -> Mapping[str, re.Pattern[str]]:
        return self._all

    def counts(self, pattern: str, channel: str) -> bool:
        """Whether the copy that came for this pattern is the one to take."""
        if len(self._all) == 1:
            return True
        first = self._first.get(channel)
        if first is None:
            if len(self._first) >= _REMEMBERED:
                self._first.clear()
            first = next((one for one, regex in self._all.items() if regex.fullmatch(channel)), pattern)
            self._first[channel] = first
        return first == pattern
