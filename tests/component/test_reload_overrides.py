"""Devices whose own settings break, come and go: each keeps what it had, and is told no untruth."""

import logging
import shutil
from typing import Any

import pytest
import yaml

from edgex_inference import service as room
from edgex_inference.pipeline.running.upkeep import Upkeep, stamp


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK", 0.02)


def block(make: Any, level: object) -> dict[str, Any]:
    """Y is 2x + 1, Big says whether it is at least `level`."""
    outputs = {"Y": {"value": "y.0", "type": "Float64"}, "Big": {"value": "state"}}
    return {**make.binding(), "outputs": outputs, "decide": {"value": "y.0", "raise": level}}


def override(stage: Any, level: object, device: str = "p") -> None:
    settings = {"inference": {"Twice": {"decide": {"raise": level}}}}
    stage.write(
        "devices.yaml", {"deviceList": [{"name": device, "profileName": "pump", "properties": settings}]}
    )


async def big(stage: Any, make: Any, device: str) -> str:
    """What the next event of a device, Y = 15, says."""
    before = len(stage.results(device))
    await stage.send(make.event(device, X=7))
    return str((await stage.have(before + 1, device))[before].values["Big"])


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


async def test_a_first_override_with_a_mistake_leaves_its_device_as_it_was(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.profile("pump", X=("Float32", {"Twice": block(make, 10)}))
    stage.model()
    async with stage.running() as service:
        assert (await big(stage, make, "p"), await big(stage, make, "q")) == ("true", "true")
        override(stage, "high")
        await stage.until(lambda: any("the change is refused" in one for one in errors(caplog)))
        assert (await big(stage, make, "p"), await big(stage, make, "q")) == ("true", "true")
        await stage.until(lambda: stage.statuses("p")[-1] == "degraded")
        reason = stage.heard[-1].values.get("InferenceReason", "") or str(stage.heard)
        assert "fake:CPU answers as before; the change is refused: " in reason
        assert "devices.yaml:" in reason
        assert stage.statuses("q") == ["running"]
        assert sum("the change is refused" in one for one in errors(caplog)) == 1
        override(stage, 1e9)
        await stage.until(lambda: all(run.status == "running" for run in service.router.runs))
        assert (await big(stage, make, "p"), await big(stage, make, "q")) == ("false", "true")
        assert "inactive" not in stage.statuses()


async def test_a_broken_profile_leaves_each_device_its_own_settings(stage: Any, make: Any) -> None:
    stage.profile("pump", X=("Float32", {"Twice": block(make, 10)}))
    stage.model()
    override(stage, 1e9)
    file = stage.folder / "profiles" / "pump.yaml"
    whole = file.read_text()
    async with stage.running() as service:
        assert (await big(stage, make, "p"), await big(stage, make, "q")) == ("false", "true")
        for broken in (
            whole.replace("Float64", "Float46"),
            whole.replace("Float64", "Float46") + "# again\n",
        ):
            file.write_text(broken)
            book = service.book
            await stage.until(lambda: service.book is not book)  # noqa: B023
            await stage.until(lambda: [run.status for run in service.router.runs] == ["degraded"] * 2)
            assert (await big(stage, make, "p"), await big(stage, make, "q")) == ("false", "true")
        file.write_text(whole)
        await stage.until(lambda: [run.status for run in service.router.runs] == ["running"] * 2)
        assert (await big(stage, make, "p"), await big(stage, make, "q")) == ("false", "true")
        assert "inactive" not in stage.statuses()


async def test_a_device_that_loses_its_override_is_not_told_that_it_has_no_binding(
    stage: Any, make: Any
) -> None:
    stage.profile("pump", X=("Float32", {"Twice": block(make, 10)}))
    stage.model()
    override(stage, 1e9)
    async with stage.running() as service:
        assert await big(stage, make, "p") == "false"
        (stage.folder / "profiles" / "devices.yaml").unlink()
        await stage.until(lambda: len(service.router.runs) == 1)
        assert await big(stage, make, "p") == "true"
    assert set(stage.statuses("p")) == {"running"}


async def test_a_folder_that_is_away_changes_nothing(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """As when it is not mounted for a moment, or replaced as a whole."""
    stage.profile("pump", X=("Float32", {"Twice": block(make, 10)}))
    stage.model()
    profiles, models = stage.folder / "profiles", stage.folder / "models"
    async with stage.running() as service:
        (run,) = service.router.runs
        assert await big(stage, make, "p") == "true"
        profiles.rename(stage.folder / "old")
        await stage.until(lambda: any("the folder is away" in one for one in errors(caplog)))
        models.rename(stage.folder / "old models")
        await stage.until(lambda: run.status == "degraded")
        assert await big(stage, make, "p") == "true"
        (stage.folder / "old models").rename(models)
        shutil.copytree(stage.folder / "old", profiles)
        stage.profile("pump", X=("Float32", {"Twice": block(make, 1e9)}))
        await stage.until(lambda: run.status == "running" and run.binding.decide.raise_at == 1e9)
        assert await big(stage, make, "p") == "false"
    assert "inactive" not in stage.statuses()


async def test_a_version_folder_may_be_a_link(stage: Any, make: Any) -> None:
    stage.simple()
    home = stage.folder / "models" / "double"
    (home / "1").rename(stage.folder / "release")
    (home / "1").symlink_to(stage.folder / "release")
    card = stage.folder / "release" / "model.yaml"
    async with stage.running() as service:
        (run,) = service.router.runs
        said = yaml.safe_load(card.read_text())
        said["inputs"]["x"]["normalize"] = {"mean": [1], "std": [1]}
        card.write_text(yaml.safe_dump(said))
        journey = run.journey
        await stage.until(lambda: run.journey is not journey)
        await stage.send(make.event("p", X=1))
        (result,) = await stage.have(1)
        assert result.values == {"Y": "1e+00"}


def test_what_counts_as_a_change_of_a_profiles_folder(stage: Any) -> None:
    profiles = stage.folder / "profiles"
    stage.write("pump.yaml", "name: pump")
    before = stamp(profiles)
    for name in (".pump.yaml.swp", "4913", "pump.yaml~", "notes.txt"):
        stage.write(name, "an editor's")
    assert stamp(profiles) == before, "what is not read need not lie still"
    (profiles / "pump.yaml").chmod(0o600)
    assert stamp(profiles) != before, "it can be read now, perhaps"


async def test_a_model_that_is_being_copied_when_it_is_first_wanted(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It becomes whole after the plan was drawn and before the next look: that is seen all the same."""
    stage.model()
    file = stage.folder / "models" / "double" / "1" / "model.fake"
    whole = file.read_bytes()
    file.write_bytes(whole[:9])
    look, mended = Upkeep.look, []

    def looking(upkeep: Upkeep) -> Any:
        runs = stage.service.router.runs
        if runs and runs[0].status == "inactive" and not mended:
            mended.append(True)
            file.write_bytes(whole)
        return look(upkeep)

    monkeypatch.setattr(Upkeep, "look", looking)
    async with stage.running() as service:
        stage.profile("pump", X=("Float32", {"Twice": make.binding()}))
        await stage.until(lambda: [run.status for run in service.router.runs] == ["running"])
    assert mended
