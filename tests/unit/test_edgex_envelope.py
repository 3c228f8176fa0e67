"""edgex.envelope and edgex.events: every framing, and nothing that malformed input can do."""

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

TOPIC = "edgex/events/device/device-virtual/press/press-7/rms"
EVENT = {
    "apiVersion": "v3",
    "id": "6f0e9a1e-0a44-4a1e-9f6b-1b1a44d5b6de",
    "deviceName": "press-7",
    "profileName": "press",
    "sourceName": "rms",
    "origin": 1795418138745047301,
    "readings": [
        {
            "origin": 1795418138745047301,
            "deviceName": "press-7",
            "resourceName": "rms",
            "profileName": "press",
            "valueType": "Float32",
            "value": "1.5e+00",
        }
    ],
}
REQUEST = {"apiVersion": "v3", "requestId": "", "event": EVENT}
DUMMY = {
    "apiVersion": "",
    "receivedTopic": "",
    "correlationID": "",
    "requestID": "",
    "errorCode": 0,
    "payload": None,
    "contentType": "",
}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def wrap(payload: Any, **fields: Any) -> dict[str, Any]:
    return {**DUMMY, "correlationID": "corr", "payload": payload, "contentType": "application/json", **fields}


def read(data: Any, **limits: int) -> Event | None:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return events.read(envelope.read(Message(TOPIC, raw), **limits))


@pytest.mark.parametrize(
    "data",
    [
        wrap(REQUEST),
        wrap(EVENT),
        wrap(b64(json.dumps(REQUEST).encode())),
        wrap(b64(json.dumps(EVENT).encode())),
        wrap(json.dumps(REQUEST)),
        wrap(REQUEST, contentType="application/json; charset=utf-8"),
        wrap(REQUEST, contentType=""),
        wrap(b64(cbor2.dumps(REQUEST)), contentType=""),
        wrap(b64(cbor2.dumps(REQUEST)), contentType="application/cbor"),
        wrap(REQUEST, unknown={"a": [1]}, receivedTopic="stale"),
        wrap({**REQUEST, "extra": 1, "event": {**EVENT, "extra": {"x": 1}}}),
        {key.upper(): value for key, value in wrap(REQUEST).items()},
        {key[0].upper() + key[1:]: value for key, value in wrap(b64(json.dumps(REQUEST).encode())).items()},
        wrap(REQUEST, requestID=None, correlationID=None, errorCode=None, queryParams=None),
        json.dumps(wrap(b64(json.dumps(REQUEST).encode()))).replace("/", "\\/").encode(),
        cbor2.dumps(wrap(REQUEST, contentType="application/cbor")),
        cbor2.dumps(wrap(cbor2.dumps(REQUEST), contentType="application/cbor")),
        cbor2.dumps(
            {key.upper(): value for key, value in wrap(REQUEST, contentType="application/cbor").items()}
        ),
    ],
)
def test_every_framing_holds_the_same_event(data: Any) -> None:
    found = read(data)
    assert found is not None
    assert (found.device_name, found.origin) == ("press-7", 1795418138745047301)
    assert found.readings[0].value == "1.5e+00"


def test_fields_of_an_envelope() -> None:
    data = wrap(REQUEST, requestID="r", queryParams={"ds-pushevent": "true"}, receivedTopic="stale")
    found = envelope.read(Message(TOPIC, json.dumps(data).encode()))
    assert (found.topic, found.correlation_id, found.request_id) == (TOPIC, "corr", "r")
    assert found.query_params == {"ds-pushevent": "true"}
    assert isinstance(found.payload, bytes)
    assert json.loads(found.payload) == REQUEST


def test_nats_headers() -> None:
    headers = {
        "Content-Type": "application/json",
        "X-Correlation-ID": "c",
        "RequestId": "r",
        "ErrorCode": "0",
        "QueryParams": "a:b,c:d:e",
    }
    found = envelope.read(Message(TOPIC, json.dumps(REQUEST).encode(), headers))
    assert (found.correlation_id, found.request_id, found.error_code) == ("c", "r", 0)
    assert found.query_params == {"a": "b", "c": "d:e"}
    assert events.read(found) is not None


@pytest.mark.parametrize(
    "data",
    [
        DUMMY,
        wrap(None),
        wrap("device not found", contentType="text/plain", errorCode=1),
        wrap(b64(b"device not found"), contentType="text/plain", errorCode=1),
        wrap(REQUEST, errorCode=1),
        wrap("hello", contentType="text/plain"),
        wrap({"apiVersion": "v3", "name": "EventsSent", "fields": []}),
        wrap(b64(b"\xff\xd8"), contentType="image/jpeg"),
        cbor2.dumps(DUMMY),
        cbor2.dumps(wrap("no", errorCode=1, contentType="text/plain")),
    ],
)
def test_what_rightly_holds_no_event(data: Any) -> None:
    assert read(data) is None


def changed(**fields: Any) -> dict[str, Any]:
    return wrap({**REQUEST, "event": {**EVENT, **fields}})


def reading(**fields: Any) -> dict[str, Any]:
    return changed(readings=[{**EVENT["readings"][0], **fields}])  # type: ignore[index]


def test_base64_with_a_stray_character_is_refused() -> None:
    text = b64(json.dumps(REQUEST).encode())
    with pytest.raises(EnvelopeError, match="no base64"):
        read(wrap(text[:8] + "!" + text[8:]))


@pytest.mark.parametrize("value", [1.5, 3, True, None, ""])
def test_values_that_are_no_text(value: Any) -> None:
    found = read(reading(value=value))
    assert found is not None
    assert found.readings[0].value == value


@pytest.mark.parametrize("origin", ["1.795418138745047e18", "1795418138745047300.0"])
def test_a_float_literal_as_origin(origin: str) -> None:
    text = json.dumps(wrap(REQUEST)).replace("1795418138745047301", origin)
    found = read(text.encode())
    assert found is not None
    assert abs(found.origin - 1795418138745047301) < 1000
    assert isinstance(found.origin, int)
    assert found.readings[0].origin == found.origin


def test_nulls_are_gos_zero_values_and_keys_of_events_come_in_any_case() -> None:
    found = read(changed(tags=None, readings=[{**EVENT["readings"][0], "id": None, "units": None}]))  # type: ignore[index]
    assert found is not None
    assert (found.tags, found.readings[0].id, found.readings[0].units) == (None, "", "")
    pascal = {key[0].upper() + key[1:]: value for key, value in EVENT.items()}
    found = read(wrap({"ApiVersion": "v3", "Event": pascal}))
    assert found is not None
    assert found.source_name == "rms"


def test_binary_values() -> None:
    picture = {"valueType": "Binary", "mediaType": "image/jpeg"}
    by_json = read(reading(**picture, binaryValue="/9j/", value=""))
    by_slow_json = read(reading(**picture, binaryValue="/9j/", units=None))
    body = {**REQUEST, "event": {**EVENT, "readings": [{**EVENT["readings"][0], **picture}]}}  # type: ignore[index]
    body["event"]["readings"][0]["binaryValue"] = b"\xff\xd8\xff"
    by_cbor = read(wrap(b64(cbor2.dumps(body)), contentType="application/cbor"))
    for found in (by_json, by_slow_json, by_cbor):
        assert found is not None
        assert found.readings[0].binary_value == b"\xff\xd8\xff"


def test_optimised_readings_are_filled_up() -> None:
    lean = {"valueType": "Float32", "value": "1e+00"}
    found = read(changed(readings=[lean]))
    assert found is not None
    (one,) = found.readings
    assert (one.device_name, one.profile_name, one.resource_name) == ("press-7", "press", "rms")
    assert one.origin == found.origin
    found = read(
        changed(readings=[{**lean, "resourceName": "a", "origin": 5}, {**lean, "resourceName": "b"}])
    )
    assert found is not None
    assert [(one.resource_name, one.origin) for one in found.readings] == [("a", 5), ("b", found.origin)]


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        st.lists,
    )
)
def test_any_json_as_payload(payload: Any) -> None:
    reason = "none"
    try:
        read(wrap(payload))
    except EnvelopeError as error:
        reason = error.reason
    assert reason in {"none", "event", "payload"}
