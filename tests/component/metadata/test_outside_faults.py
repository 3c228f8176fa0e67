"""core-metadata away, and a device that is renamed while its picture is in flight."""

import asyncio
import logging
from typing import Any

import pytest

from edgex_inference.config.schema import Seconds
from edgex_inference.pipeline.alerting import lookout


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "_LOOK", 0.02)


@pytest.mark.parametrize("when", ["start", "later"])
async def test_core_metadata_is_away(
    stage: Any, core: Any, make: Any, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    stage.inference = {"reconcile_interval": Seconds(0.02)}
    stage.simple("file")
    await core.profile()
    if when == "start":
        await core.double.stop()
    async with stage.running() as service:
        if when == "later":
            await core.double.stop()
        counts = service.lookout.conditions.counts
        await stage.until(lambda: counts.total("core-metadata") == 1)
        status, body = await stage.get("/ready")
        assert status == 200
        assert any(one.startswith("core-metadata at http://127.0.0.1:") for one in body["reasons"])
        profile = "file" if when == "start" else "pump"
        await stage.send(make.event("p", X=1, profile=profile))
        await stage.have(1)
        await core.double.start()
        await stage.until(lambda: not service.platform.trouble)
        await stage.until(lambda: any(run.binding.profile == "pump" for run in service.router.runs))
        await stage.send(make.event("p", X=1))
        await stage.have(2)
        status, body = await stage.get("/ready")
        assert (status, body["reasons"]) == (200, [])
        assert (await stage.get("/api/v3/inference/traffic"))[1]["conditions"]["core-metadata"] == 1
    told = [record for record in caplog.records if record.getMessage().startswith("core-metadata ")]
    away = [
        one.levelno
        for one in told
        if "cannot be reached" in one.getMessage() or "broke off" in one.getMessage()
    ]
    assert away == [logging.INFO if when == "start" else logging.WARNING]
    assert len([one for one in told if " is back: " in one.getMessage()]) == 1


@pytest.mark.parametrize("ends", ["ok", "fail"])
async def test_a_device_is_renamed_while_its_picture_is_in_flight(
    stage: Any, core: Any, make: Any, ends: str
) -> None:
    """EdgeX renames by taking away and adding: what is in flight has its old name, comes once, and is forgotten."""
    outputs = {"Y": {"value": "y.0", "type": "Int8"}}
    await core.profile(limits={"timeout": "30s"}, publish={"keepAlive": "30ms"}, outputs=outputs)
    await core.device("old")
    strings = stage.model(datatype="INT64")
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(make.event("old", X=1))
        await stage.have(1, "old")
        strings.always = "hang"
        strings.started.clear()
        await stage.send(
            make.event("old", X=2 if ends == "ok" else 1000)
        )  # 2001 is no Int8: the binding is degraded
        await asyncio.to_thread(strings.started.wait, 10)
        await core.delete("/device/name/old")
        await core.device("new")
        await stage.until(lambda: "new" in service.book.devices and "old" not in service.book.devices)
        await stage.until(lambda: run.journey.devices == ())
        strings.always = "ok"
        strings.release.set()
        await stage.until(lambda: make.accounted(run.measures.counters()) == 2)
        await stage.send(make.event("new", X=3))
        await stage.until(
            lambda: len(stage.results("new")) > 3
        )  # its keepAlive ticks, the old one's does not
        told = [(one.event.device_name, one.values["Y"]) for one in stage.results()]
        assert told.count(("old", "5")) == (ends == "ok"), "what was in flight, once"
        ticks = told[told.index(("new", "7")) :]
        assert {device for device, _ in ticks} == {"new"}
        assert run.journey.devices == ("new",)
        assert run.status == "running", "a device that is no more is no trouble"
        assert stage.statuses("old") == ["running"]
        assert (await stage.get("/ready"))[0] == 200
        await core.device("old")
        await stage.until(lambda: "old" in service.book.devices)
        await stage.send(make.event("old", X=4))
        await stage.until(lambda: set(run.journey.devices) == {"new", "old"})
        await stage.until(lambda: make.accounted(run.measures.counters()) == 4)
