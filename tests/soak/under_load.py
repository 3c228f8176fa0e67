"""The service over a real mosquitto at QoS 1, for long, while one of its profiles is edited again and again.

Two profiles take the load: `every` with `overload: all`, of which nothing may be lost, and `newest` with
`overload: latest`, whose events come in gusts, so that most are overtaken, and each of them must be accounted for.
"""

import json
import os
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.material import RING, auto_encoder, sensor_messages, sensor_profile
from tests.bench.outside import Process, service
from tests.bench.pump import publication
from tests.bench.rows import Goal, Row
from tests.mosquitto import Mosquitto
from tests.soak.meter import Meter, Stream

EVERY, NEWEST = "every", "newest"
RESULTS = "edgex/events/device/app-inference/+/+/Health"
RELOADS = 200
_EDIT_EVERY = 2.5
"""Seconds between two edits at least: the service takes up what has lain still for two looks."""

_TAKEN_UP = "the change is taken up"
_SETTLE, _PATIENCE = 0.5, 60.0
_NONE, _FLAT = Goal(most=0), Goal(most=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How long, and at which share of what the service can do."""

    seconds: float
    load: float

    @property
    def reloads(self) -> int:
        return min(RELOADS, int(self.seconds / _EDIT_EVERY))


@dataclass(slots=True, kw_only=True)
class Aside:
    """What happens beside the load: the memory is looked at, and a profile is edited, as soon as it is due and the
    edit before is taken up: on a busy machine two of them would count as one."""

    process: Process
    wanted: Wanted
    edit: Callable[[int], None]
    taken_up: Callable[[], int]
    sizes: list[float] = field(default_factory=list)
    edits: int = 0

    def __call__(self, gone: float) -> None:
        if gone >= len(self.sizes) * self.wanted.seconds / 400:
            self.sizes.append(self.process.resident)
        if (
            self.edits < self.wanted.reloads
            and gone >= self.edits * self.wanted.seconds / self.wanted.reloads
            and self.taken_up() >= self.edits
        ):
            self.edits += 1
            self.edit(self.edits)

    @property
    def grown(self) -> float:
        """Megabytes from the second quarter of the time to the last."""
        quarter = len(self.sizes) // 4
        return median(self.sizes[-quarter:]) - median(self.sizes[quarter : 2 * quarter])


def rows(wanted: Wanted, folder: Path) -> Sequence[Row]:
    """Measures what the service can do, then keeps that share of it up."""
    auto_encoder(folder / "models")
    edit = _editor(folder)
    edit(0)
    sensor_profile(folder / "profiles", NEWEST, limits={"overload": "latest", "queue": 1})
    broker = Mosquitto(folder, "max_inflight_messages 0", "max_queued_messages 0")
    broker.start()
    settings = {
        "MESSAGEBUS_TYPE": "mqtt",
        "MESSAGEBUS_PORT": str(broker.port),
        "MESSAGEBUS_OPTIONAL_QOS": "1",
        "INFERENCE_EDGEXVERSION": "4",
    }
    try:
        with service(folder, **settings) as (process, _), Meter(broker.port, RESULTS, name="soak") as meter:
            return _soaked(wanted, folder, process, meter, edit)
    finally:
        broker.stop()


def _editor(folder: Path) -> Callable[[int], None]:
    """Writes the profile `every` with another threshold each time, whole or not at all."""
    (folder / "profiles").mkdir()

    def edit(number: int) -> None:
        limits = {"overload": "all", "queue": 4000}
        sensor_profile(folder / "drafts", EVERY, limits=limits, decide={"raise": 30 + number})
        os.replace(folder / "drafts" / f"{EVERY}.yaml", folder / "profiles" / f"{EVERY}.yaml")

    return edit


def _packets(profile: str) -> Iterator[bytes]:
    messages = sensor_messages(RING, profiles=(profile,))
    return cycle(
        [publication(one.topic, one.payload, qos=1, number=at + 1) for at, one in enumerate(messages)]
    )


def _soaked(
    wanted: Wanted, folder: Path, process: Process, meter: Meter, edit: Callable[[int], None]
) -> Sequence[Row]:
    every, newest = Stream(_packets(EVERY), 0.0), Stream(_packets(NEWEST), 0.0)
    pace = _pace(meter, every)
    every.rate, newest.rate = pace * wanted.load * 0.75, pace * wanted.load * 0.25
    newest.gather = max(50, int(newest.rate / 2))
    aside = Aside(process=process, wanted=wanted, edit=edit, taken_up=lambda: _taken_up(folder))
    before = every.sent
    meter.keep((every, newest), wanted.seconds, aside)
    reached = (every.sent - before + newest.sent) / wanted.seconds / pace
    seen = _settled(process, meter, (every, newest), folder, aside.edits)
    taken_up = _taken_up(folder)
    latest, dropped = seen[NEWEST], sum(seen[NEWEST]["dropped"].values())
    explained = _explained(latest)
    missing = every.sent - meter.came[EVERY]
    silent = abs(latest["published"] - meter.came[NEWEST])
    edits = f"{aside.edits} edits of a profile under load"
    counted = {name: f"the service counted {json.dumps(one)}" for name, one in seen.items()}
    return [
        Row(name="what the service can do, QoS 1", value=pace, unit="events/s"),
        Row(name="time under load", value=wanted.seconds, unit="s"),
        Row(name=f"load, of {wanted.load:.0%} wanted", value=reached * 100, unit="%"),
        Row(name="overload all: sent", value=every.sent, unit="events"),
        Row(name="overload all: lost", value=missing, unit="events", goal=_NONE,
            note=counted[EVERY] if missing else ""),
        Row(name="overload latest: sent", value=newest.sent, unit="events"),
        Row(name="overload latest: dropped", value=dropped, unit="events", goal=Goal(least=1)),
        Row(name="overload latest: not accounted for", value=abs(newest.sent - explained), goal=_NONE, unit="events",
            note=counted[NEWEST] if newest.sent != explained else ""),
        Row(name="overload latest: published and not seen", value=silent, unit="events", goal=_NONE),
        Row(name="resident memory at the end", value=aside.sizes[-1], unit="MB"),
        Row(name="resident memory, last quarter - second quarter", value=aside.grown, unit="MB", goal=_FLAT),
        Row(name=f"{edits}: not taken up", value=abs(aside.edits - taken_up), unit="", goal=_NONE),
    ]  # fmt: skip


def _pace(meter: Meter, every: Stream) -> float:
    """Events each second when saturated."""
    for amount in (1000, 6000):
        came, seconds = meter.saturate(every.packets, amount, window=200)
        every.sent += amount
    return came / seconds


def _settled(
    process: Process, meter: Meter, streams: Sequence[Stream], folder: Path, edits: int
) -> Mapping[str, Mapping[str, Any]]:
    """The counters by profile, once everything that was sent has come to its end or nothing moves any more."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        meter.listen(_SETTLE)
        found = _counters(process)
        whole = all(
            found[name]["received"] == one.sent == _explained(found[name])
            for name, one in zip((EVERY, NEWEST), streams, strict=True)
        )
        out = all(found[name]["published"] <= meter.came[name] for name in (EVERY, NEWEST))
        if (whole and out and _taken_up(folder) >= edits) or time.monotonic() > deadline:
            return found


def _explained(counters: Mapping[str, Any]) -> int:
    """Events that have come to their end; what waits in a queue has not."""
    ended: int = counters["published"] + counters["suppressed"]
    return ended + sum(counters["dropped"].values()) + sum(counters["failed"].values())


def _counters(process: Process) -> Mapping[str, Mapping[str, Any]]:
    with urllib.request.urlopen(
        f"http://127.0.0.1:{process.port}/api/v3/inference/bindings", timeout=60
    ) as said:
        return {row["profile"]: row["counters"] for row in json.load(said)["bindings"]}


def _taken_up(folder: Path) -> int:
    return (folder / "service.log").read_text().count(_TAKEN_UP)
