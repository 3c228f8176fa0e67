"""Slow, hung, crashing and lost models; more input than can be had; order and grouping."""

import asyncio
import io
import logging
from typing import Any

import pytest
from PIL import Image

from edgex_inference.contracts.events import ValueType
from edgex_inference.engine.terms import LaneSettings


def said(caplog: pytest.LogCaptureFixture, level: int, text: str) -> int:
    return sum(record.levelno == level and text in record.getMessage() for record in caplog.records)


async def hold(stage: Any, make: Any, strings: Any) -> None:
    """Two bursts of one event each are under way, the first in a run that hangs until `release`."""
    strings.script.append("hang")
    strings.started.clear()
    for number in (-1, -2):
        await stage.send(make.event("first", X=number))
        await stage.until(lambda: stage.service.router.runs[0].queued == 0)
    await asyncio.to_thread(strings.started.wait, 10)


@pytest.mark.parametrize(
    ("overload", "reason", "kept"),
    [("latest", "overtaken", [17, 18, 19]), ("all", "queueFull", [0, 1, 2])],
)
async def test_overload_policies(overload: str, reason: str, kept: list[int], stage: Any, make: Any) -> None:
    strings = stage.simple(limits={"overload": overload, "queue": 3, "timeout": "30s"})
    async with stage.running():
        await hold(stage, make, strings)
        await stage.send(*(make.event(name, X=number) for number in range(20) for name in ("p", "q")))
        await stage.until(lambda: stage.counters()["received"] == 42)
        assert stage.service.router.runs[0].queued == 6, "bounded for each device"
        strings.release.set()
        counters = await stage.through(42)
        await stage.have(8)
    assert counters["dropped"] == {reason: 34}
    for name in ("p", "q"):
        assert [float(one.values["Y"]) for one in stage.results(name)] == [2 * number + 1 for number in kept]


async def test_of_pictures_the_newest_wins(stage: Any, make: Any) -> None:
    def picture(shade: int) -> bytes:
        file = io.BytesIO()
        Image.new("L", (1, 1), shade).save(file, "PNG")
        return file.getvalue()

    card = {"inputs": {"x": {"kind": "image", "layout": "NCHW", "color": "gray", "range": [0, 255]}}}
    stage.profile("cam", Frame=("Binary", {"Twice": make.binding()}))
    strings = stage.model(shape=[None, 1, 1, 1], card=card)
    frames = [
        make.event("c", make.reading("Frame", picture(n), ValueType.BINARY), profile="cam") for n in range(20)
    ]
    async with stage.running():
        strings.script.append("hang")
        strings.started.clear()
        await stage.send(frames[0])
        await asyncio.to_thread(strings.started.wait, 10)
        await stage.send(frames[1])
        await stage.until(lambda: stage.service.router.runs[0].queued == 0)
        await stage.send(*frames[2:])
        await stage.until(lambda: stage.counters()["received"] == 20)
        strings.release.set()
        counters = await stage.through(20)
        await stage.have(3)
    assert counters["dropped"] == {"overtaken": 17}
    assert [float(one.values["Y"]) for one in stage.results()] == [1, 3, 39]


async def test_what_is_too_old_is_not_inferred(stage: Any, make: Any) -> None:
    strings = stage.simple(limits={"maxAge": "1h"})
    async with stage.running():
        await stage.send(make.event("p", X=1, origin=7))
        counters = await stage.through(1)
    assert counters["dropped"] == {"maxAge": 1}
    assert len(strings.batches) == 1, "the warm-up only"


async def test_a_run_that_hangs_fails_alone(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    strings = stage.simple(limits={"timeout": "1s"})
    async with stage.running():
        strings.script.append("hang")
        await stage.send(make.event("p", X=1))
        await stage.until(lambda: stage.statuses() == ["degraded"])
        await stage.send(make.event("q", X=2), make.event("p", X=3))
        await stage.have(2)
        counters = await stage.through(3)
        strings.release.set()
    assert counters["failed"] == {"deadline": 1}
    assert stage.statuses("p") == ["degraded", "running"]
    assert stage.statuses("q") == ["running"]
    assert "did not end within 1 s" in stage.heard[0].values["InferenceReason"]


async def test_a_lost_device_is_opened_again(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    strings = stage.simple(accelerator="fake:CPU")  # with auto it may be there again before others are asked
    async with stage.running() as service:
        strings.script.append("lose")
        await stage.send(make.event("p", X=1))
        await stage.until(lambda: stage.statuses() == ["degraded"])
        await stage.until(lambda: service.engine.fleet.lanes[0].state == "ready")
        await stage.send(make.event("p", X=2))
        await stage.have(1)
        counters = await stage.through(2)
    assert counters["failed"] == {"deviceLost": 1}
    assert stage.statuses() == ["degraded", "running"]
    assert strings.loads == 2


async def test_many_devices_in_trouble_do_not_fill_the_log(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strings = stage.simple()
    async with stage.running():
        strings.always = "fail"
        await stage.send(*(make.event(f"p{number}", X=1) for number in range(50)))
        await stage.through(50)
        await stage.until(lambda: len(stage.statuses()) == 50)
    assert 1 <= said(caplog, logging.WARNING, "degraded") <= 10


async def test_a_slow_model_keeps_to_its_policy(stage: Any, make: Any) -> None:
    """What waits on the lane is beyond the overload policy and fails by its deadline, so not much may wait there."""
    stage.profile("pump", X=("Float32", {"Twice": make.binding(limits={"timeout": "1200ms"})}))
    stage.model(batch="none", delay=0.05, parallel=1)
    async with stage.running():
        await stage.send(*(make.event(f"p{number % 5}", X=number) for number in range(60)))
        counters = await stage.through(60)
    assert counters["failed"] == {}
    assert counters["published"] == 60


async def test_devices_share_runs(stage: Any, make: Any) -> None:
    stage.simple(limits={"timeout": "30s"})
    strings = stage.model(delay=0.002)
    async with stage.running():
        await stage.send(*(make.event(f"p{number % 10}", X=number) for number in range(400)))
        await stage.through(400)
        await stage.have(400)
    runs = strings.batches[1:]
    assert sum(runs) == 400
    assert len(runs) < 100
    for device in range(10):
        values = [float(one.values["Y"]) for one in stage.results(f"p{device}")]
        assert values == sorted(values)
        assert len(values) == 40


async def test_bindings_of_one_model_share_its_session(stage: Any, make: Any) -> None:
    stage.profile("pump", X=("Float32", {"One": make.binding(), "Two": make.binding()}))
    strings = stage.model()
    async with stage.running() as service:
        await stage.send(make.event("p", X=1))
        await stage.have(2)
        assert len(service.engine.fleet.lanes) == 1
    assert (strings.loads, strings.closes) == (1, 1)


async def test_order_holds_when_runs_overtake_each_other(stage: Any, make: Any) -> None:
    strings = stage.simple(limits={"timeout": "30s"})
    strings = stage.model(parallel=4, batch="none")
    async with stage.running():
        strings.script.extend(["slow", "ok", "ok", "slow", "ok"] * 6)
        strings.delay = 0.01
        for number in range(30):
            await stage.send(make.event("p", X=number), make.event("q", X=number))
        await stage.through(60)
        await stage.have(60)
    for device in ("p", "q"):
        assert [float(one.values["Y"]) for one in stage.results(device)] == [2 * n + 1 for n in range(30)]


async def test_max_delay_gathers(stage: Any, make: Any) -> None:
    strings = stage.simple(limits={"maxDelay": "30ms"})
    stage.lanes = LaneSettings()
    async with stage.running():
        for number in range(5):
            await stage.send(make.event(f"p{number}", X=number))
        await stage.have(5)
    assert len(strings.batches) <= 4
