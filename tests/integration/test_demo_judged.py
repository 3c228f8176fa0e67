"""What the demo publishes, and what its virtual devices send, before EdgeX's own validators."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from edgex_inference.demo.devices import Camera, Device, VibrationSensor
from edgex_inference.edgex.dialect import Dialect, Major
from tests.ports import free_port

Judge = Callable[..., list[Any]]
MAJORS: tuple[Major, ...] = ("3", "4")


def demo(major: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgex_inference", "demo", "--json", "--for", "4s", "--seed", "320001"]
    command += ["--edgex", major, "--port", str(free_port())]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


@pytest.fixture(scope="module")
def requests() -> dict[str, list[str]]:
    """The lines of one short demo for each major, both at the same time."""
    running = {major: demo(major) for major in MAJORS}
    found = {}
    for major, process in running.items():
        out, err = process.communicate(timeout=250)
        assert process.returncode == 0, err
        found[major] = out.splitlines()
    return found


@pytest.mark.parametrize("major", MAJORS)
def test_edgex_takes_every_line(judge: Judge, requests: dict[str, list[str]], major: str) -> None:
    sources = {json.loads(line)["event"]["sourceName"] for line in requests[major]}
    assert sources == {"PartInspection", "SpindleHealth"}
    for line, verdict in zip(requests[major], judge(major, requests[major]), strict=True):
        assert verdict.ok, f"{verdict.error}: {line}"
        assert verdict.event["sourceName"] == json.loads(line)["event"]["sourceName"]


@pytest.mark.parametrize("make", [Camera, VibrationSensor])
@pytest.mark.parametrize("major", MAJORS)
def test_edgex_takes_what_the_devices_send(
    judge: Judge, make: Callable[[int, Dialect], Device], major: Major
) -> None:
    device = make(5, Dialect(major=major))
    shot = device.shot(45, 1_795_418_138_000_000_000)
    [verdict] = judge(major, [shot.message])
    assert verdict.ok, verdict.error
    event = verdict.event
    assert (event["deviceName"], event["sourceName"]) == (device.names.device, device.names.source)
    assert event["origin"] == shot.origin
    kinds = [reading["valueType"] for reading in event["readings"]]
    assert kinds == (["Binary"] if make is Camera else ["Float32Array"] * 3 + ["Float32"])
    assert shot.message.topic.split("/")[-3:] == [
        device.names.profile,
        device.names.device,
        device.names.source,
    ]
