"""Profiles, side-cars and devices files change under a service at work: nothing is lost, nothing else is touched."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from edgex_inference import service as room
from edgex_inference.pipeline.running.upkeep import Upkeep

LOOK = room._LOOK


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK", 0.02)


def block(make: Any, **more: object) -> dict[str, Any]:
    """Y is 2x + 1, Big says whether it is at least `raise`."""
    outputs = {"Y": {"value": "y.0", "type": "Float64"}, "Big": {"value": "state"}}
    return {**make.binding(), "outputs": outputs, "decide": {"value": "y.0", "raise": 10}, **more}


@asynccontextmanager
async def load(stage: Any, make: Any, *devices: str, x: float | None = None) -> AsyncIterator[list[int]]:
    """Sends one event after the other, of each device in turn; the list has one number, how many of each.

    X counts, unless it is given.
    """
    sent = [0]

    async def send() -> None:
        while True:
            await stage.send(*(make.event(device, X=sent[0] if x is None else x) for device in devices))
            sent[0] += 1
            await asyncio.sleep(0.001)

    task = asyncio.create_task(send())
    try:
        yield sent
    finally:
        task.cancel()
        await asyncio.wait((task,))


def numbers(stage: Any, device: str) -> list[int]:
    """The X of each result of a device."""
    return [round((float(one.values["Y"]) - 1) / 2) for one in stage.results(device)]


async def test_a_threshold_changes_under_load(stage: Any, make: Any) -> None:
    stage.profile("pump", X=("Float32", {"Twice": block(make, decide={"value": "y.0", "raise": 1e9})}))
    stage.model()
    async with stage.running():
        async with load(stage, make, "p", "q") as sent:
            await stage.have(20, "p")
            stage.profile("pump", X=("Float32", {"Twice": block(make, decide={"value": "y.0", "raise": 0})}))
            await stage.until(lambda: stage.results("p")[-1].values["Big"] == "true")
            await stage.until(lambda: stage.results("q")[-1].values["Big"] == "true")
        for device in ("p", "q"):
            await stage.have(sent[0], device)
            assert numbers(stage, device)[: sent[0]] == list(range(sent[0])), "each of them, in order"
        counters = stage.counters()
        assert (counters["dropped"], counters["failed"]) == ({}, {})
        assert stage.statuses() == ["running"] * 2, "a change is no change of status"


async def test_an_untouched_neighbor_goes_on_undisturbed(stage: Any, make: Any) -> None:
    strings = stage.simple()
    stage.profile("fan", X=("Float32", {"Other": block(make)}))
    async with stage.running() as service:
        before = {run.binding.name: run.journey for run in service.router.runs}
        stage.profile("fan", X=("Float32", {"Other": block(make, decide={"value": "y.0", "raise": 1})}))
        (other,) = [run for run in service.router.runs if run.binding.name == "Other"]
        await stage.until(lambda: other.journey is not before["Other"])
        (twice,) = [run for run in service.router.runs if run.binding.name == "Twice"]
        assert twice.journey is before["Twice"]
        assert strings.loads == 1, "the model of both is loaded once"


async def test_a_comment_changes_nothing(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    stage.simple()
    file = stage.folder / "profiles" / "pump.yaml"
    async with stage.running() as service:
        book, (run,) = service.book, service.router.runs
        journey = run.journey
        file.write_text("# a comment\n" + file.read_text())
        await stage.until(lambda: service.book is not book)
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        assert run.journey is journey
        assert run.binding is service.book.match("pump", "p")[0], "its places are those of the new text"
    assert "taken up" not in caplog.text


async def test_a_side_car_comes_changes_and_goes(stage: Any, make: Any) -> None:
    stage.profile("pump", X=("Float32", {"Twice": block(make)}))
    stage.model()

    def side_car(level: float) -> dict[str, Any]:
        return {"match": {"profile": "pu*"}, "inference": {"Twice": {"decide": {"raise": level}}}}

    def last() -> str:
        return str(stage.results()[-1].values["Big"])

    file = stage.folder / "profiles" / "ours.yaml"
    async with stage.running(), load(stage, make, "p", x=7):
        await stage.until(lambda: stage.results() and last() == "true")
        stage.write(file.name, side_car(50))
        await stage.until(lambda: last() == "false")
        stage.write(file.name, side_car(3))
        await stage.until(lambda: last() == "true")
        stage.write(file.name, side_car(50))
        await stage.until(lambda: last() == "false")
        file.unlink()
        await stage.until(lambda: last() == "true")


async def test_a_device_override_holds_for_its_device_alone(stage: Any, make: Any) -> None:
    stage.profile("pump", X=("Float32", {"Twice": block(make)}))
    stage.model()
    own = {
        "name": "p",
        "profileName": "pump",
        "properties": {"inference": {"Twice": {"decide": {"raise": 3}}}},
    }
    async with stage.running(), load(stage, make, "p", "q") as sent:
        await stage.have(30, "p")
        big = {device: stage.results(device)[-1].values["Big"] for device in "pq"}
        assert big == {"p": "true", "q": "true"}
        own["properties"] = {"inference": {"Twice": {"decide": {"raise": 1e9}}}}
        stage.write("devices.yaml", {"deviceList": [own]})
        await stage.until(lambda: stage.results("p")[-1].values["Big"] == "false")
        assert stage.results("q")[-1].values["Big"] == "true"
        stage.write("devices.yaml", {"deviceList": []})
        await stage.until(lambda: stage.results("p")[-1].values["Big"] == "true")
        until = sent[0]
        await stage.until(lambda: len(numbers(stage, "p")) >= until)
        assert numbers(stage, "p")[:until] == list(range(until)), "each of them, in order"


@pytest.mark.parametrize("how", ["no YAML", "a mistake", "not yet supported", "no such model", "empty"])
async def test_a_broken_change_leaves_the_old_one_running(
    how: str, stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.simple()
    file = stage.folder / "profiles" / "pump.yaml"
    whole = file.read_text()
    broken = {
        "no YAML": whole + "\n]: [",
        "a mistake": whole.replace("Float64", "Float46"),
        "not yet supported": whole.replace("model:", "window: {length: 1s}\n          model:"),
        "no such model": whole.replace("name: double", "name: dubble"),
        "empty": "",
    }[how]
    async with stage.running() as service:
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        file.write_text(broken)
        await stage.until(lambda: any(record.levelno == logging.ERROR for record in caplog.records))
        await stage.until(lambda: not service._looking.is_set())
        await stage.send(make.event("p", X=2))
        await stage.have(2)
        (run,) = service.router.runs
        if how not in ("no YAML", "empty"):
            await stage.until(lambda: run.status == "degraded")
            await stage.send(make.event("p", X=2))
            await stage.until(lambda: stage.statuses() == ["running", "degraded"])
            assert "as before; the change is refused: " in stage.heard[-1].values.get(
                "InferenceReason", ""
            ) or ("the change is refused" in str([one.values for one in stage.heard]))
            assert sum("the change is refused" in record.getMessage() for record in caplog.records) == 1
        file.write_text(whole)
        await stage.until(lambda: run.status == "running" and run.reason == "fake:CPU answers")
        await stage.send(make.event("p", X=3))
        await stage.until(lambda: stage.results()[-1].values["Y"] == "7e+00")
        assert run.measures.counters()["dropped"] == {}
    assert run.journey is None


async def test_a_removed_block_says_good_bye(stage: Any, make: Any, threads: Any) -> None:
    stage.simple()
    async with stage.running() as service:
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        stage.profile("pump", X="Float32")
        await stage.until(lambda: not service.router.runs)
        await stage.until(lambda: stage.statuses() == ["running", "inactive"])
        assert stage.heard[-1].values["InferenceReason"] == "its block was removed"
        await stage.until(lambda: not service.engine.fleet.lanes)
        stage.simple()
        await stage.until(lambda: [run.status for run in service.router.runs] == ["running"])
        await stage.send(make.event("p", X=2))
        await stage.have(2)


async def test_a_binding_is_switched_off_and_on(stage: Any, make: Any) -> None:
    stage.simple()
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        stage.simple(enabled=False)
        await stage.until(lambda: run.status == "disabled")
        assert not service.engine.fleet.lanes or await closed(stage, service)
        assert (await stage.get("/ready"))[0] == 200
        stage.simple(enabled=True)
        await stage.until(lambda: run.status == "running")
        await stage.send(make.event("p", X=2))
        await stage.have(2)


async def closed(stage: Any, service: Any) -> bool:
    await stage.until(lambda: not service.engine.fleet.lanes)
    return True


async def test_a_new_profile_is_taken_up(stage: Any, make: Any) -> None:
    stage.model()
    async with stage.running() as service:
        assert not service.router.runs
        stage.profile("pump", X=("Float32", {"Twice": make.binding()}))
        await stage.until(lambda: [run.status for run in service.router.runs] == ["running"])
        await stage.send(make.event("p", X=1))
        await stage.have(1)


async def test_a_file_that_is_still_being_written_waits(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.simple()
    file = stage.folder / "profiles" / "pump.yaml"
    async with stage.running() as service:
        book, looks = service.book, []
        look = service._upkeep.look

        def growing() -> Any:
            looks.append(1)
            if len(looks) < 5:
                with file.open("a") as end:
                    end.write("# more\n")
            return look()

        monkeypatch.setattr(service._upkeep, "look", growing)
        await stage.until(lambda: service.book is not book)
        assert len(looks) >= 5
        assert service.book.documents[file].source.lines.count("# more") == 4


async def test_a_change_is_taken_up_at_the_second_look(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.simple()
    looks: list[bool] = []
    look = Upkeep.look

    def looking(upkeep: Upkeep) -> Any:
        looks.append(False)
        at, changes = len(looks) - 1, look(upkeep)
        looks[at] = changes.profiles
        return changes

    async with stage.running() as service:
        book = service.book
        monkeypatch.setattr(Upkeep, "look", looking)
        stage.simple(publish={"when": "change"})
        begun = len(looks)
        await stage.until(lambda: service.book is not book)
    assert looks.index(True) <= begun + 1, "seen, and seen to lie still"
    assert 2 * LOOK <= 1, "seconds: so half of the two that a change may take are left for loading"
