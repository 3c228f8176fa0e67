"""Profiles, devices and their states come from core-metadata, and change with it while the service runs."""

import logging
from typing import Any

import pytest

from edgex_inference import service as room
from edgex_inference.config.environment import Startup
from edgex_inference.config.schema import Seconds
from edgex_inference.contracts.errors import ConfigurationError
from edgex_inference.edgex.providers.patience import Patience
from edgex_inference.edgex.providers.presence import Presence


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("place", ["optional", "attributes"])
async def test_a_block_in_core_metadata_is_inferred(stage: Any, core: Any, make: Any, place: str) -> None:
    await core.profile(place=place)
    async with stage.running() as service:
        if core.two and place == "optional":  # EdgeX 2 does not know it
            assert service.router.runs == ()
            return
        (run,) = service.router.runs
        await stage.until(lambda: run.status == "running")
        await stage.send(make.event("p", X=3))
        assert [one.values["Y"] for one in await stage.have(1)] == ["7e+00"]
        status, body = await stage.get("/api/v3/inference/bindings")
        assert status == 200
        assert body["bindings"][0]["origins"]["model.name"] == "profile pump in core-metadata"


async def test_a_profile_comes_changes_and_goes(stage: Any, core: Any, make: Any) -> None:
    async with stage.running() as service:
        assert service.router.runs == ()
        await core.profile()
        await stage.until(lambda: [run.status for run in service.router.runs] == ["running"])
        await stage.send(*(make.event("p", X=x) for x in range(20)))
        renamed = {"Z": {"value": "y.0", "type": "Float64"}}
        await core.profile("PUT", outputs=renamed)
        await stage.until(lambda: "Z" in core.results())
        await stage.send(make.event("p", X=20))
        found = await stage.have(21)
        assert "Z" in found[-1].values
        assert [float(one.values.get("Y") or one.values["Z"]) for one in found] == [
            2 * x + 1 for x in range(21)
        ]
        await core.delete("/deviceprofile/name/pump")
        await stage.until(lambda: service.router.runs == ())
        await stage.send(make.event("p", X=21))
        await stage.until(lambda: service.router.traffic.messages.total("unmatched") == 1)


async def test_a_devices_override_comes_changes_and_goes(stage: Any, core: Any, make: Any) -> None:
    await core.profile(publish={"when": "always"})
    await core.device("p")
    await core.device("q")

    def sources(device: str) -> list[str]:
        return [one.event.source_name for one in stage.results(device)]

    async with stage.running() as service:
        (run,) = service.router.runs
        override = core.overriding({"Twice": {"enabled": False}})
        await core.change("p", **override)
        await stage.until(lambda: len(service.router.runs) == 2)
        await stage.send(make.event("p", X=1), make.event("q", X=1))
        await stage.have(1, "q")
        assert sources("p") == []
        await core.change("p", **core.overriding({}))
        await stage.until(lambda: service.router.runs == (run,))
        await stage.send(make.event("p", X=2))
        await stage.have(1, "p")
        await core.change("p", **override)
        await stage.until(lambda: len(service.router.runs) == 2)
        await core.delete("/device/name/p")
        await stage.until(lambda: service.router.runs == (run,))


async def test_what_no_system_event_told_is_found_all_the_same(
    stage: Any, core: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.inference = {"reconcile_interval": Seconds(0.05)}
    async with stage.running() as service:
        core.double.faults.silent = True
        await core.profile()
        await stage.until(lambda: [run.status for run in service.router.runs] == ["running"])
        missed = "core-metadata: without a system event: profile pump" in caplog.messages
        assert missed != core.two, "of EdgeX 2 nothing else is expected"
        await core.delete("/deviceprofile/name/pump")
        await stage.until(lambda: service.router.runs == ())


LOCKS = [
    (
        {"adminState": "LOCKED"},
        {"adminState": "UNLOCKED"},
        "deviceLocked",
        "device p is LOCKED in core-metadata",
    ),
    ({"operatingState": "DOWN"}, {"operatingState": "UP"}, "deviceDown", "device p is DOWN in core-metadata"),
]


@pytest.mark.parametrize(("shut", "opened", "word", "reason"), LOCKS)
async def test_nothing_is_inferred_for_a_device_that_is_locked_or_down(
    stage: Any, core: Any, make: Any, shut: Any, opened: Any, word: str, reason: str
) -> None:
    await core.profile()
    await core.device()
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        await core.change(**shut)
        await stage.until(lambda: stage.statuses("p") == ["running", "inactive"])
        (said,) = [one for one in stage.heard if one.status == "inactive"]
        assert said.values["InferenceReason"] == reason
        await stage.send(make.event("p", X=2), make.event("p", X=3), make.event("q", X=4))
        await stage.have(1, "q")
        assert len(stage.results("p")) == 1
        assert run.measures.counters()["dropped"] == {word: 2}
        await core.change(**opened)
        await stage.until(lambda: not service.router._barred)
        await stage.send(make.event("p", X=5))
        await stage.have(2, "p")
        await stage.until(lambda: stage.statuses("p") == ["running", "inactive", "running"])


async def test_a_locked_device_service_locks_its_devices(stage: Any, core: Any, make: Any) -> None:
    await core.profile()
    await core.device()
    async with stage.running() as service:
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        locked = {"name": "device-virtual", "adminState": "LOCKED"}
        assert await core.send("PATCH", "/deviceservice", "service", locked) == 200
        await stage.until(lambda: stage.statuses("p")[-1] == "inactive")
        reason = "device service device-virtual of device p is LOCKED in core-metadata"
        assert service.router._barred["p"].reason == reason


async def test_a_device_locked_before_the_start_is_told(stage: Any, core: Any, make: Any) -> None:
    await core.profile()
    await core.device(adminState="LOCKED")
    async with stage.running() as service:
        await stage.until(lambda: stage.statuses("p") == ["inactive"])
        await stage.send(make.event("p", X=1))
        (run,) = service.router.runs
        await stage.until(lambda: run.measures.counters()["dropped"] == {"deviceLocked": 1})
        assert stage.statuses("p") == ["inactive"]


async def test_away_at_the_start_files_count_until_it_comes(
    stage: Any, core: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.simple("tank")
    await core.profile()
    await core.double.stop()
    async with stage.running() as service:
        assert [run.binding.profile for run in service.router.runs] == ["tank"]
        status, body = await stage.get("/ready")
        assert status == 200
        assert any("core-metadata at http://127.0.0.1" in reason for reason in body["reasons"])
        await core.double.start()
        await stage.until(lambda: {run.binding.profile for run in service.router.runs} == {"tank", "pump"})
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        assert (await stage.get("/ready"))[1]["reasons"] == []
    assert len([text for text in caplog.messages if "cannot be reached" in text]) == 1
    assert len([text for text in caplog.messages if "is back" in text]) == 1


async def test_away_at_the_next_start_the_copy_counts(stage: Any, core: Any, make: Any) -> None:
    await core.profile()
    await core.device(**core.overriding({"Twice": {"publish": {"when": "change"}}}), adminState="LOCKED")
    copy = stage.folder / "state" / "core-metadata-app-inference.json"
    async with stage.running():
        await stage.until(copy.is_file)
    assert copy.stat().st_mode & 0o077 == 0
    await core.double.stop()
    async with stage.running() as service:
        assert {run.binding.publish.when for run in service.router.runs} == {"always", "change"}
        assert service.router._barred["p"].word == "deviceLocked"
        await stage.send(make.event("q", X=1))
        await stage.have(1)


@pytest.mark.parametrize("text", ["", "{", '{"format": 99}', "[1, 2]"])
async def test_a_copy_that_cannot_be_read_is_none(stage: Any, core: Any, text: str) -> None:
    copy = stage.folder / "state" / "core-metadata-app-inference.json"
    copy.parent.mkdir()
    copy.write_text(text)
    await core.double.stop()
    async with stage.running() as service:
        assert service.router.runs == ()


async def test_a_place_for_the_copy_that_cannot_be_written_is_said(
    stage: Any, core: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (stage.folder / "state").write_text("no folder")
    async with stage.running():
        await stage.until(
            lambda: any("copy of core-metadata cannot be kept" in one for one in caplog.messages)
        )


async def test_an_outage_changes_nothing_and_what_it_hid_is_caught_up(
    stage: Any, core: Any, words: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.inference = {"reconcile_interval": Seconds(0.02)}
    await core.profile()
    async with stage.running() as service:
        await core.double.stop()
        await stage.until(lambda: bool(service.platform.trouble))
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        core.double.state.profiles.add(core.record(name="tank"))
        await core.double.start()
        await stage.until(lambda: {run.binding.profile for run in service.router.runs} == {"tank", "pump"})
    told = [text for text in caplog.messages if text.startswith("core-metadata")]
    assert len([text for text in told if "cannot be reached" in text or "broke off" in text]) == 1
    assert len([text for text in told if "is back" in text]) == 1


@pytest.mark.parametrize("fault", ["unavailable", "garbage"])
async def test_an_answer_that_makes_no_sense_is_an_outage(
    stage: Any, core: Any, make: Any, fault: str
) -> None:
    stage.inference = {"reconcile_interval": Seconds(0.02)}
    await core.profile()
    async with stage.running() as service:
        setattr(core.double.faults, fault, True)
        await stage.until(lambda: bool(service.platform.trouble))
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        setattr(core.double.faults, fault, False)
        await stage.until(lambda: not service.platform.trouble)
        assert [run.binding.profile for run in service.router.runs] == ["pump"]


async def test_none_asks_nobody(stage: Any, core: Any) -> None:
    stage.inference = {"metadata": "none"}
    await core.profile()
    core.double.seen.clear()
    async with stage.running() as service:
        assert service.router.runs == ()
    assert core.double.seen == []


async def test_required_waits_for_it(stage: Any, core: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.inference = {"metadata": "required"}
    await core.double.stop()
    patience = Patience(Startup(duration=0.05))  # EDGEX_STARTUP_DURATION
    monkeypatch.setattr(room, "Presence", lambda loaded: Presence(loaded=loaded, patience=patience))
    with pytest.raises(ConfigurationError, match=r"Inference\.Metadata: required, but core-metadata at http"):
        async with stage.running():
            pytest.fail("it started without core-metadata")
    monkeypatch.undo()
    await core.double.start()
    async with stage.running() as service:
        assert service.platform.version == core.double.state.generation.version


async def test_lists_are_read_page_by_page(stage: Any, core: Any, words: Any) -> None:
    core.double.state.policies.max_result_count = 30
    for index in range(45):
        core.double.state.profiles.add(core.record(name=f"pump-{index}"))
    async with stage.running() as service:
        await stage.until(lambda: len(service.router.runs) == 45)


async def test_core_metadata_wins_over_a_file_where_it_has_blocks(
    stage: Any, core: Any, words: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.profile("pump", X=("Float32", {"Mine": words.block()}))
    stage.profile("tank", X=("Float32", {"Mine": words.block()}))
    await core.profile()
    await core.profile(name="tank", bindings={})
    async with stage.running() as service:
        await stage.until(
            lambda: (
                {(run.binding.profile, run.binding.name) for run in service.router.runs}
                == {("pump", "Twice"), ("tank", "Mine")}
            )
        )
    (said,) = [text for text in warnings(caplog) if "differ" in text]
    assert said.startswith("core-metadata: profile pump: ")
    assert "core-metadata's are in force" in said


async def test_mistakes_in_core_metadata_are_told_like_those_in_files(
    stage: Any, core: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await core.profile(limits={"queue": -1})
    async with stage.running() as service:
        (run,) = service.router.runs
        assert run.status == "inactive"
        (said,) = [
            text for text in caplog.messages if text.startswith("core-metadata: profile pump: Twice.limits")
        ]
        assert "-1" in said
        await core.profile("PUT")
        await stage.until(lambda: [one.status for one in service.router.runs] == ["running"])
