"""`auto` on a machine with two devices: right before quick, measured once for each machine, and shown with reasons."""

import logging
import threading
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from edgex_inference import service as room
from edgex_inference.contracts.errors import ConfigurationError
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.claims import GROUP, Claim
from edgex_inference.pipeline.planning.choosing import contest, timing
from edgex_inference.pipeline.planning.choosing.finding import Finding, ranked
from edgex_inference.pipeline.running import drawing
from edgex_inference.testing import fake_accelerator
from edgex_inference.testing.fake_accelerator import Control, FakeSession

SLOW = 0.02
"""Seconds by which a device is slower than one that answers at once."""


class Clock:
    """Goes on by what the fake's devices take, and a little with each look at it: a busy machine is as quick as any."""

    def __init__(self) -> None:
        self._now = 0.0

    def sleep(self, seconds: float) -> None:
        self._now += seconds

    def perf_counter(self) -> float:
        self._now += 1e-5
        return self._now


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, stage: Any) -> None:
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    monkeypatch.setattr(fake_accelerator, "time", clock)
    monkeypatch.setattr(room, "_LOOK", 0.02)
    monkeypatch.setattr(contest, "_LONGEST", 0.05)
    stage.hardware = ["an NPU"]


def said(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if text in record.getMessage()]


def proven(stage: Any, **more: object) -> Control:
    """A binding on `auto`, whose model has a golden sample of 1 → 3."""
    stage.simple(**more)
    stage.add("double", "in.json", {"x": [1.0]})
    stage.add("double", "out.json", {"y.0": 3.0})
    return stage.model(card={"golden": [{"input": "in.json", "expect": "out.json"}]})  # type: ignore[no-any-return]


def record(stage: Any) -> Path:
    """The only one that is kept."""
    (found,) = (stage.folder / "state" / "choices").glob("*.json")
    return Path(found)


async def shown(stage: Any) -> Any:
    _, body = await stage.get("/api/v3/inference/bindings")
    return body["bindings"][0]


async def test_the_quickest_of_those_that_are_right(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strings = proven(stage)
    strings.pace["CPU"] = SLOW
    async with stage.running() as service:
        (run,) = service.router.runs
        assert (run.journey.plan.accelerator, run.status) == ("fake:NPU", "running")
        await stage.send(make.event("p", X=1))
        assert (await stage.have(1))[0].event.tags["accelerator"] == "fake:NPU"
        row = await shown(stage)
        assert row["passedOver"] == []
        first, second = row["choice"]["candidates"]
        assert (first["accelerator"], first["answers"], first["difference"]) == ("fake:NPU", "right", 0.0)
        assert second["p50Ms"] >= SLOW * 1e3 > first["p50Ms"]
        assert second["throughput"] < first["throughput"]
        assert (row["choice"]["samples"], row["choice"]["kept"]) == (1, False)
        await stage.until(lambda: len(service.engine.fleet.lanes) == 1)
    assert said(caplog, "auto measures fake:CPU and fake:NPU") != []
    (line,) = said(caplog, "auto takes fake:NPU right, p50 ")
    assert "; then fake:CPU right, p50 " in line
    assert line.endswith("; by 1 golden sample")


async def test_the_quickest_is_out_when_it_is_wrong(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strings = proven(stage)
    strings.pace["CPU"] = SLOW
    strings.mad.add("NPU")
    async with stage.running() as service:
        (run,) = service.router.runs
        assert (run.journey.plan.accelerator, run.status) == ("fake:CPU", "running")
        _, wrong = (await shown(stage))["choice"]["candidates"]
        assert (wrong["accelerator"], wrong["answers"], wrong["difference"]) == ("fake:NPU", "wrong", 2.0)
        assert "y.0 is -3.0 instead of 3.0" in wrong["reason"]
    (line,) = [one for one in caplog.records if "auto takes fake:CPU" in one.getMessage()]
    assert line.levelno == logging.WARNING


async def test_all_are_wrong(stage: Any, make: Any) -> None:
    strings = proven(stage)
    strings.mad.update(("CPU", "NPU"))
    async with stage.running() as service:
        (run,) = service.router.runs
        assert run.status == "inactive"
        assert "none of auto can run it" in run.reason
        assert run.reason.count("is -3.0 instead of 3.0") == 1


async def test_without_golden_samples_they_must_agree(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strings = stage.simple()
    strings.pace["CPU"] = SLOW
    strings.mad.add("NPU")
    async with stage.running() as service:
        assert service.router.runs[0].journey.plan.accelerator == "fake:CPU"
        first, second = (await shown(stage))["choice"]["candidates"]
        assert (first["answers"], second["answers"]) == ("unproven", "differs")
        assert second["reason"].startswith("made-up numbers come out other than on fake:CPU: 2.0e+00 apart")
    assert "by made-up numbers (no golden samples: " in said(caplog, "auto takes fake:CPU")[0]


async def test_without_golden_samples_who_agrees_may_be_quicker(stage: Any, make: Any) -> None:
    strings = stage.simple()
    strings.pace["CPU"] = SLOW
    async with stage.running() as service:
        assert service.router.runs[0].journey.plan.accelerator == "fake:NPU"
        first, second = (await shown(stage))["choice"]["candidates"]
        assert (first["answers"], second["answers"]) == ("agrees", "unproven")


async def test_it_is_measured_once_for_a_machine(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    strings = proven(stage)
    strings.pace["CPU"] = SLOW
    async with stage.running():
        pass
    strings.pace = {"NPU": SLOW}
    loads = strings.loads
    async with stage.running() as service:
        assert service.router.runs[0].journey.plan.accelerator == "fake:NPU"
        assert (await shown(stage))["choice"]["kept"] is True
        assert strings.loads == loads + 1, "the others are not even loaded"
    assert len(said(caplog, "auto measures")) == 1
    stage.add("double", "in.json", {"x": [1.0]})
    stage.add("double", "out.json", {"y.0": 3.0, "y": [3.0]})
    async with stage.running() as service:
        assert service.router.runs[0].journey.plan.accelerator == "fake:CPU"
    assert len(said(caplog, "auto measures")) == 2, "other golden samples are another question"
    stage.hardware = ["another NPU"]
    async with stage.running():
        pass
    assert len(said(caplog, "auto measures")) == 3, "another machine"
    newer = replace(fake_accelerator.PLUGIN, version=lambda: "1.1")
    monkeypatch.setattr(fake_accelerator, "PLUGIN", newer)
    async with stage.running():
        pass
    assert len(said(caplog, "auto measures")) == 4, "another version of the runtime"
    updated = Claim.brought_by.fget
    monkeypatch.setattr(Claim, "brought_by", property(lambda claim: f"{updated(claim)} 2"))  # type: ignore[misc]
    async with stage.running():
        pass
    assert len(said(caplog, "auto measures")) == 5, "another version of the plug-in"


@pytest.mark.parametrize("harm", ["{", '{"fingerprint": {}, "choice": {}}', ""])
async def test_a_record_that_is_broken_is_made_again(
    harm: str, stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strings = proven(stage)
    strings.pace["CPU"] = SLOW
    async with stage.running():
        pass
    whole = record(stage).read_text()
    record(stage).write_text(harm)
    async with stage.running() as service:
        assert service.router.runs[0].journey.plan.accelerator == "fake:NPU"
    assert len(said(caplog, "auto measures")) == 2
    assert record(stage).read_text().splitlines()[:5] == whole.splitlines()[:5]


async def test_where_nothing_can_be_kept_that_is_said(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    proven(stage)
    (stage.folder / "state").write_text("in the way")
    async with stage.running() as service:
        assert service.router.runs[0].status == "running"
    assert len(said(caplog, "auto measures again at each start: ")) == 1


async def test_bindings_of_one_model_wait_for_one_measurement(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.profile("pump", X=("Float32", {name: make.binding() for name in ("One", "Two", "Three")}))
    strings = stage.model()
    strings.pace["CPU"] = SLOW
    async with stage.running() as service:
        assert {run.journey.plan.accelerator for run in service.router.runs} == {"fake:NPU"}
        assert len(service.engine.fleet.lanes) == 1
    assert len(said(caplog, "auto measures")) == 1


def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """No run on the NPU ends before this is set."""
    go_on, sound = threading.Event(), FakeSession.infer

    def infer(self: FakeSession, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        if self._device == "NPU":
            go_on.wait(60)
        return sound(self, tensors, timeout=timeout)

    monkeypatch.setattr(FakeSession, "infer", infer)
    return go_on


async def test_progress_is_seen_while_it_takes_long(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(stage)
    go_on = held(monkeypatch)
    wanted = "pump: binding Twice is starting: auto measures fake:NPU with double 1 (2 of 2)"
    async with stage.running(settled=False) as service:
        await stage.until(lambda: wanted in service.view.ready()[1])
        status, body = await stage.get("/ready")
        assert (status, wanted in body["reasons"]) == (503, True)
        go_on.set()
        await stage.until(lambda: service.view.ready()[0])


async def test_one_model_is_measured_at_a_time(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        stage.model(name)
    go_on = held(monkeypatch)
    blocks = {name.title(): make.binding(model={"name": name}) for name in ("one", "two")}
    stage.profile("pump", X=("Float32", {"One": blocks["One"]}), Z=("Float32", {"Two": blocks["Two"]}))
    waits = {f"auto waits to measure {name}: another model is being measured" for name in ("one", "two")}
    async with stage.running(settled=False) as service:
        await stage.until(lambda: sum(run.reason in waits for run in service.router.runs) == 1)
        go_on.set()
        await stage.until(lambda: all(run.status == "running" for run in service.router.runs))


async def test_a_lost_device_makes_way_for_the_next_best(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strings = proven(stage)
    strings.pace["CPU"] = SLOW
    async with stage.running() as service:
        (run,) = service.router.runs
        strings.away.add("NPU")
        await stage.send(*(make.event("p", X=x) for x in range(20)))
        await stage.have(20)
        assert (run.journey.plan.accelerator, run.status) == ("fake:CPU", "degraded")
        strings.away.clear()
        await stage.until(lambda: run.journey.plan.accelerator == "fake:NPU")
        await stage.until(lambda: run.status == "running")
        assert run.measures.counters()["failed"] == {}
    assert len(said(caplog, "auto measures")) == 1


async def test_who_was_away_is_measured_when_it_comes(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(drawing, "_ABSENT", 0.02)
    monkeypatch.setattr(drawing, "_LONG_ABSENT", 0.04)
    strings = proven(stage)
    strings.pace["CPU"] = SLOW
    strings.away.add("NPU")
    async with stage.running() as service:
        (run,) = service.router.runs
        assert run.journey.plan.accelerator == "fake:CPU"
        _, away = (await shown(stage))["choice"]["candidates"]
        assert (away["answers"], away["reason"]) == ("not run", "accelerator 'fake:NPU': unplugged")
        assert not (stage.folder / "state" / "choices").exists(), "it may be there next time"
        strings.away.clear()
        await stage.until(lambda: run.journey.plan.accelerator == "fake:NPU")
        assert record(stage).exists()
        assert run.status == "running"
    assert len(said(caplog, "auto takes")) == 2


async def test_on_a_machine_with_nothing_else_nothing_is_measured(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.hardware = ()
    strings = proven(stage)
    strings.pace["CPU"] = SLOW
    async with stage.running() as service:
        assert service.router.runs[0].journey.plan.accelerator == "fake:CPU"
        assert (await shown(stage))["choice"] is None
    assert not said(caplog, "auto ")


RIGHT = Finding(accelerator="a", difference=0.0, p50=1e-3, throughput=1000.0, batch="any number")


def test_what_is_quick_enough_is_not_told_apart() -> None:
    quick = replace(RIGHT, p50=0.2e-3, throughput=6000.0)
    quicker = replace(RIGHT, accelerator="b", p50=0.01e-3, throughput=90000.0)
    assert [one.accelerator for one in ranked([quick, quicker])] == ["a", "b"]
    assert [one.accelerator for one in ranked([quicker, quick])] == ["b", "a"]


@pytest.mark.parametrize(
    ("others", "order"),
    [
        ([replace(RIGHT, accelerator="b", p50=0.5e-3)], "ba"),
        ([replace(RIGHT, accelerator="b", p50=0.95e-3)], "ab"),
        ([replace(RIGHT, accelerator="b", p50=1.05e-3, throughput=2000.0)], "ba"),
        ([replace(RIGHT, accelerator="b", p50=0.1e-3, wrong=True)], "ab"),
        ([replace(RIGHT, accelerator="b", p50=0.1e-3, difference=None)], "ab"),
        ([Finding(accelerator="b", reason="gone"), replace(RIGHT, accelerator="c", p50=2e-3)], "acb"),
        (
            [
                replace(RIGHT, accelerator="b", p50=0.1e-3, wrong=True),
                replace(RIGHT, accelerator="c", p50=0.7e-3, throughput=900.0),
            ],
            "cab",
        ),
        ([replace(RIGHT, accelerator="b", p50=1.1e-3, throughput=1400.0)], "ab"),
    ],
)
def test_right_before_quick_and_close_times_are_equal(others: list[Finding], order: str) -> None:
    assert "".join(one.accelerator for one in ranked([RIGHT, *others])) == order


async def test_what_auto_considers_can_be_narrowed_down(stage: Any) -> None:
    stage.inference = {"auto_accelerators": "fake, onnxruntime"}
    with pytest.raises(
        ConfigurationError, match=r"Inference\.AutoAccelerators: 'onnxruntime' is no accelerator"
    ):
        async with stage.running():
            pass
    stage.inference = {"auto_accelerators": "reference"}
    reference = EntryPoint(name="reference", value="accelerators.reference:PLUGIN", group=GROUP)
    fake = EntryPoint(name="fake", value="edgex_inference.testing.fake_accelerator:PLUGIN", group=GROUP)
    stage.catalog = Catalog([fake, reference])
    stage.simple()
    async with stage.running() as service:
        (run,) = service.router.runs
        assert "fake is not in Inference.AutoAccelerators" in run.reason
