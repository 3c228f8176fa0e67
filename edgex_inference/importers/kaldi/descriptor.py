"""nnet3's descriptors: what a node is fed, as an expression over other nodes and their time."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edgex_inference.importers.kaldi.items import Malformed

_WORD = re.compile(r"\s*([\w.\-+]+|[(),])")
_DEEPEST = 32
_MOST_PARTS = 4096


@dataclass(frozen=True, slots=True)
class Node:
    """Another node's output, `offset` frames later; zeros where an `optional` one is not there.

    With `every` above 1 only each so-many-th frame is read: that of `before` frames later, rounded down, then `offset`.
    """

    name: str
    offset: int = 0
    optional: bool = False
    every: int = 1
    before: int = 0


@dataclass(frozen=True, slots=True)
class Once:
    """The one frame of an input that holds for the whole utterance, an iVector's."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    value: float
    dim: int


@dataclass(frozen=True, slots=True)
class Append:
    """Side by side."""

    parts: tuple["Descriptor", ...]


@dataclass(frozen=True, slots=True)
class Sum:
    parts: tuple["Descriptor", ...]


@dataclass(frozen=True, slots=True)
class Switch:
    """One of the parts in turn, by the number of the frame `before` frames later."""

    parts: tuple["Descriptor", ...]
    before: int = 0


@dataclass(frozen=True, slots=True)
class Scaled:
    factor: float
    part: "Descriptor"


Descriptor = Node | Once | Constant | Append | Sum | Switch | Scaled
_ARGUMENTS: Mapping[str, str] = {
    "Append": "d*", "Sum": "dd", "Scale": "nd", "Const": "nn", "Failover": "dd", "IfDefined": "d",
    "Offset": "dn", "Round": "dn", "ReplaceIndex": "dwn", "Switch": "d*",
}  # fmt: skip
"""Of each function: d a descriptor, n a number, w a word, d* many descriptors."""


def parse(text: str) -> Descriptor:
    """Raises Malformed for what is no descriptor, or for one that cannot be brought over, with the reason."""
    words = _words(text)
    found = _parse(next(words, ""), words, 0)
    rest = next(words, "")
    if rest:
        raise Malformed(f"{text[:80]!r} goes on behind its end")
    return found


def _words(text: str) -> Iterator[str]:
    at = 0
    while text[at:].strip():
        found = _WORD.match(text, at)
        if found is None:
            raise Malformed(f"{text[:80]!r} is no descriptor")
        yield found[1]
        at = found.end()


def _parse(word: str, words: Iterator[str], depth: int) -> Descriptor:
    """One descriptor that begins with a word."""
    if depth > _DEEPEST:
        raise Malformed(f"nests descriptors deeper than {_DEEPEST}")
    kinds = _ARGUMENTS.get(word)
    if kinds is None:
        if not word or word in "(),":
            raise Malformed(f"has {word!r} where a descriptor belongs")
        return Node(word)
    _need(next(words, ""), "(")
    if word == "Offset":
        return _offset(words, depth)
    if kinds == "d*":
        return _many(word, words, depth)
    given: list[Descriptor | str] = []
    for index, kind in enumerate(kinds):
        first = next(words, "")
        given.append(_parse(first, words, depth + 1) if kind == "d" else first)
        if index < len(kinds) - 1:
            _need(next(words, ""), ",")
    _need(next(words, ""), ")")
    return _made(word, given)


def _offset(words: Iterator[str], depth: int) -> Descriptor:
    """Offset(d, t[, x]): the shift comes down to the nodes that d reads."""
    inner = _parse(next(words, ""), words, depth + 1)
    _need(next(words, ""), ",")
    frames = _integer(next(words, ""))
    mark = next(words, "")
    if mark == ",":
        if _integer(next(words, "")):
            raise Malformed("shifts x, which nothing here has")
        mark = next(words, "")
    _need(mark, ")")
    return _shifted(inner, frames)


def _shifted(descriptor: Descriptor, frames: int) -> Descriptor:
    if isinstance(descriptor, Node):
        if descriptor.every > 1:
            return replace(descriptor, before=descriptor.before + frames)
        return replace(descriptor, offset=descriptor.offset + frames)
    if isinstance(descriptor, Append):
        return Append(tuple(_shifted(one, frames) for one in descriptor.parts))
    if isinstance(descriptor, Sum):
        return Sum(tuple(_shifted(one, frames) for one in descriptor.parts))
    if isinstance(descriptor, Scaled):
        return Scaled(descriptor.factor, _shifted(descriptor.part, frames))
    if isinstance(descriptor, Switch):
        parts = tuple(_shifted(one, frames) for one in descriptor.parts)
        return Switch(parts, descriptor.before + frames)
    return descriptor


def _rounded(descriptor: Descriptor, every: int) -> Descriptor:
    """Round(d, n): the number comes down to the nodes that d reads."""
    if not 0 < every <= _MOST_PARTS:
        raise Malformed(f"rounds frames to every {every}th (Round)")
    if isinstance(descriptor, Node):
        if descriptor.every > 1 and every > 1:
            raise Malformed("rounds what is rounded already (Round), which cannot be brought over")
        return replace(descriptor, every=max(every, descriptor.every))
    if isinstance(descriptor, Append):
        return Append(tuple(_rounded(one, every) for one in descriptor.parts))
    if isinstance(descriptor, Sum):
        return Sum(tuple(_rounded(one, every) for one in descriptor.parts))
    if isinstance(descriptor, Scaled):
        return Scaled(descriptor.factor, _rounded(descriptor.part, every))
    if isinstance(descriptor, Switch) and every > 1:
        raise Malformed("rounds a Switch, which cannot be brought over")
    return descriptor


def _optional(descriptor: Descriptor) -> Descriptor:
    """IfDefined(d): the word comes down to the nodes that d reads."""
    if isinstance(descriptor, Node):
        return replace(descriptor, optional=True)
    if isinstance(descriptor, Append):
        return Append(tuple(_optional(one) for one in descriptor.parts))
    if isinstance(descriptor, Scaled):
        return Scaled(descriptor.factor, _optional(descriptor.part))
    if isinstance(descriptor, Sum | Switch):
        raise Malformed("has IfDefined around a Sum or Switch: write Sum(IfDefined(…), IfDefined(…))")
    return descriptor


def _many(word: str, words: Iterator[str], depth: int) -> Descriptor:
    parts = list[Descriptor]()
    while len(parts) < _MOST_PARTS:
        parts.append(_parse(next(words, ""), words, depth + 1))
        mark = next(words, "")
        if mark == ")":
            break
        _need(mark, ",")
    if word == "Switch":
        return Switch(tuple(parts)) if len(parts) > 1 else parts[0]
    return Append(tuple(parts))


def _made(word: str, given: list[Descriptor | str]) -> Descriptor:
    first, last = given[0], given[-1]
    if word == "Const":
        return Constant(_number(str(first)), _integer(str(last)))
    if word == "Scale":
        return Scaled(_number(str(first)), _part(last))
    if word == "Sum":
        return Sum((_part(first), _part(last)))
    if word == "Round":
        return _rounded(_part(first), _integer(str(last)))
    if word == "ReplaceIndex":
        if given[1] != "t" or not isinstance(first, Node):
            raise Malformed("replaces an index other than t of an input (ReplaceIndex)")
        return Once(first.name)
    if word == "IfDefined":
        return _optional(_part(first))
    return _part(first)  # Failover: the frames of its first part are asked for, and so are there


def _part(given: Descriptor | str) -> Descriptor:
    if isinstance(given, str):
        raise Malformed(f"has {given!r} where a descriptor belongs")
    return given


def references(descriptor: Descriptor) -> Iterator[Node | Once]:
    """The nodes that it reads."""
    if isinstance(descriptor, Node | Once):
        yield descriptor
    elif isinstance(descriptor, Append | Sum | Switch):
        for part in descriptor.parts:
            yield from references(part)
    elif isinstance(descriptor, Scaled):
        yield from references(descriptor.part)


def switches(descriptor: Descriptor) -> bool:
    """Whether a Switch is in it."""
    if isinstance(descriptor, Append | Sum):
        return any(switches(one) for one in descriptor.parts)
    return isinstance(descriptor, Switch) or (isinstance(descriptor, Scaled) and switches(descriptor.part))


def _need(word: str, wanted: str) -> None:
    if word != wanted:
        raise Malformed(f"has {word!r} where {wanted!r} belongs in a descriptor")


def _integer(word: str) -> int:
    try:
        found = int(word)
    except ValueError:
        raise Malformed(f"has {word[:40]!r} where an integer belongs in a descriptor") from None
    if abs(found) > 1_000_000:
        raise Malformed(f"has {found}, which is too far")
    return found


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise Malformed(f"has {word[:40]!r} where a number belongs in a descriptor") from None
