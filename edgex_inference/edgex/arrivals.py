"""Messages to events in one step: nearly all are alike, and those are read in one pass; the rest as ever."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
import numpy as np
import pybase64
from msgspec import Meta

from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import envelope, events

_KINDS = tuple(kind.value for kind in ValueType)
_Text = Annotated[str, Meta(min_length=1)]
_Time = Annotated[int, Meta(gt=0, le=2**63 - 1)]
_COLON = ord(":")
_TOGETHER = 16
"""Messages whose colons are counted at once: their texts still lie in the processor's cache."""
_AROUND, _INSIDE, _EACH = 7, 10, 7
"""Keys of an envelope, of a request with its event, of a reading."""


class _Reading(Reading, frozen=True, kw_only=True, rename="camel", gc=False):
    """A simple reading that says all it can say: decoding proves it."""

    origin: _Time
    device_name: _Text
    resource_name: _Text
    profile_name: _Text
    value_type: Literal[_KINDS]  # type: ignore[valid-type]  # one text for all of a kind: cheap to compare
    value: str
    id: _Text


class _Event(Event, frozen=True, kw_only=True, rename="camel", gc=False):
    device_name: _Text
    profile_name: _Text
    source_name: _Text
    id: _Text
    origin: _Time
    readings: Annotated[tuple[_Reading, ...], Meta(min_length=1)]


class _Request(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    api_version: str
    request_id: str
    event: _Event


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What EdgeX 3 and 4 write; the payload is the request, or base64 of it."""

    api_version: str
    received_topic: str
    correlation_id: str = msgspec.field(name="correlationID")
    request_id: str = msgspec.field(name="requestID")
    error_code: Literal[0]
    payload: _Request | str
    content_type: Literal["application/json"]


_envelope = msgspec.json.Decoder(_Envelope)
_request = msgspec.json.Decoder(_Request)


Arrival = tuple[Event | None, str]
"""An event and its correlation id; None for what rightly is no event."""


def read(
    messages: Sequence[Message], *, max_bytes: int = envelope.MAX_BYTES
) -> Sequence[Arrival | Exception]:
    """Of each what `events.read(envelope.read(message))` gives, or the error that it raises."""
    found: list[Arrival | Exception] = []
    for at in range(0, len(messages), _TOGETHER):
        found += _read(messages[at : at + _TOGETHER], max_bytes)
    return found


def _read(messages: Sequence[Message], max_bytes: int) -> Sequence[Arrival | Exception]:
    quick = [_decoded(message, max_bytes) for message in messages]
    alike = _are_unique([one for one in quick if one is not None])
    return [
        (one.event, one.correlation_id)
        if one is not None and (alike or _are_unique([one]))
        else _slowly(message, max_bytes)
        for message, one in zip(messages, quick, strict=True)
    ]


class _Quick(msgspec.Struct, frozen=True, gc=False):
    """An event of an envelope as nearly all are; `text` is the JSON that has `keys` keys for certain."""

    event: Event
    correlation_id: str
    text: bytes
    keys: int


def _decoded(message: Message, max_bytes: int) -> _Quick | None:
    """None for what is unusual, or wrong in a way that is to be said."""
    data = message.payload
    if len(data) > max_bytes or message.headers:
        return None
    try:
        found = _envelope.decode(data)
        request = found.payload
        if not isinstance(request, str):
            keys = _AROUND + _INSIDE + _EACH * len(request.event.readings)
            return _Quick(request.event, found.correlation_id, data, keys)
        if data.count(b":") != _AROUND:
            return None
        data = pybase64.b64decode(request, validate=True)
        event = _request.decode(data).event
    except (ValueError, RecursionError, MemoryError):
        return None
    return _Quick(event, found.correlation_id, data, _INSIDE + _EACH * len(event.readings))


def _are_unique(found: Sequence[_Quick]) -> bool:
    """Whether there are just as many colons as certain keys: none is unknown, and none is written twice.

    Each text has those at least, so that what holds for all together holds for each.
    """
    text = b"".join([one.text for one in found])
    colons = np.count_nonzero(np.frombuffer(text, np.uint8) == _COLON)
    return int(colons) == sum([one.keys for one in found])


def _slowly(message: Message, max_bytes: int) -> Arrival | Exception:
    try:
        wrapped = envelope.read(message, max_bytes=max_bytes)
        return events.read(wrapped), wrapped.correlation_id
    except Exception as error:  # noqa: BLE001 - a defect of ours is this message's alone
        return error
