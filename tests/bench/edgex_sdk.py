"""The whole service beside what a Go developer would write on EdgeX's official application SDK, by turns.

Same mosquitto, same model (ONNX Runtime's own library in both), same events: raw JSON of EdgeX 4 with SDK 4.0.2,
base64 of EdgeX 3 with SDK 3.1.1. First both and the straightforward script must give the same answers.
Processor time is that of the measured process alone, from /proc.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from statistics import median

import yaml

from tests.bench.broker import script
from tests.bench.effort import Effort
from tests.bench.fresh import Fresh, marked
from tests.bench.material import auto_encoder, envelope, sensor_event, sensor_profile
from tests.bench.official import OfficialInference
from tests.bench.outside import service
from tests.bench.pump import Pump
from tests.bench.rows import Goal, Row, percentile, ratio
from tests.bench.subject import Subject
from tests.judge import PeersUnavailable, program
from tests.metadata_thread import MetadataThread
from tests.mosquitto import Mosquitto, MosquittoUnavailable

SDKS = {"4": "4.0.2", "3": "3.1.1"}
WINDOW, EVENTS = 200, 128
TOLERANCE = 1e-5
TELEMETRY = "[Writable.Telemetry]\nMetrics = {Inference = true}\n"
"""On the bus every 30 s; both leave it off by default."""

_SATURATED, _PACED, _LATENCY, _LOST = Goal(least=8), Goal(least=2), Goal(most=1), Goal(most=0)
_OURS, _GO, _SCRIPT = "edgex", "official", "plain"
"""Base topics: each has events and results of its own."""
_RESULTS = {
    _OURS: "edgex/events/device/app-inference/#",
    _GO: "official/results/#",
    _SCRIPT: "plain/results/#",
}


def rows(effort: Effort, folder: Path) -> Sequence[Row]:
    """Both generations: answers, saturated, 500 events each second."""
    try:
        programs = {major: program(f"{major}-bench", "bench", install=True) for major in SDKS}
        broker = Mosquitto(folder)
    except (PeersUnavailable, MosquittoUnavailable) as error:
        return [Row(name="beside the official Go SDK", value=None, unit="", note=str(error))]
    broker.start()
    try:
        return [
            row
            for major in SDKS
            for row in _generation(effort, folder / major, broker.port, major, programs[major])
        ]
    finally:
        broker.stop()


def _generation(effort: Effort, folder: Path, port: int, major: str, built: Path) -> Sequence[Row]:
    model = auto_encoder(folder / "models")
    sensor_profile(folder / "profiles", "m")
    (folder / "configuration.toml").write_text(TELEMETRY)
    with ExitStack() as stack:
        core = stack.enter_context(_core_metadata(folder, major))
        go = OfficialInference(built, folder / "go", broker=port, metadata=core.port, model=model, prefix=_GO)
        stack.callback(go.stop)
        processes = {_GO: go.start(), _SCRIPT: stack.enter_context(script(model, port))}
        processes[_OURS], _ = stack.enter_context(service(folder, **_settings(port, major, core.port)))
        fed = {
            prefix: _Fed(stack.enter_context(Pump(port, filter_, name=prefix)), prefix, major)
            for prefix, filter_ in _RESULTS.items()
        }
        difference = _difference(fed)
        ours, theirs = (
            Subject(processes[prefix], fed[prefix].pump, fed[prefix].packets(), WINDOW)
            for prefix in (_OURS, _GO)
        )
        return [
            Row(
                name=f"EdgeX {major}: largest difference between the scores of ours, Go and the script",
                value=difference,
                unit="of the score",
                goal=Goal(most=TOLERANCE),
            ),
            *_saturated(effort, ours, theirs, f"EdgeX {major}, saturated"),
            *_paced(effort, ours, theirs, f"EdgeX {major}, 500 events/s"),
        ]


@contextmanager
def _core_metadata(folder: Path, major: str) -> Iterator[MetadataThread]:
    """core-metadata's double, which knows the device; it hears no bus, so that it costs nothing meanwhile."""
    core = MetadataThread(0, version=SDKS[major])
    there = {"name": "d", "adminState": "UNLOCKED", "operatingState": "UP"}
    profile = yaml.safe_load((folder / "profiles" / "m.yaml").read_text())
    named = {"profileName": "m", "serviceName": "device-virtual", "protocols": {"virtual": {"address": "1"}}}
    try:
        for key, document in (
            ("service", {**there, "name": "device-virtual", "baseAddress": "http://localhost:59900"}),
            ("profile", profile),
            ("device", {**there, **named}),
        ):
            path = "/device" if key == "device" else f"/device{key}"
            ((answer,)) = core.call("POST", path, [{"apiVersion": "v3", key: document}])[1]
            if answer["statusCode"] != 201:
                raise RuntimeError(f"core-metadata: {answer}")
        yield core
    finally:
        core.close()


def _settings(port: int, major: str, metadata: int) -> Mapping[str, str]:
    """Everything on: core-metadata, outbox, HTTP, and telemetry on the bus, which EdgeX leaves off."""
    return {
        "MESSAGEBUS_TYPE": "mqtt",
        "MESSAGEBUS_PORT": str(port),
        "CLIENTS_CORE_METADATA_HOST": "127.0.0.1",
        "CLIENTS_CORE_METADATA_PORT": str(metadata),
        "INFERENCE_METADATA": "required",
        "INFERENCE_EDGEXVERSION": major,
    }


class _Fed:
    """One who gets the events, all of them the same for everybody."""

    def __init__(self, pump: Pump, prefix: str, major: str) -> None:
        topic = f"{prefix}/events/device/device-virtual/m/d/all"
        self.pump = pump
        self._packets = [
            pump.packet(topic, envelope(marked(sensor_event(number)), major=major))
            for number in range(EVENTS)
        ]

    def packets(self) -> Fresh:
        return Fresh(self._packets)

    def answers(self) -> list[tuple[float, bool]]:
        """Score and state of every event, once it is awake and has subscribed."""
        self.pump.saturate(self.packets(), 2 * WINDOW, window=WINDOW)
        return [_answer(one) for one in self.pump.answers(islice(self.packets(), EVENTS))]


def _answer(message: bytes) -> tuple[float, bool]:
    payload = json.loads(message)["payload"]
    if isinstance(payload, str):
        payload = json.loads(base64.b64decode(payload))
    values = {reading["resourceName"]: reading["value"] for reading in payload["event"]["readings"]}
    return float(values["Score"]), values["IsAnomaly"] == "true"


def _difference(fed: Mapping[str, _Fed]) -> float:
    """How far the scores of the same events are apart, relative; raises RuntimeError when the answers differ."""
    found = {prefix: one.answers() for prefix, one in fed.items()}
    apart = 0.0
    for (ours, ours_odd), *others in zip(*(found[name] for name in (_OURS, _GO, _SCRIPT)), strict=True):
        for score, odd in others:
            apart = max(apart, abs(score - ours) / abs(ours))
            if apart > TOLERANCE or odd != ours_odd:
                raise RuntimeError(f"the answers differ: {ours, ours_odd} is ours, {others} the others'")
    if len({odd for _, odd in found[_OURS]}) != 2:
        raise RuntimeError("all events have the same state: that proves nothing")
    return apart


def _saturated(effort: Effort, ours: Subject, theirs: Subject, name: str) -> Sequence[Row]:
    amounts = ((ours, effort.of(12_000, 600)), (theirs, effort.of(6000, 300)))
    for subject, amount in amounts:
        subject.saturate(amount // 4, counts=False)
    for number in range(effort.of(7, 1)):
        for subject, amount in amounts[:: 1 if number % 2 else -1]:
            subject.saturate(amount)
    value = ratio(theirs.costs, ours.costs) if all(ours.costs) else None
    found = [
        Row(name=f"{name}: events per CPU-second, ours ÷ Go SDK's", value=value, goal=_SATURATED),
        Row(name=f"{name}: lost by ours", value=ours.lost, unit="events", goal=_LOST),
        Row(name=f"{name}: lost by the Go SDK", value=theirs.lost, unit="events"),
    ]
    for who, subject in (("ours", ours), ("Go SDK", theirs)):
        found.append(Row(name=f"{name}: {who}", value=median(subject.costs), unit="µs"))
        found.append(Row(name=f"{name}: {who}", value=median(subject.paces), unit="events/s"))
    return found


def _paced(effort: Effort, ours: Subject, theirs: Subject, name: str) -> Sequence[Row]:
    costs: dict[Subject, list[float]] = {ours: [], theirs: []}
    times: dict[Subject, dict[float, list[float]]] = {one: {0.5: [], 0.99: []} for one in costs}
    for number in range(effort.of(11, 1)):
        for subject in (ours, theirs)[:: 1 if number % 2 else -1]:
            cost, took = subject.paced(effort.of(1000, 50))
            costs[subject].append(cost)
            for share, measured in times[subject].items():
                measured.append(percentile(took, share) * 1e3)
    value = ratio(costs[theirs], costs[ours]) if all(costs[ours]) else None
    found = [Row(name=f"{name}: events per CPU-second, ours ÷ Go SDK's", value=value, goal=_PACED)]
    for share in (0.5, 0.99):
        value = ratio(times[ours][share], times[theirs][share])
        found.append(Row(name=f"{name}: p{share * 100:g}, ours ÷ Go SDK's", value=value, goal=_LATENCY))
    for who, subject in (("ours", ours), ("Go SDK", theirs)):
        found.append(Row(name=f"{name}: {who}", value=median(costs[subject]), unit="µs"))
        for share in (0.5, 0.99):
            value = median(times[subject][share])
            found.append(Row(name=f"{name}: {who}, p{share * 100:g}", value=value, unit="ms"))
    return found
