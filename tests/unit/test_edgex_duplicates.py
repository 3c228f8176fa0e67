"""edgex.duplicates: a key twice is refused wherever EdgeX gives it a meaning, and nothing else is."""

import base64
import json
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.contracts.errors import EnvelopeError
from edgex_inference.contracts.events import Event
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import envelope, events

READING: dict[str, Any] = {
    "id": "r1",
    "origin": 5,
    "deviceName": "d",
    "resourceName": "r",
    "profileName": "p",
    "valueType": "Float32",
    "value": "1e+00",
}
EVENT: dict[str, Any] = {
    "apiVersion": "v3",
    "id": "e1",
    "deviceName": "d",
    "profileName": "p",
    "sourceName": "s",
    "origin": 5,
    "readings": [READING, {**READING, "resourceName": "q"}],
}
REQUEST: dict[str, Any] = {"apiVersion": "v3", "requestId": "", "event": EVENT}
ENVELOPE: dict[str, Any] = {
    "apiVersion": "v3",
    "receivedTopic": "",
    "correlationID": "c",
    "requestID": "",
    "errorCode": 0,
    "payload": "@",
    "contentType": "application/json",
}


def text(value: Any, *, spaces: bool = False) -> str:
    return json.dumps(value, separators=(" , ", " : ") if spaces else (",", ":"))


def framed(payload: str, *, in_base64: bool = False) -> bytes:
    inner = f'"{base64.b64encode(payload.encode()).decode()}"' if in_base64 else payload
    return text(ENVELOPE).replace('"@"', inner).encode()


def read(data: bytes) -> Event | None:
    return events.read(envelope.read(Message("t", data)))


def reason(data: bytes) -> str:
    try:
        read(data)
    except EnvelopeError as error:
        return error.reason
    return ""


def twice(value: dict[str, Any], key: str, *, spelled: str = "", spaces: bool = False) -> str:
    """The object with one of its keys once more at its end."""
    more = text({spelled or key: value[key]}, spaces=spaces)
    return text(value, spaces=spaces)[:-1] + " , " + more[1:]


@pytest.mark.parametrize("spelled", ["", "upper", "escaped"])
@pytest.mark.parametrize("key", list(ENVELOPE))
def test_a_key_of_the_envelope(key: str, spelled: str) -> None:
    spelling = {"upper": key.upper(), "": key, "escaped": key}[spelled]
    data = twice(ENVELOPE, key, spelled=spelling)
    if spelled == "escaped":
        at = data.rindex(f'"{key}"') + 1
        data = f"{data[:at]}\\u{ord(key[0]):04x}{data[at + 1 :]}"
    assert reason(data.replace('"@"', text(REQUEST)).encode()) == "duplicate"


@pytest.mark.parametrize("in_base64", [False, True])
@pytest.mark.parametrize("spaces", [False, True])
@pytest.mark.parametrize("key", list(REQUEST))
def test_a_key_of_the_request(key: str, spaces: bool, in_base64: bool) -> None:
    assert reason(framed(twice(REQUEST, key, spaces=spaces), in_base64=in_base64)) == "duplicate"


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("spelled", ["", "upper"])
@pytest.mark.parametrize("key", [*EVENT, "tags"])
def test_a_key_of_the_event(key: str, spelled: str, bare: bool) -> None:
    event = twice({**EVENT, "tags": {"a": 1}}, key, spelled=key.upper() if spelled else "")
    assert reason(framed(event if bare else f'{{"event":{event}}}')) == "duplicate"


@pytest.mark.parametrize("spaces", [False, True])
@pytest.mark.parametrize("spelled", ["", "upper"])
@pytest.mark.parametrize("key", [*READING, "units", "tags"])
def test_a_key_of_a_reading(key: str, spelled: str, spaces: bool) -> None:
    one = {**READING, "units": "g", "tags": {"a": "b:c"}}
    reading = twice(one, key, spelled=key.upper() if spelled else "", spaces=spaces)
    lean = twice({"valueType": "Float32", "value": "1"}, "value")
    for written in (reading, reading.replace('"id"', '"ID"'), lean):
        event = text({**EVENT, "readings": ["@"]}).replace('"@"', written)
        assert reason(framed(text({"event": "@"}).replace('"@"', event))) == "duplicate"


@pytest.mark.parametrize(
    "event",
    [
        {**EVENT, "tags": {"value": 1, "inner": {"value": 2, "id": {"id": 3}}}},
        {**EVENT, "unknown": {"deviceName": "x", "readings": [1]}, "more": 1},
        {**EVENT, "readings": [{**READING, "valueType": "String", "value": 'at 12:30:05 "id":"x","id":"y"'}]},
        {**EVENT, "readings": [{**READING, "units": "", "tags": None, "binaryValue": None}]},
        {**EVENT, "deviceName": "c0:ff:ee", "readings": [{**READING, "deviceName": "c0:ff:ee"}]},
        {
            **EVENT,
            "readings": [{**READING, "valueType": "Object", "objectValue": {"value": 1, "id": {"value": 2}}}],
        },
        {**EVENT, "origin": 5.0},
    ],
)
def test_what_only_looks_like_one(event: dict[str, Any]) -> None:
    for payload in (text({**REQUEST, "event": event}), text(event), text({"event": event}, spaces=True)):
        assert read(framed(payload)) is not None
        assert read(framed(payload, in_base64=True)) is not None


def test_objects_unknown_keys_and_other_kinds_are_not_judged() -> None:
    for more in ('"tags":{"a":1,"a":2}', '"unknown":1,"unknown":2', '"unknown":{"a":1,"a":2}'):
        assert read(framed(text(EVENT)[:-1] + f",{more}}}")) is not None
    reading = text(READING)[:-1] + ',"objectValue":{"value":1,"value":2}}'
    assert read(framed(text({**EVENT, "readings": ["@"]}).replace('"@"', reading))) is not None
    assert read(framed('{"name":"EventsSent","name":"x"}')) is None


def test_the_slow_way_judges_too() -> None:
    for event in ({**EVENT, "origin": 5.0}, {**EVENT, "tags": None, "readings": [{**READING, "id": None}]}):
        assert reason(framed(twice(event, "deviceName"))) == "duplicate"
        assert reason(framed(twice(event, "deviceName", spelled="devicename"))) == "duplicate"
    renamed = text({key.upper(): value for key, value in ENVELOPE.items()}).replace('"@"', text(REQUEST))
    assert read(renamed.encode()) is not None
    assert reason((renamed[:-1] + ',"PAYLOAD":null}').encode()) == "duplicate"
    assert reason((renamed[:-1] + ',"Payload":null}').encode()) == "duplicate"


def test_cbor() -> None:
    body = cbor2.dumps(REQUEST)
    value = b"\x65value\x651e+00"
    assert body.count(value) == 2
    once = body.replace(b"\xa7\x62id\x62r1", b"\xa8\x62id\x62r1", 1).replace(value, value * 2, 1)
    for data, expected in ((body, ""), (once, "duplicate")):
        wrapped = {**ENVELOPE, "contentType": "application/cbor"}
        assert reason(text({**wrapped, "payload": base64.b64encode(data).decode()}).encode()) == expected
        assert reason(cbor2.dumps({**wrapped, "payload": data})) == expected
    assert reason(cbor2.dumps({**ENVELOPE, "payload": REQUEST, "Payload": None})) == "duplicate"
    assert reason(cbor2.dumps({**ENVELOPE, "payload": {**REQUEST, "Event": EVENT}})) == "duplicate"
    whole = cbor2.dumps({**ENVELOPE, "payload": None})
    assert reason(b"\xa8" + whole[1:] + b"\x69requestID\x60") == "duplicate"


@given(st.data())
def test_any_key_once_more_at_any_place(data: st.DataObject) -> None:
    level = data.draw(st.sampled_from(["request", "event", "reading"]))
    owner: dict[str, Any] = {"request": REQUEST, "event": EVENT, "reading": READING}[level]
    items = list(owner.items())
    key, value = data.draw(st.sampled_from(items))
    value = data.draw(st.sampled_from([value, None]))
    items.insert(data.draw(st.integers(0, len(items))), (key, value))
    written = "{" + ",".join(f"{text(name)}:{text(item)}" for name, item in items) + "}"
    for outer, name in ((EVENT, "reading"), (REQUEST, "event")):
        if level == name:
            hole = {**outer, "readings": ["@"]} if name == "reading" else {**outer, "event": "@"}
            written, level = text(hole).replace('"@"', written), "event" if name == "reading" else "request"
    assert reason(framed(written)) in {"duplicate", "event"}
