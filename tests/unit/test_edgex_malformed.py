"""Malformed messages are EnvelopeErrors with a reason: never another exception, a crash or a stall."""

import base64
import json
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.contracts.errors import EnvelopeError
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import cbor, envelope, events

READING = {
    "origin": 5,
    "deviceName": "d",
    "resourceName": "r",
    "profileName": "p",
    "valueType": "Float32",
    "value": "1e+00",
}
EVENT = {
    "apiVersion": "v3",
    "id": "i",
    "deviceName": "d",
    "profileName": "p",
    "sourceName": "s",
    "origin": 5,
    "readings": [READING],
}


def reason(data: bytes, headers: dict[str, str] | None = None) -> str:
    try:
        found = events.read(envelope.read(Message("t", data, headers or {})))
    except EnvelopeError as caught:
        error = caught
    else:
        return "an event" if found else "none"
    assert str(error).startswith("t: ")
    assert len(str(error)) < 500
    return error.reason


def framed(payload: Any, content_type: str = "application/json") -> bytes:
    return json.dumps({"payload": payload, "contentType": content_type}).encode()


def raw(text: str | bytes) -> bytes:
    body = text if isinstance(text, bytes) else text.encode()
    return b'{"contentType":"application/json","payload":' + body + b"}"


def in_cbor(data: bytes) -> bytes:
    return framed(base64.b64encode(data).decode(), "application/cbor")


DEEP = "[" * 10_000 + "]" * 10_000


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "envelope"),
        (b"{", "envelope"),
        (b"null", "envelope"),
        (b"[]", "envelope"),
        (b'"text"', "envelope"),
        (b"{}", "envelope"),
        (json.dumps(EVENT).encode(), "envelope"),
        (b"\xff\xfe", "envelope"),
        (b"\x00" * 100, "envelope"),
        (b'{"correlationID":"\xff","payload":null,"contentType":""}', "envelope"),
        (b'{"correlationID":5,"payload":null,"contentType":""}', "envelope"),
        (b'{"errorCode":NaN,"payload":null,"contentType":""}', "envelope"),
        (b'{"queryParams":{"a":1},"payload":null,"contentType":""}', "envelope"),
        (raw(DEEP), "envelope"),
        (DEEP.encode(), "envelope"),
        (b'{"a":' * 10_000, "envelope"),
        (raw(json.dumps(EVENT)[:-1]), "envelope"),
        (b"\xa0", "envelope"),
        (b"\xbf", "envelope"),
        (b"\xa1\x61a", "envelope"),
        (b"\xa1\x61a\x01", "envelope"),
        (b"\xa1\x67payload\x81\x01", "payload"),
        (b"\xbb" + b"\xff" * 8, "envelope"),
        (b"\xa1\x61a" * 10_000, "envelope"),
        (framed("no base64!"), "payload"),
        (framed("YQ"), "payload"),
        (raw(b'"\xff"'), "payload"),
        (framed(base64.b64encode(b"{").decode()), "payload"),
        (framed(base64.b64encode(b"\xff\xff").decode()), "payload"),
        (framed(base64.b64encode(DEEP.encode()).decode()), "payload"),
        (raw("[1,2]"), "event"),
        (raw("5"), "event"),
        (raw('{"event":null}'), "event"),
        (raw('{"event":[]}'), "event"),
        (raw('{"event":{}}'), "event"),
        (raw('{"readings":5}'), "event"),
        (raw(json.dumps({"event": {**EVENT, "origin": "5"}})), "event"),
        (raw(json.dumps({"event": {**EVENT, "origin": 1.5}})), "event"),
        (raw(json.dumps({"event": {**EVENT, "origin": 0}})), "event"),
        (raw(json.dumps({"event": {**EVENT, "origin": 2**63}})), "event"),
        (raw(json.dumps({"event": {**EVENT, "origin": 1e300}})), "event"),
        (raw(json.dumps({"event": {**EVENT, "readings": []}})), "event"),
        (raw(json.dumps({"event": {**EVENT, "readings": {}}})), "event"),
        (raw(json.dumps({"event": {**EVENT, "readings": [5]}})), "event"),
        (raw(json.dumps({"event": {**EVENT, "readings": [{}]}})), "event"),
        (raw(json.dumps({"event": {**EVENT, "deviceName": ""}})), "event"),
        (raw(json.dumps({"event": {**EVENT, "deviceName": 5}})), "event"),
        (raw(json.dumps({"event": {**EVENT, "tags": 5}})), "event"),
        (raw(json.dumps({"event": {**EVENT, "readings": [{**READING, "value": [1]}]}})), "event"),
        (raw(json.dumps({"event": {**EVENT, "readings": [{**READING, "binaryValue": "!"}]}})), "event"),
        (raw(json.dumps({"event": {**EVENT, "readings": [{"valueType": "Bool"}] * 2}})), "event"),
        (raw(json.dumps({"event": EVENT}).replace('"1e+00"', "NaN")), "envelope"),
        (raw(json.dumps({"event": EVENT}).replace('"1e+00"', '"\\ud800"')), "envelope"),
        (raw(json.dumps({"event": EVENT}).replace('"1e+00"', '{"a":' * 10_000)), "envelope"),
        (in_cbor(b""), "payload"),
        (in_cbor(b"\xa1"), "payload"),
        (in_cbor(b"\x81" * 10_000 + b"\x01"), "payload"),
        (in_cbor(b"\x9b" + b"\xff" * 8), "payload"),
        (in_cbor(b"\x5b\x00\x00\x00\xff" + b"\xff" * 4), "payload"),
        (in_cbor(b"\x7f" * 1000), "payload"),
        (in_cbor(bytes.fromhex("d81c81d81d00")), "payload"),
        (in_cbor(bytes.fromhex("c5821b7fffffffffffffff03")), "payload"),
        (in_cbor(bytes.fromhex("d82361")), "payload"),
        (in_cbor(b"\xa1\x80\x01"), "payload"),
        (in_cbor(b"\xa1\x61\xff\x01"), "payload"),
        (in_cbor(b"\x9a\x00\x10\x00\x00" + b"\x01" * 0x100000), "payload"),
        (in_cbor(b"\x01"), "event"),
        (in_cbor(cbor2.dumps({"event": {**EVENT, "tags": {"a": cbor2.undefined}}})), "event"),
        (in_cbor(cbor2.dumps({"event": {**EVENT, "tags": {"a": {b"a": 1}}}})), "event"),
        (in_cbor(cbor2.dumps({"event": {**EVENT, "origin": b"5"}})), "event"),
        (in_cbor(cbor2.dumps({"readings": [{1: 2}]})), "payload"),
    ],
)
def test_reasons(data: bytes, expected: str) -> None:
    assert reason(data) == expected


@pytest.mark.parametrize("kind", ["application/json", "application/cbor", ""])
def test_bare_payloads_on_nats(kind: str) -> None:
    assert reason(b"\x81" * 1000, {"Content-Type": kind}) == "payload"
    assert reason(b"", {"Content-Type": kind}) == "none"


def test_a_message_beyond_the_limit_is_not_even_looked_at() -> None:
    with pytest.raises(EnvelopeError, match="101 bytes, more than 100") as caught:
        envelope.read(Message("t", b"{" * 101), max_bytes=100)
    assert caught.value.reason == "size"
    assert reason(b" " * (envelope.MAX_BYTES + 1)) == "size"


def test_fifty_megabytes() -> None:
    assert reason(raw(b'"' + b"A" * 50_000_000)) == "envelope"
    assert reason(raw(b"[" + b"1," * 25_000_000 + b"1]")) == "payload"
    assert reason(raw(b'{"event":{"readings":[' + b"{}," * 16_000_000 + b"{}]}}")) == "event"
    assert (
        reason(b"\x9a\x02\xfa\xf0\x80" + b"\x01" * 50_000_000, {"Content-Type": "application/cbor"})
        == "payload"
    )


def test_many_strings_are_no_bomb_but_large_ones_pass() -> None:
    picture = {
        "event": {**EVENT, "readings": [{**READING, "valueType": "Binary", "binaryValue": b"\xff" * 500_000}]}
    }
    assert events.read(envelope.read(Message("t", in_cbor(cbor2.dumps(picture))))) is not None
    with pytest.raises(ValueError, match="more than 200000 items"):
        cbor.loads(cbor2.dumps(["x"] * 200_001))


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    for candidate in (data, framed(base64.b64encode(data).decode()), in_cbor(data), raw(data)):
        reason(candidate)


@given(st.data())
def test_any_cut_and_any_flipped_byte(data: st.DataObject) -> None:
    request = {"apiVersion": "v3", "event": EVENT}
    whole = data.draw(st.sampled_from([raw(json.dumps(request)), in_cbor(cbor2.dumps(request)), cbor2.dumps(
        {"payload": request, "contentType": "application/cbor"})]))  # fmt: skip
    at = data.draw(st.integers(0, len(whole) - 1))
    assert reason(whole[:at]) in {"envelope", "payload"}
    reason(whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :])
