"""Every release of EdgeX on every bus: official device service → server → our service → official consumer → judge.

EdgeX 4 on MQTT unless EDGEX_INFERENCE_MATRIX=all (`make matrix`), which writes build/matrix.json too.
"""

import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.demo.world.conveyor import Conveyor

Make = Callable[..., Any]
ALL = os.environ.get("EDGEX_INFERENCE_MATRIX") == "all"
REPORT = Path(__file__).parents[2] / "build" / "matrix.json"
RELEASES = {"4": "4.0.2", "3": "3.1.1", "2": "2.3.0", "21": "2.1.1"}
"""core-metadata's release by generation of tests/peers; 21 is EdgeX 2 with the envelopes of 2.0 to 2.2."""
BUSES = {
    "4": ("mqtt",),
    "3": ("mqtt",),
    "2": ("mqtt",),
    "21": ("mqtt",),
}
CELLS = [(one, bus) for one, buses in BUSES.items() for bus in buses] if ALL else [("4", "mqtt")]
CASES = {"scalar": "SpindleHeat", "array": "SpindleWear", "jpeg": "SpindleParts"}
PICTURE = Conveyor(seed=7).frame(40)
PARTS = len(PICTURE.truth)
BLOCKS = {
    "Temperature": {
        "SpindleHeat": {
            "model": {"name": "affine", "task": "regression"},
            "outputs": {"Heat": {"value": "value"}},
        }
    },
    "Vibration": {
        "SpindleWear": {
            "model": {"name": "affine16", "task": "regression"},
            "outputs": {"Wear": {"value": "values"}},
        }
    },
    "Frame": {
        "SpindleParts": {
            "model": {"name": "part-detect", "task": "detection"},
            "outputs": {"PartCount": {"value": "count"}},
        }
    },
}


def large_jpeg(data: bytes, size: int = 1_500_000) -> bytes:
    """The same picture with comments in it, up to this many bytes."""
    comment = b"\xff\xfe\xff\xff" + bytes(65533)
    return data[:2] + comment * math.ceil((size - len(data)) / len(comment)) + data[2:]


@pytest.fixture(scope="module")
def report() -> Iterator[list[dict[str, Any]]]:
    """The rows of build/matrix.json, written when all cells are done."""
    rows: list[dict[str, Any]] = []
    yield rows
    if ALL:
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(json.dumps(rows, indent=1) + "\n")


@dataclass
class Cell:
    """Everybody on one bus."""

    generation: str
    audience: Any
    service: Any

    def events(self, case: str) -> list[dict[str, Any]]:
        """What the consumer got of a binding: results, not statuses."""
        return [
            one
            for one in self.audience.events
            if one["event"]["sourceName"] == CASES[case] and "InferenceStatus" not in _values(one)
        ]


@pytest.fixture
def enter(
    official: Any, mosquitto: Make, metadata: Make, world: Any, affine: Make, tmp_path: Path
) -> Iterator[Callable[[str, str], Cell]]:
    """`enter(generation, bus)`: everybody started, the consumer first."""
    running: list[Any] = []

    def start(generation: str, bus: str) -> Cell:
        line = official.line.Line(kind=bus, port=mosquitto().port)
        core = metadata(line.port, version=RELEASES[generation])
        folders = [tmp_path / name for name in ("device", "audience")]
        for folder in folders:
            folder.mkdir()
        place, other = (
            official.services.Place(generation=generation, line=line, metadata=core.port, folder=folder)
            for folder in folders
        )
        is_2 = place.is_2
        results = "events/device/spindle-inference/#" if is_2 else "events/device/app-inference/#"
        consumer = official.services.OfficialAudience(
            official.program("2" if is_2 else generation, "app"), other, topics=results
        )
        running.append(consumer)
        consumer.start()
        affine(world, "affine")
        affine(world, "affine16", 16)
        _configure(world, line, core.port)
        pictures = tmp_path / "pictures"
        pictures.mkdir()
        (pictures / "belt.jpg").write_bytes(large_jpeg(PICTURE.jpeg()))
        kind = official.services.Device
        device = official.services.OfficialDevice(
            official.program(generation, "device"),
            place,
            blocks=BLOCKS,
            devices=[
                kind(name="spindle-1", events=("Temperature", "Vibration")),
                kind(name="spindle-2", events=("Frame",), pictures=str(pictures), interval="1s"),
            ],
        )
        world.profile(device.profile, "spindle")
        service = world.start().ready()
        running.append(device)
        device.start()
        return Cell(generation=generation, audience=consumer, service=service)

    yield start
    for one in reversed(running):
        one.stop()


def _configure(world: Any, line: Any, metadata: int) -> None:
    options = "\n".join(f"{name} = {json.dumps(text)}" for name, text in line.optional.items())
    (world.folder / "configuration.toml").write_text(
        f"""
[Service]
Port = 0
[MessageBus]
Type = "{line.kind}"
Protocol = "{line.protocol}"
Host = "127.0.0.1"
Port = {line.port}
[MessageBus.Optional]
{options}
[Clients.core-metadata]
Host = "127.0.0.1"
Port = {metadata}
"""
    )


def _values(one: dict[str, Any]) -> dict[str, Any]:
    return {reading["resourceName"]: reading.get("value") for reading in one["event"]["readings"]}


def _is_right(case: str, one: dict[str, Any]) -> bool:
    """Whether a result is twice what the virtual spindle can have said, plus one, or the number of parts."""
    values = _values(one)
    match case:
        case "scalar":
            said = (float(values["Heat"]) - 1) / 2
            return 40 <= said < 45 and (said * 4).is_integer()
        case "array":
            said = [(number - 1) / 2 for number in json.loads(values["Wear"])]
            return len(said) == 16 and any(
                all(abs(math.sin(read / 7 + at) - each) < 1e-4 for at, each in enumerate(said))
                for read in range(2000)
            )
        case _:
            return int(values["PartCount"]) == PARTS


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("generation", "bus"), CELLS, ids=[f"edgex {one} {bus}" for one, bus in CELLS])
def test_an_official_service_is_heard_and_an_official_consumer_hears(
    enter: Callable[[str, str], Cell],
    judge: Make,
    report: list[dict[str, Any]],
    generation: str,
    bus: str,
) -> None:
    rows = {
        case: {
            "edgex": generation[0],
            "release": RELEASES[generation],
            "bus": bus,
            "case": case,
            "holds": False,
        }
        for case in CASES
    }
    report += rows.values()
    cell = enter(generation, bus)
    cell.audience.until(lambda: all(len(cell.events(case)) >= 2 for case in CASES), "results of all cases")
    version = "v2" if generation[0] == "2" else "v3"
    for case in CASES:
        for one in cell.events(case)[:2]:
            assert _is_right(case, one), one
            assert one["event"]["apiVersion"] == version
            assert one["correlation"]
            line = json.dumps({"apiVersion": version, "requestId": "", "event": one["event"]})
            verdict = judge("2" if generation[0] == "2" else generation, [line])[0]
            assert verdict.ok, verdict.error
        rows[case]["holds"] = True
