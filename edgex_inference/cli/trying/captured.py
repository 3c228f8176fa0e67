"""Captured messages become events: a request, an event, a bus message, or lines of them with their topics."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edgex_inference.cli.trying.given import Given, InputError, Wanted
from edgex_inference.contracts.errors import EnvelopeError
from edgex_inference.contracts.events import Event
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import envelope
from edgex_inference.edgex import events as edgex_events
from edgex_inference.edgex.envelope import Envelope

_HOW = (
    "give a picture, a CSV, or a captured event: an AddEventRequest, an Event, a bus message, or lines of these, "
    "each with or without its topic in front"
)


@dataclass(slots=True)
class _Seen:
    """What went by, for the sentence that is said when nothing is left."""

    others: set[str] = field(default_factory=set)
    lacking: list[str] = field(default_factory=list)
    broken: str = ""
    ids: set[str] = field(default_factory=set)


def events(path: Path, data: bytes, wanted: Wanted) -> Iterator[Given]:
    """The events of the binding's profile that have its readings, each once; raises InputError if there is none."""
    seen = _Seen()
    count = 0
    for name, topic, payload in _messages(path, data):
        event = _read(name, topic, payload, seen)
        if event is None or not _fits(event, wanted, seen):
            continue
        count += 1
        if wanted.forced:
            event = msgspec.structs.replace(event, device_name=wanted.device)
        yield Given(name=name, event=event)
    if not count:
        raise InputError(f"{path}: {_why_none(seen, wanted)}")


def _messages(path: Path, data: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Name, topic and bytes of each message: the whole file, else line by line."""
    if _is_whole(data):
        yield str(path), "", data.strip()
        return
    for number, line in enumerate(data.splitlines(), start=1):
        topic, payload = _parted(line.strip())
        if payload:
            yield f"{path}:{number}", topic, payload


def _is_whole(data: bytes) -> bool:
    if b"\xa0" <= data[:1] <= b"\xbf":
        return True
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return b"\n" not in data.strip() and data.lstrip()[:1] in (b"{", b"[")
    return True


def _parted(line: bytes) -> tuple[str, bytes]:
    """A line's topic and payload; recordings have the time in front, with tabs between."""
    if line[:1] == b"{":
        return "", line
    parts = line.split(b"\t", 2)
    if len(parts) == 3 and parts[0].replace(b".", b"").isdigit():
        return parts[1].decode(errors="replace"), parts[2]
    topic, _, payload = line.replace(b"\t", b" ", 1).partition(b" ")
    return topic.decode(errors="replace"), payload.strip()


def _read(name: str, topic: str, payload: bytes, seen: _Seen) -> Event | None:
    """The event of one message, or None for a message that carries none."""
    try:
        event = edgex_events.read(_opened(topic or name, payload))
    except EnvelopeError as error:
        seen.broken = seen.broken or str(error)
        return None
    if event is None or event.id in seen.ids:
        return None
    seen.ids.add(event.id)
    return event


def _opened(topic: str, payload: bytes) -> Envelope:
    """The envelope around an event, or one put around a request or an event that has none."""
    bare = Envelope(topic=topic, content_type="", payload=payload)
    try:
        found = envelope.read(Message(topic, payload))
    except EnvelopeError as error:
        if error.reason != "envelope":
            raise
        return bare
    return found if found.payload is not None else bare


def _fits(event: Event, wanted: Wanted, seen: _Seen) -> bool:
    if event.profile_name != wanted.binding.profile:
        seen.others.add(event.profile_name)
        return False
    missing = wanted.resources - {reading.resource_name for reading in event.readings}
    if missing:
        seen.lacking.append(f"{event.source_name or event.id} lacks {', '.join(sorted(missing))}")
    return not missing


def _why_none(seen: _Seen, wanted: Wanted) -> str:
    binding = f"binding {wanted.binding.name} of profile {wanted.binding.profile}"
    if seen.lacking:
        return f"has no event with all readings of {binding}: event {seen.lacking[0]}"
    if seen.others:
        return f"has no event for {binding}; its events are of profile {', '.join(sorted(seen.others))}"
    return f"has no event that can be read{': ' + seen.broken if seen.broken else ''}; {_HOW}"
