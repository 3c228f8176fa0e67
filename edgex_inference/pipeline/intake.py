"""Where samples wait: one bounded queue for each device, with the binding's declared overload policy."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgex_inference.contracts.bindings import Limits
from edgex_inference.contracts.events import Event


@dataclass(slots=True)
class Receipt:
    """Acknowledges a bus message when the last binding that took it is through with it."""

    acknowledge: Callable[[], None]
    holders: int = 1

    def hold(self) -> None:
        self.holders += 1

    def release(self) -> None:
        self.holders -= 1
        if not self.holders:
            self.acknowledge()


@dataclass(frozen=True, slots=True)
class Item:
    """An event on its way through one binding; `arrived` is monotonic seconds."""

    event: Event
    correlation_id: str
    arrived: float
    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Queueing:
    """A binding's overload policy with every default filled in; `max_age` in seconds."""

    latest: bool
    length: int
    max_age: float | None

    @classmethod
    def of(cls, limits: Limits, *, pixels: bool) -> "Queueing":
        """Pictures default to the newest one only, the rest to all of up to 1000."""
        latest = pixels if limits.overload is None else limits.overload == "latest"
        length = limits.queue if limits.queue is not None else (1 if latest else 1000)
        return cls(latest=latest, length=max(1, length), max_age=limits.max_age)


class Intake:
    """Bounded queues, drained in the order in which devices were first heard."""

    def __init__(self, queueing: Queueing) -> None:
        self._queueing = queueing
        self._waiting: dict[str, deque[Item]] = {}
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def offer(self, item: Item) -> Item | None:
        """Queues the item; returns the one that had to go: the oldest (`latest`) or the item itself (`all`)."""
        queue = self._waiting.setdefault(item.event.device_name, deque())
        if len(queue) < self._queueing.length:
            queue.append(item)
            self._total += 1
            return None
        if not self._queueing.latest:
            return item
        overtaken = queue.popleft()
        queue.append(item)
        return overtaken

    def take(self, most: int) -> Iterator[Item]:
        """Takes up to `most` items, the devices in turn so that a busy one cannot starve the others."""
        taken = 0
        while self._waiting and taken < most:
            for device in tuple(self._waiting):
                if taken >= most:
                    return
                queue = self._waiting[device]
                yield queue.popleft()
                taken += 1
                self._total -= 1
                if not queue:
                    del self._waiting[device]

    def is_stale(self, item: Item, now_ns: int | None = None) -> bool:
        """Whether the capture lies further back than `maxAge` allows."""
        if self._queueing.max_age is None:
            return False
        now = time.time_ns() if now_ns is None else now_ns
        return now - item.event.origin > self._queueing.max_age * 1e9
