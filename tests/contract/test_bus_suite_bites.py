"""BusContract notices a bus that breaks a promise: each fault is put into the memory bus once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from edgex_inference.buses.memory import MemoryBus, MemoryHub
from edgex_inference.contracts.bus import Bus
from edgex_inference.contracts.errors import BusUnavailable
from edgex_inference.contracts.messages import Message
from edgex_inference.testing import bus as suite
from edgex_inference.testing.bus import BusContract

Bursts = AsyncIterator[Sequence[Message]]


class Faultless:
    """The memory bus, with every call passed on; a fault overrides one of them."""

    def __init__(self, hub: MemoryHub, name: str) -> None:
        self.inner = MemoryBus(hub, name=name)

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    async def publish(self, message: Message) -> None:
        await self.inner.publish(message)

    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[Bursts]:
        async with self.inner.subscribe(*topics) as bursts:
            yield self.changed(bursts)

    def changed(self, bursts: Bursts) -> Bursts:
        return bursts

    async def done(self, messages: Sequence[Message]) -> None:
        await self.inner.done(messages)

    @property
    def connected(self) -> bool:
        return self.inner.connected


class Doubles(Faultless):
    async def publish(self, message: Message) -> None:
        await self.inner.publish(message)
        await self.inner.publish(message)


class Reorders(Faultless):
    """Holds back every tenth message until the next has gone."""

    count = 0
    held: Message | None = None

    async def publish(self, message: Message) -> None:
        self.count += 1
        if self.count % 10 == 0:
            self.held = message
            return
        await self.inner.publish(message)
        if self.count % 10 == 3 and self.held is not None:
            await self.inner.publish(self.held)


class Corrupts(Faultless):
    async def publish(self, message: Message) -> None:
        payload = (
            message.payload.replace(b"\x80", b"\x81") if len(message.payload) > 1000 else message.payload
        )
        await self.inner.publish(Message(message.topic, payload, message.headers))


class Loses(Faultless):
    count = 0

    async def publish(self, message: Message) -> None:
        self.count += 1
        if self.count % 100 != 50:
            await self.inner.publish(message)


class ForgetsSubscriptions(Faultless):
    """After an outage it is connected, but hears nothing."""

    was_down = False

    async def open(self) -> None:
        await self.inner.open()
        self.was_down |= not self.inner.connected

    async def publish(self, message: Message) -> None:
        if not self.was_down:
            await self.inner.publish(message)

    @property
    def connected(self) -> bool:
        self.was_down |= not self.inner.connected
        return self.inner.connected


class SwallowsWhileDown(Faultless):
    async def publish(self, message: Message) -> None:
        try:
            await self.inner.publish(message)
        except BusUnavailable:
            return


class IgnoresWildcards(Faultless):
    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[Bursts]:
        wider = (topic.partition("+")[0] + "#" if "+" in topic else topic for topic in topics)
        async with self.inner.subscribe(*wider) as bursts:
            yield bursts


class DropsHeaders(Faultless):
    async def publish(self, message: Message) -> None:
        await self.inner.publish(Message(message.topic, message.payload))


class NeverLeaves(Faultless):
    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[Bursts]:
        yield await self.inner.subscribe(*topics).__aenter__()


class OneByOne(Faultless):
    def changed(self, bursts: Bursts) -> Bursts:
        return _single(bursts)


class Overlaps(Faultless):
    """Delivers once for each filter that matches."""

    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[Bursts]:
        queue: asyncio.Queue[Sequence[Message]] = asyncio.Queue()
        tasks = [asyncio.create_task(self._pump(topic, queue)) for topic in topics]
        try:
            yield _drain(queue)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _pump(self, topic: str, queue: "asyncio.Queue[Sequence[Message]]") -> None:
        async with self.inner.subscribe(topic) as bursts:
            async for burst in bursts:
                queue.put_nowait(burst)


class ClosesButLives(Faultless):
    async def close(self) -> None:
        """Nothing is closed."""


class CannotCloseEarly(Faultless):
    opened = False

    async def open(self) -> None:
        self.opened = True
        await self.inner.open()

    async def close(self) -> None:
        if not self.opened:
            raise RuntimeError("not open")
        await self.inner.close()


async def _single(bursts: Bursts) -> Bursts:
    async for burst in bursts:
        for message in burst:
            yield [message]


async def _drain(queue: "asyncio.Queue[Sequence[Message]]") -> Bursts:
    while True:
        yield await queue.get()


class FaultyServer:
    def __init__(self, kind: type[Faultless]) -> None:
        self.hub, self.kind = MemoryHub(), kind

    def client(self, name: str) -> Bus:
        return self.kind(self.hub, name)

    async def stop(self) -> None:
        self.hub.stop()

    async def start(self) -> None:
        self.hub.start()


class Promises(BusContract):
    __test__ = False
    headers = True


Promise = Callable[[Promises, FaultyServer, pytest.LogCaptureFixture], Awaitable[Any]]

FAULTS: list[tuple[type[Faultless], Promise]] = [
    (Doubles, lambda on, at, _: on.test_everything_published_after_subscribing_arrives_in_order(at)),
    (Reorders, lambda on, at, _: on.test_everything_published_after_subscribing_arrives_in_order(at)),
    (Loses, lambda on, at, _: on.test_everything_published_after_subscribing_arrives_in_order(at)),
    (Reorders, lambda on, at, _: on.test_what_is_published_side_by_side_keeps_its_order(at)),
    (Doubles, lambda on, at, _: on.test_a_bus_hears_itself(at)),
    (Corrupts, lambda on, at, _: on.test_binary_arrives_intact(at, 65_536)),
    (Corrupts, lambda on, at, _: on.test_binary_arrives_intact(at, -1)),
    (
        IgnoresWildcards,
        lambda on, at, _: on.test_wildcards(at, "contract/+/b", ["contract/a/b"], ["contract/a/c"]),
    ),
    (DropsHeaders, lambda on, at, _: on.test_headers_arrive_where_declared(at)),
    (Loses, lambda on, at, _: on.test_a_slow_subscriber_stalls_nobody(at)),
    (OneByOne, lambda on, at, _: on.test_what_waits_comes_as_one_burst(at)),
    (Overlaps, lambda on, at, _: on.test_overlapping_subscriptions_deliver_once(at)),
    (NeverLeaves, lambda on, at, _: on.test_leaving_unsubscribes(at)),
    (Doubles, lambda on, at, _: on.test_others_keep_what_one_leaves(at)),
    (CannotCloseEarly, lambda on, at, _: on.test_open_and_close_are_idempotent(at)),
    (ClosesButLives, lambda on, at, _: on.test_open_and_close_are_idempotent(at)),
    (ClosesButLives, lambda on, at, _: on.test_close_ends_the_subscriptions(at)),
    (SwallowsWhileDown, lambda on, at, _: on.test_publishing_while_down_is_refused(at)),
    (ForgetsSubscriptions, lambda on, at, log: on.test_a_restart_heals(at, log)),
    (ForgetsSubscriptions, lambda on, at, log: on.test_a_server_may_come_late(at, log)),
]


@pytest.mark.parametrize(("kind", "promise"), FAULTS)
async def test_the_fault_is_found(
    kind: type[Faultless], promise: Promise, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(suite, "PATIENCE", 0.3)
    with pytest.raises((AssertionError, pytest.fail.Exception, RuntimeError, TimeoutError)):
        await promise(Promises(), FaultyServer(kind), caplog)


@pytest.mark.parametrize("promise", [promise for _, promise in FAULTS])
async def test_without_the_fault_all_is_well(promise: Promise, caplog: pytest.LogCaptureFixture) -> None:
    await promise(Promises(), FaultyServer(Faultless), caplog)
