"""The whole service on mosquitto with one MQTT client and the other, and the straightforward script, by turns.

Events of 1.6 kB and of 60 kB, saturated and at 500 each second; processor time is that of the service's process alone.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from tests.bench.broker import script
from tests.bench.effort import Effort
from tests.bench.material import auto_encoder, envelope, sensor_event, sensor_profile, slim
from tests.bench.outside import Process, service
from tests.bench.pump import Pump, publication
from tests.bench.rows import Goal, Row, percentile, ratio
from tests.mosquitto import Mosquitto, MosquittoUnavailable

CLIENTS = ("native", "paho")
SIZES = {"1.6 kB": (0, 200), "60 kB": (58_000, 20)}
"""Bytes of tags beside the sixteen values, and how many events may be under way without the broker dropping any."""
_BETTER, _LOST, _NOT_WORSE = Goal(least=1.1), Goal(most=0), Goal(most=1.1)
_INTERVAL = 0.002


class Subject:
    """One who is measured: its process, the events made for it, the client that feeds it."""

    def __init__(self, process: Process, prefix: str, pump: Pump, bulk: int, window: int) -> None:
        topic = f"{prefix}/events/device/device-virtual/m/d/all"
        payloads = [envelope(slim(sensor_event(number), bulk), major="4") for number in range(128)]
        self.packets = [publication(topic, payload) for payload in payloads]
        self.size = len(payloads[0])
        self._process, self._pump, self._window = process, pump, window
        self.costs: list[float] = []
        self.paces: list[float] = []
        self.lost = 0

    def saturate(self, amount: int, *, counts: bool = True) -> None:
        """As many events as possible at a time; notes µs of processor time for each, and events/s."""
        before = self._process.cpu
        came, seconds = self._pump.saturate(self.packets, amount, window=self._window)
        if not came:
            raise RuntimeError("nothing came through")
        if counts:
            self.costs.append((self._process.cpu - before) / came * 1e6)
            self.paces.append(came / seconds)
            self.lost += amount - came

    def paced(self, amount: int) -> tuple[float, list[float]]:
        """Events at a fixed pace: µs of processor time for each, and seconds from event to result."""
        before = self._process.cpu
        took = self._pump.paced(self.packets, amount, interval=_INTERVAL)
        return (self._process.cpu - before) / amount * 1e6, took


def rows(effort: Effort, folder: Path) -> Sequence[Row]:
    """Both sizes, one after the other."""
    model = auto_encoder(folder / "models")
    sensor_profile(folder / "profiles", "m")
    try:
        broker = Mosquitto(folder)
    except MosquittoUnavailable as error:
        return [Row(name="MQTT clients", value=None, unit="", note=str(error))]
    broker.start()
    try:
        return [row for size in SIZES for row in _rows(effort, folder, model, broker.port, size)]
    finally:
        broker.stop()


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
            subjects[client] = Subject(process, client, pump, bulk, window)
        pump = stack.enter_context(Pump(port, "plain/results/#", name="theirs"))
        subjects["script"] = Subject(stack.enter_context(script(model, port)), "plain", pump, bulk, window)
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
        Row(name=f"{name}: paho's processor time ÷ native's", value=ratio(paho.costs, native.costs), goal=_BETTER),
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
