"""Kaldi's streams, text or binary, as tokens and values: neither says of itself what kind a value is."""

import re
import warnings
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgex_inference.contracts.tensors import Array

_TOKEN = re.compile(rb"<[/!A-Za-z][\w\-./]*> ?")
_WORD = re.compile(rb"[^\s\[\]]+")
_SPACE = re.compile(rb"\s*")
_ARRAYS = {b"FM ": ("<f4", 2), b"DM ": ("<f8", 2), b"FV ": ("<f4", 1), b"DV ": ("<f8", 1)}
_LARGEST_LISTED = 1 << 24
_LONGEST = 1024
"""Bytes of a token or a name."""


class Malformed(ValueError):
    """The bytes are none that Kaldi writes."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value; `raw` are its bytes in a binary file (an integer or a float, which it does not say), or its text."""

    raw: bytes
    text: bool

    @property
    def number(self) -> float:
        if self.text:
            return _float(self.raw)
        return float(np.frombuffer(self.raw, "<f4" if len(self.raw) == 4 else "<f8")[0])

    @property
    def integer(self) -> int:
        if not self.text:
            return int.from_bytes(self.raw, "little", signed=True)
        try:
            return int(self.raw[:_LONGEST])
        except ValueError:
            raise Malformed(f"{self.raw[:40]!r} where an integer belongs") from None

    @property
    def flag(self) -> bool:
        if self.raw not in (b"T", b"F"):
            raise Malformed(f"{self.raw[:40]!r} where T or F belongs")
        return self.raw == b"T"


Item = Scalar | Array


class Source(Protocol):
    """A stream at a place."""

    def token(self) -> str | None:
        """The token or the name that is next; None at the end."""

    def at_token(self) -> bool:
        """Whether a token `<…>` (or the end) is next."""

    def item(self) -> Item:
        """The value that is next; raises Malformed for none."""

    def scalar(self) -> Scalar:
        """The number that is next, where no list can be; raises Malformed for none."""

    def line(self) -> str:
        """The rest of the line; raises Malformed at the end."""


class TextSource:
    """Words between white space, arrays between brackets."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def _skip(self) -> int:
        found = _SPACE.match(self._data, self._at)
        self._at = found.end() if found else self._at
        return self._at

    def at_token(self) -> bool:
        at = self._skip()
        return at >= len(self._data) or self._data[at : at + 1] == b"<"

    def token(self) -> str | None:
        found = _WORD.match(self._data, self._skip())
        if found is None:
            if self._at < len(self._data):
                raise Malformed("an array where a token belongs")
            return None
        self._at = found.end()
        return str(found.group()[:_LONGEST], "utf-8", "replace")

    def item(self) -> Item:
        at = self._skip()
        if self._data[at : at + 1] == b"[":
            end = self._data.find(b"]", at)
            if end < 0:
                raise Malformed("ends within an array")
            self._at = end + 1
            return _text_array(self._data[at + 1 : end])
        found = _WORD.match(self._data, at)
        if found is None:
            raise Malformed("ends where a value is owed")
        self._at = found.end()
        return Scalar(found.group(), text=True)

    def scalar(self) -> Scalar:
        found = self.item()
        if not isinstance(found, Scalar):
            raise Malformed("an array where a number belongs")
        return found

    def line(self) -> str:
        return _line(self)


def _text_array(body: bytes) -> Array:
    """A matrix begins on a line of its own, a vector does not; pairs have commas."""
    pairs = b"," in body
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            numbers = np.fromstring(body.replace(b",", b" ").decode("ascii"), np.float64, sep=" ")
        except (DeprecationWarning, ValueError):
            raise Malformed(f"{body[:40]!r} where numbers belong") from None
    if pairs:
        if numbers.size % 2:
            raise Malformed("pairs of which one lacks its second number")
        return numbers.reshape(-1, 2)
    if not body.split(b"\n", 1)[0].strip() and b"\n" in body and numbers.size:
        rows = sum(1 for line in body.split(b"\n") if line.strip())
        if numbers.size % rows:
            raise Malformed("a matrix whose rows differ in length")
        return numbers.reshape(rows, -1)
    return numbers


class BinarySource:
    """Values of which each begins with its size; whether an integer, a float or a list is told by what follows."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def at_token(self) -> bool:
        return self._at >= len(self._data) or _TOKEN.match(self._data, self._at) is not None

    def token(self) -> str | None:
        if self._at >= len(self._data):
            return None
        end = self._data.find(b" ", self._at, self._at + _LONGEST)
        if end < 0:
            raise Malformed("no token where one belongs")
        found = self._data[self._at : end]
        self._at = end + 1
        return str(found, "utf-8", "replace").strip()

    def item(self) -> Item:
        data, at = self._data, self._at
        for tag, (dtype, axes) in _ARRAYS.items():
            if data.startswith(tag, at):
                return self._array(at + len(tag), dtype, axes)
        head = data[at : at + 1]
        if head in (b"T", b"F"):
            self._at = at + 1
            return Scalar(head, text=False)
        size = head[0] if head else 0
        if size in (252, 248):
            size = 256 - size
        if size not in (1, 4, 8) or at + 1 + size > len(data):
            raise Malformed("no value where one belongs" if head else "ends where a value is owed")
        if size == 4 and not self._begins(at + 5):
            listed = self._listed(at)
            if listed is not None:
                return listed
        return self._scalar(size)

    def scalar(self) -> Scalar:
        size = self._data[self._at] if self._at < len(self._data) else 0
        if size not in (4, 8) or self._at + 1 + size > len(self._data):
            raise Malformed("no number where one belongs")
        return self._scalar(size)

    def _scalar(self, size: int) -> Scalar:
        first = self._at + 1
        self._at = first + size
        return Scalar(self._data[first : self._at], text=False)

    def _array(self, at: int, dtype: str, axes: int) -> Array:
        shape = []
        for _ in range(axes):
            if self._data[at : at + 1] != b"\x04" or at + 5 > len(self._data):
                raise Malformed("an array without its size")
            shape.append(int.from_bytes(self._data[at + 1 : at + 5], "little", signed=True))
            at += 5
        count = shape[0] * shape[-1] if axes == 2 else shape[0]
        end = at + count * np.dtype(dtype).itemsize
        if min(shape) < 0 or end > len(self._data):
            raise Malformed(f"an array of {'×'.join(map(str, shape))} that the file does not hold")
        self._at = end
        return np.frombuffer(self._data, dtype, count, at).reshape(shape)

    def _listed(self, at: int) -> Array | None:
        """Integers, or pairs of them, if something begins where they end."""
        count = int.from_bytes(self._data[at + 1 : at + 5], "little", signed=True)
        for width in (1, 2):
            end = at + 5 + 4 * width * count
            if count < 1 or end > len(self._data) or not self._begins(end):
                continue
            found = np.frombuffer(self._data, "<i4", count * width, at + 5)
            # What stands between two tokens by chance is no list of frames or columns.
            if np.abs(found.astype(np.int64)).max() < _LARGEST_LISTED:
                self._at = end
                return found if width == 1 else found.reshape(-1, 2)
        return None

    def _begins(self, at: int) -> bool:
        """Whether a token or an array begins at a place, or the file ends there."""
        return (
            at == len(self._data)
            or _TOKEN.match(self._data, at) is not None
            or self._data[at : at + 3] in _ARRAYS
        )

    def line(self) -> str:
        return _line(self)


def _line(source: TextSource | BinarySource) -> str:
    end = source._data.find(b"\n", source._at)
    if end < 0:
        raise Malformed("ends within the description of its nodes")
    found = source._data[source._at : end]
    source._at = end + 1
    return str(found, "utf-8", "replace").strip()


def _float(raw: bytes) -> float:
    try:
        return float(raw[:_LONGEST])
    except ValueError:
        raise Malformed(f"{raw[:40]!r} where a number belongs") from None
