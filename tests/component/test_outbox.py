"""What cannot leave is kept on disk, and leaves in order before anything newer."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.buses.memory import MemoryBus, MemoryHub
from edgex_inference.contracts.errors import BusUnavailable, EnvelopeError
from edgex_inference.contracts.messages import Message
from edgex_inference.pipeline import outbox as room
from edgex_inference.pipeline.outbox import Outbox
from edgex_inference.testing.bus import eventually

Make = Callable[..., Any]


def numbered(*numbers: int) -> list[Message]:
    return [Message("edgex/results", str(number).encode()) for number in numbers]


class Listener:
    """Everything that reaches the hub's other side, in order."""

    def __init__(self, hub: MemoryHub) -> None:
        self.numbers: list[int] = []
        self._bus = MemoryBus(hub, name="listener")
        self._bus.receive = lambda message: self.numbers.append(int(message.payload))  # type: ignore[method-assign]

    async def open(self) -> None:
        await self._bus.open()

    async def have(self, *numbers: int) -> None:
        await eventually(lambda: len(self.numbers) >= len(numbers), f"{numbers}, only {self.numbers}")
        assert self.numbers == list(numbers)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK", 0.01)


@pytest.fixture
def hub() -> MemoryHub:
    return MemoryHub()


@pytest.fixture
async def listener(hub: MemoryHub) -> Listener:
    made = Listener(hub)
    await made.open()
    return made


@pytest.fixture
async def opened(hub: MemoryHub, tmp_path: Path) -> AsyncIterator[Make]:
    """`opened(most=…, max_age=…, bus=…)`: an outbox on the hub, closed later."""
    async with AsyncExitStack() as stack:

        async def make(bus: Any = None, *, most: int = 1 << 20, max_age: float = 60.0) -> Outbox:
            outbox = Outbox(
                bus or MemoryBus(hub), tmp_path / "state" / "outbox.sqlite", most=most, max_age=max_age
            )
            await outbox.open()
            stack.push_async_callback(outbox.close)
            return outbox

        yield make


async def test_nothing_is_kept_while_the_bus_is_there(opened: Make, listener: Listener) -> None:
    outbox = await opened()
    for message in numbered(1, 2, 3):
        await outbox.publish(message)
    await listener.have(1, 2, 3)
    assert dict(outbox.counts.by_word()) == {}


async def test_what_finds_the_bus_away_leaves_first_and_in_order(
    opened: Make, hub: MemoryHub, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    outbox = await opened()
    await outbox.publish(*numbered(0))
    hub.stop()
    await asyncio.gather(*(outbox.publish(message) for message in numbered(*range(1, 301))))
    assert outbox.waiting == 300
    hub.start()
    await asyncio.gather(*(outbox.publish(message) for message in numbered(*range(301, 401))))
    await listener.have(*range(401))
    await eventually(lambda: outbox.waiting == 0, "nothing waits")
    assert outbox.counts.total("stored") == outbox.counts.total("forwarded") >= 300
    assert [text for text in caplog.messages if "results are kept in" in text].__len__() == 1
    assert caplog.messages.count("what was kept while the message bus was away is out") == 1


async def test_an_outage_in_the_middle_of_sending_loses_and_swaps_nothing(
    opened: Make, hub: MemoryHub, listener: Listener
) -> None:
    outbox = await opened()
    hub.stop()
    for message in numbered(*range(200)):
        await outbox.publish(message)
    spread = hub.spread
    sent = 0

    def tired(message: Message) -> None:
        nonlocal sent
        sent += 1
        if sent in (10, 100):
            hub.stop()
            asyncio.get_running_loop().call_later(0.02, hub.start)
            raise BusUnavailable("it broke off")
        spread(message)

    hub.spread = tired  # type: ignore[method-assign]
    hub.start()
    await eventually(lambda: len(set(listener.numbers)) == 200, "all numbers")
    first_seen = list(dict.fromkeys(listener.numbers))
    assert first_seen == list(range(200))


async def test_the_next_start_sends_what_the_last_one_could_not(
    opened: Make, hub: MemoryHub, listener: Listener
) -> None:
    hub.stop()
    outbox = await opened()
    for message in numbered(1, 2, 3):
        await outbox.publish(message)
    await outbox.close()
    outbox = await opened()
    assert outbox.waiting == 3
    await outbox.publish(*numbered(4))
    hub.start()
    await listener.have(1, 2, 3, 4)


async def test_the_oldest_go_when_it_is_full(opened: Make, hub: MemoryHub, listener: Listener) -> None:
    length = len("edgex/results") + len("{}") + 2
    outbox = await opened(most=10 * length)
    hub.stop()
    for message in numbered(*range(10, 30)):
        await outbox.publish(message)
    assert outbox.waiting == 10
    assert outbox.counts.total("outboxFull") == 10
    hub.start()
    await listener.have(*range(20, 30))


async def test_what_is_too_old_is_dropped_and_counted(
    opened: Make, hub: MemoryHub, listener: Listener
) -> None:
    outbox = await opened(max_age=-1.0)
    hub.stop()
    for message in numbered(1, 2):
        await outbox.publish(message)
    hub.start()
    await eventually(lambda: outbox.waiting == 0, "nothing waits")
    await outbox.publish(*numbered(3))
    await listener.have(3)
    assert outbox.counts.total("outboxAge") == 2


async def test_headers_and_bytes_are_kept(opened: Make, hub: MemoryHub, tmp_path: Path) -> None:
    heard: list[Message] = []
    bus = MemoryBus(hub, name="witness")
    bus.receive = heard.append  # type: ignore[method-assign]
    await bus.open()
    outbox = await opened()
    hub.stop()
    message = Message("edgex/é", bytes(range(256)), {"Content-Type": "application/cbor"})
    await outbox.publish(message)
    for file in (tmp_path / "state").iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    hub.start()
    await eventually(lambda: bool(heard), "it arrives")
    assert heard == [message]


class Refusing(MemoryBus):
    """Takes no message with an odd number once it is back."""

    async def publish(self, message: Message) -> None:
        if self.connected and int(message.payload) % 2:
            raise EnvelopeError(message.topic, "too large", reason="size")
        await super().publish(message)


async def test_what_the_bus_refuses_for_good_holds_up_nothing(
    opened: Make, hub: MemoryHub, listener: Listener
) -> None:
    outbox = await opened(Refusing(hub))
    hub.stop()
    for message in numbered(1, 2, 3, 4):
        await outbox.publish(message)
    hub.start()
    await listener.have(2, 4)
    await eventually(lambda: outbox.counts.total("outboxRefused") == 2, "both refusals are counted")


async def test_a_file_that_another_process_has_is_said_and_not_used(
    opened: Make, hub: MemoryHub, caplog: pytest.LogCaptureFixture
) -> None:
    await opened()
    second = await opened()
    assert any("another process uses it" in text for text in caplog.messages)
    hub.stop()
    with pytest.raises(BusUnavailable):
        await second.publish(*numbered(1))


async def test_a_full_disk_is_a_bus_that_is_away(
    opened: Make, hub: MemoryHub, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = await opened()
    hub.stop()

    def full(_messages: Any) -> int:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(outbox._shelf, "add", full)
    with pytest.raises(BusUnavailable, match="takes nothing: database or disk is full"):
        await outbox.publish(*numbered(1))
    assert outbox.waiting == 0
    hub.start()
    await outbox.publish(*numbered(2))
    await listener.have(2)


async def test_what_is_thrown_out_while_it_is_sent_is_counted_once(
    opened: Make, hub: MemoryHub, listener: Listener
) -> None:
    length = len("edgex/results") + len("{}") + 3
    outbox = await opened(most=20 * length)
    hub.stop()
    for message in numbered(*range(100, 120)):
        await outbox.publish(message)
    hub.start()
    await asyncio.gather(*(outbox.publish(message) for message in numbered(*range(200, 600))))
    await eventually(lambda: outbox.waiting == 0, "nothing waits")
    counts = outbox.counts
    assert counts.total("stored") == counts.total("forwarded") + counts.total("outboxFull")
    before = counts.total("stored")
    await outbox.publish(*numbered(600))
    await eventually(lambda: 600 in listener.numbers, "it arrives")
    assert counts.total("stored") == before, "straight to the bus"


class Broken(MemoryBus):
    """Has a defect for number 2; takes nothing at all while it is `tired`, though it is connected."""

    tired = False
    attempts = 0

    async def publish(self, message: Message) -> None:
        self.attempts += 1
        if self.tired:
            raise BusUnavailable("no stream")
        if self.connected and int(message.payload) == 2:
            raise ValueError("a defect")
        await super().publish(message)


async def test_a_defect_of_the_bus_ends_nothing(
    opened: Make, hub: MemoryHub, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = await opened(Broken(hub))
    hub.stop()
    for message in numbered(1, 2, 3):
        await outbox.publish(message)
    hub.start()
    await listener.have(1, 3)
    await eventually(lambda: outbox.waiting == 0, "nothing waits")
    assert outbox.counts.total("outboxRefused") == 1
    assert any("a defect; dropped as outboxRefused" in text for text in caplog.messages)


async def test_a_bus_that_takes_nothing_is_not_asked_all_the_time(
    opened: Make, hub: MemoryHub, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = Broken(hub)
    outbox = await opened(bus)
    bus.tired = True
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    await outbox.publish(*numbered(1))
    monkeypatch.setattr(room.asyncio, "sleep", noted)
    before = bus.attempts
    while bus.attempts < before + 5:
        await sleep(0.001)
    bus.tired = False
    await listener.have(1)

    assert pauses.count(room._LOOK) >= 4


async def test_results_of_a_service_outlive_an_outage(
    stage: Any, make: Any, opened: Make, hub: MemoryHub
) -> None:
    """Events come by a bus that stays, results leave by one that breaks."""
    stage.simple()
    heard: list[Message] = []
    async with stage.running() as service:
        outlet = await opened()
        witness = MemoryBus(hub, name="witness")
        witness.receive = heard.append  # type: ignore[method-assign]
        await witness.open()
        service.bus.publish, service.bus.publish_all = outlet.publish, outlet.publish_all
        hub.stop()
        await stage.send(*(make.event("p", X=x) for x in range(10)))
        await stage.until(lambda: stage.counters()["published"] == 10)
        assert outlet.waiting == 11, "and the status"
        hub.start()
        await stage.until(lambda: len(heard) == 11)
    values = [stage_values(message) for message in heard[1:]]
    assert values == [2 * x + 1 for x in range(10)]


def stage_values(message: Message) -> float:
    from edgex_inference.edgex import envelope, events

    found = events.read(envelope.read(message))
    assert found is not None
    return float(found.readings[0].value or "nan")


async def test_a_newcomer_waits_behind_those_that_wait(
    hub: MemoryHub, listener: Listener, tmp_path: Path
) -> None:
    """Also one who comes in the very moment in which the others may go on."""
    box = Outbox(MemoryBus(hub, name="service"), tmp_path / "outbox.sqlite", most=1 << 20, max_age=60)
    await box.open()
    box._through.clear()
    waiting = [asyncio.create_task(box.publish(one)) for one in numbered(1, 2)]
    burst = asyncio.create_task(box.publish_all(numbered(3, 4)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    box._through.set()
    await box.publish(numbered(5)[0])
    await asyncio.gather(*waiting, burst)
    await box.publish(numbered(6)[0])
    await listener.have(1, 2, 3, 4, 5, 6)
    await box.close()
