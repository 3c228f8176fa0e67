"""The official EdgeX 4 device SDK boots against the core-keeper double, as recorded against the real one."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

Make = Callable[..., Any]
OWN = "edgex/v4/device-spindle"


def recorded(folder: Path, scenario: str) -> set[str]:
    """What the recorded device service asked core-keeper, below the names of ours."""
    path = folder / "edgex-recorded" / f"http-keeper-4.0.2-{scenario}.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()]
    lines = {
        f"{one['method']} {unquote(one['path']).removeprefix('/api/v3')}{'?' if one['query'] else ''}{one['query']}"
        for one in found
        if one["to"] == "core-keeper" and one["from"] == "device-sim"
    }
    return {line.replace("device-sim", "device-spindle") for line in lines}


def test_it_boots_registers_and_follows_its_configuration(
    mosquitto: Make, metadata: Make, keeper: Make, peer_device: Make, testdata: Path
) -> None:
    broker = mosquitto()
    core = metadata(broker.port)
    holder = keeper(broker.port)
    holder.register("core-metadata", core.port)
    device = peer_device(bus=broker.port, metadata=core.port, keeper=holder.url)
    holder.common(device.common)
    device.start().said("device-spindle started")
    assert holder.text(f"{OWN}/Device/ProfilesDir") == "./res/profiles"
    holder.until(lambda: holder.status("device-spindle") == "UP", "the service answers its health check")
    first = recorded(testdata, "device-first-boot")
    holder.until(
        lambda: any("all-services/Writable?keyOnly" in line for line in holder.lines()), "it watches"
    )
    asked = {line for line in holder.lines() if OWN not in line}
    assert asked >= {line for line in first if OWN not in line and "registry" not in line}
    assert holder.put(f"{OWN}/Writable/LogLevel", "INFO") == 200
    device.said("Writable configuration has been updated from the Configuration Provider")
    assert device.stop() == 0
    assert holder.status("device-spindle") == "HALT"
    holder.double.seen.clear()
    device.start().said("device-spindle started", 2)
    again = recorded(testdata, "device-second-boot")
    assert f"GET /kvs/key/{OWN}?plaintext=true" in again & set(holder.lines())
    assert "PUT /registry" in holder.lines()


def test_its_flags_are_ours_too(peer_device: Make, capsys: Any) -> None:
    from edgex_inference.cli.main import main

    device = peer_device(bus=1, metadata=1)
    told = subprocess.run(
        [device.program, "--help"], capture_output=True, text=True, check=False, timeout=250
    )
    lines = re.findall(r"^ +(-\w+), *\n? +(--\w+)", told.stdout, re.MULTILINE)
    assert len(lines) == 13
    of_devices = {("-op", "--overwriteProfiles"), ("-od", "--overwriteDevices")}
    assert of_devices < set(lines)
    assert main(["run", "--help"]) == 0
    ours = capsys.readouterr().out
    assert [flag for flag in lines if flag not in of_devices and not all(one in ours for one in flag)] == []
