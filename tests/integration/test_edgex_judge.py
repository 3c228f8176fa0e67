"""EdgeX's own libraries judge everything that we emit."""

import base64
import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import topics, wire
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.edgex.ids import new_id
from edgex_inference.edgex.values import binary_reading, reading

Judge = Callable[..., list[Any]]

ORIGIN = 1795418138745047301
NAMES = {"device": "press-7", "profile": "press-inference"}
VALUES: dict[ValueType, Any] = {
    ValueType.BOOL: True,
    ValueType.STRING: 'text with "quotes", ü and\nlines',
    ValueType.UINT8: 255,
    ValueType.UINT16: 65535,
    ValueType.UINT32: 2**32 - 1,
    ValueType.UINT64: 2**64 - 1,
    ValueType.INT8: -128,
    ValueType.INT16: -(2**15),
    ValueType.INT32: -(2**31),
    ValueType.INT64: -(2**63),
    ValueType.FLOAT32: np.float32(3.4028235e38),
    ValueType.FLOAT64: 5e-324,
    ValueType.BOOL_ARRAY: [True, False],
    ValueType.STRING_ARRAY: ["a b", 'c,"d', ""],
    ValueType.UINT8_ARRAY: [0, 255],
    ValueType.UINT16_ARRAY: np.arange(3, dtype=np.uint16),
    ValueType.UINT32_ARRAY: [2**32 - 1],
    ValueType.UINT64_ARRAY: [2**64 - 1],
    ValueType.INT8_ARRAY: [-128, 127],
    ValueType.INT16_ARRAY: [-1],
    ValueType.INT32_ARRAY: [-1, 0],
    ValueType.INT64_ARRAY: [-(2**63)],
    ValueType.FLOAT32_ARRAY: np.linspace(-1, 1, 5, dtype=np.float32),
    ValueType.FLOAT64_ARRAY: [1e300, -0.0],
    ValueType.OBJECT: {
        "image": {"width": 640},
        "items": [{"label": "a", "box": [0.1, 0.2, 0.3, 0.4]}],
        "n": None,
    },
}
DIALECTS = {
    "unknown": Dialect(),
    "2": Dialect(major="2"),
    "2 early": Dialect(major="2", early=True),
    "2 cbor": Dialect(major="2", cbor_events=True),
    "3": Dialect(major="3"),
    "3 cbor": Dialect(major="3", cbor_events=True),
    "4": Dialect(major="4"),
    "4 base64": Dialect(major="4", base64_payload=True),
    "4 cbor events": Dialect(major="4", cbor_events=True),
    "4 cbor envelope": Dialect(major="4", cbor_envelope=True),
    "4 optimize": Dialect(major="4", optimize=True),
    "4 escaped": Dialect(major="4", escape_names=True),
}


def event(*readings: Reading, **fields: Any) -> Event:
    given = {
        "device_name": NAMES["device"],
        "profile_name": NAMES["profile"],
        "source_name": "Health",
        "api_version": "v3",
        **fields,
    }
    return Event(id=new_id(), origin=ORIGIN, readings=readings, tags={"model": "m"}, **given)


def made(kind: ValueType, value: Any) -> Reading:
    return reading(f"R{kind}", value, kind, **NAMES, origin=ORIGIN, units="mm/s")


def everything(dialect: Dialect) -> list[Event]:
    every = [made(kind, value) for kind, value in VALUES.items()]
    found = [event(*every), *(event(one) for one in every)]
    found.append(event(binary_reading("Picture", b"\xff\xd8\xff", "image/jpeg", **NAMES, origin=ORIGIN)))
    found.append(event(found[-1].readings[0], made(ValueType.OBJECT, {"a": {"b": 1}})))
    found.append(event(made(ValueType.STRING_ARRAY, [])))
    found.append(event(made(ValueType.BOOL, True), source_name="RBool"))
    if dialect.major == "4":
        found.append(event(made(ValueType.OBJECT_ARRAY, [{"a": 1}])))
        found += [event(msgspec.structs.replace(one, value=None, object_value=None)) for one in every]
    return [msgspec.structs.replace(one, api_version=dialect.api_version) for one in found]


def judges(dialect: Dialect) -> list[str]:
    """Whoever may be on the other side of this dialect; either EdgeX 2 takes the envelopes of the other."""
    return {None: ["3", "4"], "2": ["2", "21"], "3": ["3"], "4": ["4"]}[dialect.major]


def sent(one: Event, dialect: Dialect) -> Message:
    topic = topics.event_topic(
        dialect,
        service="app-inference",
        profile=one.profile_name,
        device=one.device_name,
        source=one.source_name,
    )
    return wire.encode(one, topic=topic, correlation_id=new_id(), dialect=dialect)


def switches(dialect: Dialect) -> dict[str, str]:
    given = {
        "EDGEX_MSG_CBOR_ENCODE": dialect.cbor_envelope,
        "EDGEX_OPTIMIZE_EVENT_PAYLOAD": dialect.optimize,
    }
    return {name: "true" for name, on in given.items() if on}


@pytest.mark.parametrize("name", DIALECTS)
def test_everything_that_we_emit(judge: Judge, name: str) -> None:
    dialect = DIALECTS[name]
    given = everything(dialect)
    for generation in judges(dialect):
        verdicts = judge(generation, [sent(one, dialect) for one in given], environment=switches(dialect))
        faults = [
            (verdict.error, one) for verdict, one in zip(verdicts, given, strict=True) if not verdict.ok
        ]
        assert faults == []
        for verdict, one in zip(verdicts, given, strict=True):
            compare(verdict.event, one, exact=dialect.major != "4", units=generation != "21")


def compare(said: dict[str, Any], one: Event, *, exact: bool, units: bool) -> None:
    """What Go understood is what we meant; a raw payload passes through float64 there, which rounds origins.

    EdgeX 2.1 knows no units.
    """
    assert (said["id"], said["tags"]) == (one.id, one.tags)
    assert (said["origin"] == ORIGIN) if exact else abs(said["origin"] - ORIGIN) < 1000
    for have, want in zip(said["readings"], one.readings, strict=True):
        assert have["resourceName"] == want.resource_name
        assert (have["valueType"], have.get("units", "")) == (want.value_type, want.units if units else "")
        assert (have.get("value") or None) == (want.value or None)
        assert have.get("objectValue") == want.object_value
        assert base64.b64decode(have.get("binaryValue") or "") == (want.binary_value or b"")


@pytest.mark.parametrize("name", ["unknown", "2", "2 early", "3", "4", "4 base64"])
def test_bare_events(judge: Judge, name: str) -> None:
    dialect = DIALECTS[name]
    readings = (made(ValueType.FLOAT32, 0.5), made(ValueType.OBJECT, {"a": 1}))
    given = [event(*readings, api_version=dialect.api_version)]
    messages = [
        wire.encode_bare(one, topic=topics.rules_topic(dialect), correlation_id="", dialect=dialect)
        for one in given
    ]
    for generation in judges(dialect):
        assert [verdict.error for verdict in judge(generation, messages, bare=True)] == [""]


@pytest.mark.parametrize("escaped", [False, True])
def test_names_that_break_topics(judge: Judge, escaped: bool) -> None:
    names = ["line/7", "a+b #1", "50%", "ü.-_~", "$&=:@;,?!'()*", "a b"]
    dialect = Dialect(major="4", escape_names=escaped)
    given = [
        event(
            reading("Score", 0.5, ValueType.FLOAT32, device=name, profile=f"p {name}", origin=ORIGIN),
            device_name=name,
            profile_name=f"p {name}",
            source_name=f"s {name}",
        )
        for name in names
    ]
    verdicts = judge("4", [sent(one, dialect) for one in given])
    assert [verdict.error for verdict in verdicts] == [""] * len(names)


def test_add_event_requests_as_json(judge: Judge) -> None:
    message = sent(event(made(ValueType.FLOAT32, 0.5)), Dialect(major="4"))
    line = json.dumps(json.loads(message.payload)["payload"])
    for generation in ("3", "4"):
        assert judge(generation, [line])[0].ok


def test_the_judge_bites(judge: Judge) -> None:
    good = sent(event(made(ValueType.FLOAT32, 0.5)), Dialect())
    raw = sent(event(made(ValueType.FLOAT32, 0.5)), Dialect(major="4"))
    spoiled = {
        '"5e-01"': '"much"',
        "press-7": "press-8",
        '"Float32"': '"Float16"',
        '"origin":1795418138745047301,"readings"': '"origin":0,"readings"',
        "application/json": "",
    }
    cases = [
        Message(raw.topic, raw.payload.replace(old.encode(), new.encode())) for old, new in spoiled.items()
    ]
    assert [verdict.ok for verdict in judge("4", cases)] == [False] * len(cases)
    empty = raw.payload.replace(b'"Float32"', b'"Float32Array"').replace(b'"5e-01"', b'""')
    assert judge("4", [Message(raw.topic, empty)])[0].error.startswith("panic")
    assert [verdict.ok for verdict in judge("3", [good, raw])] == [True, False]


def test_the_judges_of_edgex_2_bite(judge: Judge) -> None:
    good = sent(event(made(ValueType.FLOAT32, 0.5), api_version="v2"), Dialect(major="2"))
    silent = event(made(ValueType.STRING, "x"), api_version="v2")
    text = sent(silent, Dialect(major="2"))
    spoiled = [
        Message(good.topic.replace("press-7", "press-8"), good.payload),
        _within(good, b'"5e-01"', b'"much"'),
        _within(good, b'"Float32"', b'"Float16"'),
        _within(text, b'"value":"x"', b'"value":""'),
        Message(good.topic, good.payload.replace(b"application/json", b"")),
    ]
    for generation, checks_values in (("2", True), ("21", False)):
        verdicts = [verdict.ok for verdict in judge(generation, [good, text, *spoiled])]
        assert verdicts == [True, True, False, not checks_values, False, False, False]


def _within(message: Message, old: bytes, new: bytes) -> Message:
    """The message with something else in its base64 payload."""
    said = json.loads(message.payload)
    payload = base64.b64decode(said["Payload"])
    assert old in payload
    said["Payload"] = base64.b64encode(payload.replace(old, new)).decode()
    return Message(message.topic, json.dumps(said).encode())
