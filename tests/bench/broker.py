"""The sensor path through a real mosquitto: the service and the straightforward script, each a process, by turns.

Both are kept saturated: a bare client has as many events under way as it can without the broker dropping any, and
what is lost is counted. Their processor time is read from /proc, so that of the broker and the client is not in it.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median

from msgspec.structs import replace

from edgex_inference.contracts.messages import Message
from tests.bench.effort import Effort
from tests.bench.material import RING, auto_encoder, sensor_messages, sensor_profile
from tests.bench.outside import Process, service
from tests.bench.pump import Pump, publication
from tests.bench.rows import Goal, Row, percentile, ratio
from tests.mosquitto import Mosquitto, MosquittoUnavailable

SCRIPT = Path(__file__).with_name("straightforward.py")
RESULTS = "edgex/events/device/app-inference/+/+/Health"
WINDOW = 200
_RATIO, _LATENCY, _LOST = Goal(least=1.6), Goal(most=1.5), Goal(most=0)


def rows(effort: Effort, folder: Path) -> Sequence[Row]:
    """EdgeX 4 and EdgeX 3 saturated, then 100 events each second."""
    model = auto_encoder(folder / "models")
    sensor_profile(folder / "profiles", "m")
    try:
        broker = Mosquitto(folder)
    except MosquittoUnavailable as error:
        return [Row(name="sensor path through mosquitto", value=None, unit="", note=str(error))]
    broker.start()
    try:
        found: list[Row] = []
        for major in ("4", "3"):
            found += _saturated(effort, folder, model, broker.port, major)
        return found + list(_paced(effort, folder, model, broker.port))
    finally:
        broker.stop()


@contextmanager
def script(model: Path, port: int) -> Iterator[Process]:
    """The straightforward script on the broker, subscribed."""
    command = [sys.executable, str(SCRIPT), os.fspath(model), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        process.stdout.close()


def _settings(port: int, major: str) -> dict[str, str]:
    return {"MESSAGEBUS_TYPE": "mqtt", "MESSAGEBUS_PORT": str(port), "INFERENCE_EDGEXVERSION": major}


def _packets(major: str) -> tuple[Iterator[bytes], Iterator[bytes]]:
    """The same events for the service and for the script, which listens elsewhere."""
    messages = list(sensor_messages(RING, major=major))
    plain = [replace(one, topic=one.topic.replace("edgex/", "plain/", 1)) for one in messages]
    return cycle([_packet(one) for one in messages]), cycle([_packet(one) for one in plain])


def _packet(message: Message) -> bytes:
    return publication(message.topic, message.payload)


def _saturated(effort: Effort, folder: Path, model: Path, port: int, major: str) -> Sequence[Row]:
    ours, theirs, pace, lost = [], [], [], 0
    packets, plain = _packets(major)
    amount = effort.of(12_000, 1000)
    with (
        service(folder, **_settings(port, major)) as (served, _),
        script(model, port) as scripted,
        Pump(port, RESULTS, name="ours") as our,
        Pump(port, "plain/results/#", name="theirs") as their,
    ):
        our.saturate(packets, amount // 4, window=WINDOW)
        their.saturate(plain, amount // 8, window=WINDOW)
        for _ in range(effort.of(5, 1)):
            cost, _ = _cost(their, scripted, plain, amount // 3)
            theirs.append(cost)
            before = served.cpu
            came, seconds = our.saturate(packets, amount, window=WINDOW)
            ours.append((served.cpu - before) / came * 1e6)
            pace.append(came / seconds)
            lost += amount - came
    name = f"sensor path, EdgeX {major}, mosquitto saturated"
    return [
        Row(name=f"{name}: the script's processor time ÷ ours", value=ratio(theirs, ours), goal=_RATIO),
        Row(name=f"{name}: lost", value=lost, unit="events", goal=_LOST),
        Row(name=f"{name}: ours", value=median(ours), unit="µs"),
        Row(name=f"{name}: the script", value=median(theirs), unit="µs"),
        Row(name=f"{name}: ours", value=median(pace), unit="events/s"),
    ]  # fmt: skip


def _cost(pump: Pump, process: Process, packets: Iterator[bytes], amount: int) -> tuple[float, int]:
    """µs of processor time for each event that came through, and how many did not."""
    before = process.cpu
    came, _ = pump.saturate(packets, amount, window=WINDOW)
    if not came:
        raise RuntimeError("nothing came through")
    return (process.cpu - before) / came * 1e6, amount - came


def _paced(effort: Effort, folder: Path, model: Path, port: int) -> Sequence[Row]:
    packets, plain = _packets("4")
    amount = effort.of(1500, 30)
    with service(folder, **_settings(port, "4")), Pump(port, RESULTS, name="ours") as our:
        our.paced(packets, amount // 10, interval=0.01)
        ours = our.paced(packets, amount, interval=0.01)
    with script(model, port), Pump(port, "plain/results/#", name="theirs") as their:
        theirs = their.paced(plain, amount, interval=0.01)
    name = "sensor path, mosquitto, 100 events/s"
    return [
        Row(name=f"{name}: from event to result, p50", value=percentile(ours, 0.5) * 1e3, unit="ms", goal=_LATENCY),
        Row(name=f"{name}: from event to result, p99", value=percentile(ours, 0.99) * 1e3, unit="ms"),
        Row(name=f"{name}: the script, p50", value=percentile(theirs, 0.5) * 1e3, unit="ms"),
    ]  # fmt: skip
