"""What the cases share: the service under test, a device of its own in EdgeX, and the ways between that can be cut."""

import json
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edgex_inference.testing.onnx_models import write_affine
from tests.live.device import DeviceService
from tests.live.edgex import Metadata, Place, Unusable, address, call
from tests.live.proxy import Proxy
from tests.service_process import Service, World

CARD = "task: regression\nfiles: [{path: affine.onnx}]"
MODEL = {"name": "affine", "task": "regression"}


class Skip(Exception):
    """A case that this EdgeX has no place for; the text says why."""


class Scene:
    """Opened, it has everything in EdgeX that the cases need; `close` takes it all away again."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.metadata = Metadata(place.metadata)
        self.version = self.metadata.version
        self.major = self.version.partition(".")[0].lstrip("v")
        if self.major not in ("3", "4"):
            raise Unusable(f"EDGEX_METADATA: this suite is for EdgeX 3 and 4, not {self.version}")
        self.key = f"app-inference-live-{uuid.uuid4().hex[:8]}"
        self.own = f"inference-live-{self.key[-8:]}"
        self.before = self.metadata.profiles()
        self._folder = tempfile.TemporaryDirectory(prefix="inference-live-")
        self.bus = Proxy(*address(place.bus, 1883))
        self.way = Proxy(*address(place.metadata))
        self.device = DeviceService(self.own, place.bus, place.self, key=self.key, major=self.major)
        self.world = World(Path(self._folder.name) / "service")
        self.service: Service

    @property
    def log(self) -> str:
        return self.service.log

    def prepare(self) -> None:
        """Folder and configuration of the service; nothing is in EdgeX yet."""
        model = write_affine(Path(self._folder.name) / "affine.onnx", shape=("N", 1))
        self.world.model("affine", [model], CARD)
        command, port = address(self.place.command or "http://127.0.0.1:59882")
        self.world.configure(
            self.bus.port,
            f'[Clients.core-metadata]\nHost = "127.0.0.1"\nPort = {self.way.port}',
            f'[Clients.core-command]\nHost = "{command}"\nPort = {port}',
            '[Inference]\nReconcileInterval = "5s"',
            qos=1,
        )
        if self.place.device:
            self._bind_other(*self.place.device.split("/"))

    def start(self, *flags: str) -> None:
        """The service under test, until it takes messages."""
        self.service = self.world.start("run", "-sk", self.key, *flags, env=self._environment())
        self.service.said("has started; ")

    def register(self) -> None:
        """A device service, a profile with bindings and a device in core-metadata."""
        service = {"name": self.own, "baseAddress": self.device.address, "adminState": "UNLOCKED"}
        self.metadata.add("deviceservice", "service", {**service, "labels": [], "properties": {}})
        wear = {"LiveWear": {"model": MODEL, "outputs": {"Wear": {"value": "value"}}}}
        fill = {"model": MODEL, "poll": {"interval": "500ms"}, "outputs": {"Fill": {"value": "value"}}}
        resources = [
            _resource("Load", wear),
            _resource("Level", {"LiveFill": fill} if self.place.command else {}),
        ]
        profile = {"name": self.own, "manufacturer": "edgex-inference", "model": "live", "labels": []}
        self.metadata.own("deviceprofile", f"{self.own}-inference")
        self.metadata.add(
            "deviceprofile", "profile", {**profile, "deviceResources": resources, "deviceCommands": []}
        )
        device = {"name": self.device.device, "serviceName": self.own, "profileName": self.own, "labels": []}
        states = {
            "adminState": "UNLOCKED",
            "operatingState": "UP",
            "protocols": {"live": {"Address": "none"}},
        }
        self.metadata.add("device", "device", {**device, **states, "autoEvents": []})

    def stored(self, method: str, key: str = "", body: Any = None) -> int:
        """A call to core-keeper about our part of the configuration; the status."""
        path = f"/api/v3/kvs/key/edgex/v4/{self.key}{key}"
        return call(method, self.place.keeper + path, body)[0]

    def binding(self, name: str, profile: str = "") -> Any:
        """The row of a binding, None while there is none."""
        rows = self.service.get("/api/v3/inference/bindings")[1]["bindings"]
        wanted = (name, profile or self.own)
        return next((row for row in rows if (row["binding"], row["profile"]) == wanted), None)

    def ready(self, *without: str) -> None:
        """Waits until the bindings of our own device run and the outside is there."""
        names = ["LiveWear", *(["LiveFill"] if self.place.command else [])]

        def enough() -> bool:
            rows = [self.binding(name) for name in names if name not in without]
            said = " ".join(self.service.get("/ready")[1]["reasons"])
            away = "the message bus is away" in said or "core-metadata at" in said
            return all(row is not None and row["status"] == "running" for row in rows) and not away

        self.service.until(enough, "the bindings run")

    def restart(self, name: str) -> None:
        """Restarts a service of EdgeX with the command that was given for that."""
        if not self.place.restart:
            raise Skip("EDGEX_RESTART is not given")
        subprocess.run(self.place.restart.replace("{}", name), shell=True, check=True, timeout=90)

    def clear(self) -> list[str]:
        """Takes everything out of EdgeX again; what is left in spite of that."""
        with suppress(AttributeError):
            self.service.stop()
        for name in self.metadata.profiles() - self.before:
            if name.endswith("-inference"):
                self.metadata.own("deviceprofile", name)
        left = self.metadata.clear()
        if self.place.data:
            left += _forgotten(self.place.data, self.device.device)
        if self.place.keeper and self.stored("DELETE", "?prefixMatch=true") not in (200, 404):
            left.append(f"{self.key} in core-keeper")
        left += sorted(f"profile {name}" for name in self.metadata.profiles() - self.before)
        for kind, name in (("device", self.device.device), ("deviceservice", self.own)):
            left += [f"{kind} {name}"] if self.metadata.get(kind, name) is not None else []
        return left

    def close(self) -> None:
        self.world.close()
        self.device.close()
        self.bus.close()
        self.way.close()
        self._folder.cleanup()

    def _environment(self) -> Mapping[str, str]:
        bus = self.place.bus
        given = {"MESSAGEBUS_OPTIONAL_CLIENTID": self.key, "INFERENCE_METADATA": "required"}
        if bus.username:
            secret = "WRITABLE_INSECURESECRETS_MQTT_SECRETDATA"
            given |= {"MESSAGEBUS_AUTHMODE": "usernamepassword"}
            given |= {f"{secret}_USERNAME": bus.username, f"{secret}_PASSWORD": bus.password or ""}
        return given

    def _bind_other(self, device: str, resource: str) -> None:
        """A side-car for a device of somebody else's profile."""
        found = self.metadata.get("device", device)
        if found is None:
            raise Unusable(f"EDGEX_DEVICE: core-metadata has no device {device}")
        binding: dict[str, Any] = {"model": MODEL, "outputs": {"Twice": {"value": "value"}}}
        if self.place.command:
            binding["poll"] = {"interval": "1s"}
        match = {"profile": found["profileName"], "device": device, "resource": resource}
        self.world.profile(json.dumps({"match": match, "inference": {"LiveOther": binding}}), "other")


def _resource(name: str, inference: Mapping[str, Any]) -> Any:
    properties: dict[str, Any] = {"valueType": "Float32", "readWrite": "R"}
    if inference:
        properties["optional"] = {"inference": inference}
    return {"name": name, "isHidden": False, "properties": properties}


def _forgotten(data: str, device: str) -> list[str]:
    """Deletes a device's events from core-data."""
    status, body = call("DELETE", f"{data}/api/v3/event/device/name/{quote(device, safe='')}")
    return [] if status in (200, 202, 404) else [f"events of {device}: {status} {body}"]
