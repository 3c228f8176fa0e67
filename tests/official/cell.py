"""Everybody on one bus: core-metadata's double, an official device service, our service, an official consumer."""

import json
import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgex_inference.demo.world.conveyor import Conveyor
from official.line import Line
from official.services import Device, OfficialAudience, OfficialDevice, Place

RELEASES = {"4": "4.0.2", "3": "3.1.1", "2": "2.3.0", "21": "2.1.1"}
"""core-metadata's release by generation of tests/peers; 21 is EdgeX 2 with the envelopes of 2.0 to 2.2."""
CASES = {"scalar": "SpindleHeat", "array": "SpindleWear", "jpeg": "SpindleParts"}
"""the bindings of `BLOCKS`"""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a test wants different: EdgeX's switches for each of the three, names escaped, the devices' first name."""

    device: Mapping[str, str] = field(default_factory=dict)
    ours: Mapping[str, str] = field(default_factory=dict)
    audience: Mapping[str, str] = field(default_factory=dict)
    escape: bool = False
    name: str = "spindle"
    asks: bool = True
    """whether our service asks core-metadata"""
    pictures_of: int = 1_500_000
    """bytes of one picture"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a cell stands on: a folder, a world of ours with the models affine and affine16, programs to run."""

    folder: Path
    world: Any
    program: Callable[[str, str], Path]
    metadata: Callable[..., Any]


@dataclass(slots=True)
class Cell:
    """`audience` has what came of it."""

    generation: str
    audience: OfficialAudience
    device: OfficialDevice
    service: Any
    metadata: Any
    switches: Mapping[str, str]
    """the consumer's, which changes how it writes down what it read"""

    def events(self, case: str) -> list[dict[str, Any]]:
        """What the consumer got of a binding: results, not statuses."""
        return [
            one
            for one in self.audience.events
            if one["event"]["sourceName"] == CASES[case] and "InferenceStatus" not in values(one)
        ]

    def wait(self, amount: int = 2) -> None:
        """Until there are so many results of every case."""
        try:
            self.audience.until(
                lambda: all(len(self.events(case)) >= amount for case in CASES),
                f"{amount} results of all cases",
            )
        except AssertionError as error:
            page = self.service.get("/api/v3/inference/bindings")[1]
            error.add_note(f"our service:\n{self.service.log[-5000:]}\n{json.dumps(page)[:4000]}")
            raise

    @property
    def version(self) -> str:
        return "v2" if self.generation.startswith("2") else "v3"

    def verdict(self, judge: Callable[..., list[Any]], one: dict[str, Any]) -> str:
        """What EdgeX's validators have against an event that the consumer got; empty when nothing."""
        request = {"apiVersion": self.version, "requestId": "", "event": one["event"]}
        line = json.dumps(request | {"env": dict(self.switches)})
        error: str = judge(self.generation[0], [line])[0].error
        return error


def enter(stack: ExitStack, ground: Ground, line: Line, generation: str, wish: Wish) -> Cell:
    """Starts everybody, the consumer first; `stack` stops them."""
    core = ground.metadata(line, version=RELEASES[generation])
    core.double.state.policies.escape_names = wish.escape
    core.double.state.policies.headers = line.kind.startswith("nats")
    core.double.state.policies.cbor_messages = wish.device.get("EDGEX_MSG_CBOR_ENCODE") == "true"

    def place(name: str, environment: Mapping[str, str]) -> Place:
        folder = ground.folder / name
        folder.mkdir()
        return Place(
            generation=generation,
            line=line,
            metadata=core.port,
            folder=folder,
            escape=wish.escape,
            environment=environment,
        )

    is_2 = generation.startswith("2")
    program = ground.program("2" if is_2 else generation, "app")
    results = "spindle-inference" if is_2 else "app%2Dinference" if wish.escape else "app-inference"
    audience = OfficialAudience(
        program, place("audience", wish.audience), topics=f"events/device/{results}/#"
    )
    stack.callback(audience.stop)
    audience.start()
    device = OfficialDevice(
        ground.program(generation, "device"),
        place("device", wish.device),
        blocks=BLOCKS,
        devices=_devices(ground.folder, wish),
    )
    stack.callback(device.stop)
    configure(ground.world, line, core.port, escape=wish.escape, asks=wish.asks)
    ground.world.profile(device.profile, "spindle")
    service = ground.world.start(env=wish.ours)
    service.said("has started")
    device.start()  # with ZeroMQ it is the one that we wait for
    if line.kind in ("redis", "nats-core"):  # a system event that overtakes its subscription is lost there
        device.stop()
        device.start()  # the second time it reads its devices from core-metadata
    service.ready()
    return Cell(
        generation=generation,
        audience=audience,
        device=device,
        service=service,
        metadata=core,
        switches=wish.audience,
    )


def _devices(folder: Path, wish: Wish) -> list[Device]:
    pictures = folder / "pictures"
    pictures.mkdir()
    (pictures / "belt.jpg").write_bytes(large_jpeg(PICTURE.jpeg(), wish.pictures_of))
    return [
        Device(name=f"{wish.name}-1", events=("Temperature", "Vibration")),
        Device(name=f"{wish.name}-2", events=("Frame",), pictures=str(pictures), interval="1s"),
    ]


def configure(world: Any, line: Line, metadata: int, *, escape: bool, asks: bool) -> None:
    """Writes our configuration.toml."""
    given = dict(line.optional) | ({"PublishPort": str(line.ours)} if line.ours else {})
    options = "\n".join(f"{name} = {json.dumps(text)}" for name, text in given.items())
    (world.folder / "configuration.toml").write_text(
        f"""
[Service]
Port = 0
EnableNameFieldEscape = {str(escape).lower()}
[MessageBus]
Type = "{line.kind}"
Protocol = "{line.protocol}"
Host = "127.0.0.1"
Port = {line.port}
[MessageBus.Optional]
{options}
[Inference]
Metadata = "{"auto" if asks else "none"}"
[Clients.core-metadata]
Host = "127.0.0.1"
Port = {metadata}
"""
    )


def large_jpeg(data: bytes, size: int) -> bytes:
    """The same picture with comments in it, up to this many bytes."""
    comment = b"\xff\xfe\xff\xff" + bytes(65533)
    return data[:2] + comment * max(0, math.ceil((size - len(data)) / len(comment))) + data[2:]


def values(one: dict[str, Any]) -> dict[str, Any]:
    return {reading["resourceName"]: reading.get("value") for reading in one["event"]["readings"]}


def is_right(case: str, one: dict[str, Any]) -> bool:
    """Whether a result is twice what the virtual spindle can have said, plus one, or the number of parts."""
    found = values(one)
    match case:
        case "scalar":
            said = (float(found["Heat"]) - 1) / 2
            return 40 <= said < 45 and (said * 4).is_integer()
        case "array":
            numbers = [(number - 1) / 2 for number in json.loads(found["Wear"])]
            return len(numbers) == 16 and any(
                all(abs(math.sin(read / 7 + at) - each) < 1e-4 for at, each in enumerate(numbers))
                for read in range(5000)
            )
        case _:
            return int(found["PartCount"]) == PARTS
