"""The promises of the Bus port as tests: subclass BusContract, give it a `server`, run pytest.

class TestMyBus(BusContract):
    headers = True

    @pytest.fixture
    async def server(self) -> AsyncIterator[BusServer]: ...
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import ClassVar, Protocol

import pytest

from edgex_inference.contracts.bus import Bursts, Bus
from edgex_inference.contracts.errors import BusUnavailable, EnvelopeError
from edgex_inference.contracts.messages import Message

PATIENCE = 60.0
"""Seconds after which something that should happen counts as missing; no test waits this long when all is well."""

Burst = AsyncIterator[Sequence[Message]]


class BusServer(Protocol):
    """What a suite runs against: makes clients, and can go away and come back."""

    def client(self, name: str) -> Bus:
        """A bus that is not open yet; `name` tells clients apart and is the client id where there is one."""
        ...

    async def stop(self) -> None:
        """Goes away without a farewell."""

    async def start(self) -> None:
        """Comes back in the same place, having forgotten everything."""


async def eventually(condition: Callable[[], bool], what: str) -> None:
    """Waits until the condition holds; fails with `what` when it never does."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            pytest.fail(f"never happened: {what}")
        await asyncio.sleep(0.005)


async def collect(burst: Burst, until: Message, bus: Bus | None = None) -> list[Message]:
    """All messages up to and with `until`; with a bus each is acknowledged."""
    found: list[Message] = []
    try:
        async with asyncio.timeout(PATIENCE):
            async for messages in burst:
                found += messages
                if bus is not None:
                    await bus.done(messages)
                if any(_same(message, until) for message in messages):
                    return found
    except TimeoutError:
        pytest.fail(f"{until.topic!r} never arrived; {len(found)} other messages did: {_brief(found)}")
    pytest.fail(f"the subscription ended before {until.topic!r} arrived")


def _same(one: Message, other: Message) -> bool:
    return one.topic == other.topic and one.payload == other.payload


def _brief(messages: Sequence[Message]) -> list[tuple[str, bytes]]:
    return [(message.topic, message.payload[:24]) for message in messages[:12]]


@asynccontextmanager
async def opened(*buses: Bus) -> AsyncIterator[None]:
    """Opens the buses, waits until they are connected, closes them at the end."""
    async with AsyncExitStack() as stack:
        for bus in buses:
            await bus.open()
            stack.push_async_callback(bus.close)
            await eventually(lambda bus=bus: bus.connected, "the bus connects")  # type: ignore[misc]
        yield


_ROUNDS = 10

END = Message("contract/end", b"end")


class BusContract:
    """Every promise is a test; what a bus cannot do by nature it declares here."""

    headers: ClassVar[bool] = False
    """Messages carry headers."""
    restartable: ClassVar[bool] = True
    """The server can be stopped and started."""
    largest: ClassVar[int] = 8 * 1024 * 1024
    """Bytes that one message may have."""
    logger: ClassVar[str] = "edgex_inference.buses"
    """The logger whose lines about the connection are counted."""

    async def test_everything_published_after_subscribing_arrives_in_order(self, server: BusServer) -> None:
        sender, receiver = server.client("sender"), server.client("receiver")
        async with opened(sender, receiver), receiver.subscribe("contract/#") as bursts:
            sent = [Message(f"contract/order/{number % 3}", b"%d" % number) for number in range(300)]
            await _publish(sender, [*sent, END])
            got = await collect(bursts, END, receiver)
        for lane in range(3):
            topic = f"contract/order/{lane}"
            assert _payloads(got, topic) == _payloads(sent, topic), (
                f"lost, doubled or out of order on {topic}"
            )

    async def test_what_is_published_side_by_side_keeps_its_order(self, server: BusServer) -> None:
        """Also when there is no room for more, and those that wait for some are not the newest."""
        sender, receiver = server.client("sender"), server.client("receiver")
        sent = [Message("contract/crowd", b"%d" % number + bytes(1000)) for number in range(1000)]
        async with opened(sender, receiver), receiver.subscribe("contract/#") as bursts:
            async with asyncio.timeout(PATIENCE):
                waiting = deque([*sent, END])
                await asyncio.gather(*(_publish_all(sender, waiting) for _ in range(4)))
            got = await collect(bursts, END, receiver)
        assert _payloads(got, "contract/crowd") == _payloads(sent, "contract/crowd")

    async def test_a_bus_hears_itself(self, server: BusServer) -> None:
        bus = server.client("lonely")
        async with opened(bus), bus.subscribe("contract/self", END.topic) as bursts:
            await _publish(bus, [Message("contract/self", b"1"), END])
            got = await collect(bursts, END)
        assert _payloads(got, "contract/self") == [b"1"]

    @pytest.mark.parametrize(
        ("pattern", "wanted", "unwanted"),
        [
            ("contract/a/b", ["contract/a/b"], ["contract/a", "contract/a/b/c", "contract/a/B"]),
            (
                "contract/+/b",
                ["contract/a/b", "contract/é%20x/b"],
                ["contract/a/c", "contract/b", "contract/a/a/b"],
            ),
            (
                "contract/a/#",
                ["contract/a", "contract/a/b", "contract/a/b/c"],
                ["contract", "contract/ab", "other/a"],
            ),
            ("contract/+/+/c", ["contract/a/b/c"], ["contract/a/c", "contract/a/b/c/d"]),
        ],
    )
    async def test_wildcards(
        self, server: BusServer, pattern: str, wanted: list[str], unwanted: list[str]
    ) -> None:
        sender, receiver = server.client("sender"), server.client("receiver")
        async with opened(sender, receiver), receiver.subscribe(pattern, END.topic) as bursts:
            await _publish(sender, [*(Message(topic, b"x") for topic in (*wanted, *unwanted)), END])
            got = await collect(bursts, END)
        assert sorted(message.topic for message in got) == sorted([*wanted, END.topic])

    @pytest.mark.parametrize("size", [0, 1, 127, 128, 65_536, 1_000_003, -1])
    async def test_binary_arrives_intact(self, server: BusServer, size: int) -> None:
        payload = (bytes(range(256)) * (self.largest // 256 + 1))[: self.largest if size < 0 else size]
        sender, receiver = server.client("sender"), server.client("receiver")
        async with opened(sender, receiver), receiver.subscribe("contract/binary", END.topic) as bursts:
            await _publish(sender, [Message("contract/binary", payload), END])
            got = await collect(bursts, END)
        assert [len(message.payload) for message in got] == [len(payload), len(END.payload)]
        assert got[0].payload == payload, "same length, other bytes"
        assert isinstance(got[0].payload, bytes)

    async def test_many_at_once_are_each_as_alone(self, server: BusServer) -> None:
        """Where a bus takes bursts: all arrive in order, and one that is refused holds up no other."""
        sender, receiver = server.client("sender"), server.client("receiver")
        if not isinstance(sender, Bursts):
            pytest.skip("declared: this bus publishes one message after the other")
        sent = [Message(f"contract/many/{number % 3}", b"%d" % number) for number in range(300)]
        refused = Message("contract/+/many", b"a topic with a wildcard")
        async with opened(sender, receiver), receiver.subscribe("contract/#") as bursts:
            async with asyncio.timeout(PATIENCE):
                told = await sender.publish_all([*sent[:100], refused, *sent[100:], END])
            got = await collect(bursts, END, receiver)
        assert [type(one) for one in told] == [type(None)] * 100 + [EnvelopeError] + [type(None)] * 201
        for topic in ("contract/many/0", "contract/many/1", "contract/many/2"):
            assert _payloads(got, topic) == _payloads(sent, topic)
        told = await sender.publish_all([END, END])
        assert [type(one) for one in told] == [BusUnavailable] * 2, "it is closed"

    async def test_many_at_once_come_before_what_is_published_next(self, server: BusServer) -> None:
        """Where a bus says so: it has begun with all before it waits for the first acknowledgement."""
        sender, receiver = server.client("sender"), server.client("receiver")
        if not isinstance(sender, Bursts) or not sender.at_once:
            pytest.skip("declared: this bus does not begin with many messages at once")
        sent = [
            Message("contract/many", b"%d" % number) for number in range(900)
        ]  # a broker may queue no more than 1000
        async with opened(sender, receiver), receiver.subscribe("contract/#") as bursts:
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(
                    sender.publish_all(sent[:500]), sender.publish_all(sent[500:]), sender.publish(END)
                )
            got = await collect(bursts, END, receiver)
        assert _payloads(got, "contract/many") == _payloads(sent, "contract/many")

    async def test_headers_arrive_where_declared(self, server: BusServer) -> None:
        bus = server.client("headers")
        message = Message("contract/headers", b"x", {"Content-Type": "application/json"})
        async with opened(bus), bus.subscribe("contract/headers") as bursts:
            await bus.publish(message)
            got = (await collect(bursts, message))[0]
        assert dict(got.headers) == (dict(message.headers) if self.headers else {})

    async def test_a_slow_subscriber_stalls_nobody(self, server: BusServer) -> None:
        sender, receiver = server.client("sender"), server.client("receiver")
        async with opened(sender, receiver), receiver.subscribe("contract/#") as slow:
            async with receiver.subscribe("contract/#") as quick:
                sent = [Message("contract/speed", b"%d" % number) for number in range(200)]
                await _publish(sender, [*sent, END])
                got = await collect(quick, END, receiver)
            assert _payloads(got, "contract/speed") == _payloads(sent, "contract/speed")
            late = await collect(slow, END, receiver)
            assert _payloads(late, "contract/speed") == _payloads(sent, "contract/speed")

    async def test_what_waits_comes_as_one_burst(self, server: BusServer) -> None:
        """In one of some rounds: what the quick one has heard may still be on its way to the slow one."""
        bus, sizes = server.client("bursts"), list[int]()
        async with opened(bus), bus.subscribe("contract/#") as slow, bus.subscribe("contract/#") as quick:
            while 11 not in sizes and len(sizes) < _ROUNDS:
                await _publish(
                    bus, [*(Message("contract/burst", b"%d" % number) for number in range(10)), END]
                )
                await collect(quick, END)
                sizes.append(await _first(slow))
        assert 11 in sizes, f"of eleven messages that wait the first burst has {sizes}"

    async def test_overlapping_subscriptions_deliver_once(self, server: BusServer) -> None:
        sender, receiver = server.client("sender"), server.client("receiver")
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(opened(sender, receiver))
            both = await stack.enter_async_context(
                receiver.subscribe("contract/+/x", "contract/a/+", END.topic)
            )
            wide = await stack.enter_async_context(receiver.subscribe("contract/#"))
            again = await stack.enter_async_context(receiver.subscribe("contract/a/x", "contract/#"))
            await _publish(sender, [Message("contract/a/x", b"1"), Message("contract/a/x", b"2"), END])
            for name, bursts in (("both", both), ("wide", wide), ("again", again)):
                got = await collect(bursts, END)
                assert _payloads(got, "contract/a/x") == [b"1", b"2"], f"subscriber {name}"

    async def test_others_keep_what_one_leaves(self, server: BusServer) -> None:
        bus = server.client("leaver")
        async with opened(bus), bus.subscribe("contract/kept", END.topic) as stays:
            async with bus.subscribe("contract/#"), bus.subscribe("contract/kept"):
                await _publish(bus, [Message("contract/kept", b"before")])
            await _publish(bus, [Message("contract/kept", b"after"), END])
            assert _payloads(await collect(stays, END), "contract/kept") == [b"before", b"after"]

    async def test_leaving_unsubscribes(self, server: BusServer) -> None:
        bus = server.client("leaver")
        async with opened(bus), bus.subscribe(END.topic) as witness:
            async with bus.subscribe("contract/left") as bursts:
                await _publish(bus, [Message("contract/left", b"1")])
                await collect(bursts, Message("contract/left", b"1"))
            await _publish(bus, [Message("contract/left", b"2"), END])
            await collect(witness, END)
            with pytest.raises(StopAsyncIteration):
                await anext(bursts)

    async def test_two_clients_live_side_by_side(self, server: BusServer) -> None:
        one, other = server.client("one"), server.client("other")
        async with (
            opened(one, other),
            one.subscribe("contract/#") as first,
            other.subscribe("contract/#") as second,
        ):
            await _publish(one, [Message("contract/id", b"from one"), END])
            for bursts in (first, second):
                assert _payloads(await collect(bursts, END), "contract/id") == [b"from one"]
            assert one.connected
            assert other.connected

    async def test_open_and_close_are_idempotent(self, server: BusServer) -> None:
        bus = server.client("again")
        await bus.close()
        assert not bus.connected
        async with opened(bus):
            await bus.open()
            async with bus.subscribe(END.topic) as bursts:
                await _publish(bus, [END])
                assert len(await collect(bursts, END)) == 1
        await bus.close()
        assert not bus.connected

    async def test_close_ends_the_subscriptions(self, server: BusServer) -> None:
        bus = server.client("closing")
        async with opened(bus), bus.subscribe("contract/#") as bursts:
            await bus.close()
            async with asyncio.timeout(PATIENCE):
                assert [burst async for burst in bursts] == []

    async def test_publishing_while_down_is_refused(self, server: BusServer) -> None:
        bus = server.client("down")
        with pytest.raises(BusUnavailable):
            await bus.publish(END)
        if self.restartable:
            async with opened(bus):
                await server.stop()
                await eventually(lambda: not bus.connected, "the loss is noticed")
                with pytest.raises(BusUnavailable):
                    await bus.publish(END)
        await bus.close()
        with pytest.raises(BusUnavailable):
            await bus.publish(END)

    async def test_a_restart_heals(self, server: BusServer, caplog: pytest.LogCaptureFixture) -> None:
        self._needs_restart()
        sender, receiver = server.client("sender"), server.client("receiver")
        async with opened(sender, receiver), receiver.subscribe("contract/+/x", END.topic) as bursts:
            await _publish(sender, [Message("contract/a/x", b"before"), END])
            await collect(bursts, END)
            with caplog.at_level(logging.INFO, self.logger):
                caplog.clear()
                await server.stop()
                await eventually(lambda: not (sender.connected or receiver.connected), "the loss is noticed")
                async with receiver.subscribe("contract/new") as later:
                    await server.start()
                    await eventually(lambda: sender.connected and receiver.connected, "the clients are back")
                    await self._until_heard(sender, later, "contract/new")
                await _publish(sender, [Message("contract/b/x", b"after"), END])
                got = await collect(bursts, END)
            assert _payloads(got, "contract/b/x") == [b"after"]
        lines = [record for record in caplog.records if record.name.startswith(self.logger)]
        assert sum(line.levelno >= logging.WARNING for line in lines) == 2, _texts(lines)
        assert sum(line.levelno == logging.INFO for line in lines) == 2, _texts(lines)

    async def test_a_server_may_come_late(self, server: BusServer, caplog: pytest.LogCaptureFixture) -> None:
        self._needs_restart()
        await server.stop()
        bus = server.client("early")
        with caplog.at_level(logging.INFO, self.logger):
            await bus.open()
            async with bus.subscribe("contract/#") as bursts:
                await eventually(lambda: bool(_spoken(caplog, self.logger)), "the absence is said")
                await server.start()
                await eventually(lambda: bus.connected, "the bus connects")
                await self._until_heard(bus, bursts, "contract/late")
            await bus.close()
        levels = [record.levelno >= logging.WARNING for record in _spoken(caplog, self.logger)]
        assert levels == [True, False], _texts(_spoken(caplog, self.logger))

    def _needs_restart(self) -> None:
        if not self.restartable:
            pytest.skip("declared: this bus has no server that restarts")

    async def _until_heard(self, sender: Bus, bursts: Burst, topic: str) -> None:
        """Publishes until one arrives: the subscription is in force again."""
        heard = asyncio.ensure_future(anext(bursts))
        try:
            async with asyncio.timeout(PATIENCE):
                while not heard.done():
                    await sender.publish(Message(topic, b"there?"))
                    await asyncio.wait({heard}, timeout=0.05)
        except TimeoutError:
            heard.cancel()
            pytest.fail(f"nothing arrives on {topic!r} after the restart")


async def _publish(bus: Bus, messages: Sequence[Message]) -> None:
    async with asyncio.timeout(PATIENCE):
        for message in messages:
            await bus.publish(message)


async def _first(bursts: Burst) -> int:
    """How many messages the next burst has; takes all up to the end."""
    async with asyncio.timeout(PATIENCE):
        burst = await anext(bursts)
    if not any(_same(message, END) for message in burst):
        await collect(bursts, END)
    return len(burst)


async def _publish_all(bus: Bus, waiting: deque[Message]) -> None:
    """Begins the next as soon as the one before is through; others do the same."""
    while waiting:
        await bus.publish(waiting.popleft())


def _payloads(messages: Sequence[Message], topic: str) -> list[bytes]:
    return [message.payload for message in messages if message.topic == topic]


def _spoken(caplog: pytest.LogCaptureFixture, logger: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.startswith(logger)]


def _texts(records: Sequence[logging.LogRecord]) -> str:
    return "\n" + "\n".join(f"{record.levelname} {record.getMessage()}" for record in records)


__all__ = ["BusContract", "BusServer", "collect", "eventually", "opened"]
