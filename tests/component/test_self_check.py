"""A device that goes on answering, wrongly: golden samples are asked now and then, and another candidate answers."""

import logging
from typing import Any

import pytest

from edgex_inference.config.schema import NOTIFICATIONS, Client, Seconds
from edgex_inference.pipeline.alerting import alerts, lookout
from edgex_inference.testing.fake_accelerator import Control


def watched(stage: Any, **more: object) -> Control:
    """A binding on two devices with a golden sample of 1 → 3, which is asked all the time."""
    stage.inference = {"self_check_interval": Seconds(0.02)}
    stage.simple(**{"accelerator": ["fake:NPU", "fake:CPU"], **more})
    stage.add("double", "in.json", {"x": [1.0]})
    stage.add("double", "out.json", {"y.0": 3.0})
    return stage.model(card={"golden": [{"input": "in.json", "expect": "out.json"}]})  # type: ignore[no-any-return]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(("fallback", "status"), [("warn", "degraded"), ("allow", "running")])
async def test_wrong_answers_step_down_and_right_ones_up(
    fallback: str, status: str, stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strings = watched(stage, fallback=fallback)
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        strings.mad.add("NPU")
        await stage.until(lambda: run.journey.plan.accelerator == "fake:CPU")
        await stage.send(make.event("p", X=2))
        assert (await stage.have(2))[1].values == {"Y": "5e+00"}
        assert run.status == status
        assert "'fake:NPU': is lost: " in run.reason
        assert "golden sample in.json: y.0 is -3.0 instead of 3.0" in run.reason
        strings.mad.clear()
        await stage.until(lambda: run.journey.plan.accelerator == "fake:NPU")
        await stage.until(lambda: run.status == "running")
        await stage.send(make.event("p", X=3))
        assert (await stage.have(3))[2].event.tags["accelerator"] == "fake:NPU"
        assert run.measures.counters()["failed"] == {}
        await stage.until(lambda: set(stage.statuses()) == {"running", status})
    said = warnings(caplog)
    assert said[0].startswith("fake:NPU double 1: answers wrongly: golden sample in.json: y.0 is -3.0")
    assert said[-1] == "fake:NPU double 1: works again"
    assert [one for one in said if "is not taken back" not in one] == [said[0], said[-1]], "one line each way"


@pytest.mark.parametrize("more", [{"accelerator": "fake:NPU"}, {"fallback": "never"}])
async def test_alone_it_answers_nobody_until_it_is_right(
    more: dict[str, Any], stage: Any, make: Any, notifications: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "_LOOK", 0.02)
    for name in ("_SHORTEST", "_LONGEST"):
        monkeypatch.setattr(alerts, name, 0.02)
    stage.clients = {NOTIFICATIONS: Client(host="127.0.0.1", port=notifications.port)}
    strings = watched(stage, **more)
    async with stage.running() as service:
        (run,) = service.router.runs
        strings.mad.add("NPU")
        await stage.until(lambda: run.journey.plan.lane.lost)
        assert run.status == "degraded", "before any event fails"
        assert run.reason.startswith("fake:NPU is lost: ")
        await stage.until(lambda: len(notifications.taken) == 1)
        (told,) = notifications.taken
        assert (told["labels"], told["severity"]) == (["accelerator-lost"], "CRITICAL")
        assert "fake:NPU is lost, and nobody else may answer: " in told["content"]
        await stage.send(make.event("p", X=1))
        await stage.until(lambda: run.measures.counters()["failed"] == {"deviceLost": 1})
        strings.mad.clear()
        await stage.until(lambda: not run.journey.plan.lane.lost)
        await stage.send(make.event("p", X=2))
        assert (await stage.have(1))[0].values == {"Y": "5e+00"}
        await stage.until(lambda: len(notifications.taken) == 2)
        assert "accelerator-lost is over" in notifications.taken[1]["content"]


async def test_a_session_that_is_too_busy_to_be_asked_is_not_distrusted(stage: Any, make: Any) -> None:
    strings = watched(stage)
    async with stage.running() as service:
        (run,) = service.router.runs
        before = run.journey
        strings.always = "fail"
        asked = len(strings.batches)
        await stage.until(lambda: len(strings.batches) > asked + 10)
        strings.always = "ok"
        await stage.send(make.event("p", X=1))
        assert (await stage.have(1))[0].event.tags["accelerator"] == "fake:NPU"
        assert run.journey is before
        assert before.plan.lane.metrics.events.total("lost") == 0


async def test_a_golden_sample_that_went_away_says_nothing_of_the_device(stage: Any, make: Any) -> None:
    strings = watched(stage)
    async with stage.running() as service:
        (run,) = service.router.runs
        before, folder = run.journey, stage.folder / "models" / "double" / "1"
        (folder / "out.json").unlink()
        asked = len(strings.batches)
        await stage.until(lambda: len(strings.batches) > asked + 10)
        assert before.plan.lane.metrics.events.total("lost") == 0
        assert run.journey.plan.lane is before.plan.lane


async def test_unless_it_is_configured_nobody_is_asked(stage: Any, make: Any) -> None:
    strings = watched(stage)
    stage.inference = {}
    async with stage.running() as service:
        (run,) = service.router.runs
        asked = len(strings.batches)
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        assert len(strings.batches) == asked + 1
        assert run.status == "running"
