"""Our own MQTT client opposite to a broker that is told what to say: limits, refusals, mistakes, QoS 2, takeovers."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest

from edgex_inference.buses.mqtt import packets
from edgex_inference.buses.mqtt.bus import MqttBus
from edgex_inference.buses.mqtt.native_link import TOO_LARGE, NativeLink
from edgex_inference.buses.mqtt.settings import MqttSettings
from edgex_inference.contracts.errors import BusUnavailable, EnvelopeError
from edgex_inference.contracts.messages import Message
from edgex_inference.telemetry.metrics import Counts
from edgex_inference.testing.bus import PATIENCE, collect, eventually, opened

LOGGER = "edgex_inference.buses"
END = Message("t/end", b"end")
WELCOME = {"3.1.1": b"\x20\x02\x00\x00", "5": b"\x20\x03\x00\x00\x00"}


class Puppet:
    """One client's connection, seen from the broker: what came, and what is said on a test's word."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, welcome: bytes) -> None:
        self._reader, self._writer, self._welcome = reader, writer, welcome
        self.came: list[tuple[int, bytes]] = []
        self.over = False

    async def serve(self) -> None:
        """Welcomes, answers subscriptions, notes the rest."""
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                first, body = await self._packet()
                self.came.append((first, body))
                if first == 0x10:
                    self.say(self._welcome)
                elif first == 0x82:
                    properties = b"\0" if body[2:3] == b"\0" and len(self._welcome) > 4 else b""
                    self.say(bytes((0x90, 3 + len(properties))) + body[:2] + properties + b"\0")
        self.over = True
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _packet(self) -> tuple[int, bytes]:
        (first,) = await self._reader.readexactly(1)
        length = shift = 0
        while True:
            (digit,) = await self._reader.readexactly(1)
            length |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                return first, await self._reader.readexactly(length)

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    def of(self, first: int) -> list[bytes]:
        """The bodies of all packets of a kind that came."""
        return [body for kind, body in self.came if kind == first]


@contextlib.asynccontextmanager
async def broker(welcome: bytes) -> AsyncIterator[tuple[int, list[Puppet]]]:
    """Yields the port, and the connections so far."""
    puppets: list[Puppet] = []
    tasks: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        puppets.append(Puppet(reader, writer, welcome))
        await puppets[-1].serve()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], puppets
    finally:
        server.close()
        await asyncio.wait([task for task in tasks if task is not None], timeout=PATIENCE)


def native(port: int, version: str = "5", **changes: Any) -> MqttSettings:
    return MqttSettings(host="127.0.0.1", port=port, client="native", version=version, **changes)


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith(LOGGER) and r.levelno == level]


async def until(condition: Callable[[], Any], what: str) -> None:
    await eventually(lambda: bool(condition()), what)


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_a_malformed_packet_is_a_clean_disconnect_and_a_new_start(
    version: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        async with broker(WELCOME[version]) as (port, puppets):
            bus = MqttBus(native(port, version))
            async with opened(bus), bus.subscribe("t/#") as bursts:
                good = Message("t/a", b"before")
                head = packets.publication(good.topic, 6, 0x30, 0, 5 if version == "5" else 4)
                puppets[0].say(head + good.payload + b"\x36\x05\x00\x01t\x00\x01")
                assert await collect(bursts, good) == [good]
                await until(lambda: puppets[0].over, "the connection is ended")
                await until(lambda: len(puppets) > 1 and bus.connected, "it connects again")
                await until(lambda: puppets[1].of(0x82), "it subscribes again")
        goodbye = [b"\x81"] if version == "5" else [b""]
        assert puppets[0].of(0xE0) == goodbye
    (line,) = lines(caplog, logging.WARNING)
    assert "it broke the protocol: a message of QoS 3" in line


async def test_no_more_is_under_way_than_the_broker_allows() -> None:
    async with broker(b"\x20\x06\x00\x00\x03\x21\x00\x02") as (port, puppets):  # receive maximum 2
        bus = MqttBus(native(port, qos=1))
        async with opened(bus):
            sending = [asyncio.create_task(bus.publish(Message("t", b"%d" % n))) for n in range(5)]
            puppet = puppets[0]
            for settled in range(5):
                await until(lambda n=settled: len(puppet.of(0x32)) == min(5, n + 2), "the window is used")
                assert sum(task.done() for task in sending) == settled
                mid = puppet.of(0x32)[settled][3:5]
                puppet.say(b"\x40\x02" + mid)
                await until(lambda n=settled: sending[n].done(), "the acknowledged one is through")
            await asyncio.gather(*sending)


@pytest.mark.parametrize("qos", [0, 1])
async def test_many_publishers_do_not_fill_the_memory(mosquitto: Callable[..., Any], qos: int) -> None:
    server = mosquitto("max_inflight_messages 0", "max_queued_messages 0")
    bus = MqttBus(native(server.port, qos=qos, keep_alive=0))
    async with opened(bus), bus.subscribe("t/#") as bursts:
        wire = cast(NativeLink, bus._link)._wire
        assert wire is not None
        assert wire._transport is not None
        server.suspend()
        sending = [asyncio.create_task(bus.publish(Message("t/a", bytes(1 << 20)))) for _ in range(40)]
        await until(lambda: wire._paused, "the network is full")
        waiting = wire._transport.get_write_buffer_size() + wire._size
        server.resume()
        await asyncio.gather(*sending)
        await bus.publish(END)
        assert len(await collect(bursts, END, bus)) == 41
    assert waiting < 4 << 20


async def test_a_turn_that_is_cancelled_goes_to_the_next() -> None:
    async with broker(b"\x20\x06\x00\x00\x03\x21\x00\x01") as (port, puppets):  # receive maximum 1
        bus = MqttBus(native(port, qos=1))
        async with opened(bus):
            link, sent = cast(NativeLink, bus._link), lambda: puppets[0].of(0x32)
            first, second, third = (
                asyncio.create_task(bus.publish(Message("t", b"%d" % n))) for n in range(3)
            )
            await until(lambda: len(sent()) == 1 and len(link._queue) == 2, "two are waiting")
            second.cancel()
            puppets[0].say(b"\x40\x02" + sent()[0][3:5])
            await until(lambda: len(sent()) == 2, "the third has its turn")
            assert sent()[1].endswith(b"2")
            puppets[0].say(b"\x40\x02" + sent()[1][3:5])
            await asyncio.gather(first, third)


async def test_what_the_broker_refuses_is_a_message_error() -> None:
    async with broker(b"\x20\x08\x00\x00\x05\x27\x00\x00\x00\x40") as (port, puppets):  # packets of 64 bytes
        bus = MqttBus(native(port, qos=1))
        async with opened(bus):
            with pytest.raises(EnvelopeError, match="the broker takes 64") as caught:
                await bus.publish(Message("t", bytes(100)))
            assert caught.value.reason == "size"
            sending = asyncio.create_task(bus.publish(Message("t", b"x")))
            await until(lambda: puppets[0].of(0x32), "it is sent")
            puppets[0].say(b"\x40\x04" + puppets[0].of(0x32)[0][3:5] + b"\x87\x00")
            with pytest.raises(EnvelopeError, match="not authorized") as caught:
                await sending
            assert caught.value.reason == "refused"


async def test_a_broker_without_qos_1_and_retaining_is_served_without() -> None:
    async with broker(b"\x20\x07\x00\x00\x04\x24\x00\x25\x00") as (port, puppets):
        bus = MqttBus(native(port, qos=1, retained=True))
        async with opened(bus):
            await bus.publish(Message("t", b"x"))
            await until(lambda: puppets[0].of(0x30), "it is sent at QoS 0, not retained")


async def test_unacknowledged_messages_make_the_broker_wait() -> None:
    async with broker(WELCOME["3.1.1"]) as (port, puppets):
        bus = MqttBus(native(port, "3.1.1", qos=1, max_backlog=50, keep_alive=2))
        async with opened(bus), bus.subscribe("t/a") as one, bus.subscribe("t/+") as other:
            for mid in range(1, 1001):
                puppets[0].say(packets.publication("t/a", 65_536, 0x32, mid, 4) + bytes(65_536))
            taken = []
            while len(taken) < 100:
                taken += [message for burst in (await anext(one), await anext(other)) for message in burst]
                await bus.done([])
            link = cast(NativeLink, bus._link)
            await until(lambda: not link._listening, "reading rests")
            pings = len(puppets[0].of(0xC0))
            await until(lambda: len(puppets[0].of(0xC0)) >= pings + 3, "it keeps the connection alive")
            assert bus.connected
            assert len(link._open) < 500


async def test_qos_2_of_an_older_session_is_taken() -> None:
    async with broker(WELCOME["3.1.1"]) as (port, puppets):
        bus = MqttBus(native(port, "3.1.1", qos=2))
        async with opened(bus), bus.subscribe("t/#") as bursts:
            assert puppets[0].of(0x82)[0][-1] == 1, "it asks for QoS 1"
            puppets[0].say(b"\x34\x08\x00\x03t/a\x00\x08x")
            (message,) = await collect(bursts, Message("t/a", b"x"))
            assert not puppets[0].of(0x50)
            await bus.done([message])
            await until(lambda: b"\x00\x08" in puppets[0].of(0x50), "PUBREC")
            puppets[0].say(b"\x62\x02\x00\x08")
            await until(lambda: puppets[0].of(0x70) == [b"\x00\x08"], "PUBCOMP")


@pytest.mark.parametrize("body", [b"", b"\x8e", b"\x8e\x00", b"\x8b\x05\x1f\x00\x02no"])
async def test_the_brokers_reason_to_leave_is_said(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        async with broker(WELCOME["5"]) as (port, puppets), opened(MqttBus(native(port, client_id="twin"))):
            puppets[0].say(bytes((0xE0, len(body))) + body)
            await until(lambda: lines(caplog, logging.WARNING), "the loss is said")
    (line,) = lines(caplog, logging.WARNING)
    if body.startswith(b"\x8e"):
        assert "another client has taken over the session" in line
        assert "does another client use the id 'twin'?" in line
    elif body:
        assert "the server is shutting down (no)" in line


async def test_a_broker_of_the_other_version_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        async with broker(b"\x20\x03\x00\x84\x00") as (port, _):
            bus = MqttBus(native(port))
            await bus.open()
            await until(lambda: lines(caplog, logging.WARNING), "the refusal is said")
            await bus.close()
    assert "set Inference.MqttVersion to the other" in lines(caplog, logging.WARNING)[0]


async def test_a_subscription_that_is_half_answered_is_a_lost_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        async with broker(WELCOME["3.1.1"]) as (port, _):
            bus = MqttBus(native(port, "3.1.1"))
            async with opened(bus), bus.subscribe("t/a", "t/b"):
                await until(lambda: lines(caplog, logging.WARNING), "the loss is said")
    assert "it answers 1 of 2 subscriptions" in lines(caplog, logging.WARNING)[0]


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("qos", [0, 1])
async def test_a_message_that_is_too_large_is_counted_and_the_next_one_comes(
    mosquitto: Callable[..., Any], version: str, qos: int, caplog: pytest.LogCaptureFixture
) -> None:
    server, drops = mosquitto(), Counts()
    sender = MqttBus(native(server.port, version, client_id="sender", qos=qos))
    bus = MqttBus(native(server.port, version, qos=qos, max_packet=300_000), drops=drops)
    async with opened(sender, bus), bus.subscribe("t/#") as bursts:
        for message in (Message("t/a", b"1"), Message("t/big", bytes(1_000_000)), END):
            await sender.publish(message)
        got = await collect(bursts, END, bus)
    assert [message.topic for message in got] == ["t/a", "t/end"]
    if version == "3.1.1":  # to a client of MQTT 5 the broker does not send it
        assert drops.by_word() == {TOO_LARGE: 1}
        assert "1000000 bytes is larger than 300000" in caplog.text


async def test_a_silent_broker_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    async with broker(WELCOME["3.1.1"]) as (port, puppets):
        bus = MqttBus(native(port, "3.1.1", keep_alive=2))
        async with opened(bus):
            await until(lambda: "no answer to a ping for 2 s" in caplog.text, "the silence is said")
            assert puppets[0].of(0xC0) == [b""]


def test_both_work_on_uvloop(mosquitto: Callable[..., Any]) -> None:
    """The service runs on uvloop where it is installed; its transports differ from asyncio's."""
    from uvloop import new_event_loop

    server = mosquitto()
    big = Message("t/big", bytes(range(256)) * 20_000)

    async def work(version: str, qos: int) -> None:
        bus = MqttBus(native(server.port, version, qos=qos, client_id=f"uv-{qos}"))
        async with opened(bus), bus.subscribe("t/#") as bursts:
            await asyncio.gather(
                *(bus.publish(Message("t/a", b"%d" % n)) for n in range(300)), bus.publish(big)
            )
            await bus.publish(END)
            got = await collect(bursts, END, bus)
            assert [m.payload for m in got if m.topic == "t/a"] == [b"%d" % n for n in range(300)]
            assert big in got
            server.kill()
            await until(lambda: not bus.connected, "the loss is noticed")
            with pytest.raises(BusUnavailable):
                await bus.publish(END)
            server.start()
            await until(lambda: bus.connected, "it is back")

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        for version, qos in (("3.1.1", 0), ("5", 1)):
            runner.run(work(version, qos))


async def test_one_write_for_a_turn_of_the_loop_and_one_hand_off_for_a_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with broker(WELCOME["3.1.1"]) as (port, puppets):
        bus = MqttBus(native(port, "3.1.1"))
        async with opened(bus), bus.subscribe("t/#") as bursts:
            transport = bus._link._wire._transport  # type: ignore[attr-defined]
            writes: list[int] = []
            write = transport.write
            monkeypatch.setattr(transport, "write", lambda data: (writes.append(len(data)), write(data)))
            for number in range(100):
                await bus.publish(Message("t/a", b"%d" % number))
            await until(lambda: len(puppets[0].of(0x30)) == 100, "all are sent")
            assert len(writes) == 1
            handed: list[int] = []
            arrived: Callable[[Any], Awaitable[None]] = bus._link._arrived  # type: ignore[attr-defined]
            monkeypatch.setattr(bus._link, "_arrived", lambda some: (handed.append(len(some)), arrived(some)))
            puppets[0].say(b"".join(packets.publication("t/b", 1, 0x30, 0, 4) + b"x" for _ in range(100)))
            burst = await anext(bursts)
            assert handed == [len(burst)] == [100]
