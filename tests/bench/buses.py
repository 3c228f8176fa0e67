"""The whole service on every message bus: processor time for each event and the time from event to result.

The same events as far as EdgeX lets them be: raw JSON on MQTT, headers around it on NATS, base64 in the envelopes of
EdgeX 3 on Redis and of EdgeX 2.3 on ZeroMQ, which therefore carry a third more. Who feeds them has a bare client.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.bench.clients import SIZES
from tests.bench.effort import Effort
from tests.bench.feeder import Feeder
from tests.bench.fresh import Fresh, marked
from tests.bench.material import auto_encoder, envelope, sensor_event, sensor_profile, slim
from tests.bench.outside import Process, service
from tests.bench.pump import Pump
from tests.bench.rows import Row, percentile
from tests.bench.subject import Subject
from tests.bench.wires import NatsPump, RedisPump, ZeroMqPump
from tests.mosquitto import Mosquitto, MosquittoUnavailable
from tests.servers import Nats, Redis, ServerUnavailable, free_port

STREAM = {"SUBJECT": "edgex/#", "AUTOPROVISION": "true", "DELIVER": "new", "DEFAULTPUBRETRYATTEMPTS": "2"}
EVENTS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A bus as our configuration calls it, with the EdgeX release whose envelopes it carries here."""

    name: str
    protocol: str
    major: str = "4"
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def results(self) -> str:
        return f"edgex/events/device/{'m-inference' if self.major == '2' else 'app-inference'}/#"

    def settings(self, port: int, publish: int) -> dict[str, str]:
        more = {f"MESSAGEBUS_OPTIONAL_{name}": text for name, text in self.options.items()}
        if publish:
            more["MESSAGEBUS_OPTIONAL_PUBLISHPORT"] = str(publish)
        return {
            "MESSAGEBUS_TYPE": self.name,
            "MESSAGEBUS_PROTOCOL": self.protocol,
            "MESSAGEBUS_HOST": "127.0.0.1",
            "MESSAGEBUS_PORT": str(port),
            "INFERENCE_EDGEXVERSION": self.major,
            **more,
        }

    def message(self, request: dict[str, object]) -> bytes:
        if self.name.startswith("nats"):
            return json.dumps(request, separators=(",", ":")).encode()
        return envelope(request, major=self.major)


KINDS = (
    Kind(name="mqtt", protocol="mqtt"),
    Kind(name="redis", protocol="redis", major="3"),
    Kind(name="nats-core", protocol="nats"),
    Kind(name="nats-jetstream", protocol="nats", options=STREAM),
    Kind(name="zero", protocol="tcp", major="2"),
)


def rows(effort: Effort, folder: Path) -> Sequence[Row]:
    """One bus after the other, each in both sizes."""
    found: list[Row] = []
    for kind in KINDS:
        place = folder / kind.name
        auto_encoder(place / "models")
        sensor_profile(place / "profiles", "m")
        try:
            with _served(place, kind) as (process, feeder):
                for size in SIZES:
                    found += _measured(effort, kind, size, process, feeder)
        except (ServerUnavailable, MosquittoUnavailable) as error:
            found.append(Row(name=kind.name, value=None, unit="", note=str(error)))
    return found


@contextmanager
def _served(folder: Path, kind: Kind) -> Iterator[tuple[Process, Feeder]]:
    """The bus's server, the service on it, and who feeds it."""
    with ExitStack() as stack:
        if kind.name == "zero":
            port, publish = free_port(), free_port()
            feeder: Feeder = stack.enter_context(ZeroMqPump(port, publish, kind.results))
        else:
            server = _server(kind, folder)
            server.start()
            stack.callback(server.stop)
            port, publish = server.port, 0
            feeder = stack.enter_context(_pump(kind, port))
        process, _ = stack.enter_context(service(folder, **kind.settings(port, publish)))
        yield process, feeder


def _server(kind: Kind, folder: Path) -> Mosquitto | Redis | Nats:
    if kind.name == "mqtt":
        return Mosquitto(folder)
    if kind.name == "redis":
        return Redis(folder)
    return Nats(folder, streams=kind.name == "nats-jetstream")


def _pump(kind: Kind, port: int) -> Pump | RedisPump | NatsPump:
    made = {"mqtt": Pump, "redis": RedisPump}.get(kind.name, NatsPump)
    return made(port, kind.results)


def _measured(effort: Effort, kind: Kind, size: str, process: Process, feeder: Feeder) -> Sequence[Row]:
    bulk, window = SIZES[size]
    amount = effort.of(8000 if not bulk else 2000, 300)
    subject = Subject(process, feeder, Fresh(_packets(kind, feeder, bulk)), window)
    subject.saturate(amount // 4, counts=False)
    for _ in range(effort.of(5, 1)):
        subject.saturate(amount)
    cost, took = subject.paced(effort.of(2000, 50))
    name, paced = f"{kind.name}, {size}, saturated", f"{kind.name}, {size}, 500 events/s"
    return [
        Row(name=name, value=median(subject.paces), unit="events/s"),
        Row(name=name, value=median(subject.costs), unit="µs"),
        Row(name=f"{name}: lost", value=subject.lost, unit="events"),
        Row(name=paced, value=cost, unit="µs"),
        Row(name=f"{paced}: p50", value=percentile(took, 0.5) * 1e3, unit="ms"),
        Row(name=f"{paced}: p99", value=percentile(took, 0.99) * 1e3, unit="ms"),
    ]


def _packets(kind: Kind, feeder: Feeder, bulk: int) -> Sequence[bytes]:
    names = "m/d/all" if kind.major == "2" else "device-virtual/m/d/all"
    events = [marked(slim(sensor_event(number), bulk)) for number in range(EVENTS)]
    return [feeder.packet(f"edgex/events/device/{names}", kind.message(event)) for event in events]
