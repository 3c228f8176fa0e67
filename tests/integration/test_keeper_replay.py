"""The core-keeper double answers what the real one was recorded to answer, request by request."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from edgex_inference.buses.memory import MemoryBus, MemoryHub
from edgex_inference.contracts.messages import Message
from edgex_inference.testing.keeper.server import KeeperDouble

CORE = (
    "device-boot-before-common-config",
    "bootstrapper",
    "bootstrapper-again",
    "metadata-first-boot",
    "device-first-boot",
    "command-first-boot",
    "health",
    "writable-change",
    "common-writable-change",
    "private-section-change",
    "delete-key",
    "leaf-over-subtree",
    "post-secret",
    "device-sigterm",
    "device-second-boot",
    "device-env-override-ignored",
    "device-overwrite",
    "device-no-registry",
    "registry-only",
    "queries",
    "registry",
    "shutdown",
)
"""One run of the real services, in the order in which it was recorded."""

APP = (
    "bootstrapper",
    "metadata-first-boot",
    "app-first-boot",
    "app-writable-change",
    "app-sigterm",
    "app-second-boot",
    "app-sigkill",
)
"""A second run; its common configuration and its core-metadata are those of the first."""

DEVIATIONS = {
    "GET /api/v3/config": "settings of a database and of a bus, which a double has not",
}
"""Answers that differ, and why; everything else is equal."""

_TIMES = ("created", "modified", "Created", "Modified", "timestamp")


class Overheard(MemoryBus):
    """A bus that keeps what is published on it."""

    def __init__(self) -> None:
        super().__init__(MemoryHub())
        self.said: list[Message] = []

    async def publish(self, message: Message) -> None:
        self.said.append(message)
        await super().publish(message)


@dataclass(slots=True)
class Played:
    """What came of a replay."""

    calls: int = 0
    differences: list[str] = field(default_factory=list)
    met: set[str] = field(default_factory=set)
    bus: dict[str, list[Message]] = field(default_factory=dict)


def recorded(folder: Path, scenario: str) -> list[dict[str, Any]]:
    lines = (folder / "edgex-recorded" / f"http-keeper-4.0.2-{scenario}.jsonl").read_text().splitlines()
    return [one for one in map(json.loads, lines) if one["to"] == "core-keeper"]


async def play(folder: Path, scenarios: tuple[str, ...]) -> Played:
    played, bus = Played(), Overheard()
    await bus.open()
    async with KeeperDouble(bus) as keeper, aiohttp.ClientSession() as session:
        for scenario in scenarios:
            played.bus[scenario] = bus.said = []
            for one in recorded(folder, scenario):
                found = await differs(keeper, session, one)
                played.calls += 1
                call = f"{one['method']} {one['path']}"
                if found and call in DEVIATIONS:
                    played.met.add(call)
                elif found:
                    played.differences.append(f"{scenario}: {call}?{one['query']}\n{found}")
    await bus.close()
    return played


async def differs(keeper: KeeperDouble, session: aiohttp.ClientSession, one: dict[str, Any]) -> str:
    """How the answer differs from the recorded one; empty when it does not."""
    query = f"?{one['query']}" if one["query"] else ""
    body = one["request_body"]
    kept = {
        name: text
        for name, text in one["request_headers"].items()
        if name.lower() in ("content-type", "x-correlation-id")
    }
    async with session.request(
        one["method"],
        URL(f"{keeper.url}{one['path']}{query}", encoded=True),
        data=wire(body),
        headers=kept,
    ) as response:
        text = await response.text()
        got = (response.status, headers(response.headers), stable(decoded(text)))
    wanted = (one["status"], headers(one["response_headers"]), stable(one["response_body"]))
    newline = text.endswith("\n") == bool(one.get("response_newline")) or not text
    return "" if got == wanted and newline else f"recorded {wanted}\n     got {got}"


def wire(body: Any) -> str | None:
    if body == "":
        return None
    return body if isinstance(body, str) else json.dumps(body)


def decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def headers(given: Any) -> dict[str, str]:
    """Those that the double promises; of a correlation id only whether it is empty."""
    found = {name.lower(): text for name, text in given.items()}
    kept = {name: found[name] for name in ("content-type", "allow") if found.get(name)}
    if "x-correlation-id" in found:
        kept["x-correlation-id"] = "some" if found["x-correlation-id"] else ""
    return kept


def stable(value: Any) -> Any:
    """Without times, the state of health at the moment, and the database's order of rows."""
    if isinstance(value, dict):
        return {
            key: "T" if key in _TIMES else "?" if key == "status" and item != "HALT" else stable(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return sorted((stable(item) for item in value), key=str)
    return value


def change(message: Message) -> str:
    """Topic and envelope as text; a correlation id is the request's."""
    return json.dumps([message.topic, json.loads(message.payload)], sort_keys=True)


def recorded_changes(folder: Path, scenario: str) -> list[str]:
    path = folder / "edgex-recorded" / f"bus-4.0.2-keeper-{scenario}.txt"
    lines = [line.split("\t") for line in path.read_text().splitlines()] if path.is_file() else []
    return [
        change(Message(line[1], line[2].encode())) for line in lines if line[1].startswith("edgex/configs/")
    ]


@pytest.mark.parametrize("scenarios", [CORE, APP], ids=["core", "app"])
async def test_recorded_requests_get_the_recorded_answers(testdata: Path, scenarios: tuple[str, ...]) -> None:
    played = await play(testdata, scenarios)
    assert played.calls > 200
    assert not played.differences, "\n".join([f"{len(played.differences)} differ:", *played.differences])
    assert played.met == (set(DEVIATIONS) if scenarios is CORE else set()), (
        "deviations that are none any more"
    )


async def test_recorded_requests_cause_the_recorded_messages(testdata: Path) -> None:
    played = await play(testdata, CORE)
    for scenario in CORE:
        said = [change(one) for one in played.bus[scenario]]
        assert sorted(said) == sorted(recorded_changes(testdata, scenario)), scenario
    assert sum(map(len, played.bus.values())) > 150


async def test_health_is_asked_every_half_interval_until_up_and_again_after_a_new_registration() -> None:
    from aiohttp import web

    asked, answers = asyncio.Queue[str](), asyncio.Event()

    async def ping(request: web.Request) -> web.Response:
        asked.put_nowait(request.path)
        return web.Response(status=200 if answers.is_set() else 503)

    app = web.Application()
    app.router.add_get("/api/v3/ping", ping)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    entry = {
        "serviceId": "app-x",
        "host": "127.0.0.1",
        "port": runner.addresses[0][1],
        "healthCheck": {"interval": "20ms", "path": "/api/v3/ping", "type": "http"},
    }

    async def status(wanted: str) -> None:
        async with asyncio.timeout(60):
            while keeper.registry.entries["app-x"].status != wanted:
                await asked.get()
                await asyncio.sleep(0)

    async with KeeperDouble() as keeper, aiohttp.ClientSession() as session:
        body = {"apiVersion": "v3", "registration": entry}
        async with session.post(f"{keeper.url}/api/v3/registry", json=body) as response:
            assert response.status == 201
        await status("DOWN")
        answers.set()
        await status("UP")
        async with session.put(
            f"{keeper.url}/api/v3/registry", json={**body, "registration": {**entry, "status": "HALT"}}
        ) as response:
            assert response.status == 204
        assert keeper.registry.entries["app-x"].status == "HALT"
    await runner.cleanup()
