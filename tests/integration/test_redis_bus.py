"""The Redis bus beyond the contract: globs that cross levels, a server that cuts slow readers, passwords."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis

from edgex_inference.buses.fanout import BACKLOG
from edgex_inference.buses.redis.bus import RedisBus
from edgex_inference.buses.redis.settings import RedisSettings
from edgex_inference.contracts.errors import BusUnavailable
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import envelope, events
from edgex_inference.telemetry.metrics import Counts
from edgex_inference.testing.bus import collect, eventually, opened

Start = Callable[..., Any]
LOGGER = "edgex_inference.buses"
END = Message("t/end", b"end")


def settings(server: Any, **changes: Any) -> RedisSettings:
    return RedisSettings(host="127.0.0.1", port=server.port, client_id="bus", **changes)


def said(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith(LOGGER) and r.levelno == level]


def bare(server: Any) -> "redis.Redis":
    return redis.Redis(host="127.0.0.1", port=server.port, protocol=2)


async def test_a_glob_that_crosses_levels_is_filtered_again(run_server: Start) -> None:
    server = run_server("Redis")
    bus = RedisBus(settings(server))
    async with opened(bus), bus.subscribe("t/+/c", "t/a/#", END.topic) as bursts:
        with bare(server) as other:
            for channel in ("t.a.b.x.c", "t.x.y.c", "t.x.c", "t.a", "t.a.c", "t.ab", "t.end"):
                other.publish(channel, b"end")
        got = await collect(bursts, END)
    assert [message.topic for message in got] == ["t/a/b/x/c", "t/x/c", "t/a", "t/a/c", "t/end"]


async def test_characters_that_mean_something_in_a_glob(run_server: Start) -> None:
    server = run_server("Redis")
    bus = RedisBus(settings(server))
    topics = ["t/[a]/1", "t/a?/1", "t/b*/1", "t/back\\slash/1"]
    async with opened(bus), bus.subscribe(*topics, END.topic) as bursts:
        for topic in (*topics, "t/a/1", "t/ab/1", "t/bcd/1"):
            await bus.publish(Message(topic, b"x"))
        await bus.publish(END)
        got = await collect(bursts, END)
    assert [message.topic for message in got] == [*topics, "t/end"]


async def test_a_dot_in_a_name_is_no_level(run_server: Start) -> None:
    server = run_server("Redis")
    bus = RedisBus(settings(server))
    async with opened(bus), bus.subscribe("t/+", "t/a.b/c") as bursts:
        with bare(server) as other:
            listener = other.pubsub(ignore_subscribe_messages=True)
            listener.psubscribe("t.*")
            while listener.get_message(timeout=60) is not None:
                pass
            await bus.publish(Message("t/pump.7", b"1"))
            await bus.publish(Message("t/a.b/c", b"2"))
            heard = [listener.get_message(timeout=60), listener.get_message(timeout=60)]
            listener.close()
        got = await collect(bursts, Message("t/a%2Eb/c", b"2"))
    assert [one and one["channel"] for one in heard] == [b"t.pump%2E7", b"t.a%2Eb.c"]
    assert [message.topic for message in got] == ["t/pump%2E7", "t/a%2Eb/c"]


async def test_the_dummy_envelope_is_no_event_and_the_topic_is_the_channels(run_server: Start) -> None:
    server = run_server("Redis")
    bus = RedisBus(settings(server))
    dummy = (
        b'{"apiVersion":"","receivedTopic":"an/old/one","correlationID":"","requestID":"","errorCode":0,'
        b'"payload":null,"contentType":""}'
    )
    async with opened(bus), bus.subscribe("edgex/response/#") as bursts:
        with bare(server) as other:
            other.publish("edgex.response.core-command.1", dummy)
        got = await collect(bursts, Message("edgex/response/core-command/1", dummy))
    read = envelope.read(got[0])
    assert read.topic == "edgex/response/core-command/1"
    assert events.read(read) is None


@pytest.mark.parametrize("password", ["", "wrong"])
async def test_a_wrong_password_is_one_clear_line(
    run_server: Start, caplog: pytest.LogCaptureFixture, password: str
) -> None:
    server = run_server("Redis", "requirepass right")
    bus = RedisBus(settings(server, password=password))
    with caplog.at_level(logging.INFO, LOGGER):
        await bus.open()
        await eventually(lambda: bool(said(caplog, logging.ERROR)), "the refusal is said")
        with pytest.raises(BusUnavailable, match="not connected"):
            await bus.publish(END)
        await bus.close()
    (line,) = said(caplog, logging.ERROR)
    for word in ("MessageBus.AuthMode", "MessageBus.SecretName", str(server.port)):
        assert word in line
    assert not said(caplog, logging.WARNING)


async def test_the_server_cuts_a_slow_reader_but_not_us(run_server: Start) -> None:
    """`client-output-buffer-limit`: a reader that sleeps is cut, a subscriber of ours that sleeps loses messages."""
    server = run_server("Redis", "client-output-buffer-limit pubsub 2mb 1mb 1")
    drops = Counts()
    bus = RedisBus(settings(server, max_backlog=3), drops=drops)
    sleeper = socket.create_connection(("127.0.0.1", server.port))
    try:
        sleeper.sendall(b"*2\r\n$10\r\nPSUBSCRIBE\r\n$3\r\nt.*\r\n")
        async with opened(bus), bus.subscribe("t/#") as slow, bus.subscribe(END.topic) as quick:
            with bare(server) as other:

                def cut() -> bool:
                    return len(other.client_list(_type="pubsub")) == 1

                sent = 0
                while not cut() or sent < 10:
                    await asyncio.to_thread(other.publish, "t.big", bytes(1_000_000))
                    sent += 1
                    assert sent < 200, "nobody is ever cut"
                other.publish("t.end", b"end")
            await collect(quick, END)
            assert bus.connected
            taken = await anext(slow)
        assert len(taken) == 3
        assert drops.total(BACKLOG) == sent + 1 - 3
    finally:
        sleeper.close()


async def test_subscriptions_entered_while_it_connects_are_in_force(run_server: Start) -> None:
    """At whatever moment of the handshake."""
    bus = RedisBus(settings(run_server("Redis")))
    async with AsyncExitStack() as stack:
        await bus.open()
        stack.push_async_callback(bus.close)
        entered: list[Any] = []
        turns = 0
        while not bus.connected:
            turns += 1
            if turns % 4 == 0 and len(entered) < 50:
                entered.append(await stack.enter_async_context(bus.subscribe(f"t/{len(entered)}", END.topic)))
            await asyncio.sleep(0)
        for number in range(len(entered)):
            await bus.publish(Message(f"t/{number}", b"x"))
        await bus.publish(END)
        for number, bursts in enumerate(entered):
            assert await collect(bursts, END) == [Message(f"t/{number}", b"x"), END]


async def test_a_server_that_hangs_has_gone(run_server: Start) -> None:
    server = run_server("Redis")
    bus = RedisBus(settings(server, connect_timeout=0.5))
    async with opened(bus), bus.subscribe("t/#") as bursts:
        server.suspend()
        try:
            with pytest.raises(BusUnavailable):
                await bus.publish(END)
            assert not bus.connected
        finally:
            server.resume()
        await eventually(lambda: bus.connected, "it is back")
        await bus.publish(END)
        assert (await collect(bursts, END))[-1] == END


async def test_a_cut_is_one_line_each_way(run_server: Start, caplog: pytest.LogCaptureFixture) -> None:
    server = run_server("Redis")
    bus = RedisBus(settings(server))
    async with opened(bus), bus.subscribe("t/#") as bursts:
        with caplog.at_level(logging.INFO, LOGGER), bare(server) as other:
            other.client_kill_filter(_type="pubsub")
            await eventually(lambda: bool(said(caplog, logging.WARNING)), "the loss is said")
            await eventually(lambda: bus.connected, "it is back")
            await bus.publish(END)
            assert await collect(bursts, END) == [END]
    assert len(said(caplog, logging.WARNING)) == 1
    assert len(said(caplog, logging.INFO)) == 1
