"""Feeds a service events that were made before and counts or stamps what comes back; one subclass for each bus."""

import base64
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

PATIENCE = 20.0
QUIET = 2.0
"""Seconds without any result after which what is missing is lost."""


_STATUS = b"InferenceStatus"
_STATUSES = (
    _STATUS,
    *(base64.b64encode(bytes(shift) + _STATUS)[4 * (shift > 0) : -4] for shift in range(3)),
)
"""As it is, and what is the same of it in base64 wherever it begins."""


def is_result(payload: bytes) -> bool:
    """Whether a message of a binding is a result: it may be a status too."""
    return not any(one in payload for one in _STATUSES)


class Feeder(ABC):
    """Device and consumer in one. Packets are what `packet` makes, whole and ready for the wire.

    A subclass sends them in `_burst`, reads once in `_count` and has the payload of the latest result in `_answer`.
    """

    @abstractmethod
    def packet(self, topic: str, payload: bytes) -> Any:
        """What is sent for a message."""

    @abstractmethod
    def _burst(self, packets: Sequence[Any]) -> None: ...

    @abstractmethod
    def _count(self, seconds: float) -> int:
        """How many results come in one reading; 0 after so many seconds without any."""

    @abstractmethod
    def _answer(self) -> bytes: ...

    def saturate(self, packets: Iterator[Any], amount: int, *, window: int) -> tuple[int, float]:
        """Keeps `window` events under way until `amount` were sent; returns how many results came, and the seconds.

        Sends and reads by turns, so that neither side of the connection fills up.
        """
        self._drain()
        sent = came = 0
        began = last = time.perf_counter()
        while came < amount:
            room = min(window - (sent - came), amount - sent)
            if room >= min(window // 2, amount - sent) and room > 0:
                self._burst(list(islice(packets, room)))
                sent += room
            fresh = self._count(0.1)
            now = time.perf_counter()
            if fresh:
                came, last = came + fresh, now
            elif now - last > QUIET:
                break
        return came, last - began

    def paced(self, packets: Iterator[Any], amount: int, *, interval: float) -> list[float]:
        """Sends one event each `interval`; seconds from each event's sending to its result, infinite when lost."""
        self._drain()
        due = time.perf_counter()
        stamps: list[float] = []
        took: list[float] = []
        for one in islice(packets, amount):
            due += interval
            stamps.append(time.perf_counter())
            self._burst([one])
            self._until(due, stamps, took)
        end = time.perf_counter() + QUIET / 2
        while len(took) < len(stamps) and (now := time.perf_counter()) < end:
            self._until(min(now + 0.01, end), stamps, took)
        return took + [float("inf")] * (len(stamps) - len(took))

    def answers(self, packets: Iterable[Any]) -> list[bytes]:
        """The result's payload for each event, one after the other; raises TimeoutError when one does not come."""
        self._drain()
        found = []
        for one in packets:
            self._burst([one])
            deadline = time.perf_counter() + PATIENCE
            while not self._count(0.1):
                if time.perf_counter() > deadline:
                    raise TimeoutError(f"no answer to event {len(found) + 1}")
            found.append(self._answer())
        return found

    def _drain(self) -> None:
        """What came too late for what was measured before counts for nothing after it."""
        while self._count(0.05):
            pass

    def _until(self, due: float, stamps: Sequence[float], took: list[float]) -> None:
        while (left := due - time.perf_counter()) > 0:
            fresh = self._count(left)
            now = time.perf_counter()
            for _ in range(min(fresh, len(stamps) - len(took))):
                took.append(now - stamps[len(took)])
