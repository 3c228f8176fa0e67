"""Where samples wait: one bounded queue for each device, with the binding's declared overload policy."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import msgspec

from edgex_inference.contracts.bindings import Limits
from edgex_inference.contracts.events import Event
from edgex_inference.pipeline.reply import Outcome, Reply

_MOST = 4096
"""Items over all devices: a flood of new device names must not fill the memory."""


def _never() -> None:
    """In place of an acknowledgement that must not be given."""


class Receipt(msgspec.Struct, eq=False):
    """Acknowledges a bus message when the last binding that took it is through with it.

    One that `failed` is never acknowledged: a result could not leave, and the message may come again for it.
    Neither keeps the message any longer than it must: a picture may hang on it.
    """

    acknowledge: Callable[[], None]
    holders: int = 1
    failed: bool = False
    followers: "list[Receipt] | None" = None

    def hold(self) -> None:
        self.holders += 1

    def release(self) -> None:
        self.holders -= 1
        if self.holders == 0:
            self.end()

    def end(self) -> None:
        """Nobody holds it any more, or nobody ever did."""
        acknowledge, self.acknowledge = self.acknowledge, _never
        acknowledge()
        if self.followers is not None:
            followers, self.followers = self.followers, None
            for one in followers:
                one.release()

    def fail(self) -> None:
        self.failed, self.acknowledge, self.followers = True, _never, None

    def lead(self, other: "Receipt") -> None:
        """Has the other acknowledged not before this one."""
        if self.holders > 0:
            other.hold()
            self.followers = [*(self.followers or ()), other]


class Item(msgspec.Struct, frozen=True, eq=False):
    """An event on its way through one binding; `arrived` is monotonic seconds, `reply` for who waits for it.

    A struct, as everything is that is made for each event: a frozen dataclass costs ten times as much to make.
    """

    event: Event
    correlation_id: str
    arrived: float
    receipt: Receipt
    reply: Reply | None = None

    def tell(self, outcome: Outcome) -> None:
        """What has become of it, from any thread."""
        if self.reply is not None:
            self.reply.tell(outcome)

    def refuse(self, reason: str, message: str) -> None:
        """It goes without a run."""
        self.tell(Outcome(fate="dropped", reason=reason, message=message))
        self.end()

    def end(self, *, acknowledge: bool = True) -> None:
        """The binding is through with it."""
        if acknowledge:
            self.receipt.release()
        else:
            self.receipt.fail()
        if self.reply is not None:
            self.reply.end()


def give_way(gone: Item, newest: Item) -> str:
    """Refuses an item that the overload policy picked when another came; the word to count it under."""
    if gone is newest:
        gone.refuse("queueFull", "too much waits for this binding")
        return "queueFull"
    gone.refuse("overtaken", "a newer event of this device came while this one waited")
    return "overtaken"


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
    """Bounded queues, one for each device, drained in turn; bounded in total too."""

    def __init__(self, queueing: Queueing) -> None:
        self._queueing = queueing
        self._length, self._most = queueing.length, max(queueing.length, _MOST)
        self._waiting: OrderedDict[str, deque[Item]] = OrderedDict()
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def offer(self, item: Item) -> Item | None:
        """Queues the item; returns the one that had to go: the oldest (`latest`) or the item itself (`all`)."""
        device = item.event.device_name
        queue = self._waiting.get(device, ())
        crowded = len(queue) >= self._length or self._total >= self._most
        if not crowded and queue:
            queue.append(item)
            self._total += 1
            return None
        if crowded and not self._queueing.latest:
            return item
        overtaken = self._next() if crowded and not queue else None
        queue = self._waiting.setdefault(device, deque())
        queue.append(item)
        if crowded and overtaken is None:
            return queue.popleft()
        self._total += 1
        return overtaken

    def take(self, most: int) -> Sequence[Item]:
        """Takes up to `most` items, the devices in turn so that a busy one cannot starve the others."""
        if most >= self._total:
            queues = tuple(self._waiting.values())
            self._waiting.clear()
            self._total = 0
            return [item for turn in zip_longest(*queues) for item in turn if item is not None]
        return [self._next() for _ in range(min(most, self._total))]

    def _next(self) -> Item:
        """The oldest item of the device whose turn it is, which then goes to the end of the row."""
        device, queue = next(iter(self._waiting.items()))
        item = queue.popleft()
        self._total -= 1
        if queue:
            self._waiting.move_to_end(device)
        else:
            del self._waiting[device]
        return item

    def is_stale(self, item: Item, now_ns: int | None = None) -> bool:
        """Whether the capture lies further back than `maxAge` allows; of an event from the future, its arrival."""
        if self._queueing.max_age is None:
            return False
        now = time.time_ns() if now_ns is None else now_ns
        age = now - item.event.origin
        if age < 0:
            age = int((time.monotonic() - item.arrived) * 1e9)
        return age > self._queueing.max_age * 1e9
