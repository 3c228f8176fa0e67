"""The ZeroMQ bus beyond the contract: publishers that come late, go and come back, prefixes, taken ports."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from edgex_inference.buses.zeromq.bus import ZeroMqBus
from edgex_inference.buses.zeromq.settings import Address, ZeroMqSettings
from edgex_inference.contracts.errors import BusUnavailable
from edgex_inference.contracts.messages import Message
from edgex_inference.telemetry.metrics import Counts
from edgex_inference.testing.bus import PATIENCE, collect, eventually, opened
from tests.ports import free_port

LOGGER = "edgex_inference.buses"


def said(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith(LOGGER) and r.levelno == level]


class Publisher:
    """What EdgeX's own services have: a PUB socket, here one that tells who listens."""

    def __init__(self, context: "zmq.Context[Any]", port: int) -> None:
        self.socket = context.socket(zmq.XPUB)
        self.socket.bind(f"tcp://127.0.0.1:{port}")

    async def heard(self, prefix: bytes) -> None:
        """Returns when somebody has subscribed to this: before, everything said is lost."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    if self.socket.recv(zmq.NOBLOCK) == b"\x01" + prefix:
                        return
                except zmq.Again:
                    await asyncio.sleep(0.005)

    def say(self, *frames: bytes) -> None:
        self.socket.send_multipart(frames)

    def close(self) -> None:
        self.socket.close(linger=0)


@pytest.fixture
def context() -> Iterator["zmq.Context[Any]"]:
    made: zmq.Context[Any] = zmq.Context()
    yield made
    made.destroy(linger=0)


def bus_for(*ports: int, publish: int = 0, drops: Counts | None = None) -> ZeroMqBus:
    settings = ZeroMqSettings(
        publishers=tuple(Address("127.0.0.1", port) for port in ports),
        publish_port=publish,
        bind_host="127.0.0.1",
    )
    return ZeroMqBus(settings, drops=drops)


async def test_a_publisher_may_come_late_and_comes_back(
    context: "zmq.Context[Any]", caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    bus = bus_for(port)
    with caplog.at_level(logging.INFO, LOGGER):
        await bus.open()
        async with bus.subscribe("edgex/events/#") as bursts:
            assert not bus.connected
            for life in (b"1", b"2"):
                publisher = Publisher(context, port)
                await publisher.heard(b"edgex/events")
                await eventually(lambda: bus.connected, "it is connected")
                publisher.say(b"edgex/events/device/p/d/s", life)
                await collect(bursts, Message("edgex/events/device/p/d/s", life))
                publisher.close()
                await eventually(lambda: not bus.connected, "the loss is noticed")
        await bus.close()
    assert len(said(caplog, logging.INFO)) == 2
    assert len([line for line in said(caplog, logging.WARNING) if "connection lost" in line]) == 2


async def test_a_publisher_that_is_not_there_is_said(caplog: pytest.LogCaptureFixture) -> None:
    settings = ZeroMqSettings(
        publishers=(Address("127.0.0.1", free_port()),), bind_host="127.0.0.1", connect_timeout=0.01
    )
    bus = ZeroMqBus(settings)
    with caplog.at_level(logging.INFO, LOGGER):
        await bus.open()
        await eventually(lambda: bool(said(caplog, logging.WARNING)), "it is said")
        await bus.close()
    (line,) = said(caplog, logging.WARNING)
    assert "cannot connect; trying until it works" in line


async def test_a_beginning_is_no_match(context: "zmq.Context[Any]") -> None:
    """ZeroMQ compares beginnings, byte by byte; what has no topic is counted."""
    port, drops = free_port(), Counts()
    publisher, bus = Publisher(context, port), bus_for(port, drops=drops)
    async with opened(bus), bus.subscribe("t/a", "t/+/c", "t/end") as bursts:
        await publisher.heard(b"t/end")
        publisher.say(b"t/end of a message with one frame")
        for topic in (b"t/ab", b"t/a", b"t/x/d", b"t/x/c", b"t/end"):
            publisher.say(topic, b"end")
        got = await collect(bursts, Message("t/end", b"end"))
    publisher.close()
    assert [message.topic for message in got] == ["t/a", "t/x/c", "t/end"]
    assert drops.by_word() == {"busTopic": 1}


async def test_several_publishers_are_heard_each_for_itself(context: "zmq.Context[Any]") -> None:
    ports = [free_port(), free_port(), free_port()]
    publishers = [Publisher(context, port) for port in ports[:2]]
    bus = bus_for(*ports)  # the third never comes
    async with opened(bus), bus.subscribe("t/#") as bursts:
        for number, publisher in enumerate(publishers):
            await publisher.heard(b"t")
            publisher.say(b"t/x", b"%d" % number)
            await collect(bursts, Message("t/x", b"%d" % number))
        publishers[0].close()
        publishers[1].say(b"t/x", b"still")
        await collect(bursts, Message("t/x", b"still"))
        assert bus.connected
    publishers[1].close()


async def test_a_taken_port_is_one_clear_line(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bus = bus_for(free_port(), publish=taken.getsockname()[1])
        with caplog.at_level(logging.INFO, LOGGER):
            await bus.open()
            await eventually(lambda: bool(said(caplog, logging.ERROR)), "it is said")
            with pytest.raises(BusUnavailable, match="is not open"):
                await bus.publish(Message("t/x", b""))
            await bus.close()
    (line,) = said(caplog, logging.ERROR)
    assert line.startswith("ZeroMQ: cannot publish on port")
    assert "MessageBus.Optional.PublishPort" in line


async def test_without_a_port_nothing_can_be_published() -> None:
    bus = bus_for(free_port())
    await bus.open()
    with pytest.raises(BusUnavailable, match=r"set MessageBus\.Optional\.PublishPort"):
        await bus.publish(Message("t/x", b""))
    await bus.close()
