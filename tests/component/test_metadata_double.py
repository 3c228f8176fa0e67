"""The core-metadata double's own promises: faults, outages, time limits, what events say of times."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from edgex_inference.buses.memory import MemoryBus, MemoryHub
from edgex_inference.contracts.messages import Message
from edgex_inference.testing.bus import eventually
from edgex_inference.testing.metadata.server import MetadataDouble
from tests.ports import free_port

SERVICE = {"name": "device-press", "baseAddress": "http://localhost:59900", "adminState": "UNLOCKED"}
PROFILE = {
    "name": "press",
    "deviceResources": [{"name": "Load", "properties": {"valueType": "float32", "readWrite": "R"}}],
}
DEVICE = {
    "name": "press-1",
    "serviceName": "device-press",
    "profileName": "press",
    "adminState": "UNLOCKED",
    "operatingState": "UP",
    "protocols": {"virtual": {}},
}


async def add(metadata: MetadataDouble, path: str, key: str, *records: dict[str, Any]) -> None:
    body = [{"apiVersion": "v3", key: record} for record in records]
    status, answers = await metadata.call("POST", path, body)
    assert status == 207
    assert [one["statusCode"] for one in answers] == [201] * len(records), answers


async def fill(metadata: MetadataDouble) -> None:
    await add(metadata, "/deviceservice", "service", SERVICE)
    await add(metadata, "/deviceprofile", "profile", PROFILE)
    await add(metadata, "/device?bypassValidation=true", "device", DEVICE)


@asynccontextmanager
async def listener(hub: MemoryHub) -> AsyncIterator[list[Message]]:
    heard: list[Message] = []
    bus = MemoryBus(hub, name="listener")
    bus.receive = heard.append  # type: ignore[method-assign]
    await bus.open()
    yield heard
    await bus.close()


@pytest.fixture
async def hub() -> MemoryHub:
    return MemoryHub()


@pytest.fixture
async def bus(hub: MemoryHub) -> AsyncIterator[MemoryBus]:
    bus = MemoryBus(hub)
    await bus.open()
    yield bus
    await bus.close()


async def test_without_a_bus_devices_are_taken_unasked() -> None:
    async with MetadataDouble() as metadata:
        await add(metadata, "/deviceservice", "service", SERVICE)
        await add(metadata, "/deviceprofile", "profile", PROFILE)
        await add(metadata, "/device", "device", DEVICE)
        status, answer = await metadata.call("GET", "/device/name/press-1")
    assert status == 200
    assert answer["device"]["profileName"] == "press"
    assert [(one.method, one.path) for one in metadata.seen][-1] == ("GET", "/api/v3/device/name/press-1")


async def test_an_event_of_an_update_tells_when_the_one_before_was(hub: MemoryHub, bus: MemoryBus) -> None:
    async with MetadataDouble(bus) as metadata, listener(hub) as heard:
        await fill(metadata)
        times = []
        for state in ("LOCKED", "UNLOCKED", "LOCKED"):
            times.append((await metadata.call("GET", "/device/name/press-1"))[1]["device"]["modified"])
            change = {"name": "press-1", "adminState": state}
            patch = [{"apiVersion": "v3", "device": change}]
            await metadata.call("PATCH", "/device?bypassValidation=true", patch)
    details = [json.loads(one.payload)["payload"]["details"] for one in heard[-3:]]
    assert [one["adminState"] for one in details] == ["LOCKED", "UNLOCKED", "LOCKED"]
    assert [one["modified"] for one in details] == times


async def test_silence_loses_events_and_nothing_else(hub: MemoryHub, bus: MemoryBus) -> None:
    async with MetadataDouble(bus) as metadata, listener(hub) as heard:
        metadata.faults.silent = True
        await fill(metadata)
        assert heard == []
        metadata.faults.silent = False
        await metadata.call("DELETE", "/device/name/press-1")
    assert [one.topic for one in heard] == [
        "edgex/system-events/core-metadata/device/delete/device-press/press"
    ]


@pytest.mark.parametrize(
    ("version", "text"),
    [("4.0.2", "request timeout"), ("3.1.1", "<h1>Timeout</h1>")],
)
async def test_a_device_that_nobody_validates_is_not_stored(
    hub: MemoryHub, bus: MemoryBus, version: str, text: str
) -> None:
    async with (
        MetadataDouble(bus, version=version, request_timeout=0.01) as metadata,
        listener(hub) as heard,
        aiohttp.ClientSession() as session,
    ):
        await add(metadata, "/deviceservice", "service", SERVICE)
        await add(metadata, "/deviceprofile", "profile", PROFILE)
        body = msgspec.json.encode([{"apiVersion": "v3", "device": DEVICE}])
        async with session.post(f"{metadata.url}/api/v3/device", data=body) as response:
            assert response.status == 503
            assert text in await response.text()
            assert "X-Correlation-ID" not in response.headers
        assert (await metadata.call("GET", "/device/name/press-1"))[0] == 404
    assert [one.topic for one in heard][2:] == ["edgex/device-press/validate/device"]


async def test_faults_are_answers(bus: MemoryBus) -> None:
    async with MetadataDouble(bus) as metadata, aiohttp.ClientSession(metadata.url) as session:
        metadata.faults.below = "/api/v3/device"
        metadata.faults.unavailable = True
        async with session.get("/api/v3/device/all") as response:
            assert (response.status, await response.text()) == (503, "request timeout")
        metadata.faults.unavailable = False
        metadata.faults.garbage = True
        async with session.get("/api/v3/deviceprofile/all") as response:
            assert (response.status, await response.text()) == (200, "<html>not what you expected")
        assert (await metadata.call("GET", "/version"))[1]["version"] == "4.0.2", "not below that path"


async def test_a_hanging_double_lets_go_when_it_stops() -> None:
    async with aiohttp.ClientSession() as session:
        async with MetadataDouble() as metadata:
            metadata.faults.hang = True
            asking = asyncio.create_task(session.get(f"{metadata.url}/api/v3/ping"))
            await eventually(lambda: len(metadata.seen) == 1, "it is asked")
            _, hanging = await asyncio.wait({asking}, timeout=0.05)
            assert hanging
        assert (await asking).status == 503


async def test_an_outage_keeps_port_and_records() -> None:
    async with MetadataDouble(port=free_port()) as metadata:
        await fill(metadata)
        port = metadata.port
        await metadata.stop()
        with pytest.raises(aiohttp.ClientConnectorError):
            await metadata.call("GET", "/ping")
        await metadata.start()
        assert metadata.port == port
        assert (await metadata.call("GET", "/device/check/name/press-1"))[0] == 200


async def test_pages_end_where_the_total_says() -> None:
    async with MetadataDouble() as metadata:
        await add(metadata, "/deviceservice", "service", SERVICE)
        await add(metadata, "/deviceprofile", "profile", PROFILE)
        names = [f"press-{number}" for number in range(25)]
        await add(metadata, "/device", "device", *(DEVICE | {"name": name} for name in names))
        found: list[str] = []
        total = 1
        while len(found) < total:
            _, page = await metadata.call("GET", f"/device/all?offset={len(found)}&limit=7")
            total = page["totalCount"]
            found += [device["name"] for device in page["devices"]]
        assert found == names
        assert (await metadata.call("GET", "/device/all?offset=25"))[1]["devices"] == []
        assert (await metadata.call("GET", "/device/all?offset=26"))[0] == 416


async def test_a_lost_bus_stops_nobody_from_writing(hub: MemoryHub, bus: MemoryBus) -> None:
    hub.stop()
    async with MetadataDouble(bus) as metadata:
        await fill(metadata)
        assert (await metadata.call("GET", "/device/check/name/press-1"))[0] == 200


async def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"no double of core-metadata 5\.0\.0; there are 4\.0\.2, 3\.1\.1, 2\.3\.0, 2\.1\.1"
    ):
        MetadataDouble(version="5.0.0")


async def test_names_are_escaped_in_topics_where_everybody_does(hub: MemoryHub, bus: MemoryBus) -> None:
    async with MetadataDouble(bus, request_timeout=0.01) as metadata, listener(hub) as heard:
        metadata.state.policies.escape_names = True
        await add(metadata, "/deviceservice", "service", SERVICE)
        await add(metadata, "/deviceprofile", "profile", PROFILE | {"name": "press.v2"})
        async with aiohttp.ClientSession(metadata.url) as session:
            body = msgspec.json.encode([{"apiVersion": "v3", "device": DEVICE | {"profileName": "press.v2"}}])
            assert (await session.post("/api/v3/device", data=body)).status == 503
    assert [one.topic.removeprefix("edgex/") for one in heard] == [
        "system-events/core-metadata/deviceservice/add/device%2Dpress",
        "system-events/core-metadata/deviceprofile/add/core%2Dmetadata/press%2Ev2",
        "device%2Dpress/validate/device",
    ]


async def test_only_the_answer_to_its_own_question_counts(hub: MemoryHub, bus: MemoryBus) -> None:
    """Other services answer too; what is no envelope, or to another request, is none."""
    other = MemoryBus(hub, name="device service")
    await other.open()
    refusal = {"errorCode": 1, "payload": "no", "contentType": "text/plain", "requestID": ""}

    def receive(message: Message) -> None:
        if message.topic.endswith("/validate/device"):
            request = json.loads(message.payload)["requestID"]
            topic = f"edgex/response/device-press/{request}"
            for payload in (b"{", msgspec.json.encode(refusal)):
                hub.spread(Message(topic, payload))
            taken = {"errorCode": 0, "payload": None, "contentType": "application/json", "requestID": request}
            hub.spread(Message(topic, msgspec.json.encode(taken)))

    other.receive = receive  # type: ignore[method-assign]
    async with MetadataDouble(bus) as metadata:
        await add(metadata, "/deviceservice", "service", SERVICE)
        await add(metadata, "/deviceprofile", "profile", PROFILE)
        await add(metadata, "/device", "device", DEVICE)
    await other.close()
