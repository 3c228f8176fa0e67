"""Virtual devices: what a camera's and a vibration sensor's device services would publish, in EdgeX wire format."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from edgex_inference.contracts.bus import Bus
from edgex_inference.contracts.errors import TransportError
from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.demo.world.conveyor import FRAMES_PER_SECOND, Conveyor
from edgex_inference.demo.world.spindle import AXES, BURSTS_PER_SECOND, RATE, SAMPLES, Spindle
from edgex_inference.edgex import topics, values, wire
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.edgex.ids import new_id

log = logging.getLogger(__name__)

_LEAD = 120_000_000
"""Nanoseconds before it is due that a shot is made: between two others, so that making it slows no inference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTruth:
    """How many parts of each label truly show."""

    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BearingTruth:
    """Whether the bearing is truly faulty, and since when (ns since the epoch)."""

    faulty: bool
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One event ready for the bus, due at `origin` (ns since the epoch), and what is true of it."""

    origin: int
    message: Message
    readings: int
    truth: PartTruth | BearingTruth


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """How EdgeX knows a device."""

    service: str
    profile: str
    device: str
    source: str


CAMERA = Names(
    service="device-camera", profile="conveyor-camera", device="conveyor-camera-1", source="Picture"
)
SPINDLE = Names(service="device-vibration", profile="spindle", device="spindle-1", source="Vibration")


class Device(Protocol):
    """A device that can tell ahead what it will send."""

    names: Names

    def due(self, index: int, start: int) -> int:
        """When the event number `index` leaves (ns since the epoch)."""
        ...

    def shot(self, index: int, start: int) -> Shot:
        """The event number `index` of a run that starts at `start` (ns since the epoch)."""
        ...


@dataclass(slots=True)
class Camera:
    """A camera over the conveyor: one Binary reading with a JPEG, five a second."""

    seed: int
    dialect: Dialect
    names: Names = CAMERA
    _conveyor: Conveyor = field(init=False)

    def __post_init__(self) -> None:
        self._conveyor = Conveyor(self.seed)

    def due(self, index: int, start: int) -> int:
        """A picture leaves when it is taken."""
        return start + index * 10**9 // FRAMES_PER_SECOND

    def shot(self, index: int, start: int) -> Shot:
        """Draws the picture: tens of milliseconds of work."""
        frame = self._conveyor.frame(index)
        origin = self.due(index, start)
        reading = values.binary_reading(
            "Picture",
            frame.jpeg(),
            "image/jpeg",
            device=self.names.device,
            profile=self.names.profile,
            origin=origin,
        )
        return Shot(
            origin=origin,
            message=_message(self.names, [reading], origin, self.dialect),
            readings=1,
            truth=PartTruth(counts=Counter(part.label for part in frame.truth)),
        )


@dataclass(slots=True)
class VibrationSensor:
    """A sensor on the spindle: three bursts and a temperature in one event, four a second.

    The bearing's fault starts after `fault_at` seconds.
    """

    seed: int
    dialect: Dialect
    fault_at: float = 10.0
    names: Names = SPINDLE
    _spindle: Spindle = field(init=False)

    def __post_init__(self) -> None:
        self._spindle = Spindle(self.seed, self.fault_at)

    def due(self, index: int, start: int) -> int:
        """An event leaves when its burst is complete."""
        return start + index * 10**9 // BURSTS_PER_SECOND + SAMPLES * 10**9 // RATE

    def shot(self, index: int, start: int) -> Shot:
        """Computes the burst and writes it as EdgeX does."""
        burst = self._spindle.burst(index)
        origin = self.due(index, start)
        found = [
            (axis, samples, ValueType.FLOAT32_ARRAY, "g")
            for axis, samples in zip(AXES, burst.acceleration, strict=True)
        ]
        readings = [
            values.reading(
                name,
                value,
                kind,
                device=self.names.device,
                profile=self.names.profile,
                origin=origin,
                units=units,
            )
            for name, value, kind, units in (
                *found,
                ("Temperature", burst.temperature, ValueType.FLOAT32, "°C"),
            )
        ]
        return Shot(
            origin=origin,
            message=_message(self.names, readings, origin, self.dialect),
            readings=len(readings),
            truth=BearingTruth(faulty=burst.faulty, since=start + round(self.fault_at * 1e9)),
        )


def _message(names: Names, readings: Sequence[Reading], origin: int, dialect: Dialect) -> Message:
    event = Event(
        api_version="v3",
        id=new_id(),
        device_name=names.device,
        profile_name=names.profile,
        source_name=names.source,
        origin=origin,
        readings=tuple(readings),
    )
    topic = topics.event_topic(
        dialect, service=names.service, profile=names.profile, device=names.device, source=names.source
    )
    return wire.encode(event, topic=topic, correlation_id=new_id(), dialect=dialect)


async def play(device: Device, bus: Bus, start: int, sent: Callable[[Shot], None]) -> None:
    """Publishes every shot when it is due, late rather than never, until cancelled; `sent` hears of each first."""
    for index in count():
        await _until(device.due(index, start) - _LEAD)
        shot = await asyncio.to_thread(device.shot, index, start)
        await _until(shot.origin)
        sent(shot)
        try:
            await bus.publish(shot.message)
        except TransportError as error:
            log.warning("%s: event %d was not published: %s", device.names.device, index, error)


async def _until(moment: int) -> None:
    delay = (moment - time.time_ns()) / 1e9
    if delay > 0:
        await asyncio.sleep(delay)
