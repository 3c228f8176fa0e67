"""EdgeX topics as NATS subjects: `/` is `.` there, `+` is `*`, a last `#` is `>`."""

import re
from collections.abc import Sequence
from functools import reduce
from urllib.parse import quote

_UNFIT = re.compile(r"[\s\x00-\x1f\x7f.*>]")


def escaped(topic: str) -> str:
    """A topic or filter as `topic_of` would give it back: what a subject cannot hold is escaped as EdgeX does."""
    return _UNFIT.sub(lambda found: "%2E" if found[0] == "." else quote(found[0], safe=""), topic)


def subject_of(topic: str) -> str:
    """The subject of a topic."""
    return escaped(topic).replace("/", ".")


def topic_of(subject: str) -> str:
    """The topic of a subject: names stay escaped, as on every bus."""
    return subject.replace(".", "/")


def mistake_in_levels(topic: str) -> str | None:
    """What keeps a topic from being a subject, or None."""
    return "NATS knows no empty level" if "" in topic.split("/") else None


def wildcard_of(text: str) -> str:
    """The subject of one filter; a `#` leaves the parent out, for which NATS needs a subject of its own."""
    levels = escaped(text).split("/")
    return ".".join({"+": "*", "#": ">"}.get(level, level) for level in levels)


def parent_of(text: str) -> str | None:
    """The filter for the parent that a `#` means too."""
    return text.removesuffix("/#") if text.endswith("/#") else None


def single_subject(filters: Sequence[str]) -> str:
    """One subject, as narrow as may be, that has what all the filters let through, but not the parents of a `#`."""
    subjects = [wildcard_of(text) for text in filters]
    return reduce(_joined, subjects)


def _joined(one: str, other: str) -> str:
    if has(one, other):
        return one
    left, right = one.split("."), other.split(".")
    if len(left) != len(right):
        shorter = min(len(left), len(right)) - 1
        left, right = [*left[:shorter], ">"], [*right[:shorter], ">"]
    levels: list[str] = []
    for a, b in zip(left, right, strict=True):
        if ">" in (a, b):
            return ".".join([*levels, ">"])
        levels.append(a if a == b else "*")
    return ".".join(levels)


def has(wide: str, narrow: str) -> bool:
    """Whether subject `wide` matches all that `narrow` does."""
    left, right = wide.split("."), narrow.split(".")
    for index, level in enumerate(left):
        if index >= len(right):
            return False
        if level == ">":
            return True
        if right[index] == ">" or level not in ("*", right[index]):
            return False
    return len(left) == len(right)
