"""Reloading again and again leaves nothing behind: no thread, no session, no memory."""

import gc
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from edgex_inference import service as room
from edgex_inference.contracts.events import ValueType
from edgex_inference.edgex.values import format_value

RELOADS = 200
WARM = 20


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK", 0.002)


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def reload(stage: Any, make: Any, run: Any, number: int) -> None:
    """One change of the profile, one of the model's card, each taken up, with an event through each."""
    journey = run.journey
    outputs = {"Y": {"value": "y.0", "type": "Float64"}, "Big": {"value": "state"}}
    block = make.binding(outputs=outputs, decide={"value": "y.0", "raise": number + 1})
    stage.profile("pump", X=("Float32", {"Twice": block}))
    if number % 2:
        card = stage.folder / "models" / "double" / "1" / "model.yaml"
        card.write_text(card.read_text() + f"# {number}\n")
    await stage.until(lambda: run.journey is not journey)
    await stage.send(make.event("p", X=number))
    await stage.until(
        lambda: bool(stage.results()) and stage.results()[-1].values["Y"] == text(2 * number + 1)
    )
    stage.heard.clear()


def text(number: int) -> str:
    return format_value(float(number), ValueType.FLOAT64)


async def test_two_hundred_reloads_leave_memory_flat(stage: Any, make: Any, threads: Any) -> None:
    strings = stage.simple()
    async with stage.running() as service:
        (run,) = service.router.runs
        for number in range(WARM):
            await reload(stage, make, run, number)
        gc.collect()
        tracemalloc.start()
        before, working, objects = resident(), len(threads()), len(gc.get_objects())
        for number in range(WARM, RELOADS):
            await reload(stage, make, run, number)
        await stage.until(lambda: strings.loads - strings.closes == 1)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert grown < 400_000, "bytes of Python objects that 180 reloads left behind"
        assert len(gc.get_objects()) - objects < 1_000
        assert resident() - before < 12 << 20
        await stage.until(lambda: len(threads()) <= working)
        assert len(service.engine.fleet.lanes) == 1
        assert [one.binding.name for one in service.router.runs] == ["Twice"]
