"""core-metadata's system events: what has come, changed or gone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from edgex_inference.contracts.errors import EnvelopeError
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import envelope
from edgex_inference.edgex.metadata.records import Kind, Record, name_of

TOPIC = "system-events/core-metadata/#"
"""What to subscribe to, below the bus's base topic."""

_KINDS: Mapping[str, Kind] = {"deviceprofile": "profile", "device": "device", "deviceservice": "service"}
_ACTIONS = frozenset({"add", "update", "delete"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One record as it is now, or as it was when it was deleted (`gone`)."""

    kind: Kind
    record: Record
    gone: bool = False


def read(message: Message) -> Change | None:
    """The change that a system event tells of; None for kinds that do not matter here.

    An update of a profile comes once more for each device service that uses it. Raises EnvelopeError for a message
    that is no system event.
    """
    found = envelope.read(message)
    event = _decoded(message.topic, found.payload)
    kind = _KINDS.get(str(event.get("type", "")))
    action, record = event.get("action"), event.get("details")
    if kind is None or action not in _ACTIONS:
        return None
    if not isinstance(record, Mapping) or not name_of(record):
        raise EnvelopeError(message.topic, "a system event without the record that it is about")
    return Change(kind=kind, record=record, gone=action == "delete")


def _decoded(topic: str, payload: bytes | dict[str, Any] | None) -> Mapping[str, Any]:
    if isinstance(payload, bytes):
        try:
            payload = msgspec.json.decode(payload)
        except (ValueError, RecursionError) as error:
            raise EnvelopeError(topic, f"no system event: {error}") from error
    if not isinstance(payload, dict):
        raise EnvelopeError(topic, "no system event: the payload is no object")
    return payload
