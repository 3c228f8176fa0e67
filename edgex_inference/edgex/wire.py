"""Events onto the wire, as the EdgeX generation on the other side accepts them."""

from operator import attrgetter
from typing import Any

import cbor2
import msgspec
import pybase64

from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.contracts.values import parse
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.edgex.ids import is_id

JSON, CBOR = "application/json", "application/cbor"
_LATEST = 2**63 - 1
_encode = msgspec.json.Encoder().encode
_type_of = attrgetter("value_type")
_KINDS = {kind.value: kind for kind in ValueType}
_STRING, _BINARY, _OBJECT, _OBJECT_ARRAY = (
    ValueType.STRING,
    ValueType.BINARY,
    ValueType.OBJECT,
    ValueType.OBJECT_ARRAY,
)


def encode(
    event: Event, *, topic: str, correlation_id: str, dialect: Dialect, written: bool = False
) -> Message:
    """The AddEventRequest of an event in an envelope under `topic`.

    EdgeX 4 gets raw JSON, EdgeX 2 and 3 base64 of JSON, and an unknown generation that of 3, which 4 takes too;
    CBOR in base64 carries events with a Binary reading, since Go services send those no other way, unless an
    Object is beside it that EdgeX 2 and 3 would choke on. `written`: its readings come straight from `values`, so
    that their texts and ids are not read again.
    Raises ValueError for an event that a consumer would refuse or choke on: a mistake of ours, never of input.
    """
    event = _spelled(event, dialect)
    check(event, dialect, written=written)
    event = _optimised(event) if dialect.optimize and dialect.major == "4" else event
    binary = "Binary" in map(_type_of, event.readings)
    return _message(event, topic, correlation_id, dialect, request=True, binary=binary)


def encode_bare(
    event: Event, *, topic: str, correlation_id: str, dialect: Dialect, written: bool = False
) -> Message:
    """The bare event in an envelope under `topic`, as rule engines read it; raises as `encode` does."""
    event = _spelled(event, dialect)
    check(event, dialect, written=written)
    return _message(event, topic, correlation_id, dialect, request=False, binary=False)


def encode_json(body: bytes, *, topic: str, correlation_id: str, dialect: Dialect) -> Message:
    """Any JSON text, such as a metric, in an envelope under `topic`."""
    raw = dialect.major == "4"
    if dialect.headers:
        return Message(topic, body, _headers(correlation_id, JSON, dialect.api_version))
    if raw and dialect.cbor_envelope:
        return Message(topic, _cbor_envelope(msgspec.json.decode(body), correlation_id))
    if not raw or dialect.base64_payload:
        body = b'"' + pybase64.b64encode(body) + b'"'
    wrap = _envelope_of_2 if dialect.major == "2" else _envelope
    return Message(topic, wrap(body, correlation_id, JSON, dialect))


def _message(
    event: Event, topic: str, correlation_id: str, dialect: Dialect, *, request: bool, binary: bool
) -> Message:
    raw = dialect.major == "4"
    if raw and dialect.cbor_envelope and not dialect.headers:
        return Message(topic, _cbor_envelope(_values(event, request), correlation_id))
    if (binary or dialect.cbor_events) and (raw or not _has_object(event)):
        body, content_type, raw = cbor2.dumps(_values(event, request)), CBOR, False
    else:
        body, content_type = _json(event, request), JSON
    if dialect.headers:
        return Message(topic, body, _headers(correlation_id, content_type, dialect.api_version))
    if not raw or dialect.base64_payload:
        body = b'"' + pybase64.b64encode(body) + b'"'
    wrap = _envelope_of_2 if dialect.major == "2" else _envelope
    return Message(topic, wrap(body, correlation_id, content_type, dialect))


def _spelled(event: Event, dialect: Dialect) -> Event:
    """EdgeX 2 refuses a String reading without text, ours as well as its own services': a space stands for it."""
    if dialect.major != "2" or all(one.value != "" for one in event.readings):
        return event
    replace = msgspec.structs.replace
    return replace(
        event,
        readings=tuple(replace(one, value=" ") if one.value == "" else one for one in event.readings),
    )


def _headers(correlation_id: str, content_type: str, version: str) -> dict[str, str]:
    """The envelope on NATS, in the case that Go looks for."""
    return {
        "ApiVersion": version,
        "Content-Type": content_type,
        "ErrorCode": "0",
        "RequestId": "",
        "X-Correlation-ID": correlation_id,
    }


def _has_object(event: Event) -> bool:
    """EdgeX 2 and 3 read an object out of CBOR but cannot write it again: core-data fails on every query."""
    return any(reading.value_type == "Object" for reading in event.readings)


def _envelope(payload: bytes, correlation_id: str, content_type: str, _: Dialect) -> bytes:
    return b"".join(
        (
            b'{"apiVersion":"v3","receivedTopic":"","correlationID":',
            _encode(correlation_id),
            b',"requestID":"","errorCode":0,"payload":',
            payload,
            b',"contentType":"',
            content_type.encode(),
            b'"}',
        )
    )


def _envelope_of_2(payload: bytes, correlation_id: str, content_type: str, dialect: Dialect) -> bytes:
    """Keys in the order of EdgeX's own structures: 2.0 to 2.2 have four of them, 2.3 eight."""
    early = dialect.early
    return b"".join(
        (
            b'{"ReceivedTopic":"","CorrelationID":',
            _encode(correlation_id),
            b"" if early else b',"ApiVersion":"v2","RequestID":"","ErrorCode":0',
            b',"Payload":',
            payload,
            b',"ContentType":"',
            content_type.encode(),
            b'"}' if early else b'","QueryParams":{}}',
        )
    )


def _cbor_envelope(payload: Any, correlation_id: str) -> bytes:
    return cbor2.dumps(
        {
            "apiVersion": "v3",
            "receivedTopic": "",
            "correlationID": correlation_id,
            "requestID": "",
            "errorCode": 0,
            "payload": payload,
            "contentType": CBOR,
        }
    )


def _json(event: Event, request: bool) -> bytes:
    try:
        body = _encode(event)
    except (TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"event cannot be written as JSON: {error}") from error
    version = event.api_version.encode()
    return b'{"apiVersion":"' + version + b'","requestId":"","event":' + body + b"}" if request else body


def _values(event: Event, request: bool) -> dict[str, Any]:
    try:
        body = msgspec.to_builtins(event, builtin_types=(bytes,))
    except (TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"event cannot be written as CBOR: {error}") from error
    return {"apiVersion": event.api_version, "requestId": "", "event": body} if request else body


def _optimised(event: Event) -> Event:
    """What EDGEX_OPTIMIZE_EVENT_PAYLOAD leaves out: everything that the event says already."""
    alone = len(event.readings) == 1
    return msgspec.structs.replace(
        event,
        readings=tuple(
            msgspec.structs.replace(
                reading,
                id="",
                device_name="",
                profile_name="",
                origin=0 if reading.origin == event.origin else reading.origin,
                resource_name=""
                if alone and reading.resource_name == event.source_name
                else reading.resource_name,
            )
            for reading in event.readings
        ),
    )


def check(event: Event, dialect: Dialect, *, written: bool = False) -> None:
    """Raises ValueError for an event that this dialect's consumers refuse."""
    if event.api_version != dialect.api_version:
        raise ValueError(
            f"apiVersion {event.api_version!r}: EdgeX {dialect.major} says {dialect.api_version}"
        )
    if not is_id(event.id):
        raise ValueError(f"event id {event.id!r} is no UUID")
    if not (event.device_name and event.profile_name and event.source_name):
        raise ValueError(f"event {event.id}: deviceName, profileName and sourceName must not be empty")
    if not 0 < event.origin <= _LATEST:
        raise ValueError(f"event {event.id}: origin {event.origin} is not a time")
    if not event.readings:
        raise ValueError(f"event {event.id} has no readings")
    for reading in event.readings:
        if written and type(reading.value) is str:
            continue
        fault = _fault(reading, event, dialect)
        if fault:
            raise ValueError(f"event {event.id}: reading {reading.resource_name!r}: {fault}")


def _fault(reading: Reading, event: Event, dialect: Dialect) -> str:
    if not reading.resource_name or not 0 < reading.origin <= _LATEST:
        return "resourceName and origin must be set"
    if reading.device_name != event.device_name or reading.profile_name != event.profile_name:
        return "it names another device or profile than its event"
    if reading.id and not is_id(reading.id):
        return f"id {reading.id!r} is no UUID"
    kind = _KINDS.get(reading.value_type)
    if kind is None:
        return f"valueType {reading.value_type!r} is not in EdgeX's spelling"
    if kind is _OBJECT_ARRAY and dialect.major != "4":
        return f"{kind} is known to EdgeX 4 only"
    if kind is _STRING and isinstance(reading.value, str):
        return "" if reading.value or dialect.major != "2" else "EdgeX 2 takes no text without a character"
    return _value_fault(reading, kind, dialect)


def _value_fault(reading: Reading, kind: ValueType, dialect: Dialect) -> str:
    """An array that is no bracketed list ends the process of every Go consumer, so the text is read again."""
    if kind is _OBJECT or kind is _OBJECT_ARRAY:
        present = reading.object_value is not None
    elif kind is _BINARY:
        present = reading.binary_value is not None
        if present and not (reading.binary_value and reading.media_type):
            return "Binary needs bytes and a mediaType"
    else:
        present = reading.value is not None
        if present and not isinstance(reading.value, str):
            return "value must be text"
    if not present:
        return "" if dialect.major == "4" else "a null reading is known to EdgeX 4 only"
    try:
        parse(reading)
    except ValueError as error:
        return str(error)
    return ""
