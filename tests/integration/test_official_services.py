"""Official device and application services of every generation boot against the core-metadata double, unchanged.

EdgeX 4 unless EDGEX_INFERENCE_MATRIX=all (`make matrix`).
"""

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.contracts.messages import Message

Make = Callable[..., Any]
RELEASES = {"4": "4.0.2", "3": "3.1.1", "2": "2.3.0", "21": "2.1.1"}
GENERATIONS = tuple(RELEASES) if os.environ.get("EDGEX_INFERENCE_MATRIX") == "all" else ("4",)
BLOCKS = {"Vibration": {"Wear": {"model": {"name": "m"}, "outputs": {"Wear": {"value": "value"}}}}}


class Shop:
    """A broker, a core-metadata and an official device service of one generation."""

    def __init__(self, generation: str, bus: Any, metadata: Any, device: Any) -> None:
        self.generation, self.bus, self.metadata, self.device = generation, bus, metadata, device
        self.version = "v2" if generation.startswith("2") else "v3"

    def calls(self) -> list[str]:
        """What core-metadata was asked since this was asked last."""
        seen = list(self.metadata.double.seen)
        self.metadata.double.seen.clear()
        return [f"{one.method} {one.path.removeprefix(f'/api/{self.version}')}" for one in seen]

    def event(self, device: str, resource: str) -> Message:
        """The next event of this device from now on."""
        before, end = len(self.metadata.heard), f"/spindle/{device}/{resource}"

        def found(heard: Any) -> Any:
            events = (one for one in heard[before:] if one.topic.startswith("edgex/events/device/"))
            return next((one for one in events if one.topic.endswith(end)), None)

        message: Message = self.metadata.wait(found, f"an event of {device}", 60)
        return message

    def silent(self, device: str) -> None:
        """Waits until the device service no longer knows this device."""
        self.device.until(lambda: self.command("GET", f"{device}/Setpoint")[0] == 404, f"{device} is gone")

    def command(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """A call to the device service itself."""
        url = f"http://127.0.0.1:{self.device.port}/api/{self.version}/device/name/{path}"
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, data, method=method), timeout=60
            ) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, None

    def put(self, method: str, **device: Any) -> Any:
        """The one element of core-metadata's answer."""
        body = [{"apiVersion": self.version, "device": device}]
        return self.metadata.call(method, "/device", body)[1][0]


@pytest.fixture(params=GENERATIONS)
def shop(
    request: pytest.FixtureRequest, official: Any, mosquitto: Make, metadata: Make, tmp_path: Path
) -> Iterator[Shop]:
    generation = request.param
    broker = mosquitto()
    core = metadata(broker.port, version=RELEASES[generation])
    folder = tmp_path / "device"
    folder.mkdir()
    line = official.line.Line(kind="mqtt", port=broker.port)
    device = official.services.OfficialDevice(
        official.program(generation, "device"),
        official.services.Place(generation=generation, line=line, metadata=core.port, folder=folder),
        blocks=BLOCKS,
        devices=[
            official.services.Device(name=f"spindle-{number}", events=("Vibration",), interval="200ms")
            for number in (1, 2)
        ],
    )
    yield Shop(generation, broker, core, device)
    device.stop()


@pytest.mark.timeout(240)
def test_a_device_service_boots_twice(shop: Shop) -> None:
    shop.device.start()
    shop.event("spindle-1", "Vibration")
    shop.event("spindle-2", "Vibration")
    calls = shop.calls()
    ping = ["GET /ping"] if shop.generation in ("4", "21") else []
    assert calls[: 6 + len(ping)] == [
        *ping,
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
    resource = state.profiles.get("spindle")["deviceResources"][0]
    place = resource["attributes"] if shop.version == "v2" else resource["properties"]["optional"]
    assert place == {"inference": BLOCKS["Vibration"]}
    ids = [one["id"] for one in state.devices.all()]
    assert len(ids) == 2
    shop.device.stop()
    shop.calls()
    shop.device.start()
    shop.event("spindle-2", "Vibration")
    calls = shop.calls()
    assert calls.count("PATCH /deviceservice") == 1
    assert not {"POST /deviceservice", "POST /deviceprofile", "POST /device"} & set(calls)
    assert [one["id"] for one in state.devices.all()] == ids


@pytest.mark.timeout(240)
def test_a_device_comes_changes_and_goes_over_rest(shop: Shop) -> None:
    shop.device.start()
    shop.event("spindle-1", "Vibration")
    record = shop.metadata.call("GET", "/device/name/spindle-1")[1]["device"]
    record = {key: value for key, value in record.items() if key not in ("id", "created", "modified")}
    assert shop.put("POST", **record | {"name": "spindle-3"})["statusCode"] == 201
    shop.event("spindle-3", "Vibration")
    refused = shop.put("POST", **record | {"name": "spindle-4", "protocols": {"modbus": {"a": "b"}}})
    if shop.generation == "21":
        assert refused["statusCode"] == 201, "2.1 asks nobody"
    else:
        assert refused["statusCode"] == 500
        assert "validation failed" in refused["message"]
    assert shop.put("PATCH", name="spindle-3", adminState="LOCKED")["statusCode"] == 200
    shop.device.said("updated spindle-3, LOCKED")
    assert shop.metadata.call("DELETE", "/device/name/spindle-3")[0] == 200
    shop.device.said("removed spindle-3")
    shop.silent("spindle-3")


@pytest.mark.timeout(240)
def test_a_resource_is_written_and_a_changed_profile_is_seen(shop: Shop) -> None:
    shop.device.start()
    shop.event("spindle-1", "Vibration")
    assert shop.command("PUT", "spindle-1/Setpoint", {"Setpoint": "42.5"})[0] == 200
    status, read = shop.command("GET", "spindle-1/Setpoint")
    assert (status, float(read["event"]["readings"][0]["value"])) == (200, 42.5)
    status, read = shop.command("GET", "spindle-1/Health")
    assert read["event"]["readings"][0]["objectValue"]["State"] == "cutting"
    profile = shop.metadata.call("GET", "/deviceprofile/name/spindle")[1]["profile"]
    profile["deviceResources"] = [one for one in profile["deviceResources"] if one["name"] != "Health"]
    body = [{"apiVersion": shop.version, "profile": profile}]
    assert shop.metadata.call("PUT", "/deviceprofile", body)[1][0]["statusCode"] == 200
    shop.device.until(
        lambda: shop.command("GET", "spindle-1/Health")[0] == 404, "the profile without Health is taken up"
    )


@pytest.mark.parametrize("generation", [one for one in GENERATIONS if one != "21"])
def test_an_application_service_asks_for_the_version_alone(
    official: Any, mosquitto: Make, metadata: Make, tmp_path: Path, generation: str
) -> None:
    broker = mosquitto()
    core = metadata(broker.port, version=RELEASES[generation])
    folder = tmp_path / "audience"
    folder.mkdir()
    line = official.line.Line(kind="mqtt", port=broker.port)
    place = official.services.Place(generation=generation, line=line, metadata=core.port, folder=folder)
    audience = official.services.OfficialAudience(
        official.program(generation, "app"), place, topics="events/#"
    )
    try:
        audience.start()
        audience.until(lambda: core.double.seen, "core-metadata is asked")
    finally:
        audience.stop()
    assert {one.path for one in core.double.seen} == {f"/api/{'v2' if place.is_2 else 'v3'}/version"}
