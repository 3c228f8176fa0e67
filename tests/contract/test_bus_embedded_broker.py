"""The demo's embedded broker serves our MQTT bus as well as any other broker does."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from edgex_inference.buses.mqtt.bus import MqttBus
from edgex_inference.buses.mqtt.settings import MqttSettings
from edgex_inference.contracts.bus import Bus
from edgex_inference.contracts.errors import SetupError
from edgex_inference.contracts.messages import Message
from edgex_inference.demo.broker import USUAL_PORT, EmbeddedBroker
from edgex_inference.testing.bus import BusContract, BusServer, collect, opened
from tests.ports import free_port


class EmbeddedServer:
    def __init__(self, client: str) -> None:
        self.broker, self.port = EmbeddedBroker(), free_port()
        self.settings = MqttSettings(host="127.0.0.1", port=self.port, client=client)

    def client(self, name: str) -> Bus:
        return MqttBus(replace(self.settings, client_id=name))

    async def stop(self) -> None:
        await self.broker.stop()

    async def start(self) -> None:
        await self.broker.start(self.port)


class TestEmbeddedBroker(BusContract):
    @pytest.fixture(params=("native", "paho"))
    async def server(self, request: pytest.FixtureRequest) -> AsyncIterator[BusServer]:
        server = EmbeddedServer(request.param)
        await server.start()
        yield server
        await server.stop()

    async def test_the_printed_command_works_alongside(self, server: EmbeddedServer) -> None:
        if shutil.which("mosquitto_sub") is None:
            pytest.skip("mosquitto_sub is not installed: apt-get install mosquitto-clients")
        bus = server.client("publisher")
        async with opened(bus):
            words = (
                "mosquitto_sub",
                "-h",
                "localhost",
                "-p",
                str(server.port),
                "-t",
                "contract/#",
                "-C",
                "1",
                "-v",
            )
            process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
            reading = asyncio.ensure_future(process.communicate())
            while not reading.done():
                await bus.publish(Message("contract/hello", b"there"))
                await asyncio.wait({reading}, timeout=0.05)
        assert (await reading)[0] == b"contract/hello there\n"


async def test_the_next_free_port_is_taken() -> None:
    async with AsyncExitStack() as stack:
        ports = []
        for _ in range(3):
            broker = EmbeddedBroker()
            stack.push_async_callback(broker.stop)
            ports.append(await broker.start())
        assert len(set(ports)) == 3
        assert all(port >= USUAL_PORT for port in ports)
        with pytest.raises(SetupError, match=rf"port {ports[0]} .*in use.*--port"):
            await EmbeddedBroker().start(ports[0])


async def test_start_and_stop_are_idempotent_and_leave_nothing() -> None:
    broker = EmbeddedBroker()
    await broker.stop()
    port = await broker.start(free_port())
    assert await broker.start() == port
    bus = MqttBus(MqttSettings(host="127.0.0.1", port=port, client_id="x"))
    async with opened(bus), bus.subscribe("a") as bursts:
        await bus.publish(Message("a", b"1"))
        await collect(bursts, Message("a", b"1"))
    await broker.stop()
    await broker.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}
