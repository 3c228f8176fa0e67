"""How the MQTT bus behaves, and what it says, while it cannot stay connected."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from edgex_inference.buses.mqtt.bus import MqttBus
from edgex_inference.buses.mqtt.settings import MqttSettings
from edgex_inference.contracts.messages import Message
from edgex_inference.testing.bus import collect, eventually, opened

Settings = Callable[..., MqttSettings]
LOGGER = "edgex_inference.buses"


async def test_many_failed_attempts_are_one_line(
    mqtt_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    attempts: list[asyncio.Task[None] | None] = []

    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        attempts.append(asyncio.current_task())
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    bus = MqttBus(mqtt_settings(port=server.sockets[0].getsockname()[1]))
    with caplog.at_level(logging.INFO, LOGGER):
        await bus.open()
        await eventually(lambda: len(attempts) >= 4, "it keeps trying")
        await bus.close()
    server.close()
    await asyncio.wait([task for task in attempts if task is not None])
    assert len([r for r in caplog.records if r.name.startswith(LOGGER)]) == 1


async def test_two_clients_with_one_id_are_told_so(
    mqtt_settings: Settings, mosquitto: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    settings = mqtt_settings(mosquitto(), "twin")
    one, other = MqttBus(settings), MqttBus(settings)
    await one.open()
    await other.open()
    await eventually(lambda: "does another client use the id 'twin'?" in caplog.text, "the cause is named")
    await one.close()
    await other.close()


async def test_subscribing_before_open_and_opening_again_after_close(
    mqtt_settings: Settings, mosquitto: Callable[..., Any]
) -> None:
    bus = MqttBus(mqtt_settings(mosquitto()))
    hello = Message("t/hello", b"1")
    async with bus.subscribe("t/#") as bursts, opened(bus):
        await bus.publish(hello)
        assert await collect(bursts, hello) == [hello]
    async with opened(bus), bus.subscribe("t/#") as bursts:
        await bus.publish(hello)
        assert await collect(bursts, hello) == [hello]


async def test_closing_while_dialling_leaves_nothing(
    mqtt_settings: Settings, mosquitto: Callable[..., Any]
) -> None:
    settings = mqtt_settings(mosquitto())
    for turns in range(20):
        bus = MqttBus(settings)
        await bus.open()
        for _ in range(turns):
            await asyncio.sleep(0)
        await bus.close()
        assert not bus.connected
    assert asyncio.all_tasks() == {asyncio.current_task()}
