"""device-spindle and app-audience of tests/peers, in the generation and on the bus that a test wants."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from official import settings
from official.line import Line
from official.process import OfficialService
from tests.ports import free_port

DEVICE, AUDIENCE = "device-spindle", "app-audience"
PROFILE = "spindle"
_UP = f"{DEVICE} started"
_KINDS = {
    "Vibration": {"valueType": "Float32Array", "readWrite": "R", "units": "g"},
    "Temperature": {"valueType": "Float32", "readWrite": "R", "units": "C"},
    "Setpoint": {"valueType": "Float32", "readWrite": "RW", "defaultValue": "0"},
    "Health": {"valueType": "Object", "readWrite": "R"},
    "Frame": {"valueType": "Binary", "readWrite": "R", "mediaType": "image/jpeg"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device of the service: the resources that it sends by itself, and where its camera's pictures are."""

    name: str
    events: Iterable[str]
    pictures: str = ""
    interval: str = "500ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a service of a generation ("21", "2", "3", "4") works; `environment` are switches of EdgeX."""

    generation: str
    line: Line
    metadata: int
    folder: Path
    escape: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_2(self) -> bool:
        return self.generation.startswith("2")


def profile(blocks: Mapping[str, Any], *, is_2: bool) -> dict[str, Any]:
    """The profile `spindle` with blocks of ours by resource, which EdgeX 2 keeps in `attributes` only."""
    resources = []
    for name, properties in _KINDS.items():
        resource = {"name": name, "isHidden": False, "properties": dict(properties)}
        if name in blocks and is_2:
            resource["attributes"] = {"inference": blocks[name]}
        elif name in blocks:
            resource["properties"]["optional"] = {"inference": blocks[name]}
        resources.append(resource)
    return {
        "apiVersion": "v2" if is_2 else "v3",
        "name": PROFILE,
        "manufacturer": "edgex-inference",
        "model": "virtual",
        "labels": ["vibration"],
        "deviceResources": resources,
        "deviceCommands": [],
    }


class OfficialDevice(OfficialService):
    """An official device service with these devices and blocks."""

    def __init__(
        self, program: Path, place: Place, *, blocks: Mapping[str, Any], devices: Iterable[Device]
    ) -> None:
        super().__init__(program, place.folder, place.environment)
        self.port = free_port()
        res = place.folder / "res"
        for name in ("profiles", "devices"):
            (res / name).mkdir(parents=True)
        self.profile = json.dumps(profile(blocks, is_2=place.is_2), indent=1)
        (res / "profiles" / "spindle.yaml").write_text(self.profile)
        records = [_record(one) for one in devices]
        if place.is_2:
            (res / "devices" / "devices.json").write_text(json.dumps(records))
            document = settings.device_of_2(DEVICE, self.port, place.line, place.metadata)
        else:
            (res / "devices" / "devices.yaml").write_text(json.dumps({"deviceList": records}))
            document = settings.device(DEVICE, self.port, place.line)
        self._arguments = _configured(place, document)

    def start(self) -> "OfficialDevice":
        said = self.log.count(_UP) + self.output.count(_UP)
        self.launch(self._arguments)
        self.until(lambda: self.log.count(_UP) + self.output.count(_UP) > said, _UP)
        return self


class OfficialAudience(OfficialService):
    """An official application service that prints every event under `topics`, a filter below the base topic."""

    def __init__(self, program: Path, place: Place, *, topics: str) -> None:
        super().__init__(program, place.folder, place.environment)
        (place.folder / "res").mkdir(parents=True)
        port = free_port()
        if place.is_2:
            whole = f"edgex/{topics}"
            document = settings.audience_of_2(AUDIENCE, port, place.line, place.metadata, whole)
        else:
            document = settings.audience(AUDIENCE, port, place.line, topics)
        self._arguments = _configured(place, document)

    def start(self) -> "OfficialAudience":
        self.launch(self._arguments)
        self.said(f"{AUDIENCE} started")
        return self

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it has printed so far: topic, correlation, contentType and event of each."""
        lines = self.output.split("\n")[:-1]  # the last is perhaps not whole yet
        return [json.loads(line) for line in lines if line.startswith("{")]


def _configured(place: Place, document: Mapping[str, Any]) -> list[str]:
    """Writes the files; the arguments with which a service reads them."""
    if place.is_2:
        (place.folder / "res" / "configuration.toml").write_text(settings.toml(document))
        return []
    common = place.folder / "common.yaml"
    common.write_text(json.dumps(settings.common(place.line, place.metadata, escape=place.escape), indent=1))
    (place.folder / "res" / "configuration.yaml").write_text(json.dumps(document, indent=1))
    return [f"-cc={common}"]


def _record(device: Device) -> dict[str, Any]:
    return {
        "name": device.name,
        "profileName": PROFILE,
        "serviceName": DEVICE,
        "adminState": "UNLOCKED",
        "operatingState": "UP",
        "labels": ["virtual"],
        "protocols": {"virtual": {"Pictures": device.pictures}},
        "autoEvents": [
            {"interval": device.interval, "onChange": False, "sourceName": one} for one in device.events
        ],
    }
