"""`fallback: never | warn | allow` at the start, at work and at a change; each as its row of the how-to says."""

from typing import Any

import pytest

from edgex_inference import service as room
from edgex_inference.pipeline.running import drawing

BOTH = ["fake:NPU", "fake:CPU"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK", 0.02)
    monkeypatch.setattr(drawing, "_ABSENT", 0.02)
    monkeypatch.setattr(drawing, "_LONG_ABSENT", 0.04)


def levels(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    return [record.levelname for record in caplog.records if text in record.getMessage()]


@pytest.mark.parametrize(
    ("fallback", "status", "level"),
    [("never", "inactive", "ERROR"), ("warn", "running", "WARNING"), ("allow", "running", "INFO")],
)
async def test_at_the_start(
    fallback: str, status: str, level: str, stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strings = stage.simple(accelerator=BOTH, fallback=fallback)
    strings.away.add("NPU")
    async with stage.running() as service:
        (run,) = service.router.runs
        assert run.status == status
        assert "accelerator 'fake:NPU': unplugged" in run.reason
        assert levels(caplog, "accelerator 'fake:NPU': unplugged") == [level]
        ready, body = await stage.get("/ready")
        assert (ready, bool(body["reasons"])) == ((503, True) if fallback == "never" else (200, False))
        strings.away.clear()
        await stage.until(lambda: run.journey is not None and run.journey.plan.accelerator == "fake:NPU")
        await stage.send(make.event("p", X=1))
        assert (await stage.have(1))[0].event.tags["accelerator"] == "fake:NPU"


@pytest.mark.parametrize(
    ("fallback", "status", "published"),
    [("never", "degraded", 0), ("warn", "degraded", 9), ("allow", "running", 9)],
)
async def test_at_work(
    fallback: str, status: str, published: int, stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strings = stage.simple(accelerator=BOTH, fallback=fallback)
    async with stage.running() as service:
        (run,) = service.router.runs
        strings.away.add("NPU")
        await stage.send(*(make.event("p", X=x) for x in range(9)))
        counters = await stage.through(9)
        assert counters["published"] == published
        assert counters["failed"] == ({} if published else {"deviceLost": 9})
        assert run.status == status
        await stage.until(lambda: stage.statuses()[-1] == status)
        strings.away.clear()
        await stage.until(
            lambda: not run.journey.plan.lane.lost and run.journey.plan.accelerator == "fake:NPU"
        )
        await stage.send(make.event("p", X=9))
        await stage.until(lambda: stage.counters()["published"] == published + 1)
        assert stage.results()[-1].event.tags["accelerator"] == "fake:NPU"
        await stage.until(lambda: stage.statuses()[-1] == run.status == "running")
    assert levels(caplog, "fake:NPU double 1: ") == ["WARNING", "WARNING"], (
        "lost, and back: one line each way"
    )


@pytest.mark.parametrize("fallback", ["never", "warn", "allow"])
async def test_at_a_change(fallback: str, stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The new version cannot be had on the NPU; the old one goes on there where nobody else may answer."""
    strings = stage.simple(accelerator=BOTH, fallback=fallback)
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        before = run.journey
        strings.mad.add("NPU")
        stage.add("double", "in.json", {"x": [1.0]})
        stage.add("double", "out.json", {"y.0": 3.0})
        stage.model(card={"golden": [{"input": "in.json", "expect": "out.json"}]})
        if fallback == "never":
            await stage.until(lambda: "the change is refused: " in run.reason)
            assert (run.journey, run.status) == (before, "degraded")
            assert levels(caplog, "the change is refused, what ran goes on") == ["ERROR"]
            return
        await stage.until(lambda: run.journey is not before)
        assert run.journey.plan.accelerator == "fake:CPU"
        assert run.status == "running"
        assert levels(caplog, "golden sample in.json") == ["WARNING" if fallback == "warn" else "INFO"]
