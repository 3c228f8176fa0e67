"""Bytes from a broker → bursts of packets, without any I/O; whatever the bytes, no error leaves this room."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from edgex_inference.buses.mqtt import properties
from edgex_inference.buses.mqtt.link import Arrival
from edgex_inference.buses.mqtt.packets import MOST
from edgex_inference.buses.mqtt.properties import NONE, PROTOCOL, TOO_LARGE, Malformed, Properties
from edgex_inference.contracts.messages import Message

ROOM = 262_144
"""Bytes that one reading may bring; a longer packet gets room as it arrives."""

_TOPICS = 20_000
_LONGEST_HEAD = 5 + 2 + 65_535 + 2
WELCOME, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, PONG, FAREWELL = 2, 4, 5, 6, 7, 9, 11, 13, 14
_PUBLISH = 3
_FIRST = {WELCOME: 0x20, PUBACK: 0x40, PUBREC: 0x50, PUBREL: 0x62, PUBCOMP: 0x70}
_FIRST |= {SUBACK: 0x90, UNSUBACK: 0xB0, PONG: 0xD0, FAREWELL: 0xE0}


class Control(NamedTuple):
    """A packet that is no message; `codes` are return or reason codes, one for each filter of a SUBACK."""

    kind: int
    mid: int = 0
    codes: bytes = b"\0"
    properties: Properties = NONE


class Oversize(NamedTuple):
    """A message that is larger than we take: passed over, never held in memory."""

    topic: str
    mid: int
    qos: int
    size: int


@dataclass(slots=True)
class Burst:
    """All packets that one reading completed; after a `mistake` there is nothing more."""

    arrivals: list[Arrival] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    oversize: list[Oversize] = field(default_factory=list)
    mistake: Malformed | None = None


class Inbox:
    """The buffer of one connection: fill `room()`, then `advance`."""

    def __init__(self, *, version: int = 4, largest: int = MOST) -> None:
        """`largest`: bytes of a packet; a larger message is passed over, anything else that large is a mistake."""
        self._five = version == 5
        self._largest = largest
        self._buffer = bytearray(ROOM)
        self._have = 0
        self._need = 2
        self._skip = 0
        self._welcomed = False
        self._topics: dict[bytes, str] = {}
        self._known_controls = {*_FIRST} - (set() if self._five else {FAREWELL})

    def room(self) -> memoryview:
        """Where the next bytes go; never empty."""
        return memoryview(self._buffer)[self._have :]

    def advance(self, count: int) -> Burst:
        """Takes the `count` bytes that were put into `room()`."""
        self._have += count
        burst = Burst()
        if self._have < self._need:
            self._grow()
            return burst
        data = bytes(memoryview(self._buffer)[: self._have])
        at = self._skipped()
        try:
            at = self._parse(data, at, burst)
        except Malformed as error:
            burst.mistake = error
        rest = len(data) - at
        if len(self._buffer) > ROOM and rest < ROOM:
            self._buffer = bytearray(ROOM)
        self._buffer[:rest] = memoryview(data)[at:]
        self._have = rest
        self._grow()
        return burst

    def _skipped(self) -> int:
        """Where the first byte lies that is no part of a message passed over."""
        cut = min(self._skip, self._have)
        self._skip -= cut
        return cut

    def _grow(self) -> None:
        """Room for a long packet, no faster than it arrives."""
        size = len(self._buffer)
        if self._have == size:
            larger = bytearray(min(max(self._need, size + 1), 2 * size))
            larger[:size] = self._buffer
            self._buffer = larger

    def _parse(self, data: bytes, at: int, burst: Burst) -> int:
        """Reads packet after packet; returns where the first incomplete one begins, and sets what it needs."""
        have = len(data)
        while True:
            self._need = 2
            if have - at < 2:
                return at
            first, size, body = data[at], data[at + 1], at + 2
            if size > 127 and have - body > 0 and data[body] < 128:  # the usual length of an event
                size, body = size & 127 | data[body] << 7, body + 1
            elif size > 127:
                frame = _long(data, at, have)
                if frame is None:
                    self._need = have - at + 1
                    return at
                size, body = frame
            stop = body + size
            if stop - at > self._largest:
                if not self._pass_over(data, at, (body, stop), burst):
                    return at
                if stop > have:
                    self._skip = stop - have
                    return have
            elif stop > have:
                self._need = stop - at
                return at
            elif first >> 4 == _PUBLISH and self._welcomed:
                burst.arrivals.append(self._publication(data, first, body, stop))
            else:
                burst.controls.append(self._control(data, first, body, stop))
            at = stop

    def _head(self, data: bytes, first: int, body: int, stop: int) -> tuple[str, int, int, int]:
        """Topic, identifier, QoS of a PUBLISH, and where its properties or payload begin."""
        begin = body + 2
        if begin > stop:
            raise Malformed("a message without a topic")
        middle = begin + (data[body] << 8 | data[body + 1])
        if middle > stop:
            raise Malformed("a topic that is longer than its message")
        raw = data[begin:middle]
        topic = self._topics.get(raw) or self._topic(raw)
        qos = first >> 1 & 3  # DUP at QoS 0 is let pass: brokers forward it from publishers that repeat
        if not qos:
            return topic, 0, 0, middle
        if qos == 3:
            raise Malformed("a message of QoS 3")
        if middle + 2 > stop:
            raise Malformed("a message without its identifier")
        mid = data[middle] << 8 | data[middle + 1]
        if not mid:
            raise Malformed("a message with identifier 0")
        return topic, mid, qos, middle + 2

    def _publication(self, data: bytes, first: int, body: int, stop: int) -> Arrival:
        topic, mid, qos, begin = self._head(data, first, body, stop)
        if self._five:
            _, begin = properties.read(data, begin, stop, _PUBLISH)
        return Arrival(Message(topic, data[begin:stop]), mid, qos, first & 1)

    def _topic(self, raw: bytes) -> str:
        topic = properties.utf8(raw)
        if not topic:
            raise Malformed("an empty topic", PROTOCOL)
        if "+" in topic or "#" in topic:
            raise Malformed("a topic with a wildcard")
        if len(self._topics) >= _TOPICS:
            self._topics.clear()
        self._topics[raw] = topic
        return topic

    def _pass_over(self, data: bytes, at: int, span: tuple[int, int], burst: Burst) -> bool:
        """Notes a message that is too large, once its beginning is there."""
        body, stop = span
        if data[at] >> 4 != _PUBLISH or not self._welcomed:
            raise Malformed(f"a packet of {stop - at} bytes, more than {self._largest}", TOO_LARGE)
        if len(data) < min(stop, at + _LONGEST_HEAD):
            self._need = min(stop - at, _LONGEST_HEAD)
            return False
        topic, mid, qos, begin = self._head(data, data[at], body, stop)
        burst.oversize.append(Oversize(topic, mid, qos, stop - begin))
        return True

    def _control(self, data: bytes, first: int, body: int, stop: int) -> Control:
        kind = first >> 4
        if not self._welcomed and kind != WELCOME:
            raise Malformed("no CONNACK first", PROTOCOL)
        if kind not in self._known_controls:
            raise Malformed(f"a packet of type {kind}, which no broker sends", PROTOCOL)
        if first != _FIRST[kind]:
            raise Malformed(f"a packet of type {kind} with flags {first & 15:#x}")
        if self._welcomed and kind == WELCOME:
            raise Malformed("CONNACK twice", PROTOCOL)
        if kind == PONG:
            if body != stop:
                raise Malformed("PINGRESP with a body")
            return Control(kind)
        if kind == WELCOME:
            return self._welcome(data, body, stop)
        if kind == FAREWELL:
            return self._reasoned(kind, 0, data, (body, stop))
        if stop - body < 2:
            raise Malformed(f"a packet of type {kind} without its identifier")
        mid = data[body] << 8 | data[body + 1]
        if not mid:
            raise Malformed(f"a packet of type {kind} with identifier 0")
        if kind in (SUBACK, UNSUBACK):
            return self._codes(kind, mid, data, (body + 2, stop))
        return self._reasoned(kind, mid, data, (body + 2, stop))

    def _welcome(self, data: bytes, body: int, stop: int) -> Control:
        if stop - body < 2 or data[body] > 1 or (data[body] and data[body + 1]):
            raise Malformed("a broken CONNACK")
        found = NONE
        end = body + 2
        if self._five and (end < stop or data[body + 1] == 0):
            found, end = properties.read(data, end, stop, WELCOME)
        if end != stop:
            raise Malformed("a CONNACK that is too long")
        code = data[body + 1]
        self._welcomed = code == 0
        return Control(WELCOME, data[body], bytes((code,)), found)

    def _codes(self, kind: int, mid: int, data: bytes, span: tuple[int, int]) -> Control:
        at, stop = span
        found: Mapping[int, properties.Value] = NONE
        if self._five:
            found, at = properties.read(data, at, stop, kind)
        codes = data[at:stop]
        if not self._five and any(code not in (0, 1, 2, 0x80) for code in codes):
            raise Malformed("SUBACK with an unknown code")
        if bool(codes) == (kind == UNSUBACK and not self._five):
            raise Malformed(f"a packet of type {kind} of a wrong length")
        return Control(kind, mid, codes, found)

    def _reasoned(self, kind: int, mid: int, data: bytes, span: tuple[int, int]) -> Control:
        """PUBACK and its like, and DISCONNECT: a reason code and properties may follow in MQTT 5."""
        at, stop = span
        if at == stop:
            return Control(kind, mid)
        if not self._five:
            raise Malformed(f"a packet of type {kind} that is too long")
        code, found = data[at : at + 1], NONE
        at += 1
        if at < stop:
            found, at = properties.read(data, at, stop, kind)
        if at != stop:
            raise Malformed(f"a packet of type {kind} that is too long")
        return Control(kind, mid, code, found)


def _long(data: bytes, at: int, have: int) -> tuple[int, int] | None:
    """Length and begin of a body whose length has several bytes; None while they are not all there."""
    size = shift = 0
    for index in range(at + 1, min(at + 5, have)):
        size |= (data[index] & 127) << shift
        shift += 7
        if data[index] < 128:
            return size, index + 1
    if have >= at + 5:
        raise Malformed("a length of more than four bytes")
    return None
