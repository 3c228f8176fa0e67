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
    """Another node's output, `offset` frames later; zeros where an `optional` one is not there."""

    name: str
    offset: int = 0
    optional: bool = False


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
class Scaled:
    factor: float
    part: "Descriptor"


Descriptor = Node | Once | Constant | Append | Sum | Scaled
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
        return replace(descriptor, offset=descriptor.offset + frames)
    if isinstance(descriptor, Append):
        return Append(tuple(_shifted(one, frames) for one in descriptor.parts))
    if isinstance(descriptor, Sum):
        return Sum(tuple(_shifted(one, frames) for one in descriptor.parts))
    if isinstance(descriptor, Scaled):
        return Scaled(descriptor.factor, _shifted(descriptor.part, frames))
    return descriptor


def _optional(descriptor: Descriptor) -> Descriptor:
    """IfDefined(d): the word comes down to the nodes that d reads."""
    if isinstance(descriptor, Node):
        return replace(descriptor, optional=True)
    if isinstance(descriptor, Append):
        return Append(tuple(_optional(one) for one in descriptor.parts))
    if isinstance(descriptor, Scaled):
        return Scaled(descriptor.factor, _optional(descriptor.part))
    if isinstance(descriptor, Sum):
        raise Malformed("has IfDefined around a Sum: write Sum(IfDefined(…), IfDefined(…))")
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
        if len(parts) > 1:
            raise Malformed("switches its input from frame to frame (Switch): train without it")
        return parts[0]
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
        if _integer(str(last)) != 1:
            raise Malformed(f"computes every {last} frames only (Round): set its second number to 1")
        return _part(first)
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
    elif isinstance(descriptor, Append | Sum):
        for part in descriptor.parts:
            yield from references(part)
    elif isinstance(descriptor, Scaled):
        yield from references(descriptor.part)


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
