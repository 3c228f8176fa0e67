"""From one connection to many subscribers: matching, bounded backlogs, bursts; for every bus."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from edgex_inference.buses.topics import TopicMap, mistake_in_filter
from edgex_inference.contracts.errors import SetupError
from edgex_inference.contracts.messages import Message
from edgex_inference.telemetry.metrics import Counts

BACKLOG = "busBacklog"
"""The word that messages are counted under which a subscriber was too slow for."""

_SEEN = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may wait for one subscriber; a single message is taken however large it is."""

    messages: int = 10_000
    bytes: int = 256 * 1024 * 1024


class Subscriber(AsyncIterator[Sequence[Message]]):
    """One subscription context: what has arrived since the last burst was taken."""

    def __init__(self, filters: Sequence[str], limits: Limits, drops: Counts, log: logging.Logger) -> None:
        self.filters = tuple(filters)
        self._limits, self._drops, self._log = limits, drops, log
        self._most = limits.messages
        self._waiting: list[Message] = []
        self._bytes = self._lost = 0
        self._wake: asyncio.Future[None] | None = None
        self._ended = False
        self._seen: set[str] = set()

    def offer(self, message: Message) -> bool:
        """Takes the message, or drops and counts it; never waits."""
        size, waiting = len(message.payload), self._waiting
        full = len(waiting) >= self._most or self._bytes + size > self._limits.bytes
        if self._ended or (full and waiting):
            self._drop()
            return False
        waiting.append(message)
        self._bytes += size
        if self._wake is not None:
            self._rouse()
        return True

    def offer_all(self, messages: Sequence[Message]) -> None:
        """As `offer` for each in its turn."""
        size = sum([len(message.payload) for message in messages])
        room = self._most - len(self._waiting)
        if self._ended or len(messages) > room or self._bytes + size > self._limits.bytes:
            for message in messages:
                self.offer(message)
            return
        self._waiting += messages
        self._bytes += size
        self._rouse()

    def news(self, topic: str) -> bool:
        """Whether nothing has come on this topic yet, so that a retained message is no repetition."""
        return topic not in self._seen

    def saw(self, topic: str) -> None:
        if topic in self._seen:
            return
        if len(self._seen) >= _SEEN:
            self._seen.clear()
        self._seen.add(topic)

    def forget(self) -> None:
        """After a reconnection retained messages are news again."""
        self._seen.clear()

    def end(self) -> None:
        """The iterator yields what still waits, then ends."""
        self._ended = True
        self._rouse()

    def take(self) -> Sequence[Message]:
        """Everything that waits, which then waits no longer."""
        burst, self._waiting, self._bytes = self._waiting, [], 0
        if self._lost:
            self._log.info("subscriber of %s catches up: %d messages were dropped", self._named(), self._lost)
            self._lost = 0
        return burst

    async def __anext__(self) -> Sequence[Message]:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._wake = asyncio.get_running_loop().create_future()
            try:
                await self._wake
            finally:
                self._wake = None
        return self.take()

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _drop(self) -> None:
        self._drops.add(BACKLOG)
        if not self._lost and not self._ended:
            self._log.warning(
                "subscriber of %s is too slow: its backlog is full (%d messages, %d bytes); dropping the newest",
                self._named(),
                len(self._waiting),
                self._bytes,
            )
        self._lost += 1

    def _named(self) -> str:
        more = len(self.filters) - 1
        return repr(self.filters[0]) + (f" and {more} more" if more else "")


class Fanout:
    """All subscribers of one connection."""

    def __init__(self, limits: Limits, drops: Counts, log: logging.Logger) -> None:
        self._limits, self._drops, self._log = limits, drops, log
        self._subscribers: list[Subscriber] = []
        self._map: TopicMap[Subscriber] = TopicMap(())

    def enter(self, filters: Sequence[str]) -> Subscriber:
        """A new subscriber; raises SetupError for a text that is no filter."""
        if not filters:
            raise SetupError("a subscription needs at least one topic")
        for text in filters:
            if mistake := mistake_in_filter(text):
                raise SetupError(f"cannot subscribe to {text!r}: {mistake}")
        subscriber = Subscriber(filters, self._limits, self._drops, self._log)
        self._subscribers.append(subscriber)
        self._compile()
        return subscriber

    def leave(self, subscriber: Subscriber) -> Sequence[Message]:
        """Ends the subscriber and returns what it never took; twice is the same as once."""
        if subscriber not in self._subscribers:
            return ()
        self._subscribers.remove(subscriber)
        self._compile()
        unread = subscriber.take()
        subscriber.end()
        return unread

    def filters(self) -> Sequence[str]:
        return tuple(dict.fromkeys(text for one in self._subscribers for text in one.filters))

    def deliver(self, message: Message, *, retained: bool = False) -> int:
        """Offers the message to every subscriber that it concerns; how many took it."""
        taken, topic = 0, message.topic
        for subscriber in self._map.find(topic):
            if not retained or subscriber.news(topic):
                taken += subscriber.offer(message)
            subscriber.saw(topic)
        return taken

    def deliver_all(self, messages: Sequence[Message]) -> None:
        """As `deliver` for a burst of which nothing is retained."""
        for subscriber, mine in self._sorted(messages):
            subscriber.offer_all(mine)

    def _sorted(self, messages: Sequence[Message]) -> Sequence[tuple[Subscriber, Sequence[Message]]]:
        """Each subscriber with its messages, in their order."""
        concerned = {topic: self._map.find(topic) for topic in {message.topic for message in messages}}
        for topic, subscribers in concerned.items():
            for subscriber in subscribers:
                subscriber.saw(topic)
        if len(set(concerned.values())) == 1:
            (subscribers,) = set(concerned.values())
            return [(subscriber, messages) for subscriber in subscribers]
        everybody = dict.fromkeys(one for subscribers in concerned.values() for one in subscribers)
        return [(one, [each for each in messages if one in concerned[each.topic]]) for one in everybody]

    def forget(self) -> None:
        self._each(Subscriber.forget)

    def end(self) -> None:
        """Ends all subscribers: their iterators finish with what has arrived."""
        self._each(Subscriber.end)

    def _each(self, act: Callable[[Subscriber], None]) -> None:
        for subscriber in self._subscribers:
            act(subscriber)

    def _compile(self) -> None:
        self._map = TopicMap((text, one) for one in self._subscribers for text in one.filters)
