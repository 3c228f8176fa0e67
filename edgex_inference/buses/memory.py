"""The bus inside one process: a hub in place of the server, as many connections to it as one likes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from edgex_inference.buses.bursts import one_by_one
from edgex_inference.buses.fanout import Fanout, Limits
from edgex_inference.buses.topics import mistake_in_topic
from edgex_inference.contracts.bus import Refusal
from edgex_inference.contracts.errors import BusUnavailable, EnvelopeError
from edgex_inference.contracts.messages import Message
from edgex_inference.telemetry.metrics import Counts

_log = logging.getLogger(__name__)


class MemoryHub:
    """What a broker is to the other buses; `stop` and `start` play an outage."""

    def __init__(self) -> None:
        self.up = True
        self._buses: list[MemoryBus] = []

    def attach(self, bus: "MemoryBus") -> None:
        self._buses.append(bus)

    def detach(self, bus: "MemoryBus") -> None:
        self._buses.remove(bus)

    def stop(self) -> None:
        """Cuts every connection; publishing fails until `start`."""
        if self.up:
            self.up = False
            for bus in self._buses:
                bus.hub_changed()

    def start(self) -> None:
        if not self.up:
            self.up = True
            for bus in self._buses:
                bus.hub_changed()

    def spread(self, message: Message) -> None:
        for bus in self._buses:
            bus.receive(message)

    def spread_all(self, messages: Sequence[Message]) -> None:
        for bus in self._buses:
            bus.receive_all(messages)


class MemoryBus:
    """A connection to a MemoryHub; carries headers, keeps nothing for who comes late, needs no `done`."""

    def __init__(
        self,
        hub: MemoryHub | None = None,
        *,
        name: str = "memory",
        limits: Limits | None = None,
        drops: Counts | None = None,
        in_a_row: int = 1,
    ) -> None:
        """`in_a_row`: how many messages are published before others get their turn."""
        self._hub = hub or MemoryHub()
        self._name = name
        self._fanout = Fanout(limits or Limits(), drops or Counts(), _log)
        self._open = False
        self._in_a_row, self._published = in_a_row, 0

    async def open(self) -> None:
        if not self._open:
            self._open = True
            self._hub.attach(self)
            self.hub_changed()

    async def close(self) -> None:
        if self._open:
            self._open = False
            self._hub.detach(self)
        self._fanout.end()

    @property
    def connected(self) -> bool:
        return self._open and self._hub.up

    async def publish(self, message: Message) -> None:
        if mistake := mistake_in_topic(message.topic):
            raise EnvelopeError(message.topic, mistake, reason="topic")
        if not self.connected:
            raise BusUnavailable(f"memory bus: {self._name!r} is not connected")
        self._hub.spread(message)
        self._published += 1
        if self._published % self._in_a_row == 0:
            await asyncio.sleep(0)  # readers get their turn, as they would while a socket is written

    @property
    def at_once(self) -> bool:
        return False  # nobody would gain: it waits for nothing

    async def publish_all(self, messages: Sequence[Message]) -> Sequence[Refusal]:
        if any(mistake_in_topic(message.topic) for message in messages) or not self.connected:
            return await one_by_one(self.publish, messages)
        self._hub.spread_all(messages)
        await asyncio.sleep(0)
        return [None] * len(messages)

    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[AsyncIterator[Sequence[Message]]]:
        subscriber = self._fanout.enter(topics)
        try:
            yield subscriber
        finally:
            self._fanout.leave(subscriber)

    async def done(self, messages: Sequence[Message]) -> None:
        """Nothing to acknowledge here."""

    def receive(self, message: Message) -> None:
        self._fanout.deliver(message)

    def receive_all(self, messages: Sequence[Message]) -> None:
        self._fanout.deliver_all(messages)

    def hub_changed(self) -> None:
        """Says once each way whether the hub is there."""
        if self._hub.up:
            _log.info("memory bus: %r is connected", self._name)
        else:
            _log.warning("memory bus: %r lost its connection; waiting for the hub", self._name)
