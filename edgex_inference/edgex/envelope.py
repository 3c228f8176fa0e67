"""EdgeX's message envelope: what every generation writes, read into one value."""

import binascii
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import pybase64

from edgex_inference.contracts.errors import EnvelopeError
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import cbor, duplicates

MAX_BYTES = 64 * 1024 * 1024
"""EdgeX's own MaxEventSize of 25 MB in base64, with room to spare"""

NO_PARAMS: Mapping[str, str] = MappingProxyType({})
_MALFORMED = (ValueError, RecursionError, MemoryError)  # msgspec's and codecs' errors are ValueErrors


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One message without its wrapping; a struct, since a dataclass costs as much as decoding does.

    `topic` is the transport's, never `receivedTopic`, which is stale after the first hop. `payload` is the bytes
    that `content_type` describes, a dict where the whole envelope was CBOR, None where there was none.
    """

    topic: str
    content_type: str
    payload: bytes | dict[str, Any] | None
    correlation_id: str = ""
    request_id: str = ""
    error_code: int = 0
    query_params: Mapping[str, str] = NO_PARAMS


class _Wire(msgspec.Struct, frozen=True, kw_only=True):
    """EdgeX 3 and 4 spelling; None is Go's null, which means the zero value."""

    correlation_id: str | None = msgspec.field(name="correlationID", default=None)
    request_id: str | None = msgspec.field(name="requestID", default=None)
    error_code: int | None = msgspec.field(name="errorCode", default=None)
    payload: msgspec.Raw = msgspec.Raw(b"")
    content_type: str | msgspec.UnsetType | None = msgspec.field(name="contentType", default=msgspec.UNSET)
    query_params: dict[str, str] | None = msgspec.field(name="queryParams", default=None)


_wire = msgspec.json.Decoder(_Wire)
_any_case = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text = msgspec.json.Decoder(str)
_KEYS = {name.lower(): name for name in _Wire.__struct_encode_fields__}


def read(message: Message, *, max_bytes: int = MAX_BYTES) -> Envelope:
    """The envelope of a bus message: JSON, CBOR, or NATS headers around a bare payload.

    Raises EnvelopeError with reason `size` beyond `max_bytes`, `envelope` for bytes that are no envelope,
    `duplicate` for one with a key twice and `payload` for a payload that is no base64. Keys may come in any case.
    """
    data = message.payload
    if len(data) > max_bytes:
        raise EnvelopeError(message.topic, f"{len(data)} bytes, more than {max_bytes}", reason="size")
    if message.headers and "Content-Type" in message.headers:
        return _from_headers(message)
    if data[:1] >= b"\xa0" and data[:1] <= b"\xbf":
        return _from_cbor(message)
    return _from_json(message.topic, data)


def _from_json(topic: str, data: bytes) -> Envelope:
    try:
        wire = _wire.decode(data)
        if wire.content_type is msgspec.UNSET or not wire.payload:
            wire = _renamed(data)
            payload = bytes(wire.payload)
        else:
            payload = bytes(wire.payload)
            duplicates.check_envelope(data, payload, _keys(wire))
    except _MALFORMED as error:
        raise _no_envelope(topic, "JSON", error) from error
    content_type = wire.content_type or ""
    return Envelope(
        topic=topic,
        content_type=content_type,
        payload=_json_payload(topic, payload, content_type),
        correlation_id=wire.correlation_id or "",
        request_id=wire.request_id or "",
        error_code=wire.error_code or 0,
        query_params=wire.query_params or NO_PARAMS,
    )


def _keys(wire: _Wire) -> int:
    """How many keys this envelope has at least, apiVersion and receivedTopic aside."""
    keys = 2 + (wire.correlation_id is not None) + (wire.request_id is not None)
    keys += wire.error_code is not None
    return keys if wire.query_params is None else keys + 1 + len(wire.query_params)


def _no_envelope(topic: str, kind: str, error: Exception) -> EnvelopeError:
    reason = "duplicate" if isinstance(error, duplicates.DuplicateKey) else "envelope"
    return EnvelopeError(topic, f"no {kind} envelope: {error}", reason=reason)


def _renamed(data: bytes) -> _Wire:
    """EdgeX 2 writes PascalCase, and Go reads any case: once more, with the keys brought to our spelling."""
    found = duplicates.known(_any_case.decode(data), _KEYS)
    if not found:
        raise ValueError("none of an envelope's keys is there")
    duplicates.look_at_envelope(data)
    return _wire.decode(msgspec.json.encode(found))


def _json_payload(topic: str, data: bytes, content_type: str) -> bytes | None:
    if data[:1] != b'"':
        return None if data in (b"null", b"") else data
    if content_type.startswith("text/"):
        return _unquoted(topic, data)
    try:
        return pybase64.b64decode(memoryview(data)[1:-1], validate=True)
    except (binascii.Error, ValueError):
        text = _unquoted(topic, data)  # escaped slashes, or early device-sdk-c: JSON as text
    if text[:1] in (b"{", b"["):
        return text
    try:
        return pybase64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EnvelopeError(topic, f"payload is no base64: {error}", reason="payload") from error


def _unquoted(topic: str, data: bytes) -> bytes:
    try:
        return _text.decode(data).encode()
    except _MALFORMED as error:
        raise EnvelopeError(topic, f"payload is no text: {error}", reason="payload") from error


def _from_cbor(message: Message) -> Envelope:
    topic = message.topic
    try:
        found = cbor.loads(message.payload)
        if not isinstance(found, dict):
            raise ValueError("not a map")
        fields = duplicates.known(found, _KEYS)
    except ValueError as error:
        raise _no_envelope(topic, "CBOR", error) from error
    if not fields:
        raise EnvelopeError(topic, "no CBOR envelope: none of an envelope's keys is there")
    payload = fields.pop("payload", None)
    if isinstance(payload, str):
        payload = payload.encode(errors="replace")
    if payload is not None and not isinstance(payload, (bytes, dict)):
        raise EnvelopeError(topic, f"payload is {type(payload).__name__}", reason="payload")
    try:
        wire = msgspec.convert(fields, _Wire)
    except _MALFORMED as error:
        raise EnvelopeError(topic, f"no CBOR envelope: {error}") from error
    return Envelope(
        topic=topic,
        content_type=wire.content_type or "",
        payload=payload,
        correlation_id=wire.correlation_id or "",
        request_id=wire.request_id or "",
        error_code=wire.error_code or 0,
        query_params=wire.query_params or NO_PARAMS,
    )


def _from_headers(message: Message) -> Envelope:
    headers = message.headers
    params = (text.split(":", 1) for text in headers.get("QueryParams", "").split(",") if ":" in text)
    error_code = headers.get("ErrorCode", "")
    return Envelope(
        topic=message.topic,
        content_type=headers["Content-Type"],
        payload=message.payload or None,
        correlation_id=headers.get("X-Correlation-ID", ""),
        request_id=headers.get("RequestId", ""),
        error_code=int(error_code) if error_code.isascii() and error_code.isdigit() else 0,
        query_params=dict(params) or NO_PARAMS,
    )
