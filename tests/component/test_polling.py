"""Bindings that fetch their readings through core-command: on an interval, or when something happens on the bus."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import cbor2
import msgspec
import pytest
from aiohttp import web

from edgex_inference import service as room
from edgex_inference.contracts.events import ValueType
from edgex_inference.edgex.commands import CommandClient
from edgex_inference.pipeline.polling import poller

HOUR = "1h"


class Command:
    """A core-command that answers with what a test puts into `values`, `pictures` or `errors`."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], float] = {}
        self.pictures: dict[tuple[str, str], bytes] = {}
        self.errors: dict[tuple[str, str], tuple[int, str]] = {}
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []
        self.hang = False
        self.paths: set[str] = set()
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        device, command = request.match_info["device"], request.match_info["command"]
        self.asked.append((device, command, dict(request.query)))
        self.paths.add(request.path.split("/")[2])
        if self.hang:
            await asyncio.Event().wait()
        if error := self.errors.get((device, command)):
            body = {"apiVersion": "v3", "message": error[1], "statusCode": error[0]}
            return web.json_response(body, status=error[0])
        reading: dict[str, Any] = {
            "id": "d3e1c8aa-6a17-4a8b-9ad0-27c9a3d8f0a1",
            "origin": 42,
            "deviceName": device,
            "resourceName": command,
            "profileName": "pump",
        }
        picture = self.pictures.get((device, command))
        if picture is None:
            reading |= {"valueType": "Float32", "value": f"{self.values.get((device, command), 0.0):e}"}
        else:
            reading |= {"valueType": "Binary", "binaryValue": picture, "mediaType": "image/png"}
        event = {
            "apiVersion": "v3",
            "id": "0a86e5a4-44c9-4be7-8c4b-6cf2ee5d5b51",
            "deviceName": device,
            "profileName": "pump",
            "sourceName": command,
            "origin": 42,
            "readings": [reading],
        }
        whole = {"apiVersion": "v3", "statusCode": 200, "event": event}
        if picture is not None:
            return web.Response(body=cbor2.dumps(whole), content_type="application/cbor")
        return web.Response(body=msgspec.json.encode(whole), content_type="application/json")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK", 0.02)
    monkeypatch.setattr(poller, "_SPREAD", 0.0)


@pytest.fixture
async def command(stage: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Command]:
    made = Command()
    app = web.Application()
    for api in ("v2", "v3"):
        app.router.add_get(f"/api/{api}/device/name/{{device}}/{{command}}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = int(runner.addresses[0][1])
    stage.command = made.port
    yield made
    await runner.cleanup()


def devices(stage: Any, *names: str, profile: str = "pump") -> None:
    """A devices file, as EdgeX has it."""
    stage.write("devices.yaml", {"deviceList": [{"name": name, "profileName": profile} for name in names]})


async def test_values_are_fetched_on_an_interval(stage: Any, make: Any, command: Command) -> None:
    stage.simple(poll={"interval": "20ms"})
    devices(stage, "p", "q")
    command.values = {("p", "X"): 3, ("q", "X"): 4}
    async with stage.running():
        await stage.until(lambda: len(stage.results("p")) > 2 and len(stage.results("q")) > 2)
        assert {one.values["Y"] for one in stage.results("p")} == {"7e+00"}
        assert {one.values["Y"] for one in stage.results("q")} == {"9e+00"}
        assert {one.event.origin for one in stage.results("p")} == {42}
    assert {(device, name) for device, name, _ in command.asked} == {("p", "X"), ("q", "X")}
    assert command.asked[0][2] == {"ds-pushevent": "false", "ds-returnevent": "true"}


@pytest.mark.parametrize("where", ["side-car", "override"])
async def test_one_device_alone_is_polled(stage: Any, make: Any, command: Command, where: str) -> None:
    poll = {"interval": HOUR}
    stage.model()
    override = {}
    if where == "side-car":
        stage.profile("pump", X="Float32")
        match = {"profile": "pump", "device": "p", "resource": "X"}
        stage.write("side.yaml", {"match": match, "inference": {"Twice": make.binding(poll=poll)}})
    else:
        stage.profile("pump", X=("Float32", {"Twice": make.binding()}))
        override = {"properties": {"inference": {"Twice": {"poll": poll}}}}
    records = [{"name": "p", "profileName": "pump", **override}, {"name": "q", "profileName": "pump"}]
    stage.write("devices.yaml", {"deviceList": records})
    command.values = {("p", "X"): 3}
    async with stage.running():
        (one,) = await stage.have(1)
        assert one.values["Y"] == "7e+00"
    assert {device for device, _, _ in command.asked} == {"p"}


async def test_what_is_polled_is_not_taken_from_the_bus(stage: Any, make: Any, command: Command) -> None:
    stage.simple(poll={"interval": HOUR})
    devices(stage, "p")
    async with stage.running() as service:
        await stage.have(1)
        await stage.send(make.event("p", X=9))
        await stage.until(lambda: service.router.traffic.messages.total("unmatched") == 1)
        assert len(stage.results()) == 1


async def test_a_picture_comes_as_cbor(stage: Any, make: Any, command: Command) -> None:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (1, 1), (255, 0, 0)).save(file, "PNG")
    command.pictures[("c", "Frame")] = file.getvalue()
    block = make.binding(model={"name": "look"}, poll={"interval": HOUR}, outputs={"Y": {"value": "y"}})
    stage.profile("cam", Frame=("Binary", {"Look": block}))
    stage.model("look", shape=[None, 3, 1, 1], card={"inputs": {"x": {"kind": "image", "layout": "NCHW"}}})
    devices(stage, "c", profile="cam")
    async with stage.running():
        (found,) = await stage.have(1)
    assert found.values["Y"].startswith("[")


async def test_several_resources_and_a_command_of_its_own(stage: Any, make: Any, command: Command) -> None:
    inputs = [{"resource": "X"}, {"resource": "Z"}]
    both = make.binding(model={"name": "wide"}, inputs=inputs, poll={"interval": HOUR})
    named = make.binding(
        poll={"interval": HOUR, "command": "All", "query": {"speed": "9"}}, inputs=[{"resource": "All"}]
    )
    stage.profile("pump", X=("Float32", {"Both": both}), Z="Float32", All=("Float32", {"Named": named}))
    stage.model("wide", shape=[None, 2])
    stage.model()
    devices(stage, "p")
    command.values = {("p", "X"): 1, ("p", "Z"): 2}
    async with stage.running():
        await stage.have(2)
    assert {name for _, name, _ in command.asked} == {"X", "Z", "All"}
    (query,) = [query for _, name, query in command.asked if name == "All"]
    assert query["speed"] == "9"


@pytest.mark.parametrize(
    ("edge", "values", "fetches"),
    [
        ("rising", ["false", "true", "true", "false", "true"], 2),
        ("falling", ["false", "true", "true", "false", "true"], 1),
        ("change", ["false", "true", "true", "false", "true"], 3),
        ("any", ["false", "true", "true"], 3),
    ],
)
async def test_a_trigger_on_the_bus(
    stage: Any, make: Any, command: Command, edge: str, values: list[str], fetches: int
) -> None:
    trigger = {"device": "gpio", "resource": "PartPresent", "edge": edge, "delay": "1ms"}
    stage.simple(poll={"when": "trigger"}, trigger=trigger)
    devices(stage, "p")
    command.values[("p", "X")] = 3
    async with stage.running() as service:
        for count, value in enumerate(values, start=1):
            before = len(command.asked)
            present = make.reading("PartPresent", value, ValueType.BOOL)
            await stage.send(make.event("gpio", present, profile="gpio"))
            await stage.until(lambda count=count: service.router.traffic.messages.total("unmatched") == count)
            if edge == "any" or (edge, count) in {
                ("rising", 2), ("rising", 5), ("falling", 4), ("change", 2), ("change", 4), ("change", 5)
            }:  # fmt: skip
                await stage.until(lambda before=before: len(command.asked) == before + 1)
        await stage.have(fetches)
    assert len(command.asked) == fetches


async def test_a_device_triggers_itself_where_no_other_is_named(
    stage: Any, make: Any, command: Command
) -> None:
    block = make.binding(poll={}, trigger={"resource": "Motion"})
    stage.profile("pump", X=("Float32", {"Twice": block}), Motion="Bool")
    stage.model()
    devices(stage, "p", "q")
    async with stage.running():
        await stage.send(make.event("q", make.reading("Motion", "true", ValueType.BOOL)))
        await stage.have(1)
    assert [device for device, _, _ in command.asked] == ["q"]


async def test_what_cannot_be_fetched_is_counted_and_told(
    stage: Any, make: Any, command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    stage.simple(poll={"interval": "10ms"})
    devices(stage, "p", "q")
    command.errors[("p", "X")] = (423, "request failed, status code: 423, err: device p locked")
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.until(lambda: "degraded" in stage.statuses("p"))
        await stage.have(2, "q")
        (said,) = [one for one in stage.heard if one.status == "degraded"]
        reason = said.values["InferenceReason"]
        assert reason.startswith("p: GET X from core-command at http://127.0.0.1:")
        assert reason.endswith("HTTP 423: request failed, status code: 423, err: device p locked")
        assert run.status == "degraded"
        assert run.measures.counters()["failed"]["source"] > 0
        command.errors.clear()
        await stage.have(1, "p")
        await stage.until(lambda: stage.statuses("p")[-1] == "running")
        counters = run.measures.counters()
    assert make.accounted(counters) <= counters["received"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_device_that_hangs_ends_at_the_timeout(stage: Any, make: Any, command: Command) -> None:
    stage.simple(poll={"interval": "10ms"}, limits={"timeout": "30ms"})
    devices(stage, "p")
    command.hang = True
    async with stage.running():
        await stage.until(lambda: "degraded" in stage.statuses("p"))
        (said, *_) = [one for one in stage.heard if one.status == "degraded"]
    assert said.values["InferenceReason"].endswith("no answer within 0.03 s")


async def test_polling_follows_devices_and_blocks(stage: Any, make: Any, command: Command) -> None:
    stage.simple(poll={"interval": "10ms"})
    devices(stage, "p")
    async with stage.running():
        await stage.have(1, "p")
        devices(stage, "q")
        await stage.have(1, "q")
        command.asked.clear()
        await stage.until(lambda: len(command.asked) > 5)
        assert {device for device, _, _ in command.asked} == {"q"}
        stage.profile("pump", X=("Float32", {"Twice": make.binding()}))
        await stage.until(lambda: _is_quiet(command))
        await stage.send(make.event("q", X=9))
        await stage.until(lambda: stage.results("q")[-1].values["Y"] == "1.9e+01")


def _is_quiet(command: Command, seen: list[int] = []) -> bool:  # noqa: B006 - the memory of the last looks
    seen.append(len(command.asked))
    return len(seen) > 60 and len(set(seen[-60:])) == 1


async def test_a_binding_that_cannot_run_fetches_nothing_and_says_so(
    stage: Any, make: Any, command: Command
) -> None:
    stage.profile(
        "pump", X=("Float32", {"Twice": make.binding(model={"name": "none"}, poll={"interval": "10ms"})})
    )
    devices(stage, "p")
    async with stage.running():
        await stage.until(lambda: stage.statuses("p") == ["inactive"])
    assert command.asked == []


async def test_core_command_is_where_the_registry_says(command: Command) -> None:
    command.values[("p", "X")] = 3
    asked: list[int] = []

    async def locate() -> str | None:
        asked.append(1)
        return f"http://127.0.0.1:{command.port}"

    client = CommandClient("http://127.0.0.1:1", locate=locate)
    for _ in range(3):
        event = await client.get("p", "X", {}, timeout=20)
        assert event.device_name == "p"
    await client.close()
    assert len(asked) == 1, "once in a while is enough"


async def test_edgex_2_is_asked_in_its_own_words(stage: Any, make: Any, command: Command) -> None:
    stage.inference = {"edgex_version": "2"}
    stage.simple(poll={"interval": HOUR})
    devices(stage, "p")
    async with stage.running():
        await stage.until(lambda: bool(command.asked))
    assert command.paths == {"v2"}
    assert command.asked[0][2] == {"ds-pushevent": "no", "ds-returnevent": "yes"}
