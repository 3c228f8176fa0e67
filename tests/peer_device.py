"""device-spindle (tests/peers/edgex4/device), an official EdgeX 4 device service, as a process in a folder of its own.

Its profile carries a block for our service; its devices are `spindle-1` and `spindle-2`.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.ports import free_port

PATIENCE = 60.0
SERVICE = "device-spindle"
PROFILE = "spindle"
DEVICES = ("spindle-1", "spindle-2")
INTERVAL = "200ms"

BLOCKS: Mapping[str, Any] = {
    "Vibration": {
        "SpindleWear": {
            "model": {"name": "affine16", "task": "regression"},
            "outputs": {"Wear": {"value": "values"}},
        }
    },
    "Temperature": {
        "SpindleHeat": {
            "model": {"name": "affine", "task": "regression"},
            "outputs": {"Heat": {"value": "value"}},
        }
    },
    "Frame": {
        "SpindleParts": {
            "model": {"name": "part-detect", "task": "detection"},
            "outputs": {"PartCount": {"value": "count"}},
        }
    },
}
"""Blocks of our service by resource; a test may give others."""


def profile(blocks: Mapping[str, Any] = BLOCKS) -> dict[str, Any]:
    """The profile `spindle` with these blocks in it, as a document."""
    kinds = {
        "Vibration": {"valueType": "Float32Array", "readWrite": "R", "units": "g"},
        "Temperature": {"valueType": "Float32", "readWrite": "R", "units": "C"},
        "Setpoint": {"valueType": "Float32", "readWrite": "RW", "defaultValue": "0"},
        "Frame": {"valueType": "Binary", "readWrite": "R", "mediaType": "image/jpeg"},
    }
    resources = [
        {
            "name": name,
            "isHidden": False,
            "properties": properties | ({"optional": {"inference": blocks[name]}} if name in blocks else {}),
        }
        for name, properties in kinds.items()
    ]
    return {
        "apiVersion": "v3",
        "name": PROFILE,
        "manufacturer": "edgex-inference",
        "model": "virtual",
        "labels": ["vibration"],
        "deviceResources": resources,
        "deviceCommands": [],
    }


def device(name: str, *, pictures: str = "", events: tuple[str, ...] = ("Vibration", "Temperature")) -> Any:
    """A device as the service's files and core-metadata have it, sending these resources by itself."""
    return {
        "name": name,
        "serviceName": SERVICE,
        "profileName": PROFILE,
        "adminState": "UNLOCKED",
        "operatingState": "UP",
        "labels": ["virtual"],
        "protocols": {"virtual": {"Pictures": pictures}},
        "autoEvents": [{"interval": INTERVAL, "onChange": False, "sourceName": one} for one in events],
    }


class PeerDevice:
    """One process of device-spindle on this broker and this core-metadata; `program` is what was built.

    With `keeper`, a URL, it gets its common configuration there, and core-metadata's address.
    """

    def __init__(
        self,
        program: Path,
        folder: Path,
        *,
        bus: int,
        metadata: int,
        blocks: Mapping[str, Any] = BLOCKS,
        keeper: str = "",
    ) -> None:
        self.blocks = blocks
        self.common = _common(bus, metadata)
        self._keeper = keeper
        self.program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "device.log"
        self.port = free_port()
        for name in ("profiles", "devices"):
            (folder / "res" / name).mkdir(parents=True, exist_ok=True)
        _write(folder / "res" / "configuration.yaml", _private(self.port))
        _write(folder / "common.yaml", self.common)
        _write(folder / "res" / "profiles" / "spindle.yaml", profile(blocks))
        self.devices(*(device(name) for name in DEVICES))

    @property
    def profile(self) -> str:
        """The text of the profile file that the service registers."""
        return (self._folder / "res" / "profiles" / "spindle.yaml").read_text()

    def record(self, name: str, **options: Any) -> Any:
        """A device of this service, as core-metadata has it; `options` are those of `device`."""
        return device(name, **options)

    def devices(self, *records: Any) -> None:
        """Writes the devices file that the service reads when it starts."""
        _write(self._folder / "res" / "devices" / "devices.yaml", {"deviceList": list(records)})

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.is_file() else ""

    def start(self) -> "PeerDevice":
        """Starts the process; `said("…")` waits until it is up."""
        ours = re.compile(r"(EDGEX_|MESSAGEBUS_|CLIENTS_|WRITABLE_|SERVICE_|DEVICE_)")
        kept = {name: text for name, text in os.environ.items() if not ours.match(name)}
        given = {
            "EDGEX_SECURITY_SECRET_STORE": "false",
            "EDGEX_CONFIG_PROVIDER": "none",
            "EDGEX_USE_REGISTRY": "false",
            "EDGEX_COMMON_CONFIG": str(self._folder / "common.yaml"),
        }
        flags = [f"-cp=keeper.{self._keeper}", "-r"] if self._keeper else []
        given = {"EDGEX_SECURITY_SECRET_STORE": "false"} if self._keeper else given
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.program, *flags], cwd=self._folder, env=kept | given, stdout=log, stderr=log
            )
        return self

    def said(self, text: str, times: int = 1, seconds: float = PATIENCE) -> None:
        """Waits until the log has this text so many times; AssertionError when the process ends before."""
        deadline = time.monotonic() + seconds
        while self.log.count(text) < times:
            assert time.monotonic() < deadline, f"{text!r} not said {times} times:\n{self.log[-3000:]}"
            assert not self._ended(0.02), f"ended before {text!r}:\n{self.log[-3000:]}"

    def stop(self) -> int:
        """Ends it as an administrator does; the exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit code of a process that ends by itself."""
        assert self._process is not None
        return self._process.wait(seconds)

    def _ended(self, seconds: float) -> bool:
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def _write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=1))  # which is YAML too


def _private(port: int) -> Any:
    return {
        "Writable": {"LogLevel": "DEBUG"},
        "Service": {"Host": "localhost", "Port": port, "StartupMsg": f"{SERVICE} started"},
        "MessageBus": {"Optional": {"ClientId": SERVICE}},
        "Device": {"ProfilesDir": "./res/profiles", "DevicesDir": "./res/devices"},
    }


def _common(bus: int, metadata: int) -> Any:
    """What core-common-config-bootstrapper would hand out, as far as a device service needs it."""
    return {
        "all-services": {
            "Writable": {"Telemetry": {"Interval": "30s", "Metrics": {}}},
            "Service": {
                "HealthCheckInterval": "10s",
                "ServerBindAddr": "127.0.0.1",
                "MaxResultCount": 1024,
                "RequestTimeout": "5s",
            },
            "MessageBus": {
                "Type": "mqtt",
                "Protocol": "tcp",
                "Host": "127.0.0.1",
                "Port": bus,
                "AuthMode": "none",
                "BaseTopicPrefix": "edgex",
                "Optional": {"Qos": "0", "KeepAlive": "10", "AutoReconnect": "true", "ConnectTimeout": "5"},
            },
        },
        "device-services": {
            "Writable": {"Reading": {"ReadingUnits": True}},
            "Clients": {"core-metadata": {"Protocol": "http", "Host": "127.0.0.1", "Port": metadata}},
            "Device": {
                "DataTransform": True,
                "MaxCmdOps": 128,
                "MaxCmdValueLen": 256,
                "AsyncBufferSize": 16,
                "EnableAsyncReadings": True,
                "Discovery": {"Enabled": False, "Interval": "0s"},
            },
        },
    }
