"""Messages made by EdgeX's own libraries (tests/data/golden; `tests/judge.py golden` writes them again)."""

import base64
import json
import re
import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.contracts.values import parse
from edgex_inference.edgex import envelope, events, topics, wire
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.edgex.values import Unfit, format_value

GOLDEN = Path(__file__).parent.parent / "data" / "golden"
LINES = [
    pytest.param(json.loads(line), id=f"{name} {json.loads(line)['name']}")
    for name in ("edgex2.0", "edgex2.1", "edgex2.2", "edgex2.3", "edgex3", "edgex4")
    for line in (GOLDEN / f"{name}.jsonl").read_text().splitlines()
]
PAYLOAD = re.compile(rb'(?<="[pP]ayload":)"([^"]*)"')
EXPECTED = {
    "Bool": True,
    "Uint64": 2**64 - 1,
    "Int64": -(2**63),
    "Float64": 10 / 3,
    "BoolArray": [True, False],
    "StringArray": ["a b", "c,d", "<"],
    "Uint64Array": [0, 2**64 - 1],
    "Int64Array": [-(2**63), 2**63 - 1],
    "Float64Array": [0.1, 1e300],
    "Object": {"scores": [0.1, 1e-9, "ok", None, True]},
    "ObjectArray": [{"box": [1, 2]}],
    "Null": None,
}


def message(line: dict[str, Any]) -> Message:
    return Message(line["topic"], base64.b64decode(line["payload"]), line.get("headers", {}))


def decoded(line: dict[str, Any]) -> Event:
    found = events.read(envelope.read(message(line)))
    assert found is not None
    return found


@pytest.mark.parametrize("line", LINES)
def test_the_event_is_what_go_says_it_is(line: dict[str, Any]) -> None:
    found, expected = decoded(line), line["event"]
    for name in ("apiVersion", "id", "deviceName", "profileName", "sourceName", "origin", "tags"):
        assert getattr(found, snake(name)) == expected.get(name), name
    assert len(found.readings) == len(expected["readings"])
    for have, want in zip(found.readings, expected["readings"], strict=True):
        check_reading(have, want, optimized="optimized" in line["name"])


def check_reading(have: Reading, want: dict[str, Any], *, optimized: bool) -> None:
    for name in ("origin", "deviceName", "resourceName", "profileName", "valueType", "mediaType", "units"):
        assert getattr(have, snake(name)) == want.get(name, ""), name
    assert have.id == ("" if optimized else want["id"])
    assert have.value == want.get("value")
    assert have.object_value == want.get("objectValue")
    assert have.binary_value == (base64.b64decode(want["binaryValue"]) if want.get("binaryValue") else None)


@pytest.mark.parametrize("line", LINES)
def test_envelope_fields(line: dict[str, Any]) -> None:
    found = envelope.read(message(line))
    assert found.topic == line["topic"]
    assert found.correlation_id == "14a42ea6-c394-41c3-8bcd-a29b9f5e6835"
    assert (found.request_id, found.error_code, dict(found.query_params)) == ("", 0, {})


@pytest.mark.parametrize("line", [one for one in LINES if one.values[0]["name"] in ("raw", "cbor envelope")])
def test_values(line: dict[str, Any]) -> None:
    values = {reading.resource_name: parse(reading) for reading in decoded(line).readings}
    assert len(values) == 27
    for name, expected in EXPECTED.items():
        found = values[name]
        assert (found.tolist() if isinstance(found, np.ndarray) else found) == expected, name


@pytest.mark.parametrize(
    "line",
    [one for one in LINES if one.values[0]["name"] == "base64" and not str(one.id).startswith("edgex2.0")],
)
def test_what_we_write_is_wrapped_as_go_wraps_it(line: dict[str, Any]) -> None:
    """Byte by byte, the payload aside: keys, their order, what is left out. EdgeX 4 gets base64 by its switch."""
    event = decoded(line)
    dialect = {
        "v2": Dialect(major="2", early=b"ApiVersion" not in message(line).payload),
        "v3": Dialect(major="4", base64_payload=True),
    }[event.api_version]
    event = msgspec.structs.replace(event, readings=event.readings[:1], tags=None)
    sent = wire.encode(
        event, topic="t", correlation_id="14a42ea6-c394-41c3-8bcd-a29b9f5e6835", dialect=dialect
    )
    gos, ours = (PAYLOAD.split(one) for one in (message(line).payload, sent.payload))
    assert (len(gos), gos[0], gos[2]) == (3, ours[0], ours[2])
    request = json.loads(base64.b64decode(ours[1]))
    expected = {"apiVersion": event.api_version, "requestId": "", "event": line["event"]}
    reading = {key: item for key, item in line["event"]["readings"][0].items() if item}
    expected["event"] = {**line["event"], "readings": [reading]}
    expected["event"].pop("tags")
    assert request == expected


def test_edgex_2_0_has_a_checksum_which_nobody_reads() -> None:
    """Its envelopes have no ReceivedTopic; ours, that of 2.1 and 2.2, has nothing that it would stumble over."""
    line = next(one.values[0] for one in LINES if str(one.id) == "edgex2.0 base64")
    said = json.loads(message(line).payload)
    assert list(said) == ["Checksum", "CorrelationID", "Payload", "ContentType"]
    assert said["Checksum"] == ""


def test_the_topic_of_escaped_names_is_gos() -> None:
    line = next(one.values[0] for one in LINES if one.values[0]["name"] == "escaped")
    event = decoded(line)
    made = topics.event_topic(
        Dialect(escape_names=True),
        service="device-virtual",
        profile=event.profile_name,
        device=event.device_name,
        source=event.source_name,
    )
    assert made == line["topic"]


@pytest.mark.parametrize("line", (GOLDEN / "floats.jsonl").read_text().splitlines())
def test_float_text_is_gos(line: str) -> None:
    said = json.loads(line)
    kind, bits = ValueType(said["type"]), int(said["bits"])
    if kind is ValueType.FLOAT32:
        number = struct.unpack("<f", struct.pack("<I", bits))[0]
    else:
        number = struct.unpack("<d", struct.pack("<Q", bits))[0]
    found = parse(Reading(value_type=kind.value, value=said["text"]))
    if not np.isfinite(number):
        assert np.isnan(number) or found == number
        with pytest.raises(Unfit):
            format_value(number, kind)
        return
    assert format_value(number, kind) == said["text"]
    assert (np.float32(found) if kind is ValueType.FLOAT32 else found) == number


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
