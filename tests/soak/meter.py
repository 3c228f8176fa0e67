"""A bare client at QoS 1 that keeps a steady rate, and counts results by the profile that they are about."""

import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice

from tests.bench.pump import Pump, packet

TICK = 0.02
"""Seconds between two handfuls of events."""

_STATUS = b"InferenceStatus"


@dataclass(slots=True)
class Stream:
    """Events of one profile: `rate` a second on the average, `gather` of them sent at once."""

    packets: Sequence[bytes]
    rate: float
    gather: int = 1
    sent: int = 0
    _due: float = field(default=0.0, init=False)
    _at: int = field(default=0, init=False)

    def due(self, seconds: float) -> bytes:
        """What is to be sent after so many more seconds."""
        self._due += self.rate * seconds
        amount = int(self._due) // self.gather * self.gather
        self._due -= amount
        self.sent += amount
        chosen = islice(cycle(self.packets), self._at, self._at + amount)
        self._at = (self._at + amount) % len(self.packets)
        return b"".join(chosen)


class Meter(Pump):
    """Counts the results of each profile in `came`; what it acknowledges goes out once for each reading."""

    def __init__(self, port: int, results: str, *, name: str) -> None:
        self.came: Counter[str] = Counter()
        self._owed = bytearray()
        super().__init__(port, results, qos=1, name=name)

    def keep(self, streams: Sequence[Stream], seconds: float, aside: Callable[[float], None]) -> None:
        """Sends all streams for so long; `aside` is called at each tick with the seconds gone by."""
        began = last = time.monotonic()
        while (now := time.monotonic()) - began < seconds:
            due = b"".join(stream.due(now - last) for stream in streams)
            last = now
            if due:
                self._send(due)
            self.listen(TICK)
            aside(now - began)

    def listen(self, seconds: float) -> None:
        """Takes what comes for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._count(left)

    def _count(self, seconds: float) -> int:
        fresh = super()._count(seconds)
        if self._owed:
            owed, self._owed = bytes(self._owed), bytearray()
            self._send(owed)
        return fresh

    def _take(self, kind: int, body: bytes) -> bool:
        if kind >> 4 != 3:
            return super()._take(kind, body)
        (length,) = struct.unpack_from(">H", body)
        if kind & 6:
            self._owed += packet(0x40, body[2 + length : 4 + length])
        if _STATUS in body:
            return False
        profile = body[2 : 2 + length].decode().split("/")[-3].removesuffix("-inference")
        self.came[profile] += 1
        return True
