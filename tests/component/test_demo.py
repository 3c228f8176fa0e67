"""The demo as a user starts it: one short run, and everything that can be in its way."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.cli.main import main
from tests.ports import free_port

COUNTS = {"PartCount", "BoltCount", "NutCount", "WasherCount", "DefectCount"}
STATUS = {"InferenceStatus", "InferenceReason"}
READINGS = {
    "PartInspection": COUNTS | {"TopScore", "Detections"},
    "SpindleHealth": {"IsAnomaly", "AnomalyScore"},
}
TYPES = {
    **dict.fromkeys(COUNTS, "Uint16"),
    **dict.fromkeys(("TopScore", "AnomalyScore"), "Float32"),
    **dict.fromkeys(STATUS, "String"),
    "Detections": "Object",
    "IsAnomaly": "Bool",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A demo that ended."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line)["event"] for line in self.out.splitlines()]

    @property
    def results(self) -> list[dict[str, Any]]:
        return [event for event in self.events if names(event) != STATUS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of a binding's events, as the summary tells it."""

    answered: int
    sent: int
    dropped: int


def fate(played: Played, binding: str) -> Fate:
    told = re.search(rf"^  {binding} +(\d+) of (\d+) .*\n +p50 .*\n( {{17}}\d+ \w+.*)?", played.err, re.M)
    assert told is not None, played.err
    dropped = sum(map(int, re.findall(r"(\d+) \w+", told[3] or "")))
    return Fate(answered=int(told[1]), sent=int(told[2]), dropped=dropped)


def names(event: dict[str, Any]) -> set[str]:
    return {reading["resourceName"] for reading in event["readings"]}


def start(*options: str, directory: Path | None = None) -> subprocess.Popen[str]:
    """A demo on a free port, not in the project's folder."""
    command = [sys.executable, "-m", "edgex_inference", "demo", "--port", str(free_port()), *options]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
        env=os.environ | {"MESSAGEBUS_PORT": "9", "INFERENCE_EDGEXVERSION": "none of the demo's business"},
    )


def ended(process: subprocess.Popen[str]) -> Played:
    out, err = process.communicate(timeout=250)
    return Played(code=process.returncode, out=out, err=err)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Six seconds of JSON."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "configuration.toml").write_text("this is [no TOML, and none of the demo's business")
    return ended(start("--for", "6s", "--json", "--seed", "310007", directory=folder))


@pytest.fixture
def running() -> Iterator[subprocess.Popen[str]]:
    process = start("--json", "--seed", "310008")
    yield process
    process.kill()
    process.communicate()


def test_it_keeps_its_promise(played: Played) -> None:
    assert played.code == 0, played.err
    said = re.search(r"^\d+ s: (\d+) readings in \((\d+) events\), (\d+) results out$", played.err, re.M)
    assert said is not None, played.err
    pictures, bursts = fate(played, "PartInspection"), fate(played, "SpindleHealth")
    assert int(said[1]) == pictures.sent + 4 * bursts.sent
    assert int(said[2]) == pictures.sent + bursts.sent
    assert int(said[3]) == pictures.answered + bursts.answered
    assert "no false alarm, no fault yet" in played.err
    assert re.search(r"p50 \d+ ms, p99 \d+ ms", played.err)
    assert "level=" not in played.err, "the log is quiet"


def test_standard_output_is_requests_and_nothing_else(played: Played) -> None:
    for line in played.out.splitlines():
        request = json.loads(line)
        assert set(request) == {"apiVersion", "requestId", "event"}
        assert request["apiVersion"] == "v3"
        compact = json.dumps(request, separators=(",", ":"), ensure_ascii=False)
        assert len(line) <= len(compact) + 200, "one compact line"
        assert '", "' not in line


@pytest.mark.parametrize(("binding", "rate"), [("PartInspection", 5), ("SpindleHealth", 4)])
def test_every_frame_and_burst_is_answered_once(played: Played, binding: str, rate: int) -> None:
    """How many are sent in six seconds is the machine's to say: a busy one is late with the last of them."""
    told = fate(played, binding)
    origins = [event["origin"] for event in played.results if event["sourceName"] == binding]
    assert rate < told.sent <= 6 * rate + 1
    assert told.answered + told.dropped == told.sent
    assert len(origins) == told.answered
    assert origins == sorted(set(origins))
    assert {(origin - origins[0]) % (10**9 // rate) for origin in origins} == {0}


def test_events_have_the_names_and_types_of_the_profiles(played: Played) -> None:
    devices = {"PartInspection": "conveyor-camera-1", "SpindleHealth": "spindle-1"}
    profiles = {"PartInspection": "conveyor-camera-inference", "SpindleHealth": "spindle-inference"}
    for event in played.events:
        source = event["sourceName"]
        assert (event["deviceName"], event["profileName"]) == (devices[source], profiles[source])
        assert names(event) in (STATUS, READINGS[source])
        for reading in event["readings"]:
            assert reading["valueType"] == TYPES[reading["resourceName"]]
            assert (reading["deviceName"], reading["origin"]) == (event["deviceName"], event["origin"])
    for event in played.results:
        assert event["tags"]["accelerator"] == "onnxruntime:CPU"
        assert set(event["tags"]) == {"model", "modelVersion", "accelerator"}


def test_each_binding_says_once_that_it_runs(played: Played) -> None:
    said = [event for event in played.events if names(event) == STATUS]
    assert sorted(event["sourceName"] for event in said) == sorted(READINGS)
    assert {event["readings"][0]["value"] for event in said} == {"running"}


def test_counts_add_up(played: Played) -> None:
    for event in played.results:
        if event["sourceName"] == "PartInspection":
            values = {reading["resourceName"]: reading for reading in event["readings"]}
            counts = {name: int(values[name]["value"]) for name in COUNTS}
            items = values["Detections"]["objectValue"]["items"]
            assert counts.pop("PartCount") == sum(counts.values()) == len(items)


def test_an_interrupt_ends_it_with_its_summary(running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    for _ in range(6):
        running.stdout.readline()
    running.send_signal(signal.SIGINT)
    out = ended(running)
    assert out.code == 0, out.err
    assert "results out" in out.err


def test_a_reader_that_leaves_ends_it_quietly(running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    running.stdout.readline()
    running.stdout.close()
    assert running.stderr is not None
    said = running.stderr.read()
    assert running.wait(timeout=250) == 141
    assert "Traceback" not in said


def test_any_mqtt_client_can_listen_along(running: subprocess.Popen[str]) -> None:
    from paho.mqtt import client as mqtt

    assert running.stderr is not None
    line = next(line for line in running.stderr if line.startswith("mosquitto_sub"))
    found = re.fullmatch(r"mosquitto_sub -h (\S+) -p (\d+) -t '(\S+)' -v\n", line)
    assert found is not None, line
    heard: list[mqtt.MQTTMessage] = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: heard.append(message)
    client.connect(found[1], int(found[2]))
    client.subscribe(found[3])
    deadline = time.monotonic() + 60
    while len(heard) < 4 and time.monotonic() < deadline:
        client.loop(timeout=0.2)
    client.disconnect()
    topics = {message.topic for message in heard}
    base = "edgex/events/device/app-inference"
    assert topics <= {
        f"{base}/conveyor-camera-inference/conveyor-camera-1/PartInspection",
        f"{base}/spindle-inference/spindle-1/SpindleHealth",
    }
    assert len(heard) >= 4


def test_a_taken_port_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--for", "1s", "--port", str(port)]) == 1
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert f"port {port}" in said
    assert "--port" in said


@pytest.mark.parametrize(
    ("name", "told"), [("onnxruntme", "did you mean onnxruntime"), ("onnxruntime:TPU", "not on this machine")]
)
def test_an_accelerator_that_is_not_here_is_one_sentence(
    capfd: pytest.CaptureFixture[str], name: str, told: str
) -> None:
    assert main(["demo", "--for", "1s", "--port", str(free_port()), "--accelerator", name]) == 1
    said = capfd.readouterr().err
    assert said.count("\n") == 1, said
    assert told in said


def test_missing_extras_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from importlib import util

    there = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "amqtt" else there(name))
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == (
        'edgex-inference: amqtt is missing: pip install "edgex-inference[demo]"\n'
    )


@pytest.mark.parametrize(
    "options",
    [["--for", "soon"], ["--for", "0s"], ["--seed", "-1"], ["--port", "0"], ["--edgex", "2"], ["--svg", "/"]],
)
def test_wrong_options_are_refused(options: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *options]) == 2
    assert options[0] in capsys.readouterr().err
