"""edgex.wire: what is emitted reads back the same, in the framing that each generation takes."""

import base64
import json
from typing import Any

import cbor2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.contracts.values import parse
from edgex_inference.edgex import envelope, events, wire
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.edgex.ids import is_id, new_id
from edgex_inference.edgex.values import binary_reading, reading

ORIGIN = 1795418138745047301
WHO: dict[str, Any] = {"device": "press-7", "profile": "press-inference", "origin": ORIGIN}
DIALECTS = [
    Dialect(),
    Dialect(major="2"),
    Dialect(major="2", early=True),
    Dialect(major="2", cbor_events=True, cbor_envelope=True, optimize=True, base64_payload=True),
    Dialect(major="3"),
    Dialect(major="3", cbor_events=True, cbor_envelope=True, optimize=True, base64_payload=True),
    Dialect(major="4"),
    Dialect(major="4", base64_payload=True),
    Dialect(major="4", cbor_events=True),
    Dialect(major="4", cbor_envelope=True),
    Dialect(major="4", optimize=True),
    Dialect(major="4", optimize=True, cbor_events=True),
    Dialect(major="3", headers=True),
    Dialect(major="4", headers=True, base64_payload=True, cbor_envelope=True),
]


def event(*readings: Reading, **fields: Any) -> Event:
    given = {
        "id": new_id(),
        "device_name": "press-7",
        "profile_name": "press-inference",
        "source_name": "Health",
    }
    return Event(**{"api_version": "v3", "origin": ORIGIN, "readings": readings, **given, **fields})


SCORE = reading("Score", 0.5, ValueType.FLOAT32, units="mm/s", **WHO)
DETAIL = reading("Detail", {"top": [1, 2.5, None]}, ValueType.OBJECT, **WHO)
PICTURE = binary_reading("Picture", b"\xff\xd8\xff", "image/jpeg", **WHO)


def sent(one: Event, dialect: Dialect) -> Message:
    return wire.encode(one, topic="t", correlation_id='c"1', dialect=dialect)


def back(message: Message) -> Event:
    found = events.read(envelope.read(message))
    assert found is not None
    return found


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize("readings", [(SCORE,), (SCORE, DETAIL), (PICTURE,), (SCORE, PICTURE)])
def test_round_trip(dialect: Dialect, readings: tuple[Reading, ...]) -> None:
    one = event(*readings, tags={"model": "m", "modelVersion": "1"}, api_version=dialect.api_version)
    message = sent(one, dialect)
    assert message.topic == "t"
    found = back(message)
    if dialect.optimize and dialect.major == "4":
        one = msgspec.structs.replace(
            one, readings=tuple(msgspec.structs.replace(each, id="") for each in one.readings)
        )
    assert found == one
    assert envelope.read(message).correlation_id == 'c"1'


def outer(one: Event, dialect: Dialect) -> tuple[Any, str]:
    said = json.loads(sent(one, dialect).payload)
    assert list(said) == [
        "apiVersion",
        "receivedTopic",
        "correlationID",
        "requestID",
        "errorCode",
        "payload",
        "contentType",
    ]
    return said["payload"], said["contentType"]


@pytest.mark.parametrize(
    ("early", "keys"),
    [
        (True, ["ReceivedTopic", "CorrelationID", "Payload", "ContentType"]),
        (
            False,
            [
                "ReceivedTopic",
                "CorrelationID",
                "ApiVersion",
                "RequestID",
                "ErrorCode",
                "Payload",
                "ContentType",
                "QueryParams",
            ],
        ),
    ],
)
def test_edgex_2_gets_the_envelope_of_its_minor(early: bool, keys: list[str]) -> None:
    said = json.loads(sent(event(SCORE, api_version="v2"), Dialect(major="2", early=early)).payload)
    assert list(said) == keys
    assert (said["CorrelationID"], said["ContentType"], said["ReceivedTopic"]) == (
        'c"1',
        "application/json",
        "",
    )
    assert said.get("ApiVersion", "v2") == "v2"
    request = json.loads(base64.b64decode(said["Payload"]))
    assert (request["apiVersion"], request["event"]["apiVersion"]) == ("v2", "v2")
    assert request["event"]["readings"][0]["value"] == "5e-01"


def test_a_text_without_characters_is_a_space_to_edgex_2() -> None:
    """Its validators refuse an empty value, whoever sends it."""
    silent = reading("Reason", "", ValueType.STRING, **WHO)
    dialect = Dialect(major="2")
    whole = event(SCORE, silent, api_version="v2")
    for message in (
        sent(whole, dialect),
        wire.encode_bare(whole, topic="t", correlation_id="", dialect=dialect),
    ):
        assert [one.value for one in back(message).readings] == ["5e-01", " "]
    with pytest.raises(ValueError, match="without a character"):
        wire.check(whole, dialect)
    assert back(sent(event(silent), Dialect(major="3"))).readings == (silent,)


def test_edgex_4_gets_raw_json_others_base64() -> None:
    payload, kind = outer(event(SCORE), Dialect(major="4"))
    assert (payload["apiVersion"], payload["requestId"]) == ("v3", "")
    assert payload["event"]["readings"][0]["value"] == "5e-01"
    assert kind == "application/json"
    for dialect in (Dialect(), Dialect(major="3"), Dialect(major="4", base64_payload=True)):
        payload, kind = outer(event(SCORE), dialect)
        assert json.loads(base64.b64decode(payload))["event"]["readings"][0]["units"] == "mm/s"
        assert kind == "application/json"


@pytest.mark.parametrize("major", [None, "3", "4"])
def test_pictures_go_as_cbor(major: Any) -> None:
    for one, dialect in ((PICTURE, Dialect(major=major)), (SCORE, Dialect(major=major, cbor_events=True))):
        payload, kind = outer(event(one), dialect)
        assert kind == "application/cbor"
        assert cbor2.loads(base64.b64decode(payload))["event"]["deviceName"] == "press-7"


@pytest.mark.parametrize("major", [None, "3"])
def test_objects_do_not_go_to_edgex_3_as_cbor(major: Any) -> None:
    for one, dialect in (
        (event(PICTURE, DETAIL), Dialect(major=major)),
        (event(DETAIL), Dialect(major=major, cbor_events=True)),
    ):
        assert outer(one, dialect)[1] == "application/json"
        assert back(sent(one, dialect)) == one
    assert outer(event(PICTURE, DETAIL), Dialect(major="4"))[1] == "application/cbor"


def test_the_whole_envelope_as_cbor_is_for_edgex_4() -> None:
    said = cbor2.loads(sent(event(PICTURE), Dialect(major="4", cbor_envelope=True)).payload)
    assert said["payload"]["event"]["readings"][0]["binaryValue"] == b"\xff\xd8\xff"
    assert said["contentType"] == "application/cbor"
    assert sent(event(SCORE), Dialect(major="3", cbor_envelope=True)).payload[:1] == b"{"


def test_optimised_events_leave_out_what_the_event_says() -> None:
    payload, _ = outer(event(SCORE, source_name="Score"), Dialect(major="4", optimize=True))
    assert payload["event"]["readings"] == [{"valueType": "Float32", "value": "5e-01", "units": "mm/s"}]
    later = msgspec.structs.replace(SCORE, origin=ORIGIN + 1)
    payload, _ = outer(event(SCORE, later), Dialect(major="4", optimize=True))
    assert [one.get("origin") for one in payload["event"]["readings"]] == [None, ORIGIN + 1]
    assert payload["event"]["readings"][0]["resourceName"] == "Score"


@pytest.mark.parametrize("dialect", [Dialect(), Dialect(major="3"), Dialect(major="4")])
def test_bare_events_for_rules(dialect: Dialect) -> None:
    one = event(SCORE, DETAIL)
    message = wire.encode_bare(one, topic="edgex/rules-events", correlation_id="c", dialect=dialect)
    said = json.loads(message.payload)["payload"]
    assert "event" not in (said if dialect.major == "4" else json.loads(base64.b64decode(said)))
    assert back(message) == one


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"api_version": "v2"}, "apiVersion"),
        ({"id": "x"}, "no UUID"),
        ({"device_name": ""}, "must not be empty"),
        ({"source_name": ""}, "must not be empty"),
        ({"origin": 0}, "not a time"),
        ({"origin": 2**63}, "not a time"),
        ({"readings": ()}, "no readings"),
    ],
)
def test_an_event_that_consumers_refuse_is_our_mistake(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        sent(event(SCORE, **change) if "readings" not in change else event(), Dialect(major="4"))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"value_type": "Float32Array", "value": ""}, "brackets"),
        ({"value_type": "Float32Array", "value": "["}, "brackets"),
        ({"value_type": "Float32Array", "value": "[]"}, "empty"),
        ({"value_type": "Float32Array", "value": "1, 2"}, "brackets"),
        ({"value_type": "BoolArray", "value": "[]"}, "empty"),
        ({"value_type": "StringArray", "value": "x"}, "StringArray"),
        ({"value_type": "float32"}, "spelling"),
        ({"value_type": "Int32"}, "not of type Int32"),
        ({"value": 0.5}, "must be text"),
        ({"value": "1e39"}, "out of range"),
        ({"resource_name": ""}, "must be set"),
        ({"origin": 0}, "must be set"),
        ({"device_name": "other"}, "another device"),
        ({"id": "x"}, "no UUID"),
        ({"value_type": "Binary", "binary_value": b"x"}, "mediaType"),
        ({"value_type": "Binary", "binary_value": b"", "media_type": "a/b"}, "bytes"),
        ({"value_type": "Object", "object_value": {1, 2}}, "not an object"),
        ({"value_type": "Object", "object_value": {"a": object()}}, "cannot be written"),
    ],
)
@pytest.mark.parametrize("dialect", [Dialect(major="4"), Dialect(major="4", cbor_envelope=True)])
def test_a_reading_that_consumers_choke_on_is_our_mistake(
    change: dict[str, Any], fault: str, dialect: Dialect
) -> None:
    with pytest.raises(ValueError, match=fault):
        sent(event(msgspec.structs.replace(SCORE, **change)), dialect)


def test_null_readings_and_object_arrays_are_for_edgex_4_only() -> None:
    null = msgspec.structs.replace(SCORE, value=None)
    boxes = reading("Boxes", [{"a": 1}], ValueType.OBJECT_ARRAY, **WHO)
    for one in (null, boxes):
        assert back(sent(event(one), Dialect(major="4"))).readings == (one,)
        for dialect in (Dialect(), Dialect(major="3")):
            with pytest.raises(ValueError, match="EdgeX 4 only"):
                sent(event(one), dialect)


def test_pictures_go_to_edgex_2_as_cbor() -> None:
    said = json.loads(sent(event(PICTURE, api_version="v2"), Dialect(major="2")).payload)
    assert said["ContentType"] == "application/cbor"
    request = cbor2.loads(base64.b64decode(said["Payload"]))
    assert request["apiVersion"] == "v2"
    assert request["event"]["readings"][0]["binaryValue"] == b"\xff\xd8\xff"
    beside = json.loads(sent(event(PICTURE, DETAIL, api_version="v2"), Dialect(major="2")).payload)
    assert beside["ContentType"] == "application/json"


@pytest.mark.parametrize(("version", "major"), [("v3", "2"), ("v2", "3"), ("v2", "4"), ("v2", None)])
def test_an_event_of_another_major_is_our_mistake(version: str, major: Any) -> None:
    with pytest.raises(ValueError, match="apiVersion"):
        sent(event(SCORE, api_version=version), Dialect(major=major))


simple = st.one_of(
    st.tuples(st.just(ValueType.BOOL), st.booleans()),
    st.tuples(st.just(ValueType.STRING), st.text(st.characters(exclude_categories=["Cs"]))),
    st.tuples(st.just(ValueType.INT64), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(ValueType.UINT64), st.integers(0, 2**64 - 1)),
    st.tuples(st.just(ValueType.FLOAT32), st.floats(width=32, allow_nan=False, allow_infinity=False)),
    st.tuples(st.just(ValueType.FLOAT64), st.floats(allow_nan=False, allow_infinity=False)),
    st.tuples(st.just(ValueType.STRING_ARRAY), st.lists(st.text(st.characters(exclude_categories=["Cs"])))),
    st.tuples(st.just(ValueType.BOOL_ARRAY), st.lists(st.booleans(), min_size=1)),
    st.tuples(st.just(ValueType.INT8_ARRAY), st.lists(st.integers(-128, 127), min_size=1)),
    st.tuples(
        st.just(ValueType.FLOAT32_ARRAY),
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1),
    ),
)


@given(st.lists(simple, min_size=1, max_size=5), st.sampled_from(DIALECTS))
def test_any_values_survive_the_journey(given: list[tuple[ValueType, Any]], dialect: Dialect) -> None:
    readings = tuple(reading(f"r{i}", value, kind, **WHO) for i, (kind, value) in enumerate(given))
    found = back(sent(event(*readings, api_version=dialect.api_version), dialect))
    for (kind, value), one in zip(given, found.readings, strict=True):
        parsed = parse(one)
        if isinstance(parsed, np.ndarray):
            np.testing.assert_array_equal(parsed, np.array(value, parsed.dtype))
        elif kind is ValueType.FLOAT32:
            assert np.float32(parsed) == np.float32(value)
        elif value == "" and dialect.major == "2":
            assert parsed == " "
        else:
            assert parsed == value


def test_ids() -> None:
    made = {new_id() for _ in range(1000)}
    assert len(made) == 1000
    for one in made:
        assert is_id(one)
        assert one[14] == "4"
        assert one[19] in "89ab"
    assert not is_id("6f0e9a1e0a444a1e9f6b1b1a44d5b6de")


@pytest.mark.parametrize("major", [None, "3", "4"])
def test_on_nats_the_payload_is_bare_and_the_envelope_is_headers(major: Any) -> None:
    """Names in the case that Go looks for; never base64, whatever the generation."""
    dialect = Dialect(major=major, headers=True, base64_payload=True)
    simple, binary = sent(event(SCORE), dialect), sent(event(PICTURE), dialect)
    assert dict(simple.headers) == {
        "ApiVersion": "v3",
        "Content-Type": "application/json",
        "ErrorCode": "0",
        "RequestId": "",
        "X-Correlation-ID": 'c"1',
    }
    assert json.loads(simple.payload)["event"]["deviceName"] == "press-7"
    assert binary.headers["Content-Type"] == "application/cbor"
    assert cbor2.loads(binary.payload)["event"]["readings"][0]["binaryValue"] == b"\xff\xd8\xff"
    assert envelope.read(simple).correlation_id == 'c"1'
