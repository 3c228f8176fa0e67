"""A bare client at QoS 1 that keeps a steady rate, and counts results by the profile that they are about."""

import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from tests.bench.pump import Pump, packet

TICK = 0.02
"""Seconds between two handfuls of events."""

_STALL = 5 * TICK
_AT_ONCE = 64
"""Packets sent before results are read again, so that neither side of the connection fills up."""

_STATUS = b"InferenceStatus"


@dataclass(slots=True)
class Stream:
    """Events of one profile: `rate` a second on the average, `gather` of them sent at once."""

    packets: Iterator[bytes]
    rate: float
    gather: int = 1
    sent: int = 0
    _due: float = field(default=0.0, init=False)

    def due(self, seconds: float) -> Sequence[bytes]:
        """The packets that are to be sent after so many more seconds."""
        self._due += self.rate * seconds
        amount = int(self._due) // self.gather * self.gather
        self._due -= amount
        self.sent += amount
        return tuple(islice(self.packets, amount))


class Meter(Pump):
    """Counts the results of each profile in `came`; what it acknowledges goes out once for each reading."""

    def __init__(self, port: int, results: str, *, name: str) -> None:
        self.came: Counter[str] = Counter()
        self._owed = bytearray()
        super().__init__(port, results, qos=1, name=name)

    def keep(self, streams: Sequence[Stream], seconds: float, aside: Callable[[float], None]) -> None:
        """Sends all streams for so long; `aside` is called at each tick with the seconds gone by.

        What a stall of the machine has delayed is not made up for: that would be a higher load than was asked for.
        """
        began = last = time.monotonic()
        while (now := time.monotonic()) - began < seconds:
            due = [one for stream in streams for one in stream.due(min(now - last, _STALL))]
            last = now
            for at in range(0, len(due), _AT_ONCE):
                self._send(b"".join(due[at : at + _AT_ONCE]))
                self._count(0)
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
