"""What core-keeper receives from our service is what it received from an official one in the same situation."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from edgex_inference.buses.memory import MemoryBus, MemoryHub
from edgex_inference.config.flags import Flags
from edgex_inference.config.load import Loaded
from edgex_inference.contracts.errors import ConfigurationError, SetupError
from edgex_inference.edgex.providers.boot import Origin, boot
from edgex_inference.edgex.providers.presence import presence
from edgex_inference.edgex.topics import escape
from edgex_inference.service import Service
from edgex_inference.testing.bus import eventually
from edgex_inference.testing.keeper.server import KeeperDouble

KEY = "app-sim"
OWN = f"edgex/v4/{KEY}"
APPS = "edgex/v4/core-common-config-bootstrapper/app-services"
ALL = "edgex/v4/core-common-config-bootstrapper/all-services"
PRIVATE = {
    "Writable": {"LogLevel": "INFO"},
    "Service": {"Host": "localhost", "Port": 59740, "StartupMsg": "app-sim started"},
    "MessageBus": {"Optional": {"ClientId": "app-sim"}},
    "Trigger": {"Type": "edgex-messagebus", "SubscribeTopics": "events/#"},
    "Inference": {"Threshold": 0.5},
}
"""The recorded service's own file. Its section Inference has a key that ours has not: DrainTimeout stands in."""


class Glanced(MemoryBus):
    """A bus that counts how often it was asked for while its hub was away."""

    away = 0

    @property
    def connected(self) -> bool:
        up = super().connected
        self.away += not up
        return up


@dataclass
class World:
    """A folder with the recorded service's file, and a core-keeper on a bus."""

    folder: Path
    keeper: KeeperDouble
    hub: MemoryHub
    env: dict[str, str] = field(default_factory=dict)

    def private(self, **sections: Any) -> None:
        text = yaml.safe_dump({**PRIVATE, "Inference": {"DrainTimeout": "5s"}, **sections}, sort_keys=False)
        (self.folder / "configuration.yaml").write_text(text)

    def origin(self, **flags: Any) -> Origin:
        provider = {"config_provider": f"keeper.{self.keeper.url}"} if flags.pop("provider", True) else {}
        env = {
            "EDGEX_SECURITY_SECRET_STORE": "false",
            "EDGEX_STARTUP_INTERVAL": "0.01",
            "EDGEX_STARTUP_DURATION": "20",
            "REGISTRY_PORT": str(self.keeper.port),
            **self.env,
        }
        given = Flags(service_key=KEY, **{**provider, **flags})
        return Origin(flags=given, environ=env, directory=self.folder)

    async def boot(self, **flags: Any) -> Loaded:
        """Only the start: what it finds."""
        booted = await boot(self.origin(**flags))
        await presence(booted).close()
        return booted.loaded

    @asynccontextmanager
    async def running(self, **flags: Any) -> AsyncIterator[Service]:
        """The service as `edgex-inference run` starts it, on a memory bus and a free port."""
        booted = await boot(self.origin(**flags))
        around = presence(booted)
        service = Service(booted.loaded, Glanced(self.hub), presence=around)
        work = asyncio.create_task(service.run())
        try:
            async with asyncio.timeout(20):
                begun = asyncio.create_task(service.started.wait())
                await asyncio.wait((begun, work), return_when=asyncio.FIRST_COMPLETED)
                begun.cancel()
                if work.done():
                    await work
            yield service
        finally:
            service.stop()
            async with asyncio.timeout(20):
                await work
            await around.close()

    def lines(self) -> list[str]:
        """What core-keeper was asked since this was asked last, with what was stored."""
        seen, self.keeper.seen[:] = list(self.keeper.seen), []
        return [line(one.method, one.path, one.query, one.body) for one in seen]

    async def heard(self, count: int) -> list[str]:
        async with asyncio.timeout(20):
            await self.keeper.until(lambda seen: len(seen) >= count)
        return self.lines()


def line(method: str, path: str, query: str, body: Any) -> str:
    """A request in one line, its path as it was sent, percent signs and all."""
    text = f"{method} {path.removeprefix('/api/v3')}{f'?{query}' if query else ''}"
    if method in ("GET", "DELETE"):
        return text
    return f"{text} {json.dumps(body, sort_keys=True)}"


def recorded(folder: Path, scenario: str, sender: str = KEY) -> list[str]:
    """The recorded requests of a service to core-keeper, in the words of `World.lines`."""
    lines = (folder / "edgex-recorded" / f"http-keeper-4.0.2-{scenario}.jsonl").read_text().splitlines()
    found = [one for one in map(json.loads, lines) if one["to"] == "core-keeper" and one["from"] == sender]
    said = [line(one["method"], one["path"], one["query"], one["request_body"]) for one in found]
    return [
        one.replace("Inference%2FThreshold", "Inference%2FDrainTimeout").replace('"0.5"', '"5s"')
        for one in said
    ]


@pytest.fixture
async def world(tmp_path: Path, testdata: Path) -> AsyncIterator[World]:
    hub = MemoryHub()
    bus = MemoryBus(hub)
    await bus.open()
    async with KeeperDouble(bus) as keeper:
        made = World(tmp_path, keeper, hub)
        made.private()
        common(keeper, testdata)
        keeper.store.put(f"{ALL}/MessageBus/Type", "memory")
        keeper.store.put(f"{ALL}/Service/ServerBindAddr", "127.0.0.1")
        keeper.store.put(f"{ALL}/Registry/Port", str(keeper.port))
        keeper.store.put(f"{ALL}/Registry/Host", "127.0.0.1")
        keeper.store.put(f"{ALL}/Inference/Metadata", "none")  # the recorded service asks it for nothing
        yield made
    await bus.close()


def common(keeper: KeeperDouble, testdata: Path) -> None:
    """The common configuration that the real core-common-config-bootstrapper stored."""
    path = testdata / "edgex-recorded" / "http-keeper-4.0.2-bootstrapper.jsonl"
    for one in map(json.loads, path.read_text().splitlines()):
        if one["method"] == "PUT":
            keeper.store.put(
                unquote(one["path"]).removeprefix("/api/v3/kvs/key/"), one["request_body"]["value"]
            )


def ports(lines: Sequence[str], port: int) -> list[str]:
    """Lines with the recorded port in place of ours: two services on one machine need two."""
    return [one.replace(f'"port": {port}', '"port": 59740') for one in lines]


async def test_the_first_boot_is_the_official_services(world: World, testdata: Path) -> None:
    wanted = recorded(testdata, "app-first-boot")
    world.private(Service={**PRIVATE["Service"], "Port": 0})
    async with world.running(registry=True) as service:
        got = ports(await world.heard(len(wanted)), service.port)
        assert sorted(got[-2:]) == sorted(wanted[-2:])  # in an order that Go's goroutines make
        port = {one.replace('"value": "0"', '"value": "59740"') for one in got[:-2]}
        assert port == set(wanted[:-2])
        assert [one.replace('"value": "0"', '"value": "59740"') for one in got[:-2]] == wanted[:-2]
    assert ports(world.lines(), service.port) == recorded(testdata, "app-sigterm")
    assert world.keeper.registry.entries[KEY].status == "HALT"


async def test_the_second_boot_is_the_official_services(world: World, testdata: Path) -> None:
    world.private(Service={**PRIVATE["Service"], "Port": 0})
    async with world.running(registry=True):
        pass
    world.lines()
    wanted = recorded(testdata, "app-second-boot")
    async with world.running(registry=True) as service:
        got = ports(await world.heard(len(wanted)), service.port)
    assert got[:-2] == wanted[:-2]
    assert sorted(got[-2:]) == sorted(wanted[-2:])


async def test_overwriting_stores_every_key_again(world: World, testdata: Path) -> None:
    await world.boot()
    world.keeper.store.put(f"{OWN}/Writable/LogLevel", "ERROR")
    world.keeper.store.put(f"{OWN}/Trigger/PublishTopic", "by-hand")
    world.lines()
    loaded = await world.boot(overwrite=True)
    got = world.lines()
    wanted = [
        one.replace("device%2Dservices", "app%2Dservices").replace(escape("device-sim"), escape(KEY))
        for one in recorded(testdata, "device-overwrite", "device-sim")
    ]
    assert got[:8] == wanted[:8]
    first = recorded(testdata, "app-first-boot")
    assert got[8:] == [one for one in first if escape(f"{OWN}/") in one and "common" not in one]
    assert loaded.config.writable.log_level == "INFO"
    assert world.keeper.store.text(f"{OWN}/Trigger/PublishTopic") == "by-hand"


async def test_a_provider_without_a_registry(world: World, testdata: Path) -> None:
    wanted = [one for one in recorded(testdata, "app-first-boot") if "registry" not in one]
    world.private(Service={**PRIVATE["Service"], "Port": 0})
    async with world.running():
        got = [one.replace('"value": "0"', '"value": "59740"') for one in await world.heard(len(wanted) - 1)]
    del wanted[wanted.index("GET /ping", 1)]
    assert got[:-2] == wanted[:-2]
    assert sorted(got[-2:]) == sorted(wanted[-2:])
    assert world.lines() == []


async def test_a_registry_without_a_provider(world: World, testdata: Path) -> None:
    await world.boot()
    world.private(Service={"Host": "localhost", "Port": 0}, MessageBus={"Type": "memory"})
    world.env["INFERENCE_METADATA"] = "none"
    world.env["REGISTRY_HOST"] = "127.0.0.1"
    world.lines()
    async with world.running(provider=False, registry=True) as service:
        got = ports(await world.heard(3), service.port)
    assert got == recorded(testdata, "app-first-boot")[-5:-2]
    async with world.running(provider=False, registry=True) as service:
        pass
    again = ports(world.lines(), service.port)
    assert again[1:4] == recorded(testdata, "app-second-boot")[-5:-2]


async def test_a_changed_key_costs_the_official_seven_questions(world: World, testdata: Path) -> None:
    world.private(Service={**PRIVATE["Service"], "Port": 0})
    async with world.running() as service:
        await watching(world)
        world.lines()
        put(world, f"{OWN}/Writable/LogLevel", "DEBUG")
        await service.bus.publish(message(f"{OWN}/Writable/LogLevel", "DEBUG"))
        got = await world.heard(7)
        await eventually(lambda: service.loaded.config.writable.log_level == "DEBUG", "it is taken up")
    assert got == recorded(testdata, "app-writable-change")


async def test_a_message_that_was_overtaken_costs_one_question(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.private(Service={**PRIVATE["Service"], "Port": 0})
    async with world.running() as service:
        await watching(world)
        world.lines()
        put(world, f"{OWN}/Writable/LogLevel", "DEBUG")
        await service.bus.publish(message(f"{OWN}/Writable/LogLevel", "ERROR"))
        await service.bus.publish(message(f"{OWN}/Writable/LogLevel", "DEBUG"))
        await service.bus.publish(message(f"{OWN}/Service/Port", "7"))  # the last of them, which is only said
        await eventually(lambda: "Service.Port has changed in core-keeper" in caplog.text, "all are through")
        asked = f"GET /kvs/key/{escape(f'{OWN}/Writable')}?plaintext=true"
        got = world.lines()
        assert (got[:2], len(got)) == ([asked, asked], 8)
        assert service.loaded.config.writable.log_level == "DEBUG"


async def test_what_changed_while_the_bus_was_away_is_taken_up(world: World) -> None:
    world.private(Service={**PRIVATE["Service"], "Port": 0})
    async with world.running() as service:
        await watching(world)
        world.hub.stop()
        service.bus.away = 0  # type: ignore[attr-defined]
        put(world, f"{OWN}/Writable/LogLevel", "DEBUG")
        bus = service.bus
        assert isinstance(bus, Glanced)
        await eventually(lambda: bus.away > 0, "the outage is seen")
        world.hub.start()
        await eventually(lambda: service.loaded.config.writable.log_level == "DEBUG", "it is taken up")


async def test_secrets_are_kept_as_official_services_keep_them(world: World, testdata: Path) -> None:
    booted = await boot(world.origin())
    around = presence(booted)
    world.lines()
    secret = "Writable/InsecureSecrets/mqtt-bus"
    kept = {
        f"{secret}/SecretName": "mqtt-bus",
        f"{secret}/SecretData/username": "u",
        f"{secret}/SecretData/password": "p",
    }
    assert await around.keep(kept) is True
    wanted = [
        one.replace(escape("device-sim"), escape(KEY))
        for one in recorded(testdata, "post-secret", "device-sim")
        if one.startswith("PUT")
    ]
    assert sorted(world.lines()) == sorted(wanted)
    await around.close()


async def watching(world: World) -> None:
    """Waits until the service has subscribed and asked what it asks then."""
    asked = "/Writable?keyOnly=true"
    await eventually(lambda: sum(one.line.endswith(asked) for one in world.keeper.seen) == 2, "it watches")


def put(world: World, key: str, text: str) -> None:
    world.keeper.store.put(key, text)


def message(key: str, value: Any) -> Any:
    from edgex_inference.contracts.messages import Message

    payload = {"key": key, "Created": 0, "Modified": 0, "value": value}
    envelope = {
        "apiVersion": "v3",
        "correlationID": "c",
        "requestID": "",
        "errorCode": 0,
        "payload": payload,
        "contentType": "application/json",
    }
    return Message(f"edgex/configs/{key}", json.dumps(envelope).encode())


async def test_it_waits_for_the_common_configuration(world: World, testdata: Path) -> None:
    ready = "edgex/v4/core-common-config-bootstrapper/IsCommonConfigReady"
    del world.keeper.store.values[ready]
    booting = asyncio.create_task(world.boot())
    got = await world.heard(4)
    assert got[:4] == recorded(testdata, "device-boot-before-common-config", "device-sim")[:4]
    world.keeper.store.put(ready, "false")
    await world.heard(2)
    world.keeper.store.put(ready, "true")
    assert (await booting).config.message_bus.type == "memory"


async def test_a_start_ends_when_its_time_is_over(world: World) -> None:
    world.env["EDGEX_STARTUP_DURATION"] = "0.05"
    del world.keeper.store.values["edgex/v4/core-common-config-bootstrapper/IsCommonConfigReady"]
    with pytest.raises(
        SetupError,
        match=r"the common configuration is not ready .*has core-common-config-bootstrapper run"
        r".*EDGEX_STARTUP_DURATION is 0.05 s",
    ):
        await world.boot()
    await world.keeper.stop()
    with pytest.raises(SetupError, match=r"core-keeper at http://127.0.0.1:\d+ does not answer"):
        await world.boot()


async def test_a_key_that_core_keeper_refuses_ends_the_start_at_once(world: World) -> None:
    world.private(Writable={"Telemetry": {"Tags": {"a b": "c"}}})
    with pytest.raises(
        SetupError, match=r"core-keeper refuses the key .*Tags/a b: .*key only allows characters"
    ):
        await world.boot()


async def test_what_is_broken_there_is_told_with_its_place(world: World) -> None:
    await world.boot()
    world.keeper.store.put(f"{OWN}/Service/Port", "many")
    with pytest.raises(ConfigurationError, match=f"core-keeper {OWN}: Service.Port: must be a number"):
        await world.boot()
