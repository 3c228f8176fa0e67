"""A service with Consul as configuration provider and registry, as on EdgeX 2 and 3."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from edgex_inference.buses.memory import MemoryBus, MemoryHub
from edgex_inference.config.flags import Flags
from edgex_inference.config.load import Loaded
from edgex_inference.config.secrets import Secrets
from edgex_inference.contracts.errors import SetupError
from edgex_inference.edgex.providers.boot import Origin, boot
from edgex_inference.edgex.providers.presence import Presence, presence
from edgex_inference.service import Service
from edgex_inference.testing.bus import eventually
from edgex_inference.testing.consul.server import ConsulDouble
from tests.ports import free_port

BASE = "edgex/v3"
OWN = f"{BASE}/app-inference"
BOOTSTRAPPER = f"{BASE}/core-common-config-bootstrapper"


@dataclass
class World:
    """A folder without a file, and a Consul with EdgeX 3's common configuration."""

    folder: Path
    consul: ConsulDouble
    env: dict[str, str] = field(default_factory=dict)

    def origin(self, **flags: Any) -> Origin:
        env = {
            "EDGEX_SECURITY_SECRET_STORE": "false",
            "EDGEX_STARTUP_INTERVAL": "0.01",
            "EDGEX_STARTUP_DURATION": "20",
            "SERVICE_PORT": "0",
            **self.env,
        }
        given = Flags(config_provider=f"consul.{self.consul.url}", **flags)
        return Origin(flags=given, environ=env, directory=self.folder)

    async def boot(self, **flags: Any) -> Loaded:
        booted = await boot(self.origin(**flags))
        await presence(booted).close()
        return booted.loaded

    @asynccontextmanager
    async def running(self, **flags: Any) -> AsyncIterator[tuple[Service, Presence]]:
        booted = await boot(self.origin(**flags))
        around = presence(booted)
        service = Service(booted.loaded, MemoryBus(MemoryHub()), presence=around)
        work = asyncio.create_task(service.run())
        try:
            async with asyncio.timeout(20):
                await service.started.wait()
            yield service, around
        finally:
            service.stop()
            async with asyncio.timeout(20):
                await work
            await around.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "profiles").mkdir()
    async with ConsulDouble(port=free_port()) as consul:
        everybody = {
            "MessageBus": {"Type": "memory", "Optional": {"Qos": "1"}},
            "Registry": {"Type": "consul", "Host": "127.0.0.1", "Port": consul.port},
            "Service": {"HealthCheckInterval": "50ms", "ServerBindAddr": "127.0.0.1"},
            "Writable": {"LogLevel": "INFO", "Telemetry": {"Interval": "30s"}},
        }
        consul.put_tree(f"{BOOTSTRAPPER}/all-services", everybody)
        consul.put_tree(f"{BOOTSTRAPPER}/app-services", {"Trigger": {"SubscribeTopics": "events/device/#"}})
        await consul.put(f"{BOOTSTRAPPER}/IsCommonConfigReady", "true")
        yield World(tmp_path, consul)


async def test_common_values_ours_and_what_is_stored(world: World) -> None:
    loaded = await world.boot()
    assert loaded.config.message_bus.type == "memory"
    assert loaded.config.message_bus.optional["Qos"] == "1"
    assert world.consul.text(f"{OWN}/Service/Port") == "0"
    assert world.consul.text(f"{OWN}/Inference/ProfilesDir") == "profiles"
    await world.consul.put(f"{OWN}/Inference/MaxPixels", "1000")
    assert (await world.boot()).config.inference.max_pixels == 1000
    assert (await world.boot(overwrite=True)).config.inference.max_pixels == 64_000_000
    assert world.consul.text(f"{OWN}/Inference/MaxPixels") == "64000000"


async def test_a_key_that_is_new_in_this_release_is_added(world: World) -> None:
    await world.boot()
    world.consul.kv.delete(f"{OWN}/Inference/Threads", recurse=False)
    await world.boot()
    assert world.consul.text(f"{OWN}/Inference/Threads") == "0"


async def test_it_registers_with_a_health_check_and_leaves(world: World) -> None:
    world.env["SERVICE_HOST"] = "127.0.0.1"
    async with world.running(registry=True) as (service, around):
        entry = {"Name": "app-inference", "Address": "127.0.0.1", "Port": service.port}
        assert world.consul.agent.services["app-inference"] == entry
        check = next(one for one in world.consul.seen if "check/register" in one.line)
        assert json.loads(check.body) == {
            "ID": "app-inference",
            "Name": "Health Check: app-inference",
            "Notes": "Check the health of the API",
            "ServiceID": "app-inference",
            "HTTP": f"http://127.0.0.1:{service.port}/api/v3/ping",
            "Interval": "50ms",
        }
        await eventually(lambda: world.consul.agent.checks["app-inference"].status == "passing", "it is up")
        assert await around.url_of("app-inference") == f"http://127.0.0.1:{service.port}"
        assert await around.url_of("core-metadata") is None
        world.consul.agent.register({"Name": "core-metadata", "Address": "edgex", "Port": 59881})
        assert await around.url_of("core-metadata") == "http://edgex:59881"
    assert "app-inference" not in world.consul.agent.services
    assert world.consul.agent.checks == {}


async def test_an_interval_of_0_means_no_health_checks_either_way(world: World) -> None:
    world.consul.put_tree(f"{BOOTSTRAPPER}/all-services", {"Service": {"HealthCheckInterval": "0s"}})
    async with world.running(registry=True) as (_, around):
        assert "app-inference" in world.consul.agent.services
        assert world.consul.agent.checks == {}
        async with asyncio.timeout(20):
            await around.attend()


async def test_changes_of_writable_are_taken_up(world: World) -> None:
    async with world.running() as (service, _):
        watched = f"GET /v1/kv/{OWN}/Writable?recurse&index="

        def waits(seen: Any) -> bool:
            return any(one.line.startswith(watched) and "index=0&" not in one.line for one in seen)

        async with asyncio.timeout(20):
            await world.consul.until(waits)
        await world.consul.put(f"{OWN}/Writable/LogLevel", "DEBUG")
        await eventually(lambda: service.loaded.config.writable.log_level == "DEBUG", "our level")
        await world.consul.put(f"{BOOTSTRAPPER}/all-services/Writable/Telemetry/Interval", "45s")
        await eventually(lambda: service.loaded.config.writable.telemetry.interval == 45.0, "common interval")


@pytest.mark.parametrize("part", [OWN, f"{BOOTSTRAPPER}/app-services"])
async def test_what_changed_between_the_start_and_the_first_question_is_taken_up(
    world: World, part: str
) -> None:
    await world.boot()
    await world.consul.put(f"{part}/Writable/LogLevel", "INFO")
    booted = await boot(world.origin())
    assert booted.provided is not None
    store, told = booted.provided.store, asyncio.Event()

    async def changed() -> None:
        told.set()

    await world.consul.put(f"{part}/Writable/LogLevel", "DEBUG")
    watch = asyncio.create_task(store.watch(MemoryBus(MemoryHub()), booted.provided.stem, changed))
    async with asyncio.timeout(20):
        await told.wait()
    watch.cancel()
    await asyncio.wait((watch,))
    await store.close()


async def test_a_lost_watch_is_taken_up_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running() as (service, around):
        assert around.provided is not None
        monkeypatch.setattr(around.provided.store, "_retry", 0.02)
        async with asyncio.timeout(20):
            await world.consul.until(lambda seen: sum("Writable?recurse" in one.line for one in seen) >= 6)
        await world.consul.stop()
        await world.consul.start()
        await world.consul.put(f"{OWN}/Writable/LogLevel", "ERROR")
        await eventually(lambda: service.loaded.config.writable.log_level == "ERROR", "the level")


async def test_edgex_2_keeps_everything_below_its_own_stem(world: World) -> None:
    world.consul.kv.delete(BASE, recurse=True)
    await world.consul.put("edgex/core/2.0/core-data/Writable/LogLevel", "INFO")
    world.env["INFERENCE_EDGEXVERSION"] = "auto"
    loaded = await world.boot(service_key="app-vision")
    assert loaded.service_key == "app-vision"
    own = "edgex/appservices/2.0/app-vision"
    assert world.consul.text(f"{own}/Service/Port") == "0"
    assert world.consul.text(f"{own}/MessageBus/Host") == "localhost", "all of it: nothing is common there"
    await world.consul.put(f"{own}/MessageBus/Host", "stored")
    assert (await world.boot(service_key="app-vision")).config.message_bus.host == "stored"
    world.env["MESSAGEBUS_HOST"] = "environment"
    assert (await world.boot(service_key="app-vision")).config.message_bus.host == "environment"


async def test_consul_wants_a_token(world: World) -> None:
    world.consul.token = "s3cret"
    world.env["EDGEX_STARTUP_DURATION"] = "0.05"
    with pytest.raises(
        SetupError, match=r"refuses reading \(status 403\): put its ACL token into InsecureSecrets"
    ):
        await world.boot()
    text = '[Writable.InsecureSecrets.consul]\nSecretName = "consul"\nSecretData = {token = "s3cret"}\n'
    (world.folder / "configuration.toml").write_text(text)
    world.env["EDGEX_STARTUP_DURATION"] = "20"
    world.consul.seen.clear()
    await world.boot()
    assert {one.token for one in world.consul.seen} == {"s3cret"}


@pytest.mark.parametrize("name", ["mqtt-bus", "a/b"])
async def test_a_posted_secret_is_in_force_through_the_echo_and_at_the_next_start(
    world: World, name: str
) -> None:
    (world.folder / "configuration.toml").write_text(
        '[Writable.InsecureSecrets.mqtt]\nSecretName = "mqtt-bus"\nSecretData = {password = "old"}\n'
        "[Service]\nPort = 0\n"
    )
    given = {"apiVersion": "v3", "secretName": name, "secretData": [{"key": "password", "value": "new"}]}
    async with world.running() as (service, _):
        async with asyncio.timeout(20):
            await world.consul.until(lambda seen: sum("Writable?recurse" in one.line for one in seen) >= 6)
        url = f"http://127.0.0.1:{service.port}/api/v3/secret"
        async with aiohttp.ClientSession() as session, session.post(url, json=given) as answer:
            assert answer.status == 201

        def echoed() -> bool:
            entries = service.secrets.configured.values()
            return any(one.secret_name == name and one.secret_data["password"] == "new" for one in entries)

        await eventually(echoed, "the provider's echo")
        assert service.secrets.of(name)["password"] == "new"
    stored = (await world.boot()).config.writable.insecure_secrets
    assert Secrets(stored).of(name)["password"] == "new"
    assert [one.secret_name for one in stored.values()].count(name) == 1
