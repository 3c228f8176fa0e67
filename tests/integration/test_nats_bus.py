"""The NATS buses beyond the contract: limits, names, keys, groups; streams, consumers, redelivery."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import nkeys
import pytest
from nats.js.api import ConsumerConfig, StreamConfig

from edgex_inference.buses.nats.bus import NatsBus
from edgex_inference.buses.nats.link import settled
from edgex_inference.buses.nats.settings import NatsSettings, StreamSettings
from edgex_inference.contracts.errors import BusUnavailable, EnvelopeError, SetupError
from edgex_inference.contracts.messages import Message
from edgex_inference.testing.bus import PATIENCE, collect, eventually, opened

Start = Callable[..., Any]
LOGGER = "edgex_inference.buses"
END = Message("t/end", b"end")


def settings(server: Any, **changes: Any) -> NatsSettings:
    return NatsSettings(**{"host": "127.0.0.1", "port": server.port, "client_id": "bus", **changes})


def said(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith(LOGGER) and r.levelno == level]


@asynccontextmanager
async def bare(server: Any) -> AsyncIterator[Any]:
    client = await nats.connect(f"nats://127.0.0.1:{server.port}")
    try:
        yield client
    finally:
        await client.close()


async def test_max_payload_is_named_and_the_connection_stays(run_server: Start) -> None:
    """Headers count too, for which the server would cut us off."""
    bus = NatsBus(settings(run_server("Nats")))
    headers = {"Content-Type": "application/json"}
    async with opened(bus), bus.subscribe("t/#") as bursts:
        for size in (1_500_000, 1_048_576):
            with pytest.raises(EnvelopeError, match=r"1048576.*raise max_payload") as caught:
                await bus.publish(Message("t/big", bytes(size), headers))
            assert caught.value.reason == "size"
        await bus.publish(Message("t/fits", bytes(1_048_576 - 100), headers))
        await bus.publish(END)
        got = await collect(bursts, END)
    assert [message.topic for message in got] == ["t/fits", "t/end"]


async def test_names_that_a_subject_cannot_hold(run_server: Start) -> None:
    server = run_server("Nats")
    bus = NatsBus(settings(server))
    async with (
        opened(bus),
        bare(server) as other,
        bus.subscribe("t/+") as bursts,
        bus.subscribe("t/a.b/c") as deeper,
    ):
        listener = await other.subscribe("t.>")
        await settled(other)
        for topic in ("t/pump.7", "t/a b", "t/star*", "t/more>", "t/a.b/c"):
            await bus.publish(Message(topic, b"x"))
        await bus.publish(END)
        heard = [(await listener.next_msg(timeout=PATIENCE)).subject for _ in range(5)]
        got = await collect(bursts, END) + await collect(deeper, Message("t/a%2Eb/c", b"x"))
        with pytest.raises(EnvelopeError, match="empty level"):
            await bus.publish(Message("t//x", b"x"))
        with pytest.raises(SetupError, match="empty level"):
            async with bus.subscribe("t//x"):
                pass
    assert heard == ["t.pump%2E7", "t.a%20b", "t.star%2A", "t.more%3E", "t.a%2Eb.c"]
    assert sorted(one.topic for one in got) == sorted([*(name.replace(".", "/") for name in heard), "t/end"])


async def test_header_names_are_on_the_wire_as_given(run_server: Start) -> None:
    server = run_server("Nats")
    bus = NatsBus(settings(server))
    names = ["ApiVersion", "Content-Type", "ErrorCode", "QueryParams", "RequestId", "X-Correlation-ID"]
    message = Message("t/h", b"{}", {name: f"of {name}" for name in names})
    async with opened(bus):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(
            b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB t.h 1\r\nPING\r\n'
        )
        await reader.readuntil(b"PONG\r\n")
        await bus.publish(message)
        raw = await reader.readuntil(b"\r\n{}\r\n")
        writer.close()
        await writer.wait_closed()
    for name in names:
        assert f"\r\n{name}: of {name}\r\n".encode() in raw


async def test_a_wrong_password_is_one_clear_line(
    run_server: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server = run_server("Nats", "authorization { user: edge, password: right }")
    bus = NatsBus(settings(server, username="edge", password="wrong"))
    with caplog.at_level(logging.INFO, LOGGER):
        await bus.open()
        await eventually(lambda: bool(said(caplog, logging.ERROR)), "the refusal is said")
        with pytest.raises(BusUnavailable, match="not connected"):
            await bus.publish(END)
        await bus.close()
    (line,) = said(caplog, logging.ERROR)
    for word in (
        "refuses us",
        "MessageBus.AuthMode",
        "MessageBus.SecretName",
        "NKeySeedFile",
        str(server.port),
    ):
        assert word in line
    assert not said(caplog, logging.WARNING)


async def test_a_key_in_a_file_opens_the_door(run_server: Start, tmp_path: Path) -> None:
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    (tmp_path / "user.nk").write_bytes(seed)
    public = nkeys.from_seed(bytearray(seed)).public_key.decode()
    server = run_server("Nats", f"authorization {{ users: [ {{ nkey: {public} }} ] }}")
    bus = NatsBus(settings(server, nkey_seed_file=str(tmp_path / "user.nk")))
    async with opened(bus), bus.subscribe("t/#") as bursts:
        await bus.publish(END)
        assert await collect(bursts, END) == [END]


async def test_a_key_file_that_is_not_there_is_said(
    run_server: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bus = NatsBus(settings(run_server("Nats"), nkey_seed_file=str(tmp_path / "none.nk")))
    with caplog.at_level(logging.INFO, LOGGER):
        await bus.open()
        await eventually(lambda: bool(said(caplog, logging.ERROR)), "it is said")
        await bus.close()
    (line,) = said(caplog, logging.ERROR)
    assert "none.nk" in line


async def test_subscriptions_entered_while_it_connects_are_in_force(run_server: Start) -> None:
    """At whatever moment of the handshake."""
    bus = NatsBus(settings(run_server("Nats")))
    async with AsyncExitStack() as stack:
        await bus.open()
        stack.push_async_callback(bus.close)
        entered: list[Any] = []
        while not bus.connected:
            if len(entered) < 500:
                entered.append(await stack.enter_async_context(bus.subscribe("t/#")))
            await asyncio.sleep(0)
        await bus.publish(END)
        for bursts in entered:
            assert await collect(bursts, END) == [END]


async def test_a_queue_group_shares_the_work(run_server: Start) -> None:
    server = run_server("Nats")
    one, other = (NatsBus(settings(server, client_id=name, queue_group="g")) for name in ("one", "other"))
    both: list[str] = []

    async def read(bursts: Any) -> None:
        async for burst in bursts:
            both.extend(message.payload.decode() for message in burst)

    async with opened(one, other), one.subscribe("t/#") as first, other.subscribe("t/#") as second:
        tasks = [asyncio.create_task(read(bursts)) for bursts in (first, second)]
        for number in range(100):
            await one.publish(Message("t/x", b"%d" % number))
        await eventually(lambda: len(both) >= 100, "all arrive")
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    assert sorted(both, key=int) == [str(number) for number in range(100)]


# -- JetStream --------------------------------------------------------------------------------------------------


def streaming(server: Any, **changes: Any) -> NatsSettings:
    wanted = {"subject": "edgex/#", "provision": True, **changes}
    return settings(server, stream=StreamSettings(**wanted), exactly_once=wanted.pop("exactly", False))


async def test_the_stream_is_made_after_its_subject(run_server: Start) -> None:
    server = run_server("Nats", streams=True)
    bus = NatsBus(streaming(server))
    async with opened(bus), bare(server) as other:
        info = await other.jetstream().stream_info("edgex")
    assert info.config.subjects == ["edgex.>"]


@pytest.mark.parametrize(
    ("streams", "subject", "words"),
    [
        (False, "edgex/#", ["JetStream is not turned on"]),
        (True, "edgex/#", ["no stream has the subject 'edgex.>'", "MessageBus.Optional.AutoProvision"]),
    ],
)
async def test_what_is_missing_is_one_clear_line(
    run_server: Start, caplog: pytest.LogCaptureFixture, streams: bool, subject: str, words: list[str]
) -> None:
    server = run_server("Nats", streams=streams)
    bus = NatsBus(streaming(server, subject=subject, provision=False))
    with caplog.at_level(logging.INFO, LOGGER):
        await bus.open()
        await eventually(lambda: bool(said(caplog, logging.ERROR)), "it is said")
        await bus.close()
    (line,) = said(caplog, logging.ERROR)
    for word in words:
        assert word in line


async def test_publishing_outside_the_stream_is_a_clear_error(run_server: Start) -> None:
    bus = NatsBus(streaming(run_server("Nats", streams=True), retries=1))
    async with opened(bus):
        await bus.publish(Message("edgex/inside", b"x"))
        with pytest.raises(EnvelopeError, match=r"MessageBus\.Optional\.Subject \('edgex/#'\)") as caught:
            await bus.publish(Message("rules-events", b"x"))
        assert "is outside the subjects of every stream" in str(caught.value)
        assert caught.value.reason == "stream"
        assert bus.connected


async def test_what_takes_long_is_not_delivered_twice(run_server: Start) -> None:
    """The stream delivers again after its ack wait; the message comes once, and is acknowledged once it is done."""
    server = run_server("Nats", streams=True)
    message = Message("edgex/a", b"1")
    async with bare(server) as other:
        stream = other.jetstream()
        await stream.add_stream(StreamConfig(name="edgex", subjects=["edgex.>"]))
        await stream._jsm.add_consumer(
            "edgex",
            ConsumerConfig(
                durable_name="slow", filter_subject="edgex.>", deliver_subject="deliver.slow", ack_wait=0.2
            ),
        )
        bus = NatsBus(streaming(server, durable="slow"))
        async with opened(bus), bus.subscribe("edgex/#") as bursts:
            await bus.publish(message)
            got = await collect(bursts, message)

            async def pending() -> Any:
                return await stream.consumer_info("edgex", "slow")

            async with asyncio.timeout(PATIENCE):
                while not (await pending()).num_redelivered:
                    pass
            await bus.publish(END_OF_STREAM)
            got += await collect(bursts, END_OF_STREAM)
            await bus.done(got)
            async with asyncio.timeout(PATIENCE):
                while (await pending()).num_ack_pending:
                    pass
    assert [one.topic for one in got] == ["edgex/a", "edgex/end"]


END_OF_STREAM = Message("edgex/end", b"end")


async def unbound(stream: Any, name: str) -> None:
    """Until the server has noticed that nobody listens it sends into the void, and again after its ack wait."""
    async with asyncio.timeout(PATIENCE):
        while (await stream.consumer_info("edgex", name)).push_bound:
            pass


async def test_a_durable_consumer_loses_nothing_between_two_lives(run_server: Start) -> None:
    server = run_server("Nats", streams=True)
    sender = NatsBus(streaming(server))
    async with opened(sender):
        first = NatsBus(streaming(server, durable="d"))
        async with opened(first), first.subscribe("edgex/#") as bursts:
            for number in range(3):
                await sender.publish(Message("edgex/a", b"%d" % number))
            got = await collect(bursts, Message("edgex/a", b"2"))
            await first.done(got[:2])  # the third is under way when it ends
        async with bare(server) as other:
            await unbound(other.jetstream(), "d")
        for number in range(3, 5):
            await sender.publish(Message("edgex/a", b"%d" % number))
        second = NatsBus(streaming(server, durable="d"))
        async with opened(second), second.subscribe("edgex/#") as bursts:
            await collect(bursts, Message("edgex/a", b"3"))
        async with bare(server) as other:
            info = await other.jetstream().consumer_info("edgex", "d")
    assert info.ack_floor.stream_seq == 2


async def test_a_durable_name_that_somebody_reads_with_is_said(
    run_server: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server = run_server("Nats", streams=True)
    first, second = (NatsBus(streaming(server, durable="d")) for _ in range(2))
    async with opened(first), first.subscribe("edgex/#") as bursts:
        await first.publish(END_OF_STREAM)
        await first.done(await collect(bursts, END_OF_STREAM))
        with caplog.at_level(logging.INFO, LOGGER):
            await second.open()
            async with second.subscribe("edgex/#"):
                words = "another client reads with the durable name"
                await eventually(lambda: any(words in one for one in caplog.messages), "it is said")
            await second.close()


async def test_a_durable_name_serves_several_subscriptions(run_server: Start) -> None:
    server = run_server("Nats", streams=True)
    bus = NatsBus(streaming(server, durable="d"))
    async with opened(bus), bus.subscribe("edgex/a/#") as one, bus.subscribe("edgex/b/#") as other:
        for topic in ("edgex/a/1", "edgex/b/1"):
            await bus.publish(Message(topic, b"x"))
        assert [m.topic for m in await collect(one, Message("edgex/a/1", b"x"))] == ["edgex/a/1"]
        assert [m.topic for m in await collect(other, Message("edgex/b/1", b"x"))] == ["edgex/b/1"]


async def test_exactly_once_stores_once(run_server: Start) -> None:
    """Results of one event share its correlation id, which EdgeX's own message id is made of: all must pass."""
    server = run_server("Nats", streams=True)
    bus = NatsBus(
        settings(server, stream=StreamSettings(subject="edgex/#", provision=True), exactly_once=True)
    )
    headers = {"X-Correlation-ID": "c"}
    async with opened(bus), bare(server) as other:
        for topic, payload in (("edgex/a", b"1"), ("edgex/a", b"1"), ("edgex/b", b"1"), ("edgex/a", b"2")):
            await bus.publish(Message(topic, payload, headers))
        info = await other.jetstream().stream_info("edgex")
    assert info.state.messages == 3
