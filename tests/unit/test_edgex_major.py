"""edgex.major and Sender: whose EdgeX it is, from the first messages or from whoever knows."""

import base64
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import envelope, events
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.pipeline.publishing.emit import Sender

GOLDEN = Path(__file__).parent.parent / "data" / "golden"


def golden(file: str, name: str) -> Message:
    lines = map(json.loads, (GOLDEN / f"{file}.jsonl").read_text().splitlines())
    line: dict[str, Any] = next(one for one in lines if one["name"] == name)
    return Message(line["topic"], base64.b64decode(line["payload"]), line.get("headers", {}))


def hear(sender: Sender, *messages: Message) -> Dialect:
    for message in messages:
        read = envelope.read(message)
        event = events.read(read)
        assert event is not None
        if sender.listening:
            sender.heard(message, read, event)
    return sender.dialect


@pytest.mark.parametrize(
    ("file", "name", "major", "early"),
    [
        ("edgex2.0", "base64", "2", True),
        ("edgex2.1", "base64", "2", True),
        ("edgex2.1", "binary", "2", True),
        ("edgex2.2", "cbor payload", "2", True),
        ("edgex2.3", "base64", "2", False),
        ("edgex2.3", "binary", "2", False),
        ("edgex3", "base64", "3", False),
        ("edgex3", "bare", "3", False),
        ("edgex3", "binary", None, False),
        ("edgex4", "raw", "4", False),
        ("edgex4", "bare", "4", False),
        ("edgex4", "optimized", "4", False),
        ("edgex4", "cbor envelope", "4", False),
        ("edgex4", "binary cbor envelope", "4", False),
        ("edgex4", "base64", "3", False),
        ("edgex4", "binary", None, False),
        ("edgex4", "nats", None, False),
    ],
)
def test_what_a_message_looks_like(file: str, name: str, major: str | None, early: bool) -> None:
    found = hear(Sender(), golden(file, name))
    assert (found.major, found.early) == (major, early)


def test_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    sender = Sender()
    with caplog.at_level(logging.INFO):
        hear(sender, *[golden("edgex2.3", "base64")] * 3, golden("edgex4", "raw"))
    assert sender.dialect.major == "2"
    assert [record.getMessage() for record in caplog.records] == [
        "EdgeX 2 is spoken from now on, as messages on edgex/events/device/press/press-7/all look like it and "
        "nobody has said: Inference.EdgexVersion says it for certain"
    ]


def test_base64_may_turn_out_to_be_edgex_4s() -> None:
    sender = Sender()
    assert hear(sender, golden("edgex4", "base64")).major == "3"
    assert hear(sender, golden("edgex4", "binary")).major == "3"
    assert hear(sender, golden("edgex4", "raw")).major == "4"
    assert hear(sender, golden("edgex4", "base64")).major == "4"
    assert not sender.listening


@pytest.mark.parametrize("major", ["3", "4"])
def test_what_is_configured_stays(major: Any) -> None:
    sender = Sender(dialect=Dialect(major=major))
    assert not sender.listening
    assert hear(sender, golden("edgex2.1", "base64"), golden("edgex4", "raw")).major == major


def test_a_configured_2_listens_for_its_minor_alone() -> None:
    sender = Sender(dialect=Dialect(major="2"))
    assert hear(sender, golden("edgex4", "raw")) == Dialect(major="2")
    assert hear(sender, golden("edgex2.1", "base64")) == Dialect(major="2", early=True)
    assert hear(sender, golden("edgex2.3", "base64")) == Dialect(major="2", early=True)


def test_core_metadata_is_believed_before_any_message(caplog: pytest.LogCaptureFixture) -> None:
    guessing = Sender()
    hear(guessing, golden("edgex2.1", "base64"))
    with caplog.at_level(logging.INFO):
        guessing.told("4")
    assert (guessing.dialect.major, guessing.dialect.early) == ("4", False)
    assert not caplog.records, "whoever tells it says so"
    asked = Sender()
    asked.told("3")
    assert hear(asked, golden("edgex4", "raw"), golden("edgex2.1", "base64")).major == "3"


def test_the_switches_stay_as_they_are() -> None:
    switched = Dialect(base64_payload=True, optimize=True, escape_names=True, base_topic="plant")
    found = hear(Sender(dialect=switched), golden("edgex4", "raw"))
    assert found == Dialect(
        major="4", base64_payload=True, optimize=True, escape_names=True, base_topic="plant"
    )
