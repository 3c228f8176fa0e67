"""EdgeX 3's own clients of Consul, our Consul double and our service: each understands what the others wrote."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.config.flags import Flags
from edgex_inference.edgex.providers.boot import Origin, boot
from edgex_inference.edgex.providers.presence import presence
from edgex_inference.testing.bus import eventually
from edgex_inference.testing.consul.server import ConsulDouble
from edgex_inference.web.server import serve as serve_web

OWN = "edgex/v3/app-inference"


@dataclass
class Clients:
    """A process of EdgeX's clients: `ask` sends a command and gives its answer."""

    process: asyncio.subprocess.Process

    async def ask(self, command: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n".encode())
        return await self.hear()

    async def hear(self) -> Any:
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            line = await self.process.stdout.readline()
        answer = json.loads(line)
        return answer["value"] if answer["ok"] else f"error: {answer['error']}"


@pytest.fixture
async def consul() -> AsyncIterator[ConsulDouble]:
    async with ConsulDouble() as double:
        everybody = {
            "MessageBus": {"Type": "memory"},
            "Registry": {"Type": "consul", "Host": "127.0.0.1", "Port": double.port},
            "Service": {"HealthCheckInterval": "50ms"},
        }
        common = "edgex/v3/core-common-config-bootstrapper"
        double.put_tree(f"{common}/all-services", everybody)
        double.put_tree(f"{common}/app-services", {"Trigger": {"SubscribeTopics": "events/#"}})
        double.put_tree(common, {"IsCommonConfigReady": True})
        yield double


@pytest.fixture
async def clients(consul: ConsulDouble, consul_clients: Path) -> AsyncIterator[Clients]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        str(consul_clients), str(consul.port), OWN, stdin=pipe, stdout=pipe
    )
    yield Clients(process)
    assert process.stdin is not None
    process.stdin.close()
    async with asyncio.timeout(20):
        await process.wait()


def origin(consul: ConsulDouble, folder: Path) -> Origin:
    flags = Flags(config_provider=f"consul.{consul.url}", registry=True)
    env = {"EDGEX_SECURITY_SECRET_STORE": "false", "SERVICE_HOST": "127.0.0.1"}
    return Origin(flags=flags, environ=env, directory=folder)


async def test_values_go_both_ways(consul: ConsulDouble, clients: Clients, tmp_path: Path) -> None:
    assert await clients.ask("alive") is True
    assert await clients.ask("has") is False
    await presence(await boot(origin(consul, tmp_path))).close()
    assert await clients.ask("has") is True
    assert await clients.ask("get Inference/DrainTimeout") == "5s"
    assert f"{OWN}/Writable/LogLevel" in await clients.ask("keys")
    assert await clients.ask("put Writable LogLevel WARN") is None
    again = await boot(origin(consul, tmp_path))
    await presence(again).close()
    assert again.loaded.config.writable.log_level == "WARN"


async def test_the_official_watch_hears_of_a_change(consul: ConsulDouble, clients: Clients) -> None:
    await consul.put(f"{OWN}/Writable/LogLevel", "INFO")
    assert await clients.ask("watch") == {"LogLevel": "INFO"}
    await consul.put(f"{OWN}/Writable/LogLevel", "DEBUG")
    assert await clients.hear() == {"LogLevel": "DEBUG"}


async def test_who_is_registered_is_found_by_both(
    consul: ConsulDouble, clients: Clients, tmp_path: Path
) -> None:
    from aiohttp import web

    async def ping(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/api/v3/ping", ping)
    around = presence(await boot(origin(consul, tmp_path)))
    async with serve_web(app, "127.0.0.1", 0) as listening:
        await around.register(listening.port)
        await eventually(
            lambda: consul.agent.checks["app-inference"].status == "passing", "the health check passes"
        )
        assert await clients.ask("available app-inference") is True
        found = await clients.ask("endpoint app-inference")
        assert (found["Host"], found["Port"]) == ("127.0.0.1", listening.port)
        assert await clients.ask("register core-metadata 59881") is None
        assert await around.url_of("core-metadata") == "http://127.0.0.1:59881"
        await around.deregister()
        assert "not registered" in await clients.ask("available app-inference")
        assert await clients.ask("unregister core-metadata") is None
        assert await around.url_of("core-metadata") is None
    await around.close()
