"""A stop, or a defect, in the middle of something else: what was taken in gets out, or is counted."""

import asyncio
import time
from typing import Any

import pytest

from edgex_inference import service as room
from edgex_inference.config.schema import Seconds
from edgex_inference.pipeline.running import run as running


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK", 0.02)


async def test_a_run_that_a_reload_retired_is_drained(stage: Any, make: Any) -> None:
    strings = stage.simple(limits={"timeout": "30s"})
    async with stage.running() as service:
        (run,) = service.router.runs
        strings.always, strings.delay = "slow", 0.05
        await stage.send(*(make.event("p", X=x) for x in range(7)))
        await stage.until(lambda: run.measures.counters()["received"] == 7)
        (stage.folder / "profiles" / "pump.yaml").unlink()
        service.look()
        await stage.until(lambda: service.router.runs == ())
        await stage.stop()
    counters = run.measures.counters()
    assert counters["received"] == make.accounted(counters) == 7
    assert counters["published"] == 7


async def test_a_plan_that_changes_during_the_drain_does_not_hold_it_up(stage: Any, make: Any) -> None:
    stage.inference = {"drain_timeout": Seconds(60.0)}
    strings = stage.simple(limits={"timeout": "30s"})
    async with stage.running() as service:
        (run,) = service.router.runs
        strings.always, strings.delay = "slow", 0.02
        await stage.send(*(make.event("p", X=x) for x in range(13)))
        await stage.until(lambda: run.measures.counters()["received"] == 13)
        run.refresh()
        began = time.monotonic()
        await stage.stop()
        took = time.monotonic() - began
    assert run.measures.counters()["published"] == 13
    assert took < 50, "it waited for DrainTimeout"


async def test_a_defect_while_a_change_is_drawn_leaves_alone_what_runs(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    strings = stage.simple(limits={"timeout": "30s"})
    real, broken = running.draw, iter([True])

    async def draw(*arguments: Any, **more: Any) -> Any:
        if next(broken, False):
            raise RuntimeError("oops")
        return await real(*arguments, **more)

    async with stage.running() as service:
        (run,) = service.router.runs
        strings.always, strings.delay = "slow", 0.01
        monkeypatch.setattr(running, "draw", draw)
        await stage.send(*(make.event("p", X=x) for x in range(5)))
        run.refresh()
        await stage.until(lambda: "a defect of ours: RuntimeError('oops')" in run.reason)
        assert run.status == "degraded"
        await stage.send(*(make.event("p", X=x) for x in range(5, 9)))
        counters = await stage.through(9)
    assert counters["published"] == 9


async def test_polling_ends_before_the_drain_begins(stage: Any, make: Any) -> None:
    stage.inference = {"drain_timeout": Seconds(60.0)}
    stage.simple()
    order: list[str] = []
    async with stage.running() as service:
        close, drain = service._poller.close, service.router.runs[0].drain

        async def closed() -> None:
            order.append("poller")
            await close()

        async def drained() -> None:
            order.append("drain")
            await drain()

        service._poller.close = closed
        service.router.runs[0].drain = drained
        await stage.stop()
    assert order[:2] == ["poller", "drain"]
    await asyncio.sleep(0)
