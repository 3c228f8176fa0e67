"""edgex.arrivals: whichever way a message is read, the event or the error is that of the slow one."""

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgex_inference.contracts.errors import EnvelopeError
from edgex_inference.contracts.events import Event
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import arrivals, envelope, events

GOLDEN = Path(__file__).parent.parent / "data" / "golden"
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
ENVELOPE: dict[str, Any] = {
    "apiVersion": "v3",
    "receivedTopic": "",
    "correlationID": "c",
    "requestID": "",
    "errorCode": 0,
    "payload": "@",
    "contentType": "application/json",
}


def message(event: Any = EVENT, *, in_base64: bool = False, text: str = "", **around: Any) -> Message:
    request = text or json.dumps({"apiVersion": "v3", "requestId": "", "event": event})
    inner = f'"{base64.b64encode(request.encode()).decode()}"' if in_base64 else request
    return Message("t", json.dumps({**ENVELOPE, **around}).replace('"@"', inner).encode())


def slowly(one: Message) -> Any:
    try:
        wrapped = envelope.read(one)
        return plain(events.read(wrapped)), wrapped.correlation_id
    except EnvelopeError as error:
        return error.reason, str(error)


def read(*messages: Message) -> list[Any]:
    return [
        (one.reason, str(one)) if isinstance(one, EnvelopeError) else (plain(one[0]), one[1])  # type: ignore[index]
        for one in arrivals.read(messages)
    ]


def plain(event: Event | None) -> Any:
    return None if event is None else msgspec.to_builtins(event)


@pytest.mark.parametrize("in_base64", [False, True])
def test_what_is_alike_is_read_in_one_pass(in_base64: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    one = message(in_base64=in_base64)
    wanted = slowly(one)
    monkeypatch.setattr(envelope, "read", None)
    assert read(one, one) == [wanted, wanted]


def test_recorded_messages_are_the_same_events() -> None:
    texts = [(GOLDEN / f"edgex{name}.jsonl").read_text() for name in ("3", "4")]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    found = [
        Message(line["topic"], base64.b64decode(line["payload"]), line.get("headers", {})) for line in lines
    ]
    assert read(*found) == [slowly(one) for one in found]


@pytest.mark.parametrize("in_base64", [False, True])
@pytest.mark.parametrize("key", [*READING, *EVENT, "requestId", "event"])
def test_a_key_twice_is_refused_even_where_another_is_missing(key: str, in_base64: bool) -> None:
    """As many keys as there should be: only that one is there twice, and another is not."""
    text = json.dumps({"apiVersion": "v3", "requestId": "", "event": EVENT})
    for missing in ("id", "deviceName", "value", "sourceName", "requestId"):
        value = json.dumps(READING.get(key, EVENT.get(key, "")))
        twice = text.replace(f'"{missing}": ', "\0", 1)
        rest = twice.partition("\0")[2]
        _, end = json.JSONDecoder().raw_decode(rest)
        changed = twice.replace("\0" + rest[:end], f'"{key}": {value}', 1)
        one = message(text=changed, in_base64=in_base64)
        assert read(one, message()) == [slowly(one), slowly(message())]


@pytest.mark.parametrize(
    "change",
    [
        {"errorCode": 1},
        {"contentType": "text/plain"},
        {"correlationID": None},
        {"payload": None},
        {"queryParams": {"a": "b"}},
        {"Payload": 7},
    ],
    ids=repr,
)
def test_unusual_envelopes_are_read_as_ever(change: dict[str, Any]) -> None:
    one = message(**change)
    assert read(one) == [slowly(one)]


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)


@settings(deadline=None)
@given(st.data())
def test_whatever_is_changed_the_outcome_is_the_same(data: st.DataObject) -> None:
    event = json.loads(json.dumps(EVENT))
    target = data.draw(st.sampled_from([event, event["readings"][0], event["readings"][1]]))
    key = data.draw(st.sampled_from([*target, "units", "tags", "mediaType", "Value", "x:y"]))
    if data.draw(st.booleans()):
        target[key] = data.draw(LEAVES)
    else:
        target.pop(key, None)
    one = message(event, in_base64=data.draw(st.booleans()))
    assert read(message(), one, message())[1] == slowly(one)


def test_a_message_that_is_too_large_is_refused() -> None:
    (found,) = arrivals.read([message()], max_bytes=10)
    assert isinstance(found, EnvelopeError)
    assert found.reason == "size"
