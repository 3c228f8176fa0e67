"""Protobuf's text format, read without a schema: every fork of Caffe has keys of its own."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

_TOKEN = re.compile(
    r"""(?P<gap>[\s,;]+|\#[^\n]*)|(?P<word>[\w+\-.]+)|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"""|(?P<mark>[{}<>:\[\]])""",
    re.VERBOSE,
)
_DEEPEST = 32
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class Malformed(ValueError):
    """The text is no prototxt, or a key has a value of another kind."""


@dataclass(slots=True)
class Message:
    """The values of each key, in their order; keys that are absent have none."""

    fields: dict[str, list["str | Message"]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    """Keys that somebody looked for: others would go unheeded."""

    def __contains__(self, key: str) -> bool:
        self.asked.add(key)
        return key in self.fields

    def texts(self, key: str) -> Sequence[str]:
        """Raises Malformed where a message stands."""
        self.asked.add(key)
        found = self.fields.get(key, [])
        return [one if isinstance(one, str) else _wrong(key, "{…}", "a value") for one in found]

    def text(self, key: str, default: str = "") -> str:
        found = self.texts(key)
        return found[-1] if found else default

    def integers(self, key: str) -> Sequence[int]:
        """Raises Malformed for what is no integer."""
        return [_integer(key, one) for one in self.texts(key)]

    def integer(self, key: str, default: int) -> int:
        found = self.integers(key)
        return found[-1] if found else default

    def numbers(self, key: str) -> Sequence[float]:
        """Raises Malformed for what is no number."""
        return [_number(key, one) for one in self.texts(key)]

    def number(self, key: str, default: float) -> float:
        found = self.numbers(key)
        return found[-1] if found else float(default)

    def flag(self, key: str, default: bool) -> bool:
        found = self.text(key)
        if found.lower() in ("true", "t", "1"):
            return True
        if found.lower() in ("false", "f", "0"):
            return False
        return default if not found else _wrong(key, found, "true or false")

    def choice(self, key: str, choices: Sequence[str]) -> str:
        """One of the words, the first where the key is absent; an enumeration's number counts along them."""
        found = self.text(key, choices[0])
        if found.isdecimal() and int(found) < len(choices):
            return choices[int(found)]
        return found if found in choices else _wrong(key, found, " or ".join(choices))

    def messages(self, key: str) -> Sequence["Message"]:
        """Raises Malformed where a plain value stands."""
        self.asked.add(key)
        found = self.fields.get(key, [])
        return [one if isinstance(one, Message) else _wrong(key, one, "{…}") for one in found]

    def message(self, key: str) -> "Message":
        found = self.messages(key)
        return found[-1] if found else Message()


def parse(text: str) -> Message:
    """Raises Malformed, with the line, for what is no text format."""
    root = Message()
    _Parser(text).fill(root)
    return root


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


class _Parser:
    """Fills messages without recursion: the depth of a file must not become that of our stack."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._scan()
        self._ahead: _Token | None = None

    def fill(self, root: Message) -> None:
        open_: list[tuple[Message, str]] = [(root, "")]
        while (token := self._next()) is not None:
            message, closing = open_[-1]
            if closing and token.text == closing and token.kind == "mark":
                open_.pop()
                continue
            if token.kind != "word":
                raise self._wrong(token, "a key")
            inner = self._value(message, token.text)
            if inner is not None:
                open_.append(inner)
            if len(open_) > _DEEPEST:
                raise Malformed(f"line {self._line(token.at)}: nested deeper than {_DEEPEST} levels")
        if len(open_) > 1:
            raise Malformed(f"ends before a {open_[-1][1]} that is owed")

    def _value(self, message: Message, key: str) -> tuple[Message, str] | None:
        """Adds what follows a key; a message that begins is given with the mark that ends it."""
        values = message.fields.setdefault(key, [])
        token = self._need("a value")
        if token.text == ":" and token.kind == "mark":
            token = self._need("a value")
        if token.kind == "mark" and token.text in "{<":
            inner = Message()
            values.append(inner)
            return inner, "}" if token.text == "{" else ">"
        if token.kind == "mark" and token.text == "[":
            while (token := self._need("]")).text != "]":
                values.append(self._scalar(token))
            return None
        values.append(self._scalar(token))
        return None

    def _scalar(self, token: _Token) -> str:
        if token.kind == "word":
            return token.text
        if token.kind != "text":
            raise self._wrong(token, "a value")
        parts = [_unquoted(token.text)]
        while (following := self._next()) is not None and following.kind == "text":
            parts.append(_unquoted(following.text))
        self._ahead = following
        return "".join(parts)

    def _next(self) -> _Token | None:
        if self._ahead is not None:
            token, self._ahead = self._ahead, None
            return token
        return next(self._tokens, None)

    def _need(self, what: str) -> _Token:
        token = self._next()
        if token is None:
            raise Malformed(f"ends where {what} is owed")
        return token

    def _scan(self) -> Iterator[_Token]:
        at = 0
        while at < len(self._text):
            found = _TOKEN.match(self._text, at)
            if found is None:
                raise self._wrong(_Token("", self._text[at], at), "text format")
            if found.lastgroup != "gap":
                yield _Token(found.lastgroup or "", found.group(), at)
            at = found.end()

    def _wrong(self, token: _Token, expected: str) -> Malformed:
        return Malformed(f"line {self._line(token.at)}: {token.text[:40]!r} where {expected} belongs")

    def _line(self, at: int) -> int:
        return self._text.count("\n", 0, at) + 1


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text[1:-1])


def _integer(key: str, text: str) -> int:
    try:
        return int(text, 0) if len(text) < 24 else _wrong(key, text, "an integer")
    except ValueError:
        return _wrong(key, text, "an integer")


def _number(key: str, text: str) -> float:
    try:
        return float(text.rstrip("fF") if text[-1:] in "fF" and text.lower() not in ("inf", "-inf") else text)
    except ValueError:
        return _wrong(key, text, "a number")


def _wrong(key: str, found: object, expected: str) -> NoReturn:
    raise Malformed(f"{key}: {str(found)[:40]!r} is not {expected}")
