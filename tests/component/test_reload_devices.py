"""A device is lost under a service at work: the next candidate answers, and the first one again when it is back."""

import logging
from typing import Any

import pytest

from edgex_inference import service as room
from edgex_inference.pipeline.running import drawing
from edgex_inference.testing.fake_accelerator import Control


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK", 0.02)


BOTH = ["fake:NPU", "fake:CPU"]


def by_device(stage: Any, **more: object) -> Control:
    """A binding on two devices; the strings on the model, whose answer says by a tag who answered."""
    return stage.simple(**{"accelerator": BOTH, **more})  # type: ignore[no-any-return]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def accelerators(stage: Any) -> list[str]:
    return [one.event.tags["accelerator"] for one in stage.results()]


async def test_the_next_candidate_answers_and_the_first_comes_back(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strings = by_device(stage)
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(make.event("p", X=0))
        await stage.have(1)
        strings.away.add("NPU")
        await stage.send(*(make.event("p", X=x) for x in range(1, 40)))
        await stage.have(40)
        assert accelerators(stage)[-1] == "fake:CPU"
        assert run.status == "degraded"
        assert run.reason.startswith("fake:CPU answers; accelerator 'fake:NPU': is lost: ")
        assert (await stage.get("/ready"))[0] == 200
        assert stage.statuses() == ["running", "degraded"]
        strings.away.clear()
        await stage.until(lambda: run.status == "running")
        await stage.send(make.event("p", X=40))
        await stage.have(41)
        assert accelerators(stage)[-1] == "fake:NPU"
        await stage.until(lambda: stage.statuses() == ["running", "degraded", "running"])
        assert [round(float(one.values["Y"])) for one in stage.results()] == [2 * x + 1 for x in range(41)]
        assert run.measures.counters()["failed"] == {}
        await stage.until(lambda: len(service.engine.fleet.lanes) == 1)
    assert len(warnings(caplog)) == 2, "one line each way"


async def test_a_device_that_answers_wrongly_afterwards_is_not_taken_back(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strings = golden(stage)
    async with stage.running() as service:
        (run,) = service.router.runs
        strings.away.add("NPU")
        await stage.send(make.event("p", X=0))
        await stage.have(1)
        strings.mad.add("NPU")
        strings.away.clear()
        await stage.until(lambda: "golden sample" in run.reason)
        await stage.send(make.event("p", X=1))
        await stage.have(2)
        assert accelerators(stage) == ["fake:CPU", "fake:CPU"]
        assert run.measures.counters()["failed"] == {}
        strings.mad.clear()
        await stage.until(lambda: run.status == "running")
        await stage.send(make.event("p", X=2))
        await stage.have(3)
        assert accelerators(stage)[-1] == "fake:NPU"
    said = warnings(caplog)
    assert [one.split(": ")[1] for one in said if "golden" in one] == ["is not taken back"], "said once"
    assert len(said) == 3, "lost, not taken back, back"


@pytest.mark.parametrize("more", [{"accelerator": ["fake:NPU"]}, {"fallback": "never"}])
async def test_alone_it_answers_nobody_before_its_golden_samples(
    more: dict[str, Any], stage: Any, make: Any
) -> None:
    strings = golden(stage, **more)
    async with stage.running() as service:
        (run,) = service.router.runs
        strings.away.add("NPU")
        await stage.send(make.event("p", X=0))
        await stage.until(lambda: run.measures.counters()["failed"] == {"deviceLost": 1})
        strings.mad.add("NPU")
        strings.away.clear()
        await stage.until(lambda: "golden sample" in run.journey.plan.lane.reason)
        await stage.send(make.event("p", X=1))
        await stage.until(lambda: run.measures.counters()["failed"] == {"deviceLost": 2})
        assert "golden sample" in run.reason
        strings.mad.clear()
        await stage.until(lambda: not run.journey.plan.lane.lost)
        await stage.send(make.event("p", X=2))
        (result,) = await stage.have(1)
        assert result.values == {"Y": "5e+00"}


async def test_a_session_that_replaces_one_that_hangs_is_asked_too(stage: Any, make: Any) -> None:
    strings = golden(stage, accelerator="fake:NPU", limits={"timeout": "1s"})
    async with stage.running() as service:
        (run,) = service.router.runs
        strings.mad.add("NPU")
        strings.always = "hang"
        await stage.send(make.event("p", X=0))
        await stage.until(lambda: strings.started.is_set() and run.measures.counters()["failed"] != {})
        strings.always = "ok"
        strings.release.set()
        await stage.until(lambda: "golden sample" in run.journey.plan.lane.reason)
        await stage.send(make.event("p", X=1))
        await stage.until(lambda: run.measures.counters()["failed"].get("deviceLost") == 1)
        assert not stage.results()


def golden(stage: Any, **more: object) -> Control:
    """The binding on two devices, with a golden sample of 1 → 3."""
    by_device(stage, **more)
    stage.add("double", "in.json", {"x": [1.0]})
    stage.add("double", "out.json", {"y.0": 3.0})
    return stage.model(card={"golden": [{"input": "in.json", "expect": "out.json"}]})  # type: ignore[no-any-return]


@pytest.mark.parametrize("more", [{"accelerator": ["fake:NPU"]}, {"fallback": "never"}])
async def test_without_another_candidate_items_fail_until_it_is_back(
    more: dict[str, Any], stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strings = stage.simple(**{"accelerator": BOTH, **more})
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(make.event("p", X=0))
        await stage.have(1)
        strings.away.add("NPU")
        await stage.send(make.event("p", X=1))
        await stage.until(lambda: stage.statuses() == ["running", "degraded"])
        await stage.until(lambda: run.measures.counters()["failed"] == {"deviceLost": 1})
        strings.away.clear()
        await stage.until(lambda: run.journey is not None and not run.journey.plan.lane.lost)
        await stage.send(make.event("p", X=2))
        await stage.until(lambda: stage.statuses() == ["running", "degraded", "running"])
        await stage.have(2)
        assert accelerators(stage) == ["fake:NPU"] * 2


async def test_the_other_candidate_cannot_be_had_either(stage: Any, make: Any) -> None:
    strings = by_device(stage)
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(make.event("p", X=0))
        await stage.have(1)
        strings.away.update(("NPU", "CPU"))
        await stage.send(make.event("p", X=1))
        await stage.until(lambda: run.measures.counters()["failed"] == {"deviceLost": 1})
        strings.away.remove("CPU")
        strings.away.remove("NPU")
        await stage.until(lambda: not run.journey.plan.lane.lost)
        await stage.send(make.event("p", X=2))
        await stage.have(2)


async def test_it_falls_back_while_a_broken_change_waits(stage: Any, make: Any) -> None:
    strings = by_device(stage)
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(make.event("p", X=0))
        await stage.have(1)
        stage.simple(accelerator=BOTH, publish={"when": "never"})
        await stage.until(lambda: run.status == "degraded")
        strings.away.add("NPU")
        await stage.send(make.event("p", X=1))
        await stage.have(2)
        assert accelerators(stage)[-1] == "fake:CPU"
        assert "the change is refused" in run.reason


async def test_many_devices_are_told_without_filling_the_log(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strings = by_device(stage)
    async with stage.running():
        names = [f"p{i}" for i in range(50)]
        await stage.send(*(make.event(name, X=0) for name in names))
        await stage.have(50)
        strings.away.add("NPU")
        await stage.send(*(make.event(name, X=1) for name in names))
        await stage.have(100)
        await stage.until(lambda: stage.statuses().count("degraded") == 50)
    assert len(warnings(caplog)) == 1


async def test_two_bindings_on_one_session_step_down_together(stage: Any, make: Any) -> None:
    blocks = {name: make.binding(accelerator=BOTH) for name in ("One", "Two")}
    stage.profile("pump", X=("Float32", blocks))
    strings = stage.model()
    async with stage.running() as service:
        strings.away.add("NPU")
        await stage.send(*(make.event("p", X=x) for x in range(5)))
        await stage.have(10)
        assert {run.status for run in service.router.runs} == {"degraded"}
        assert len(service.engine.fleet.lanes) == 2
        strings.away.clear()
        await stage.until(lambda: {run.status for run in service.router.runs} == {"running"})
        await stage.until(lambda: len(service.engine.fleet.lanes) == 1)


async def test_a_refusal_at_the_start_is_no_loss(stage: Any, make: Any) -> None:
    strings = by_device(stage)
    strings.away.add("NPU")
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(make.event("p", X=0))
        await stage.have(1)
        assert (run.status, accelerators(stage)) == ("running", ["fake:CPU"])


async def test_it_falls_back_on_the_old_version_while_a_broken_one_lies_there(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strings = by_device(stage)
    async with stage.running() as service:
        (run,) = service.router.runs
        broken = stage.folder / "models" / "double" / "2"
        broken.mkdir()
        (broken / "model.yaml").write_text("task: [")
        await stage.until(lambda: run.status == "degraded")
        strings.away.add("NPU")
        await stage.send(make.event("p", X=1))
        (result,) = await stage.have(1)
        assert (result.event.tags["accelerator"], result.event.tags["modelVersion"]) == ("fake:CPU", "1")
        strings.away.clear()
        await stage.until(lambda: run.journey.plan.accelerator == "fake:NPU")
        await stage.until(lambda: "the change is refused" in run.reason)
        assert run.measures.counters()["failed"] == {}
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1, "the refusal is said once, whatever else happens"


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks for what was not there without much ado."""
    monkeypatch.setattr(drawing, "_ABSENT", 0.02)
    monkeypatch.setattr(drawing, "_LONG_ABSENT", 0.04)


async def test_a_device_that_was_not_there_is_taken_when_it_comes(
    stage: Any, make: Any, eager: None, caplog: pytest.LogCaptureFixture
) -> None:
    strings = by_device(stage)
    strings.away.add("NPU")
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(make.event("p", X=0))
        await stage.have(1)
        loads = strings.loads
        await stage.until(lambda: strings.loads > loads + 3)
        strings.away.clear()
        await stage.until(lambda: run.journey.plan.accelerator == "fake:NPU")
        await stage.send(make.event("p", X=1))
        await stage.have(2)
        assert accelerators(stage) == ["fake:CPU", "fake:NPU"]
        loads = strings.loads
        await stage.send(make.event("p", X=2))
        await stage.have(3)
        assert strings.loads == loads, "nobody is looked for any more"
    assert len(warnings(caplog)) == 1, "that it was passed over, once"


async def test_a_lost_device_comes_back_after_another_version_was_taken_up(
    stage: Any, make: Any, eager: None
) -> None:
    strings = by_device(stage)
    async with stage.running() as service:
        (run,) = service.router.runs
        strings.away.add("NPU")
        await stage.send(make.event("p", X=0))
        await stage.have(1)
        card = stage.folder / "models" / "double" / "1" / "model.yaml"
        card.write_text(card.read_text() + "# changed\n")
        await stage.until(lambda: not run.journey.plan.reserve)
        strings.away.clear()
        await stage.until(lambda: run.journey.plan.accelerator == "fake:NPU")


async def test_an_inactive_binding_starts_when_its_device_comes(
    stage: Any, make: Any, eager: None, caplog: pytest.LogCaptureFixture
) -> None:
    strings = stage.simple(accelerator="fake:NPU")
    strings.away.add("NPU")
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(make.event("p", X=0))
        await stage.until(lambda: stage.statuses() == ["inactive"])
        loads = strings.loads
        await stage.until(lambda: strings.loads > loads + 3)
        await stage.send(make.event("p", X=0))
        await stage.until(lambda: run.measures.counters()["dropped"] == {"inactive": 2})
        strings.away.clear()
        await stage.until(lambda: run.status == "running")
        await stage.send(make.event("p", X=1))
        await stage.have(1)
    assert stage.statuses() == ["inactive", "running"], "told once"
    assert len(warnings(caplog)) == 1, "logged once"
