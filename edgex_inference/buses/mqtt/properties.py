"""MQTT 5's properties, and what its reason codes mean; and the one error that a broker's mistakes raise.

Source: MQTT Version 5.0, OASIS Standard, sections 2.2.2 and 2.4.
"""

from collections.abc import Mapping
from struct import unpack_from

MALFORMED, PROTOCOL, TOO_LARGE = 0x81, 0x82, 0x95
SESSION_TAKEN = 0x8E

EXPIRY, SERVER_KEEP_ALIVE, REASON = 0x11, 0x13, 0x1F
RECEIVE_MAXIMUM, MAXIMUM_QOS, RETAIN_AVAILABLE, MAXIMUM_PACKET = 0x21, 0x24, 0x25, 0x27

Value = int | bytes | str
Properties = Mapping[int, Value]

NONE: Properties = {}
_REPEATABLE = (0x26, 0x0B)
_KINDS = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), "byte"),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), "two"),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), "four"),
    0x0B: "number",
    **dict.fromkeys((0x09, 0x16), "binary"),
    **dict.fromkeys((0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F), "text"),
    0x26: "pair",
}
_ANSWER = frozenset((0x1F, 0x26))
ALLOWED: Mapping[int, frozenset[int]] = {
    2: frozenset((0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, *range(0x21, 0x2B))) - {0x23},
    3: frozenset((0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x26)),
    **dict.fromkeys((4, 5, 6, 7, 9, 11), _ANSWER),
    14: _ANSWER | {0x11, 0x1C},
}
"""Which properties a packet of the broker may have; no topic alias, for we allow none."""

_FLAGS = (0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A)
_NEVER_ZERO = (0x0B, 0x21, 0x27)


class Malformed(Exception):
    """The broker broke the protocol; `code` is MQTT 5's word for how."""

    def __init__(self, text: str, code: int = MALFORMED) -> None:
        self.code = code
        super().__init__(text)


def number(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """A number of up to four bytes, and where it ends."""
    value = shift = 0
    while at < stop and shift < 28:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise Malformed("a length that does not end")


def utf8(raw: bytes) -> str:
    """A text of MQTT: UTF-8 without NUL."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise Malformed("a text that is no UTF-8") from None
    if "\0" in text:
        raise Malformed("a text with a NUL character")
    return text


def read(data: bytes, at: int, stop: int, kind: int) -> tuple[Properties, int]:
    """The properties of a packet of this kind, and where they end."""
    if at >= stop:
        raise Malformed("the properties are missing")
    if data[at] == 0:
        return NONE, at + 1
    length, at = number(data, at, stop)
    end = at + length
    if end > stop:
        raise Malformed("properties that are longer than their packet")
    found: dict[int, Value] = {}
    while at < end:
        key, at = number(data, at, end)
        if key not in ALLOWED[kind]:
            raise Malformed(f"property {key:#04x} in a packet of type {kind}", PROTOCOL)
        if key in found and key not in _REPEATABLE:
            raise Malformed(f"property {key:#04x} twice", PROTOCOL)
        found[key], at = _value(data, at, end, key)
        if (key in _NEVER_ZERO and found[key] == 0) or (key in _FLAGS and found[key] not in (0, 1)):
            raise Malformed(f"property {key:#04x} is {found[key]!r}", PROTOCOL)
    return found, at


def _value(data: bytes, at: int, end: int, key: int) -> tuple[Value, int]:
    kind = _KINDS[key]
    width = {"byte": 1, "two": 2, "four": 4}.get(kind)
    if width is not None:
        if at + width > end:
            raise Malformed("a property that is cut off")
        return int.from_bytes(data[at : at + width], "big"), at + width
    if kind == "number":
        return number(data, at, end)
    raw, at = chunk(data, at, end)
    if kind == "binary":
        return raw, at
    text = utf8(raw)
    if kind == "pair":
        other, at = chunk(data, at, end)
        utf8(other)
    return text, at


def chunk(data: bytes, at: int, end: int) -> tuple[bytes, int]:
    """Bytes with their length in front, and where they end."""
    if at + 2 > end:
        raise Malformed("a text that is cut off")
    (length,) = unpack_from(">H", data, at)
    if at + 2 + length > end:
        raise Malformed("a text that is cut off")
    return data[at + 2 : at + 2 + length], at + 2 + length


_WORDS = {
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "it does not speak this version of MQTT; set Inference.MqttVersion to the other",
    0x85: "the client identifier is not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "the server is unavailable",
    0x89: "the server is busy",
    0x8A: "banned",
    0x8B: "the server is shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep-alive timeout",
    0x8E: "another client has taken over the session",
    0x8F: "the topic filter is not valid",
    0x90: "the topic is not valid",
    0x91: "the packet identifier is in use",
    0x93: "too many messages under way",
    0x95: "the packet is too large",
    0x96: "too many messages",
    0x97: "a quota is exceeded",
    0x98: "an administrator's action",
    0x99: "the payload's format is not valid",
    0x9A: "retained messages are not supported",
    0x9B: "this quality of service is not supported",
    0x9C: "use another server",
    0x9D: "the server has moved",
    0x9E: "shared subscriptions are not supported",
    0x9F: "too many connections",
    0xA0: "the longest time for a connection has passed",
    0xA1: "subscription identifiers are not supported",
    0xA2: "wildcards are not supported",
}
_OLD = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}
"""What MQTT 3.1.1 answers to CONNECT, in the words of MQTT 5."""

DENIED = (0x86, 0x87, 0x8C)


def modern(code: int) -> int:
    """A return code of either version as one of MQTT 5."""
    return _OLD.get(code, code)


def words(code: int) -> str:
    """A reason code for people."""
    return _WORDS.get(code, f"reason {code:#04x}")
