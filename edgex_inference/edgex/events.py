"""Events out of envelopes: values stay text until a binding wants them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from edgex_inference.contracts.errors import EnvelopeError
from edgex_inference.contracts.events import Event, Reading
from edgex_inference.edgex import cbor, duplicates
from edgex_inference.edgex.envelope import Envelope

_MALFORMED = (ValueError, RecursionError, MemoryError)
_LATEST = 2**63 - 1
_DEPTH = 200
_BIG = 512 * 1024
"""from here on no time is spent on tolerance, and not on millions of small objects"""
_MOST_PARTS = 500_000
_OF_EVENT, _OF_READING = 6, 7
"""Keys that an event has without sourceName and tags, and a simple reading without units and tags"""


class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    """An AddEventRequest, or the one field by which a bare event is known."""

    api_version: msgspec.Raw | msgspec.UnsetType = msgspec.field(name="apiVersion", default=msgspec.UNSET)
    request_id: msgspec.Raw | msgspec.UnsetType = msgspec.field(name="requestId", default=msgspec.UNSET)
    event: Event | msgspec.UnsetType = msgspec.UNSET
    readings: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_payload = msgspec.json.Decoder(_Payload)
_bare = msgspec.json.Decoder(Event)
_anything = msgspec.json.Decoder()
_PAYLOAD_KEYS = {"event": "event", "readings": "readings"}
_EVENT_KEYS = {name.lower(): name for name in Event.__struct_encode_fields__}
_READING_KEYS = {name.lower(): name for name in Reading.__struct_encode_fields__}


def read(envelope: Envelope) -> Event | None:
    """The event of an AddEventRequest or of a bare event, optimised readings filled up again.

    None for what rightly carries none: an error reply, a null payload (Redis's dummy envelope), text, or an
    object of another kind such as a metric. Raises EnvelopeError with reason `payload` for a payload that is
    neither JSON nor CBOR, `duplicate` for one with a key twice, `event` for an event that lacks what EdgeX
    requires, has it in the wrong type, or is made to keep us busy.
    """
    payload = envelope.payload
    if payload is None or envelope.error_code:
        return None
    if isinstance(payload, dict):
        return _from_values(envelope.topic, payload)
    form = _form(envelope.content_type, payload)
    if form == "json":
        return _from_json(envelope.topic, payload)
    return _from_cbor(envelope.topic, payload) if form == "cbor" else None


def _form(content_type: str, payload: bytes) -> str:
    if content_type == "application/json":
        return "json"
    kind = content_type.partition(";")[0].strip().lower()
    if kind:
        return {"application/json": "json", "application/cbor": "cbor"}.get(kind, "")
    return "json" if payload[:1] == b"{" else "cbor"


def _from_json(topic: str, data: bytes) -> Event | None:
    if len(data) > _BIG and data.count(b"{") + data.count(b"[") + data.count(b":") > _MOST_PARTS:
        raise _wrong(topic, f"more than {_MOST_PARTS} fields and objects")
    try:
        found = _payload.decode(data)
        if found.event is not msgspec.UNSET:
            keys = 1 + (found.api_version is not msgspec.UNSET) + (found.request_id is not msgspec.UNSET)
            return _judged(topic, data, found.event, keys)
        if found.readings is not msgspec.UNSET:
            return _judged(topic, data, _bare.decode(data), 0)
    except _MALFORMED as error:  # perhaps only unusual: a float as origin, nulls, keys in another case
        if len(data) > _BIG:
            raise EnvelopeError(topic, f"payload is no event: {error}", reason="payload") from error
    try:
        values = _anything.decode(data)
    except _MALFORMED as error:
        raise EnvelopeError(topic, f"payload is no JSON: {error}", reason="payload") from error
    event = _from_values(topic, values)
    try:
        if event is not None:
            duplicates.look_at_event(data)
    except _MALFORMED as error:
        raise _wrong(topic, error) from error
    return event


def _judged(topic: str, data: bytes, event: Event, around: int) -> Event:
    """The event as it counts; `around` is the number of keys of its request."""
    whole = _is_whole(event)
    least = _OF_EVENT + bool(event.source_name) + _OF_READING * len(event.readings) if whole else 0
    try:
        duplicates.check_event(data, event, around, least)
    except _MALFORMED as error:
        raise _wrong(topic, error) from error
    _validate(topic, event)
    return event if whole else _filled_up(topic, event)


def _is_whole(event: Event) -> bool:
    """Whether every reading says all that a simple one can say."""
    for one in event.readings:
        if not (
            one.value is not None
            and one.id
            and one.origin
            and one.device_name
            and one.profile_name
            and one.resource_name
        ):
            return False
    return True


def _from_cbor(topic: str, data: bytes) -> Event | None:
    try:
        values = cbor.loads(data)
    except duplicates.DuplicateKey as error:
        raise _wrong(topic, error) from error
    except ValueError as error:
        raise EnvelopeError(topic, f"payload is {error}", reason="payload") from error
    return _from_values(topic, values)


def _from_values(topic: str, values: Any) -> Event | None:
    """The event in decoded JSON or CBOR, with Go's tolerance."""
    if not isinstance(values, dict):
        raise _wrong(topic, f"payload is {type(values).__name__}, not an object")
    if not any(str(key).lower() in _PAYLOAD_KEYS for key in values):
        return None
    try:
        by_name = duplicates.known(values, _PAYLOAD_KEYS)
        event = _plain(by_name.get("event", values), _EVENT_KEYS)
        readings = event.get("readings")
        if not isinstance(readings, (list, tuple)):
            raise ValueError("readings is not an array")
        event["readings"] = [_plain(reading, _READING_KEYS) for reading in readings]
        found = msgspec.convert(event, Event)
    except _MALFORMED as error:
        raise _wrong(topic, error) from error
    _validate(topic, found)
    return _filled_up(topic, found)


def _plain(values: Any, names: Mapping[str, str]) -> dict[str, Any]:
    """An object's known fields in our spelling: nulls left out, a float origin made whole."""
    if not isinstance(values, dict):
        raise ValueError(f"{type(values).__name__} where an object belongs")
    found = duplicates.known(values, names)
    origin = found.get("origin")
    if isinstance(origin, float) and origin.is_integer():
        found["origin"] = int(origin)
    for free in ("tags", "objectValue"):
        if free in found:
            _check(found[free], _DEPTH)
    return found


def _check(value: Any, depth: int) -> None:
    """Refuses what JSON could not have said, for CBOR says more."""
    if depth == 0:
        raise ValueError("nested too deep")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{type(key).__name__} as a key")
            _check(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth - 1)
    elif not isinstance(value, (str, int, float, bytes, type(None))):
        raise ValueError(f"{type(value).__name__} is not part of EdgeX messages")


def _validate(topic: str, event: Event) -> None:
    """Refuses an event that EdgeX's validator refuses too."""
    if not (event.device_name and event.profile_name and event.readings and event.id):
        raise _wrong(topic, "id, deviceName, profileName or readings is empty")
    if not 0 < event.origin <= _LATEST:
        raise _wrong(topic, f"origin {event.origin} is not a time")


def _filled_up(topic: str, event: Event) -> Event:
    """The event with what EdgeX's optimisation left out."""
    for reading in event.readings:
        if not (reading.resource_name and reading.origin and reading.device_name and reading.profile_name):
            return msgspec.structs.replace(
                event, readings=tuple(_filled(topic, event, reading) for reading in event.readings)
            )
    return event


def _filled(topic: str, event: Event, reading: Reading) -> Reading:
    name = reading.resource_name or (event.source_name if len(event.readings) == 1 else "")
    if not name:
        raise _wrong(topic, "a reading has no resourceName")
    return msgspec.structs.replace(
        reading,
        resource_name=name,
        device_name=reading.device_name or event.device_name,
        profile_name=reading.profile_name or event.profile_name,
        origin=reading.origin or event.origin,
    )


def _wrong(topic: str, detail: object) -> EnvelopeError:
    reason = "duplicate" if isinstance(detail, duplicates.DuplicateKey) else "event"
    return EnvelopeError(topic, f"no EdgeX event: {detail}", reason=reason)
