"""The official EdgeX 4 device SDK boots against the core-metadata double, and our service infers its events."""

import json
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.contracts.messages import Message
from edgex_inference.contracts.values import parse
from edgex_inference.demo.world.conveyor import Conveyor
from edgex_inference.edgex import envelope, events

Make = Callable[..., Any]
EVENTS = "edgex/events/device/device-spindle/spindle"
CHANGES = "edgex/system-events/core-metadata"
PICTURE = Conveyor(seed=7).frame(40)
PARTS = len(PICTURE.truth)


class Shop:
    """A broker, a core-metadata and an official device service."""

    def __init__(self, bus: Any, metadata: Any, device: Any) -> None:
        self.bus = bus
        self.metadata = metadata
        self.device = device

    def started(self, times: int = 1) -> "Shop":
        self.device.start().said("device-spindle started", times)
        return self

    def event(self, device: str, resource: str, seconds: float = 60.0) -> Message:
        """The next event of this device from now on."""
        before = len(self.metadata.heard)
        topic = f"{EVENTS}/{device}/{resource}"

        def found(heard: Sequence[Message]) -> Message | None:
            return next((one for one in heard[before:] if one.topic == topic), None)

        message: Message = self.metadata.wait(found, f"an event of {device}", seconds)
        return message

    def calls(self) -> list[str]:
        """What core-metadata was asked since this was asked last."""
        seen = [f"{one.method} {one.path.removeprefix('/api/v3')}" for one in self.metadata.double.seen]
        self.metadata.double.seen.clear()
        return seen

    def add(self, record: Any, query: str = "") -> Any:
        """The one element of the answer."""
        body = [{"apiVersion": "v3", "device": record}]
        return self.metadata.call("POST", f"/device{query}", body)[1][0]

    def change(self, **fields: Any) -> Any:
        return self.metadata.call("PATCH", "/device", [{"apiVersion": "v3", "device": fields}])[1][0]

    def command(self, method: str, path: str, body: Any = None) -> Any:
        """A call to the device service itself."""
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.device.port}/api/v3/device/name/{path}"
        with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=60) as answer:
            return json.loads(answer.read())


@pytest.fixture
def shop(mosquitto: Make, metadata: Make, peer_device: Make) -> Shop:
    broker = mosquitto()
    core = metadata(broker.port)
    return Shop(broker, core, peer_device(bus=broker.port, metadata=core.port))


def test_first_boot_registers_service_profile_and_devices(shop: Shop) -> None:
    shop.started()
    shop.event("spindle-1", "Vibration")
    shop.event("spindle-2", "Temperature")
    calls = shop.calls()
    assert calls[:7] == [
        "GET /ping",
        "GET /device/service/name/device-spindle",
        "GET /provisionwatcher/service/name/device-spindle",
        "GET /deviceservice/name/device-spindle",
        "POST /deviceservice",
        "GET /deviceprofile/name/spindle",
        "POST /deviceprofile",
    ]
    assert calls.count("POST /device") == 1
    state = shop.metadata.double.state
    assert state.services.get("device-spindle")["baseAddress"] == f"http://localhost:{shop.device.port}"
    assert [one["name"] for one in state.devices.all()] == ["spindle-1", "spindle-2"]
    kept = state.profiles.get("spindle")["deviceResources"][0]["properties"]["optional"]
    assert kept == {"inference": shop.device.blocks["Vibration"]}
    assert shop.device.stop() == 0


def test_second_boot_finds_everything_there(shop: Shop) -> None:
    shop.started()
    assert shop.device.stop() == 0
    ids = [one["id"] for one in shop.metadata.double.state.devices.all()]
    shop.calls()
    shop.started(2)
    shop.event("spindle-2", "Vibration")
    calls = shop.calls()
    assert calls.count("PATCH /deviceservice") == 1
    assert not {"POST /deviceservice", "POST /deviceprofile", "POST /device"} & set(calls)
    assert [one["id"] for one in shop.metadata.double.state.devices.all()] == ids


def test_a_device_comes_changes_and_goes_over_rest(shop: Shop, peer_device: Make) -> None:
    shop.started()
    record = shop.device.record("spindle-3")
    assert shop.add(record)["statusCode"] == 201
    shop.event("spindle-3", "Vibration")
    assert shop.add(record)["message"] == "device name spindle-3 already exists"
    refused = shop.add(shop.device.record("spindle-4") | {"protocols": {"modbus": {}}})
    assert refused["statusCode"] == 500
    assert refused["message"] == "Device spindle-4 validation failed: protocol 'virtual' is missing"
    assert shop.metadata.call("GET", "/device/name/spindle-4")[0] == 404
    assert shop.change(name="spindle-3", adminState="LOCKED")["statusCode"] == 200
    shop.device.said("updated spindle-3, LOCKED")
    assert shop.metadata.call("DELETE", "/device/name/spindle-3")[0] == 200
    shop.device.said("removed spindle-3")
    gone = f"{CHANGES}/device/delete/device-spindle/spindle"
    shop.metadata.wait(lambda heard: any(one.topic == gone for one in heard), "the deletion is heard")
    topics = [one.topic for one in shop.metadata.heard if one.topic.startswith(f"{CHANGES}/device/")]
    assert topics[-3:] == [
        f"{CHANGES}/device/{done}/device-spindle/spindle" for done in ("add", "update", "delete")
    ]


def test_commands_reach_the_device(shop: Shop) -> None:
    shop.started()
    assert shop.command("PUT", "spindle-1/Setpoint", {"Setpoint": "42.5"})["statusCode"] == 200
    event = shop.command("GET", "spindle-1/Setpoint")["event"]
    assert event["readings"][0]["value"] == "4.25e+01"


def test_without_core_metadata_it_waits_and_then_boots(shop: Shop) -> None:
    shop.metadata.stop()
    shop.device.start().said("availability failed")
    shop.metadata.start()
    shop.device.said("device-spindle started")
    shop.event("spindle-1", "Temperature")


def causes(shop: Shop, correlations: set[str]) -> dict[str, Any]:
    """The device service's events with these correlation ids."""

    def found(heard: Sequence[Message]) -> dict[str, Any] | None:
        read = [envelope.read(one) for one in heard if one.topic.startswith(EVENTS)]
        known = {one.correlation_id: one for one in read}
        return (
            {one: events.read(known[one]) for one in correlations} if correlations <= known.keys() else None
        )

    known: dict[str, Any] = shop.metadata.wait(found, "the events behind the results")
    return known


def infers(shop: Shop, client: Any, judge: Make) -> None:
    """Waits for results of all three bindings, and holds each to the event that it came from."""
    names = {"SpindleWear", "SpindleHeat", "SpindleParts"}
    client.got.wait(
        lambda items: len(items) >= 12 and {one.event["sourceName"] for one in items} == names, "results"
    )
    results = client.results
    known = causes(shop, {one.correlation for one in results})
    for one in results:
        cause = known[one.correlation]
        value = parse(cause.readings[0])
        match one.event["sourceName"]:
            case "SpindleWear":
                assert json.loads(one.values["Wear"]) == pytest.approx(2 * value + 1, rel=1e-5)
            case "SpindleHeat":
                assert float(one.values["Heat"]) == pytest.approx(2 * value + 1, rel=1e-5)
            case _:
                assert one.values["PartCount"] == str(PARTS)
        assert one.event["deviceName"] == cause.device_name
    verdicts = judge("4", [Message(one.topic, one.payload) for one in results])
    assert [verdict.error for verdict in verdicts if not verdict.ok] == []


@pytest.fixture
def pictured(shop: Shop, tmp_path: Path) -> Shop:
    """Its camera shows one picture of a conveyor, whose parts are known."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "belt.jpg").write_bytes(PICTURE.jpeg())
    first = shop.device.record("spindle-1")
    second = shop.device.record("spindle-2", pictures=str(folder), events=("Frame",))
    shop.device.devices(first, second)
    return shop


@pytest.fixture
def models(world: Any, affine: Make) -> Any:
    """A world with the models that the bindings of the spindles name; part-detect comes with the package."""
    affine(world, "affine")
    affine(world, "affine16", 16)
    return world


def test_its_events_are_inferred_with_the_profile_as_a_file(pictured: Shop, models: Any, judge: Make) -> None:
    pictured.started()
    models.profile(pictured.device.profile, "spindle")
    models.configure(pictured.bus.port)
    models.start().ready()
    infers(pictured, models.client(pictured.bus.port), judge)


def followed(shop: Shop, models: Any) -> Any:
    """Our service without a single profile of its own: all it has is core-metadata's address."""
    clients = f'[Clients.core-metadata]\nHost = "127.0.0.1"\nPort = {shop.metadata.port}'
    models.configure(shop.bus.port, clients)
    return models.start(env={"XDG_STATE_HOME": str(models.folder)})


def test_its_events_are_inferred_with_the_profile_in_core_metadata(
    pictured: Shop, models: Any, judge: Make
) -> None:
    pictured.started()
    followed(pictured, models).ready()
    infers(pictured, models.client(pictured.bus.port), judge)
    state = pictured.metadata.double.state
    companion = pictured.metadata.wait(
        lambda _: state.profiles.get("spindle-inference") if "spindle-inference" in state.profiles else None,
        "the companion profile",
    )
    commands = {command["name"] for command in companion["deviceCommands"]}
    assert commands == {"SpindleWear", "SpindleHeat", "SpindleParts"}


def test_a_device_service_that_comes_later_is_met_by_system_events(shop: Shop, models: Any) -> None:
    service = followed(shop, models)
    service.said("has started")
    assert service.get("/api/v3/inference/bindings")[1]["bindings"] == []
    client = models.client(shop.bus.port)
    shop.started()
    client.wait_results(2)
    assert shop.change(name="spindle-1", adminState="LOCKED")["statusCode"] == 200
    told = client.status("spindle-1", "SpindleWear", "inactive")
    assert told.values["InferenceReason"] == "device spindle-1 is LOCKED in core-metadata"
    before = len([one for one in client.results if one.event["deviceName"] == "spindle-2"])
    client.got.wait(
        lambda items: sum(one.event["deviceName"] == "spindle-2" for one in items) > before,
        "spindle-2 goes on",
    )
    assert service.stop() == 0
