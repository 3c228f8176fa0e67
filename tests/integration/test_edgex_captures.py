"""Messages captured from real services of EdgeX 4.0, 3.1.1 and 2.1.1."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from edgex_inference.contracts.events import Event
from edgex_inference.contracts.messages import Message
from edgex_inference.contracts.values import parse
from edgex_inference.edgex import envelope, events, topics


@pytest.fixture(scope="session")
def captures(testdata: Path) -> Path:
    return testdata / "edgex-captures"


def mqtt(path: Path) -> list[Message]:
    lines = [line.split(b" ", 1) for line in path.read_bytes().splitlines() if line.strip()]
    return [Message(topic.decode(), payload) for topic, payload in lines]


def redis(path: Path) -> list[Message]:
    lines = path.read_text().splitlines()
    starts = [at for at, line in enumerate(lines) if line == "pmessage"]
    return [Message(lines[at + 2].replace(".", "/"), lines[at + 3].encode()) for at in starts]


def nats(path: Path) -> list[Message]:
    """Messages in a transcript of reads from the socket, some cut in the middle."""
    reads = [ast.literal_eval(line) for line in path.read_text().splitlines() if line.startswith("b'")]
    stream, found = b"".join(reads), []
    for match in re.finditer(rb"HMSG (\S+) \S+ (\d+) (\d+)\r\n", stream):
        subject, head, whole = match[1].decode(), int(match[2]), int(match[3])
        block = stream[match.end() : match.end() + whole]
        pairs = (line.split(": ", 1) for line in block[:head].decode().splitlines() if ": " in line)
        found.append((Message(subject.replace(".", "/"), block[head:], dict(pairs)), len(block) == whole))
    return [message for message, complete in found if complete]


def read(message: Message) -> Event | None:
    return events.read(envelope.read(message))


def check(message: Message, event: Event) -> None:
    """The event is whole: its names are the topic's, and every value is of its type."""
    if "/events/" in message.topic:
        names = [topics.unescape(level) for level in message.topic.split("/")[-3:]]
        assert names == [event.profile_name, event.device_name, event.source_name]
    assert event.readings
    for reading in event.readings:
        value = parse(reading)
        assert value is not None
        assert not isinstance(value, np.ndarray) or value.size


def is_event(message: Message) -> bool:
    return "/events/" in message.topic or message.topic.endswith("rules-events")


def test_mqtt_of_edgex_4(captures: Path) -> None:
    messages = [message for message in mqtt(captures / "mqtt-4.0.txt") if is_event(message)]
    assert len(messages) >= 20
    kinds = set()
    for message in messages:
        event = read(message)
        assert event is not None, message.topic
        check(message, event)
        kinds |= {reading.value_type for reading in event.readings}
    assert {"Binary", "Object", "Float64", "Bool", "BoolArray", "Int8"} <= kinds


def test_other_mqtt_messages_of_edgex_4_are_no_events(captures: Path) -> None:
    others = [message for message in mqtt(captures / "mqtt-4.0.txt") if not is_event(message)]
    assert others
    assert [message.topic for message in others if read(message) is not None] == []


def test_pictures_are_pictures(captures: Path) -> None:
    found = [read(message) for message in mqtt(captures / "mqtt-4.0.txt") if message.topic.endswith("/jpeg")]
    assert found
    for event in found:
        assert event is not None
        data = event.readings[0].binary_value
        assert data is not None
        assert data[:3] == b"\xff\xd8\xff"
        assert event.readings[0].media_type == "image/jpeg"


def test_redis_of_edgex_3(captures: Path) -> None:
    messages = redis(captures / "redis-3.1.1.txt")
    assert len(messages) >= 3
    for message in messages:
        event = read(message)
        assert event is not None
        check(message, event)


def test_nats_of_edgex_4(captures: Path) -> None:
    messages = nats(captures / "nats-core-4.0.txt")
    assert messages
    for message in messages:
        assert message.headers["Content-Type"].startswith("application/")
        event = read(message)
        assert event is not None
        check(message, event)


def test_events_of_ekuiper(captures: Path) -> None:
    messages = mqtt(captures / "ekuiper-2.3.1-alerts.txt")
    found = [read(message) for message in messages if message.topic.startswith("edgex/")]
    assert [event.device_name for event in found if event] == ["alert-dev"]


def zeromq(path: Path) -> list[Message]:
    frames = [ast.literal_eval(line.split(" ", 1)[1]) for line in path.read_text().splitlines()]
    return [Message(topic.decode(), payload) for topic, payload in frames]


def test_frames_of_edgex_2(captures: Path) -> None:
    """The capture is cut off within the payload; what stands before it is EdgeX 2's spelling of an envelope."""
    messages = zeromq(captures / "zmq-2.1.1.txt")
    assert len(messages) == 3
    for message in messages:
        head = message.payload.split(b',"Payload"')[0]
        found = envelope.read(
            Message(message.topic, head + b',"Payload":null,"ContentType":"application/json"}')
        )
        assert re.fullmatch("[0-9a-f-]{36}", found.correlation_id)
        assert found.topic.startswith("edgex/events/core/")


@pytest.mark.parametrize(("version", "count"), [("2.1.1", 2), ("2.3.0", 10)])
def test_events_of_edgex_2(testdata: Path, version: str, count: int) -> None:
    """Of the official SDK v2.3.0 beside either core; that of 2.1 is met in test_matrix."""
    files = sorted((testdata / "edgex-recorded").glob(f"bus-{version}-*.txt"))
    lines = [line.split("\t") for file in files for line in file.read_text().splitlines()]
    messages = [Message(line[1].replace(".", "/"), line[2].encode()) for line in lines if line[1][0] != "#"]
    found = [message for message in messages if "/events/" in message.topic]
    assert len(found) >= count
    for message in found:
        event = read(message)
        assert event is not None
        assert event.api_version == "v2"
        check(message, event)
    others = [message for message in messages if "/system-events/" in message.topic]
    assert [read(message) for message in others] == [None] * len(others)
