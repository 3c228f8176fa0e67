"""Messages to events in one step: nearly all are alike, and those are read in one pass; the rest as ever."""

from typing import Annotated, Literal

import msgspec
import pybase64
from msgspec import Meta

from edgex_inference.contracts.events import Event, Reading
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import envelope, events

_Text = Annotated[str, Meta(min_length=1)]
_Time = Annotated[int, Meta(gt=0, le=2**63 - 1)]
_AROUND, _INSIDE, _EACH = 7, 10, 7
"""Keys of an envelope, of a request with its event, of a reading."""


class _Reading(Reading, frozen=True, kw_only=True, rename="camel", gc=False):
    """A simple reading that says all it can say: decoding proves it."""

    origin: _Time
    device_name: _Text
    resource_name: _Text
    profile_name: _Text
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


def read(message: Message, *, max_bytes: int = envelope.MAX_BYTES) -> tuple[Event | None, str]:
    """The event and its correlation id, as `events.read(envelope.read(message))` gives them; raises as they do."""
    data = message.payload
    if len(data) <= max_bytes and not message.headers:
        try:
            found = _envelope.decode(data)
            around, inside = found.payload, b""
            if type(around) is str:
                inside = pybase64.b64decode(around, validate=True)
                around = _request.decode(inside)
            event = around.event
            # as many colons as there are keys for certain: none is unknown, and none is written twice
            colons = data.count(b":") + inside.count(b":")
            if colons == _AROUND + _INSIDE + _EACH * len(event.readings):
                return event, found.correlation_id
        except (ValueError, RecursionError, MemoryError):  # unusual, or wrong in a way that is to be said
            pass
    wrapped = envelope.read(message, max_bytes=max_bytes)
    return events.read(wrapped), wrapped.correlation_id
