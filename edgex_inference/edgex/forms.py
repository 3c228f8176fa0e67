"""Messages that differ in a few texts only: what `wire` writes, kept with slots and filled in for each event."""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import msgspec
import pybase64

from edgex_inference.contracts.events import Event, Reading
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import envelope, ids, wire
from edgex_inference.edgex.dialect import Dialect

_encode = msgspec.json.Encoder().encode
_CORRELATION, _DEVICE, _ORIGIN, _BLOCK, _FIRST = 0, 1, 2, 3, 4
"""Slots; from the last one on the texts of the readings."""
_MARK = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|[0-9]{19}")


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of event in one dialect: `fill` gives the bytes that `wire.encode` gives for the whole event."""

    _body: str
    _pick: Callable[[Sequence[Any]], tuple[Any, ...]]
    _around: tuple[bytes, bytes, bytes] | None = None
    _headers: dict[str, str] = field(default_factory=dict)
    _marked: str = ""

    def fill(self, topic: str, slots: Sequence[Any]) -> Message:
        """`slots`: correlation id, device, origin, one of `ids.blocks`, each reading's text; as `escaped` has them."""
        body = (self._body % self._pick(slots)).encode()
        if self._around is not None:
            before, middle, after = self._around
            said = slots[_CORRELATION].encode()
            body = b"".join((before, said, middle, pybase64.b64encode(body), after))
        elif self._headers:
            said = msgspec.json.decode(f'"{slots[_CORRELATION]}"')
            headers = {key: said if text == self._marked else text for key, text in self._headers.items()}
            return Message(topic, body, headers)
        return Message(topic, body)


def escaped(text: str) -> str:
    """A text as it stands between the quotes of JSON."""
    return _encode(text)[1:-1].decode()


def form(pattern: Event, dialect: Dialect, *, bare: bool = False) -> Form | None:
    """The form of events like `pattern`, whose device, origin, ids and values of simple readings do not matter.

    All readings have the device and the origin of the event. None for a dialect that writes no JSON, for EdgeX 2
    (where a text may be spelled otherwise), and for more readings than a block has ids.
    """
    if len(pattern.readings) >= ids.BLOCK or dialect.major == "2":
        return None
    marks = _Marks.of(len(pattern.readings))
    encode = wire.encode_bare if bare else wire.encode
    message = encode(
        marks.put(pattern), topic="form", correlation_id=marks.correlation, dialect=dialect, written=True
    )
    read = envelope.read(message)
    if read.content_type != wire.JSON or not isinstance(read.payload, bytes):
        return None
    if message.headers:
        headers = dict(message.headers)
        return Form(*marks.slots(message.payload.decode()), None, headers, marks.correlation)
    coded = pybase64.b64encode(read.payload)
    if coded in message.payload:
        before, after = message.payload.split(coded)
        first, middle = before.split(marks.correlation.encode())
        return Form(*marks.slots(read.payload.decode()), (first, middle, after))
    return Form(*marks.slots(message.payload.decode()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marks:
    """Texts that stand in no name: what is found in their place in the bytes becomes a slot."""

    correlation: str
    device: str
    origin: int
    ids: tuple[str, ...]
    values: tuple[str, ...]

    @classmethod
    def of(cls, readings: int) -> "_Marks":
        return cls(
            correlation=secrets.token_hex(16),
            device=secrets.token_hex(16),
            origin=10**18 + secrets.randbits(62),
            ids=tuple(ids.new_id() for _ in range(readings + 1)),
            values=tuple(secrets.token_hex(16) for _ in range(readings)),
        )

    def put(self, pattern: Event) -> Event:
        """The event with marks in all places that change."""
        return msgspec.structs.replace(
            pattern,
            id=self.ids[0],
            device_name=self.device,
            origin=self.origin,
            readings=tuple(
                self._put(one, id_, value)
                for one, id_, value in zip(pattern.readings, self.ids[1:], self.values, strict=True)
            ),
        )

    def _put(self, reading: Reading, id_: str, value: str) -> Reading:
        return msgspec.structs.replace(
            reading, id=id_, device_name=self.device, origin=self.origin, value=value
        )

    def slots(self, text: str) -> tuple[str, Callable[[Sequence[Any]], tuple[Any, ...]]]:
        """The text as a format, and what picks its arguments."""
        marks = (self.correlation, self.device, str(self.origin), *self.values)
        slots = (_CORRELATION, _DEVICE, _ORIGIN, *range(_FIRST, _FIRST + len(self.values)))
        formats = {mark: (slot, "%s") for mark, slot in zip(marks, slots, strict=True)}
        formats |= {mark: (_BLOCK, ids.of_block(place)) for place, mark in enumerate(self.ids)}
        found: list[int] = []

        def slot(hit: re.Match[str]) -> str:
            if hit[0] not in formats:
                return hit[0]
            place, form = formats[hit[0]]
            found.append(place)
            return form

        body = _MARK.sub(slot, text.replace("%", "%%"))
        if len(found) == 1:
            (only,) = found
            return body, lambda slots: (slots[only],)
        return body, itemgetter(*found)
