"""Keys that are written twice: who sends them and who reads them may disagree, so such a message is refused.

Judged are the keys that EdgeX gives a meaning, in any case, in envelope, request, event and readings. What stands in
tags and Objects is the user's own and not judged in JSON, nor are unknown keys; CBOR takes no key twice anywhere.
"""

import json
from collections.abc import Container, Iterable, Mapping
from typing import Any

import msgspec

from edgex_inference.contracts.events import Event, Reading

_ENVELOPE = frozenset(
    (
        "apiversion",
        "receivedtopic",
        "correlationid",
        "requestid",
        "errorcode",
        "payload",
        "contenttype",
        "queryparams",
    )
)
_REQUEST = frozenset(("apiversion", "requestid", "event"))
_EVENT = frozenset(name.lower() for name in Event.__struct_encode_fields__)
_READING = frozenset(name.lower() for name in Reading.__struct_encode_fields__)

_PAYLOAD = b'"payload":'
_VERSION, _TOPIC = b'"apiVersion":', b'"receivedTopic":'

_encode = msgspec.json.Encoder().encode


class DuplicateKey(ValueError):
    """An object has a key twice."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key[:60]!r} is written twice")


class _Pairs(list[tuple[str, Any]]):
    """An object as it was written."""


_decode = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=len, parse_float=len, strict=False).decode


def known(values: Mapping[Any, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The filled fields of an object that `names` spells (from lower case); raises DuplicateKey."""
    found = {names.get(str(key).lower(), ""): value for key, value in values.items() if value is not None}
    if len(found) < len(values):
        _unique(values, names)
    found.pop("", None)
    return found


def _unique(keys: Iterable[Any], names: Container[str]) -> None:
    """Raises DuplicateKey where one of `names` is there twice, in whatever case."""
    met: set[str] = set()
    for key in keys:
        name = str(key).lower()
        if name in names and name in met:
            raise DuplicateKey(str(key))
        met.add(name)


def check_envelope(data: bytes, payload: bytes, keys: int) -> None:
    """Raises DuplicateKey for a JSON envelope with a key twice.

    `payload` is what was decoded from it, `keys` counts its keys, apiVersion and receivedTopic aside.
    """
    at = data.find(_PAYLOAD) + len(_PAYLOAD)
    end = at + len(payload)
    if at >= len(_PAYLOAD) and data.startswith(payload, at):
        around = data[:at] + data[end:]
        if around.count(b":") <= keys + (_VERSION in around) + (_TOPIC in around):
            return
    look_at_envelope(data)


def look_at_envelope(data: bytes) -> None:
    """As `check_envelope`, reading the text once more."""
    _fields(_decode(data.decode(errors="replace")), _ENVELOPE)


def check_event(data: bytes, event: Event, around: int, least: int) -> None:
    """Raises DuplicateKey for the JSON of an event with a key twice.

    `event` is what was decoded from it, `around` counts the keys of its request, `least` those that it has for
    certain. They explain only so many colons: a surplus is an optional or unknown key, a colon in a text, or a key
    twice, and worth a second look.
    """
    colons = data.count(b":") - around
    if colons > least and (b"\\" in data or colons > _encode(event).count(b":")):
        look_at_event(data)


def look_at_event(data: bytes) -> None:
    """As `check_event`, reading the text once more."""
    payload = _decode(data.decode(errors="replace"))
    event = _fields(payload, _REQUEST).get("event", payload)
    readings = _fields(event, _EVENT).get("readings")
    for reading in readings if isinstance(readings, list) else ():
        _fields(reading, _READING)


def _fields(pairs: Any, names: frozenset[str]) -> dict[str, Any]:
    if not isinstance(pairs, _Pairs):
        return {}
    _unique((key for key, _ in pairs), names)
    return {key.lower(): value for key, value in pairs}
