"""A result that `publish.minInterval` held back is on its way out while something changes: it arrives, or counts."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from edgex_inference import service as room
from edgex_inference.buses.memory import MemoryBus, MemoryHub
from edgex_inference.contracts.bus import Refusal
from edgex_inference.contracts.messages import Message

SOON = "1s"
"""Long enough for a second result to be there before it, on a busy machine too."""


class Toll(MemoryBus):
    """Lets messages through only while it is open, as a broker that is slow to acknowledge."""

    def __init__(self, hub: MemoryHub) -> None:
        super().__init__(hub)
        self.free, self.waits = asyncio.Event(), asyncio.Event()
        self.free.set()

    async def publish(self, message: Message) -> None:
        self.waits.set()
        await self.free.wait()
        await super().publish(message)

    async def publish_all(self, messages: Sequence[Message]) -> Sequence[Refusal]:
        self.waits.set()
        await self.free.wait()
        return await super().publish_all(messages)

    def shut(self) -> None:
        self.free.clear()
        self.waits.clear()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK", 0.02)


async def leaving(stage: Any, make: Any, bus: Toll) -> None:
    """Two results of p, of which the second was held back and is leaving now."""
    await stage.send(make.event("p", X=1))
    await stage.have(1)
    await stage.send(make.event("p", X=2))
    bus.shut()
    async with asyncio.timeout(60):
        await bus.waits.wait()
    assert stage.counters()["published"] == 1


def held(make: Any, **more: object) -> dict[str, Any]:
    return {**make.binding(), "publish": {"minInterval": SOON}, **more}


async def test_a_change_of_the_plan_lets_it_out(stage: Any, make: Any) -> None:
    bus = stage.bus = Toll(stage.hub)
    stage.profile("pump", X=("Float32", {"Twice": held(make)}))
    stage.model()
    async with stage.running() as service:
        await leaving(stage, make, bus)
        before = service.router.runs[0].journey
        stage.profile("pump", X=("Float32", {"Twice": held(make, limits={"timeout": "4s"})}))
        await stage.until(lambda: service.router.runs[0].journey is not before)
        bus.free.set()
        await stage.have(2)
        counters = stage.counters()
    assert [one.values["Y"] for one in stage.results()] == ["3e+00", "5e+00"]
    assert (counters["published"], counters["suppressed"], counters["failed"]) == (2, 0, {})


async def test_a_stop_lets_it_out(stage: Any, make: Any) -> None:
    bus = stage.bus = Toll(stage.hub)
    stage.profile("pump", X=("Float32", {"Twice": held(make)}))
    stage.model()
    async with stage.running() as service:
        await leaving(stage, make, bus)
        (run,) = service.router.runs
        service.stop()
        asyncio.get_running_loop().call_later(0.1, bus.free.set)
        await stage.until(lambda: not service.bus.connected)
    assert len(stage.results()) == 2
    assert run.measures.counters()["published"] == 2


async def test_what_a_stop_cuts_short_counts(stage: Any, make: Any) -> None:
    bus = stage.bus = Toll(stage.hub)
    stage.inference = {"drain_timeout": 0.05}
    stage.profile("pump", X=("Float32", {"Twice": held(make)}))
    stage.model()
    async with stage.running() as service:
        await leaving(stage, make, bus)
        (run,) = service.router.runs
    assert run.measures.counters()["suppressed"] == 1
