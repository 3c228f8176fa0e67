"""One MQTT client and the other, by turns: alone, and with the whole service behind it beside the script.

Through mosquitto; events of 1.6 kB and of 60 kB, saturated and at 500 each second. Processor time is that of the
measured process alone.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median

from tests.bench.broker import script
from tests.bench.effort import Effort
from tests.bench.fresh import Fresh, marked
from tests.bench.material import auto_encoder, envelope, sensor_event, sensor_profile, slim
from tests.bench.outside import Process, service
from tests.bench.pump import Pump, publication
from tests.bench.rows import Goal, Row, percentile, ratio
from tests.bench.subject import Subject
from tests.mosquitto import Mosquitto, MosquittoUnavailable

CLIENTS = ("native", "paho")
SIZES = {"1.6 kB": (0, 200), "60 kB": (58_000, 20)}
"""Bytes of tags beside the sixteen values, and how many events may be under way without the broker dropping any."""
_ALONE, _SERVED, _LOST = Goal(least=2.5), Goal(least=1.0), Goal(most=0)


def _subject(process: Process, prefix: str, pump: Pump, bulk: int, window: int) -> Subject:
    topic = f"{prefix}/events/device/device-virtual/m/d/all"
    events = [marked(slim(sensor_event(number), bulk)) for number in range(128)]
    packets = [pump.packet(topic, envelope(event, major="4")) for event in events]
    return Subject(process, pump, Fresh(packets), window)


def rows(effort: Effort, folder: Path) -> Sequence[Row]:
    """The clients alone at QoS 0 and 1, then with the service behind them, in both sizes."""
    model = auto_encoder(folder / "models")
    sensor_profile(folder / "profiles", "m")
    try:
        broker = Mosquitto(folder)
    except MosquittoUnavailable as error:
        return [Row(name="MQTT clients", value=None, unit="", note=str(error))]
    broker.start()
    try:
        served = [row for size in SIZES for row in _rows(effort, folder, model, broker.port, size)]
    finally:
        broker.stop()
    patient = Mosquitto(folder, "max_inflight_messages 0", "max_queued_messages 0")
    patient.start()
    try:
        return [*(row for qos in (0, 1) for row in _alone(effort, patient.port, qos)), *served]
    finally:
        patient.stop()


@contextmanager
def _echo(port: int, client: str, qos: int) -> Iterator[Process]:
    command = [sys.executable, "-m", "tests.bench.echo", str(port), client, str(qos)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield Process(process.pid)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _alone(effort: Effort, port: int, qos: int) -> Sequence[Row]:
    """Messages of 1.6 kB in and out again, with nothing in between."""
    costs: dict[str, list[float]] = {client: [] for client in CLIENTS}
    amount = effort.of(20_000 if not qos else 6000, 400)
    with ExitStack() as stack:
        pumps: dict[str, tuple[Process, Pump, Iterator[bytes]]] = {}
        for client in CLIENTS:
            process = stack.enter_context(_echo(port, client, qos))
            pump = stack.enter_context(Pump(port, f"{client}/out", qos=qos, name=client))
            packets = cycle(
                [
                    publication(f"{client}/in/{number % 5}", os.urandom(1600), qos=qos, number=number + 1)
                    for number in range(128)
                ]
            )
            pump.saturate(packets, amount // 4, window=100)
            pumps[client] = process, pump, packets
        for _ in range(effort.of(5, 1)):
            for client, (process, pump, packets) in pumps.items():
                before = process.cpu
                came, _ = pump.saturate(packets, amount, window=100)
                costs[client].append((process.cpu - before) / max(came, 1) * 1e6)
    name = f"the client alone, QoS {qos}, 1.6 kB in and out, saturated"
    value = ratio(costs["paho"], costs["native"]) if all(costs["native"]) else None
    return [
        Row(name=f"{name}: paho's processor time ÷ native's", value=value, goal=_ALONE),
        *(Row(name=f"{name}: {client}", value=median(costs[client]), unit="µs") for client in CLIENTS),
    ]


def _rows(effort: Effort, folder: Path, model: Path, port: int, size: str) -> Sequence[Row]:
    bulk, window = SIZES[size]
    amount = effort.of(12_000 if not bulk else 3000, 400)
    with ExitStack() as stack:
        subjects: dict[str, Subject] = {}
        for client in CLIENTS:
            settings = {
                "MESSAGEBUS_TYPE": "mqtt",
                "MESSAGEBUS_PORT": str(port),
                "MESSAGEBUS_BASETOPICPREFIX": client,
                "MESSAGEBUS_OPTIONAL_CLIENTID": f"app-{client}",
                "INFERENCE_EDGEXVERSION": "4",
                "INFERENCE_MQTTCLIENT": client,
            }
            process, _ = stack.enter_context(service(folder, **settings))
            pump = stack.enter_context(Pump(port, f"{client}/events/device/app-inference/#", name=client))
            subjects[client] = _subject(process, client, pump, bulk, window)
        pump = stack.enter_context(Pump(port, "plain/results/#", name="theirs"))
        subjects["script"] = _subject(stack.enter_context(script(model, port)), "plain", pump, bulk, window)
        for subject in subjects.values():
            subject.saturate(amount // 4, counts=False)
        for number in range(effort.of(5, 1)):
            for step in range(len(subjects)):
                [*subjects.values()][(number + step) % len(subjects)].saturate(amount)
        paced = {name: subject.paced(effort.of(2000, 30)) for name, subject in subjects.items()}
    return [*_saturated(subjects, size), *_paced(paced, size)]


def _saturated(subjects: Mapping[str, Subject], size: str) -> Sequence[Row]:
    native, paho, plain = (subjects[name] for name in (*CLIENTS, "script"))
    name = f"mosquitto, {size}, saturated"
    found = [
        Row(name=f"{name}: paho's processor time ÷ native's", value=ratio(paho.costs, native.costs), goal=_SERVED),
        Row(name=f"{name}: the script's processor time ÷ native's", value=ratio(plain.costs, native.costs)),
        Row(name=f"{name}: native lost", value=native.lost, unit="events", goal=_LOST),
    ]  # fmt: skip
    for who, subject in subjects.items():
        found.append(Row(name=f"{name}: {who}", value=median(subject.costs), unit="µs"))
        found.append(Row(name=f"{name}: {who}", value=median(subject.paces), unit="events/s"))
    return found


def _paced(paced: Mapping[str, tuple[float, list[float]]], size: str) -> Sequence[Row]:
    name = f"mosquitto, {size}, 500 events/s"
    found = []
    for who, (cost, took) in paced.items():
        found.append(Row(name=f"{name}: {who}", value=cost, unit="µs"))
        for share in (0.5, 0.99):
            value = percentile(took, share) * 1e3
            found.append(Row(name=f"{name}: {who}, p{share * 100:g}", value=value, unit="ms"))
    return found
