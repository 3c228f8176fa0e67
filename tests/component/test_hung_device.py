"""A device that hangs under a service at work: who is to blame fails and is counted, everybody else has an answer."""

import logging
import threading
from typing import Any

import pytest

from edgex_inference.contracts.tensors import Tensors
from edgex_inference.testing.fake_accelerator import FakeSession


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("batch", ["any", "none"])
async def test_of_many_the_one_to_blame_fails(
    batch: str, stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Two bindings share a session; one sample of device p hangs every run that it is in."""
    one, two = (make.binding(limits={"timeout": "2s"}) for _ in range(2))
    stage.profile("pump", X=("Float32", {"One": one}), Z=("Float32", {"Two": two}))
    strings = stage.model(batch=batch, parallel=1, snare=13.0)
    async with stage.running() as service:
        by_name = {run.binding.name: run for run in service.router.runs}
        lane = by_name["One"].journey.plan.lane
        numbers = {"p": [*range(12), 13, *range(14, 20)], "q": [*range(12), 12, *range(14, 20)]}
        pairs = zip(*numbers.values(), strict=True)
        sent = [
            make.event(device, X=x, Z=x % 13)
            for pair in pairs
            for device, x in zip(numbers, pair, strict=True)
        ]
        await stage.send(*sent)
        await stage.through(len(sent), "One")
        await stage.through(len(sent), "Two")
        assert by_name["One"].measures.counters()["failed"] == {"deadline": 1}
        assert by_name["Two"].measures.counters()["failed"] == {}
        assert lane is by_name["One"].journey.plan.lane is by_name["Two"].journey.plan.lane
        await stage.send(make.event("p", X=20))
        await stage.until(lambda: lane.state == "ready" and by_name["One"].unfinished == 0)
        strings.release.set()
    for device, given in numbers.items():
        heard = [one for one in stage.results(device) if one.topic.endswith("/One")]
        right = [2.0 * x + 1 for x in given if x != 13] + ([41.0] if device == "p" else [])
        assert [float(one.values["Y"]) for one in heard] == right, "in order, and nothing else is missing"
    assert any("a run is past its deadline: its session is replaced" in one for one in warnings(caplog))


async def test_one_that_hangs_again_and_again_makes_way(stage: Any, make: Any) -> None:
    strings = stage.simple(accelerator=["fake:NPU", "fake:CPU"], limits={"timeout": "500ms"})
    async with stage.running() as service:
        (run,) = service.router.runs
        strings.script.extend(["hang", "ok"] * (stage.lanes.leaks + 1))  # a warm-up run follows each hung one
        for x in range(stage.lanes.leaks + 1):
            await stage.send(make.event("p", X=x))
            await stage.through(x + 1)
        await stage.until(lambda: run.journey.plan.accelerator == "fake:CPU")
        assert "threads hang in runs past their deadline" in run.journey.plan.standing
        await stage.send(make.event("p", X=9))
        assert (await stage.have(1))[0].values == {"Y": "1.9e+01"}
        strings.release.set()
        await stage.until(lambda: run.journey.plan.accelerator == "fake:NPU")


async def test_one_whose_next_session_hangs_as_well_makes_way_until_it_is_there(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The device hangs in golden samples too: nobody waits for its next session who has somebody else to ask."""
    hangs, free, sound = threading.Event(), threading.Event(), FakeSession.infer

    def infer(self: FakeSession, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        if hangs.is_set() and self._device == "NPU":
            free.wait()
        return sound(self, tensors, timeout=timeout)

    monkeypatch.setattr(FakeSession, "infer", infer)
    stage.profile("pump", X=("Float32", {"Twice": make.binding(
        accelerator=["fake:NPU", "fake:CPU"], limits={"timeout": "2s"})}))  # fmt: skip
    stage.model(card={"golden": [{"input": "in.json", "expect": "out.json"}]})
    stage.add("double", "in.json", {"x": [1.0]})
    stage.add("double", "out.json", {"y.0": 3.0})
    async with stage.running() as service:
        (run,) = service.router.runs
        hangs.set()
        await stage.send(make.event("p", X=0))
        await stage.through(1)
        await stage.send(*(make.event("p", X=x) for x in range(1, 10)))
        counters = await stage.through(10)
        assert (counters["published"], counters["failed"]) == (9, {"deadline": 1})
        assert run.journey.plan.accelerator == "fake:CPU"
        assert "is lost: a run hung: its session is replaced" in run.reason
        assert run.status == "degraded"
        hangs.clear()
        free.set()
        await stage.until(lambda: run.journey.plan.accelerator == "fake:NPU")
        await stage.send(make.event("p", X=10))
        await stage.have(10)
    said = [one for one in warnings(caplog) if one.startswith("fake:NPU double 1: ")]
    assert [one.removeprefix("fake:NPU double 1: ") for one in said] == [
        "a run is past its deadline: its session is replaced",
        "a run hung: its session is replaced, and the new one is not there yet",
        "works again",
    ]
