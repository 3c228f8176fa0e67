"""Events that never come twice: what was sent before with a new id each time, as the service infers no event again."""

import base64
from collections.abc import Iterator, Sequence
from itertools import count

_MARK = b"#mark#mark#2"
_MARK_64 = base64.b64encode(_MARK)
_numbers = count()


def marked(request: dict[str, object]) -> dict[str, object]:
    """The AddEventRequest with an event id that `Fresh` finds and changes."""
    event = request["event"]
    assert isinstance(event, dict)
    return {**request, "event": {**event, "id": f"5f0e9a1e-0a44-4a1e-9f6b-{_MARK.decode()}"}}


def aligned(text: bytes) -> bytes:
    """The JSON with as many spaces in front that its mark is a piece of its own in base64."""
    return b" " * (-max(0, text.find(_MARK)) % 3) + text


class Fresh:
    """Goes round in packets of marked events for ever, none with an event id that was there before."""

    def __init__(self, packets: Sequence[bytes]) -> None:
        self._parts = [_parts(packet) for packet in packets]
        self._at = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        before, after, encoded = self._parts[self._at]
        self._at = (self._at + 1) % len(self._parts)
        number = b"%012d" % next(_numbers)
        return before + (base64.b64encode(number) if encoded else number) + after


def _parts(packet: bytes) -> tuple[bytes, bytes, bool]:
    encoded = _MARK_64 in packet
    before, found, after = packet.partition(_MARK_64 if encoded else _MARK)
    if not found:
        raise ValueError("the packet has no marked event")
    return before, after, encoded
