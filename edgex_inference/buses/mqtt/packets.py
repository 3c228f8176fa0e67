"""What we send to a broker, as bytes; MQTT 3.1.1 (`version` 4) and 5.

Source: MQTT Version 3.1.1 and 5.0, OASIS Standards, chapter 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from edgex_inference.buses.mqtt import properties

MOST = 268_435_455
"""Bytes that a packet may have behind its first five."""

PING = b"\xc0\x00"
_CONNECT, _SUBSCRIBE, _UNSUBSCRIBE = 0x10, 0x82, 0xA2
_FOREVER = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the broker publishes when we vanish."""

    topic: str
    payload: bytes
    qos: int = 0
    retained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What CONNECT says; `receive_maximum` and `largest` (bytes of a packet) are said in MQTT 5 only."""

    version: int = 4
    client_id: str
    clean: bool = True
    keep_alive: int = 10
    username: str = ""
    password: str = field(default="", repr=False)
    will: Will | None = None
    receive_maximum: int = 65_535
    largest: int = MOST


def length(size: int) -> bytes:
    """The length that stands behind a packet's first byte."""
    if size < 128:
        return bytes((size,))
    if size < 16_384:
        return bytes((size & 127 | 128, size >> 7))
    digits = bytearray()
    while True:
        size, digit = divmod(size, 128)
        digits.append(digit | (128 if size else 0))
        if not size:
            return bytes(digits)


@lru_cache(maxsize=8192)
def text(value: str) -> bytes:
    """A text with its length in front."""
    return binary(value.encode())


def binary(raw: bytes) -> bytes:
    """Bytes with their length in front."""
    return len(raw).to_bytes(2, "big") + raw


def connect(hello: Hello) -> bytes:
    five, will = hello.version == 5, hello.will
    flags = 2 if hello.clean else 0
    body = text(hello.client_id)
    if will is not None:
        flags |= 4 | will.qos << 3 | (32 if will.retained else 0)
        body += (b"\0" if five else b"") + text(will.topic) + binary(will.payload)
    if hello.username:
        flags |= 128
        body += text(hello.username)
    if hello.password and (hello.username or five):
        flags |= 64
        body += text(hello.password)
    said = bytearray()
    if not hello.clean:
        said += bytes((properties.EXPIRY,)) + _FOREVER.to_bytes(4, "big")
    said += bytes((properties.RECEIVE_MAXIMUM,)) + hello.receive_maximum.to_bytes(2, "big")
    if hello.largest < MOST:
        said += bytes((properties.MAXIMUM_PACKET,)) + hello.largest.to_bytes(4, "big")
    head = text("MQTT") + bytes((hello.version, flags)) + hello.keep_alive.to_bytes(2, "big")
    head += length(len(said)) + said if five else b""
    return bytes((_CONNECT,)) + length(len(head) + len(body)) + head + body


def subscribe(mid: int, filters: Sequence[str], qos: int, version: int) -> bytes:
    option = bytes((qos,))
    return _request(_SUBSCRIBE, mid, b"".join(text(one) + option for one in filters), version)


def unsubscribe(mid: int, filters: Sequence[str], version: int) -> bytes:
    return _request(_UNSUBSCRIBE, mid, b"".join(text(one) for one in filters), version)


def _request(first: int, mid: int, body: bytes, version: int) -> bytes:
    body = mid.to_bytes(2, "big") + (b"\0" if version == 5 else b"") + body
    return bytes((first,)) + length(len(body)) + body


def publication(topic: str, size: int, first: int, mid: int, version: int) -> bytes:
    """What stands before a payload of `size` bytes; `first` is `publish_first`, `mid` 0 at QoS 0."""
    head = text(topic)
    if mid:
        head += mid.to_bytes(2, "big")
    if version == 5:
        head += b"\0"
    return b"%c%b%b" % (first, length(len(head) + size), head)


@lru_cache(maxsize=8192)
def plain_publication(topic: str, size: int, first: int, version: int) -> bytes:
    """`publication` at QoS 0, where few differ."""
    return publication(topic, size, first, 0, version)


def publish_first(qos: int, retained: bool) -> int:
    """The first byte of PUBLISH."""
    return 0x30 | qos << 1 | retained


def answer(first: int, mid: int) -> bytes:
    """PUBACK (0x40), PUBREC (0x50), PUBREL (0x62), PUBCOMP (0x70): success."""
    return bytes((first, 2)) + mid.to_bytes(2, "big")


def disconnect(version: int, code: int = 0) -> bytes:
    """Goodbye; in MQTT 5 with the reason."""
    return bytes((0xE0, 1, code)) if version == 5 and code else b"\xe0\x00"
