"""Our MQTT client's reading of bytes: whatever comes, and however it is cut, packets or one clean mistake."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgex_inference.buses.mqtt import packets, properties
from edgex_inference.buses.mqtt.inbox import ROOM, Burst, Control, Inbox, Oversize
from edgex_inference.buses.mqtt.link import Arrival
from edgex_inference.contracts.messages import Message

VERSIONS = st.sampled_from((4, 5))
WELCOME = {4: b"\x20\x02\x00\x00", 5: b"\x20\x03\x00\x00\x00"}
TOPICS = st.text(st.characters(exclude_characters="+#\0", exclude_categories=["Cs"]), min_size=1, max_size=40)
MIDS = st.integers(1, 65_535)


def read(data: bytes, version: int, cuts: Sequence[int] = (), largest: int = packets.MOST) -> Burst:
    """Everything in these bytes, which arrive cut at these places."""
    inbox, found = Inbox(version=version, largest=largest), Burst()
    for begin, end in pairwise([0, *sorted(set(cuts)), len(data)]):
        piece = data[begin:end]
        while piece and found.mistake is None:
            room = inbox.room()
            count = min(len(room), len(piece))
            assert count > 0
            room[:count] = piece[:count]
            burst = inbox.advance(count)
            piece = piece[count:]
            found.arrivals += burst.arrivals
            found.controls += burst.controls
            found.oversize += burst.oversize
            found.mistake = burst.mistake
    return found


def said(burst: Burst) -> tuple[object, ...]:
    """What a burst comes to, for comparing."""
    mistake = burst.mistake and (str(burst.mistake), burst.mistake.code)
    return burst.arrivals, burst.controls, burst.oversize, mistake


def publish(arrival: Arrival, version: int) -> bytes:
    message, mid, qos, retained = arrival
    first = packets.publish_first(qos, bool(retained))
    return packets.publication(message.topic, len(message.payload), first, mid, version) + message.payload


@st.composite
def arrivals(draw: st.DrawFn) -> Arrival:
    qos = draw(st.sampled_from((0, 1, 2)))
    payload = draw(st.binary(max_size=300))
    mid = draw(MIDS) if qos else 0
    return Arrival(Message(draw(TOPICS), payload), mid, qos, draw(st.sampled_from((0, 1))))


@st.composite
def controls(draw: st.DrawFn, version: int) -> tuple[Control, bytes]:
    mid, five = draw(MIDS), version == 5
    raw = mid.to_bytes(2, "big")
    match draw(st.sampled_from(("ack", "suback", "unsuback", "pong"))):
        case "ack":
            first, kind = draw(st.sampled_from(((0x40, 4), (0x50, 5), (0x62, 6), (0x70, 7))))
            if five and draw(st.booleans()):
                return Control(kind, mid, b"\x87", {0x1F: "no"}), bytes(
                    (first, 9)
                ) + raw + b"\x87\x05\x1f\x00\x02no"
            return Control(kind, mid), packets.answer(first, mid)
        case "suback":
            codes = draw(st.lists(st.sampled_from((0, 1, 2, 0x80)), min_size=1, max_size=200))
            body = raw + (b"\0" if five else b"") + bytes(codes)
            return Control(9, mid, bytes(codes)), b"\x90" + packets.length(len(body)) + body
        case "unsuback":
            body = raw + (b"\0\0\x11" if five else b"")
            return Control(11, mid, b"\0\x11" if five else b""), b"\xb0" + bytes((len(body),)) + body
        case _:
            return Control(13), b"\xd0\x00"


@st.composite
def streams(draw: st.DrawFn) -> tuple[int, bytes, list[Arrival], list[Control]]:
    """A version, the bytes of a welcome and some packets, and what they are."""
    version = draw(VERSIONS)
    data, came, heard = [WELCOME[version]], [], [Control(2)]
    for _ in range(draw(st.integers(0, 8))):
        if draw(st.booleans()):
            arrival = draw(arrivals())
            came.append(arrival)
            data.append(publish(arrival, version))
        else:
            control, raw = draw(controls(version))
            heard.append(control)
            data.append(raw)
    return version, b"".join(data), came, heard


@given(streams(), st.lists(st.integers(0, 3000), max_size=6))
def test_what_is_sent_is_what_is_read_however_it_is_cut(
    stream: tuple[int, bytes, list[Arrival], list[Control]], cuts: list[int]
) -> None:
    version, data, came, heard = stream
    found = read(data, version, [cut for cut in cuts if cut < len(data)])
    assert said(found) == (came, heard, [], None)


@pytest.mark.parametrize("version", [4, 5])
def test_every_byte_may_be_where_a_reading_ends(version: int) -> None:
    data = WELCOME[version]
    for size in (0, 1, 127, 128, 300):
        data += publish(Arrival(Message("t/é", b"x" * size), 7, 1, 0), version)
    data += packets.answer(0x40, 9) + b"\xd0\x00" + publish(Arrival(Message("t", b"end")), version)
    whole = said(read(data, version))
    assert whole[3] is None
    for cut in range(1, len(data)):
        assert said(read(data, version, [cut])) == whole
    assert said(read(data, version, range(1, len(data)))) == whole


@settings(max_examples=300)
@given(VERSIONS, st.booleans(), st.binary(max_size=200), st.lists(st.integers(1, 200), max_size=5))
def test_any_bytes_are_packets_or_one_mistake(
    version: int, welcomed: bool, noise: bytes, cuts: list[int]
) -> None:
    data = (WELCOME[version] if welcomed else b"") + noise
    whole = read(data, version)
    assert said(read(data, version, [cut for cut in cuts if cut < len(data)])) == said(whole)


@given(streams(), st.data())
def test_a_stream_with_changed_bytes_is_packets_or_one_mistake(
    stream: tuple[int, bytes, list[Arrival], list[Control]], data: st.DataObject
) -> None:
    version, raw, _, _ = stream
    changed = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(raw)))
    assert said(read(bytes(changed), version, [cut])) == said(read(bytes(changed), version))


V, W = WELCOME[4], WELCOME[5]


@pytest.mark.parametrize(
    ("version", "data", "words"),
    [
        (4, b"\x30\x03\x00\x01t", "no CONNACK first"),
        (4, b"\xd0\x00", "no CONNACK first"),
        (4, V + V, "CONNACK twice"),
        (4, b"\x21\x02\x00\x00", "type 2 with flags 0x1"),
        (4, b"\x20\x02\x02\x00", "a broken CONNACK"),
        (4, b"\x20\x02\x01\x05", "a broken CONNACK"),
        (4, b"\x20\x01\x00", "a broken CONNACK"),
        (4, b"\x20\x03\x00\x00\x00", "a CONNACK that is too long"),
        (5, b"\x20\x02\x00\x00", "the properties are missing"),
        (4, V + b"\x30\xff\xff\xff\xff\x01", "a length of more than four bytes"),
        (4, V + b"\x30\x00", "a message without a topic"),
        (4, V + b"\x30\x03\x00\x09t", "a topic that is longer than its message"),
        (4, V + b"\x30\x02\x00\x00", "an empty topic"),
        (4, V + b"\x30\x05\x00\x03a/#", "a topic with a wildcard"),
        (4, V + b"\x30\x04\x00\x02\xff\xfe", "a text that is no UTF-8"),
        (4, V + b"\x30\x04\x00\x02a\x00", "a text with a NUL character"),
        (4, V + b"\x36\x05\x00\x01t\x00\x01", "a message of QoS 3"),
        (4, V + b"\x32\x03\x00\x01t", "a message without its identifier"),
        (4, V + b"\x32\x05\x00\x01t\x00\x00", "a message with identifier 0"),
        (4, V + b"\x40\x02\x00\x00", "type 4 with identifier 0"),
        (4, V + b"\x40\x01\x07", "type 4 without its identifier"),
        (4, V + b"\x40\x03\x00\x07\x00", "type 4 that is too long"),
        (4, V + b"\x60\x02\x00\x07", "type 6 with flags 0x0"),
        (4, V + b"\x90\x02\x00\x07", "type 9 of a wrong length"),
        (4, V + b"\x90\x03\x00\x07\x03", "SUBACK with an unknown code"),
        (4, V + b"\xb0\x03\x00\x07\x00", "type 11 of a wrong length"),
        (4, V + b"\xd0\x01\x00", "PINGRESP with a body"),
        (4, V + b"\xe0\x00", "type 14, which no broker sends"),
        (4, V + b"\xf0\x00", "type 15, which no broker sends"),
        (4, V + b"\x00\x00", "type 0, which no broker sends"),
        (4, V + b"\xc0\x00", "type 12, which no broker sends"),
        (5, W + b"\xf0\x00", "type 15, which no broker sends"),
        (5, W + b"\x30\x03\x00\x01t", "the properties are missing"),
        (5, W + b"\x30\x05\x00\x01t\x09\x01", "properties that are longer than their packet"),
        (5, W + b"\x30\x07\x00\x01t\x03\x23\x00\x01", "property 0x23 in a packet of type 3"),
        (5, W + b"\x30\x08\x00\x01t\x04\x01\x01\x01\x01", "property 0x01 twice"),
        (5, W + b"\x30\x06\x00\x01t\x02\x01\x02", "property 0x01 is 2"),
        (5, W + b"\x30\x06\x00\x01t\x02\x02\x00", "a property that is cut off"),
        (5, W + b"\x30\x07\x00\x01t\x03\x08\x00\x05", "a text that is cut off"),
        (5, W + b"\x40\x04\x00\x07\x00\x01", "properties that are longer than their packet"),
        (5, W + b"\xe0\x03\x00\x00\x00", "type 14 that is too long"),
    ],
)
def test_a_mistake_is_named_and_what_came_before_is_kept(version: int, data: bytes, words: str) -> None:
    found = read(data, version)
    assert found.mistake is not None
    assert words in str(found.mistake)
    assert found.mistake.code in (properties.MALFORMED, properties.PROTOCOL)
    good = publish(Arrival(Message("t", b"1")), version)
    if data.startswith(WELCOME[version]):
        before = read(WELCOME[version] + good + data[len(WELCOME[version]) :], version)
        assert before.arrivals == [Arrival(Message("t", b"1"))]
        assert str(before.mistake) == str(found.mistake)


def test_a_duplicate_flag_at_qos_0_is_let_pass() -> None:
    found = read(V + b"\x38\x04\x00\x01tx", 4)
    assert said(found) == ([Arrival(Message("t", b"x"))], [Control(2)], [], None)


@given(VERSIONS, st.lists(st.integers(1, 5000), max_size=5), st.sampled_from((0, 1)))
def test_a_message_that_is_too_large_is_passed_over_however_it_is_cut(
    version: int, cuts: list[int], qos: int
) -> None:
    mid = 7 * qos
    big = publish(Arrival(Message("t/big", b"x" * 3000), mid, qos), version)
    end = publish(Arrival(Message("t", b"end")), version)
    data = WELCOME[version] + end + big + end
    found = read(data, version, [cut for cut in cuts if cut < len(data)], largest=1000)
    assert found.arrivals == [Arrival(Message("t", b"end"))] * 2
    (passed,) = found.oversize
    assert replace_size(passed) == Oversize("t/big", mid, qos, 0)
    assert 3000 <= passed.size <= 3001  # in MQTT 5 the length of the properties is not read
    assert found.mistake is None


def replace_size(passed: Oversize) -> Oversize:
    return passed._replace(size=0)


def test_another_packet_that_is_too_large_is_a_mistake() -> None:
    found = read(V + b"\x90\x90\x4e\x00\x07", 4, largest=1000)
    assert found.mistake is not None
    assert found.mistake.code == properties.TOO_LARGE
    assert "more than 1000" in str(found.mistake)


def test_memory_grows_with_what_arrives_and_not_with_what_is_announced() -> None:
    inbox = Inbox()
    for piece in (V, b"\x30\xff\xff\xff\x7f", bytes(ROOM)):
        for begin in range(0, len(piece), ROOM):
            part = piece[begin : begin + ROOM]
            room = inbox.room()
            count = min(len(room), len(part))
            room[:count] = part[:count]
            inbox.advance(count)
    assert len(inbox._buffer) <= 2 * ROOM


def test_a_long_message_leaves_no_long_buffer() -> None:
    data = V + publish(Arrival(Message("t", bytes(3 * ROOM))), 4)
    inbox = Inbox()
    while data:
        room = inbox.room()
        count = min(len(room), len(data))
        room[:count] = data[:count]
        burst = inbox.advance(count)
        data = data[count:]
    assert len(burst.arrivals[0].message.payload) == 3 * ROOM
    assert len(inbox._buffer) == ROOM


@given(st.integers(0, packets.MOST))
def test_lengths_are_read_as_they_are_written(size: int) -> None:
    raw = packets.length(size)
    assert properties.number(raw + b"\0", 0, len(raw) + 1) == (size, len(raw))


@given(st.binary(max_size=40), st.sampled_from(sorted(properties.ALLOWED)))
def test_any_properties_are_read_or_refused(raw: bytes, kind: int) -> None:
    try:
        found, end = properties.read(raw, 0, len(raw), kind)
    except properties.Malformed:
        return
    assert end <= len(raw)
    assert set(found) <= properties.ALLOWED[kind]


def test_what_connect_says() -> None:
    will = packets.Will(topic="w", payload=b"gone", qos=1, retained=True)
    hello = packets.Hello(client_id="me", username="u", password="p", keep_alive=10, clean=False, will=will)
    body = b"\x00\x04MQTT\x04\xec\x00\x0a\x00\x02me\x00\x01w\x00\x04gone\x00\x01u\x00\x01p"
    assert packets.connect(hello) == bytes((0x10, len(body))) + body
    five = replace(hello, version=5, receive_maximum=100, largest=1000, will=None, username="", password="")
    said_first = b"\x11\xff\xff\xff\xff\x21\x00\x64\x27\x00\x00\x03\xe8"
    body = b"\x00\x04MQTT\x05\x00\x00\x0a" + bytes((len(said_first),)) + said_first + b"\x00\x02me"
    assert packets.connect(five) == bytes((0x10, len(body))) + body
