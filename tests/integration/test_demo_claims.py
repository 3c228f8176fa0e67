"""What the demo promises, through the whole service, on seeds that nobody trained on, without waiting for a clock."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from edgex_inference.buses.memory import MemoryBus, MemoryHub
from edgex_inference.contracts.messages import Message
from edgex_inference.demo import stage
from edgex_inference.demo.audience import Audience
from edgex_inference.demo.board import Board, Panel
from edgex_inference.demo.devices import Camera, Device, VibrationSensor
from edgex_inference.demo.scoring import FaultScore, PartScore
from edgex_inference.demo.world.conveyor import LABELS
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.service import Service

START = 1_795_418_138_000_000_000
SEEDS = (411_001, 411_002, 411_003, 411_004)
PICTURES = range(0, 120, 3)


class Rehearsal:
    """The service and an audience on a bus in memory; the clock shows the origin of what was sent last."""

    def __init__(self, bus: MemoryBus, bursts: AsyncIterator[Sequence[Message]]) -> None:
        self._bus, self._bursts = bus, bursts
        self._now = START
        panels = tuple(Panel(binding=name, device="") for name in stage.BINDINGS.values())
        board = Board(title="", listen="", panels=panels, started=START)
        self.audience = Audience(
            board=board, parts=PartScore(labels=LABELS), fault=FaultScore(), clock=lambda: self._now
        )

    async def send(self, device: Device, indices: Iterable[int]) -> None:
        """These events of a run, each when the one before is answered."""
        for index in indices:
            shot = device.shot(index, START)
            self._now = shot.origin
            self.audience.expect(shot)
            await self._bus.publish(shot.message)
            while self.audience.waits(0):
                for message in await anext(self._bursts):
                    self.audience.hear(message)


@pytest.fixture
async def rehearsal(tmp_path: Path) -> AsyncIterator[Rehearsal]:
    hub = MemoryHub()
    loaded = stage.configuration(tmp_path, 1883, "4", 0)
    service = Service(loaded, MemoryBus(hub), book=stage.book(tmp_path, ""))
    async with AsyncExitStack() as stack:
        bus = MemoryBus(hub)
        await bus.open()
        stack.push_async_callback(bus.close)
        bursts = await stack.enter_async_context(bus.subscribe("edgex/events/device/app-inference/#"))
        task = asyncio.create_task(service.run())
        await asyncio.wait(
            [task, asyncio.ensure_future(service.started.wait())], return_when=asyncio.FIRST_COMPLETED
        )
        for run in service.router.runs:
            await run.settled.wait()
        yield Rehearsal(bus, bursts)
        service.stop()
        await task


async def test_part_counts_are_right(rehearsal: Rehearsal) -> None:
    """Every third picture, since neighbors show the same parts, and so are right or wrong together."""
    for seed in SEEDS:
        await rehearsal.send(Camera(seed, Dialect(major="4")), PICTURES)
    parts = rehearsal.audience.parts
    assert parts.sent == parts.answered == len(SEEDS) * len(PICTURES)
    assert parts.right / parts.answered >= 0.95


@pytest.mark.parametrize("seed", range(412_000, 412_005))
async def test_the_fault_is_found_within_three_seconds_and_never_before(
    rehearsal: Rehearsal, seed: int
) -> None:
    await rehearsal.send(VibrationSensor(seed, Dialect(major="4")), range(60))
    fault = rehearsal.audience.fault
    assert (fault.answered, fault.false_alarms) == (60, 0)
    assert fault.delay is not None
    assert 0 < fault.delay < 3
    assert fault.broken == ""


async def test_a_healthy_spindle_raises_no_alarm(rehearsal: Rehearsal) -> None:
    await rehearsal.send(VibrationSensor(413_001, Dialect(major="4"), fault_at=1e6), range(240))
    fault = rehearsal.audience.fault
    assert (fault.answered, fault.false_alarms, fault.found) == (240, 0, None)
