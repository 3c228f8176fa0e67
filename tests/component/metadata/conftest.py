"""A core-metadata of either generation beside the stage."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from edgex_inference import service as room
from edgex_inference.buses.memory import MemoryBus
from edgex_inference.pipeline.platform import follower, platform
from edgex_inference.testing.metadata.server import MetadataDouble
from tests.ports import free_port

OWNER = {"name": "device-virtual", "baseAddress": "http://localhost:59900", "adminState": "UNLOCKED"}


class Core:
    """The double as a person with curl uses it."""

    def __init__(self, double: MetadataDouble) -> None:
        self.double = double
        self.two = double.state.generation.two
        self.said = "v2" if self.two else "v3"

    async def send(self, method: str, path: str, key: str, record: dict[str, Any]) -> int:
        """The status of the one element."""
        status, answer = await self.double.call(method, path, [{"apiVersion": self.said, key: record}])
        assert status == 207, answer
        return int(answer[0]["statusCode"])

    async def profile(self, method: str = "POST", **fields: Any) -> None:
        """A profile; EdgeX 2 keeps blocks in `attributes` only."""
        record = self.record(**fields)
        assert await self.send(method, "/deviceprofile", "profile", record) in (200, 201)

    def record(self, **fields: Any) -> dict[str, Any]:
        return profile(**{"place": "attributes" if self.two else "optional", **fields})

    async def device(self, name: str = "p", profile: str = "pump", **fields: Any) -> None:
        record = {
            "name": name,
            "serviceName": "device-virtual",
            "profileName": profile,
            "adminState": "UNLOCKED",
            "operatingState": "UP",
            "protocols": {"virtual": {}},
            **fields,
        }
        assert await self.send("POST", "/device?bypassValidation=true", "device", record) == 201

    async def change(self, name: str = "p", **fields: Any) -> None:
        record = {"name": name, **fields}
        assert await self.send("PATCH", "/device?bypassValidation=true", "device", record) == 200

    def overriding(self, blocks: Any) -> dict[str, Any]:
        """A device's overrides of its profile's blocks, as its release keeps them."""
        if not self.two:
            return {"properties": {"inference": blocks} if blocks else {}}
        texts = {name: json.dumps(block) for name, block in blocks.items()}
        return {"protocols": {"virtual": {}, **({"inference": texts} if texts else {})}}

    async def delete(self, path: str) -> None:
        assert (await self.double.call("DELETE", path))[0] == 200

    def companion(self, profile: str = "pump") -> dict[str, Any]:
        """The companion of a profile; empty while there is none."""
        shelf, name = self.double.state.profiles, f"{profile}-inference"
        return dict(shelf.get(name)) if name in shelf else {}

    def results(self, profile: str = "pump") -> dict[str, tuple[str, str]]:
        """Resource → value type and units, of a companion."""
        resources = self.companion(profile).get("deviceResources", ())
        return {
            one["name"]: (one["properties"]["valueType"], one["properties"].get("units", ""))
            for one in resources
        }

    def commands(self, profile: str = "pump") -> dict[str, list[str]]:
        """Command → the resources in it, of a companion."""
        commands = self.companion(profile).get("deviceCommands", ())
        return {
            one["name"]: [operation["deviceResource"] for operation in one["resourceOperations"]]
            for one in commands
        }

    def writes(self) -> int:
        """How often a profile was written by the service."""
        paths = [one for one in self.double.seen if one.path.endswith("/deviceprofile")]
        return sum(one.method in ("POST", "PUT") for one in paths)


def block(**more: Any) -> dict[str, Any]:
    return {"model": {"name": "double"}, "outputs": {"Y": {"value": "y.0", "type": "Float64"}}, **more}


def profile(
    name: str = "pump", *, place: str = "optional", bindings: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A profile of one resource X with bindings, in `properties.optional` or in `attributes`."""
    inference = {"inference": {"Twice": block(**more)} if bindings is None else bindings}
    resource: dict[str, Any] = {"name": "X", "properties": {"valueType": "Float32", "readWrite": "R"}}
    if place == "optional":
        resource["properties"]["optional"] = inference
    else:
        resource["attributes"] = inference
    return {"name": name, "deviceResources": [resource]}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK", 0.02)
    monkeypatch.setattr(platform, "_LOOK", 0.02)
    for name in ("_SHORTEST", "_LONGEST", "_LOOK", "_STILL", "_POLL"):
        monkeypatch.setattr(follower, name, 0.02)


@pytest.fixture(params=["4.0.2", "3.1.1", "2.3.0", "2.1.1"])
async def core(request: pytest.FixtureRequest, stage: Any) -> AsyncIterator[Core]:
    """A core-metadata of either generation on the stage's bus, with one device service."""
    bus = MemoryBus(stage.hub, name="core-metadata")
    await bus.open()
    async with MetadataDouble(bus, version=request.param, request_timeout=0.05, port=free_port()) as double:
        made = Core(double)
        assert await made.send("POST", "/deviceservice", "service", OWNER) == 201
        stage.metadata = double.port
        stage.model()
        if request.param == "3.1.1":  # it cannot be told not to ask the device service
            double._core.bus.validate = _taken  # type: ignore[method-assign]
        yield made
    await bus.close()


async def _taken(_device: Any) -> None:
    """What a device service that takes every device comes to."""


@pytest.fixture
def words() -> Any:
    """`words.profile(…)` and `words.block(…)`: records as a device service would post them."""

    class Words:
        profile = staticmethod(profile)
        block = staticmethod(block)

    return Words
