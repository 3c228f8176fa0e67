"""Models change under a service at work: the next version answers when it can, else the one before goes on."""

import logging
import shutil
from typing import Any

import pytest
import yaml

from edgex_inference import service as room
from edgex_inference.contracts.errors import AcceleratorUnavailable
from edgex_inference.pipeline.running import run as running
from edgex_inference.testing.fake_accelerator import control, write_model


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK", 0.02)


def version(stage: Any, number: str, *, text: str = "", **card: object) -> None:
    """Another version of the model `double`, a copy of the first one with `card` laid over its card."""
    home = stage.folder / "models" / "double"
    ready = home / f".{number}"
    shutil.copytree(home / "1", ready)
    said = yaml.safe_load((ready / "model.yaml").read_text()) | {"version": number} | card
    (ready / "model.yaml").write_text(text or yaml.safe_dump(said))
    write_model(ready / "model.fake", shape=[None, 1], scale=10)
    ready.rename(home / number)


async def answer(stage: Any, make: Any, x: float = 1) -> Any:
    """The result of one more event."""
    before = len(stage.results())
    await stage.send(make.event("p", X=x))
    return (await stage.have(before + 1))[before]


async def test_a_new_version_answers(stage: Any, make: Any) -> None:
    stage.simple()
    async with stage.running() as service:
        (run,) = service.router.runs
        assert (await answer(stage, make)).values == {"Y": "3e+00"}
        version(stage, "2")
        await stage.until(lambda: run.journey.plan.card.version == "2")
        result = await answer(stage, make)
        assert (result.values, result.event.tags["modelVersion"]) == ({"Y": "1.1e+01"}, "2")
        await stage.until(lambda: len(service.engine.fleet.lanes) == 1)
        assert service.engine.fleet.lanes[0] is run.journey.plan.lane, "the first version's session is closed"
        assert stage.statuses() == ["running"]


async def test_a_version_that_is_withdrawn(stage: Any, make: Any) -> None:
    stage.simple()
    async with stage.running() as service:
        (run,) = service.router.runs
        version(stage, "2")
        await stage.until(lambda: run.journey.plan.card.version == "2")
        shutil.rmtree(stage.folder / "models" / "double" / "2")
        await stage.until(lambda: run.journey.plan.card.version == "1")
        assert (await answer(stage, make)).values == {"Y": "3e+00"}


async def test_a_binding_that_names_its_version_keeps_it(stage: Any, make: Any) -> None:
    stage.simple(model={"name": "double", "version": "1"})
    async with stage.running() as service:
        (run,) = service.router.runs
        journey = run.journey
        version(stage, "2")
        await stage.until(lambda: run.journey is not journey)
        assert (await answer(stage, make)).values == {"Y": "3e+00"}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"text": "task: ["}, "2/model.yaml:"),
        ({"task": "guessing"}, "guessing"),
        ({"outputs": {"z": {}}}, "z"),
        ({"files": [{"path": "absent.fake", "format": "fake"}]}, "absent.fake"),
        ({"golden": [{"input": "in.json", "expect": "out.json"}]}, "golden sample in.json"),
    ],
)
async def test_a_broken_version_leaves_the_old_one_running(
    broken: dict[str, Any], said: str, stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.simple()
    stage.add("double", "in.json", {"x": [1.0]})
    stage.add("double", "out.json", {"y": [3.0]})
    async with stage.running() as service:
        (run,) = service.router.runs
        await answer(stage, make)
        version(stage, "2", **broken)
        await stage.until(lambda: run.status == "degraded")
        result = await answer(stage, make)
        assert (result.values, result.event.tags["modelVersion"]) == ({"Y": "3e+00"}, "1")
        await stage.until(lambda: stage.statuses() == ["running", "degraded"])
        reason = next(one.values["InferenceReason"] for one in stage.heard if one.status == "degraded")
        assert reason.startswith("fake:CPU answers as before; the change is refused: ")
        assert said in reason
        errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert len(errors) == 1
        assert said in errors[0]
        (shown,) = (await stage.get("/api/v3/inference/bindings"))[1]["bindings"]
        assert (shown["status"], shown["model"]) == ("degraded", {"name": "double", "version": "1"})
        assert (await stage.get("/ready"))[0] == 200, "it answers"
        shutil.rmtree(stage.folder / "models" / "double" / "2")
        await stage.until(lambda: run.status == "running")
        await answer(stage, make)
        await stage.until(lambda: stage.statuses() == ["running", "degraded", "running"])


@pytest.mark.parametrize("harm", ["garbage", "deleted", "cut short"])
async def test_a_model_file_is_harmed_and_mended(harm: str, stage: Any, make: Any) -> None:
    stage.simple()
    file = stage.folder / "models" / "double" / "1" / "model.fake"
    whole = file.read_bytes()
    async with stage.running() as service:
        (run,) = service.router.runs
        await answer(stage, make)
        if harm == "deleted":
            file.unlink()
        else:
            file.write_bytes(whole[:9] if harm == "cut short" else b"garbage")
        await stage.until(lambda: run.status == "degraded")
        assert (await answer(stage, make)).values == {"Y": "3e+00"}, "the loaded session goes on"
        assert "model.fake" in run.reason
        write_model(file, shape=[None, 1], scale=4)
        await stage.until(lambda: run.status == "running")
        assert (await answer(stage, make)).values == {"Y": "5e+00"}, "the mended file is taken up"


async def test_a_changed_card(stage: Any, make: Any) -> None:
    stage.simple()
    card = stage.folder / "models" / "double" / "1" / "model.yaml"
    async with stage.running() as service:
        (run,) = service.router.runs
        await answer(stage, make)
        said = yaml.safe_load(card.read_text())
        said["inputs"]["x"]["normalize"] = {"mean": [1], "std": [1]}
        card.write_text(yaml.safe_dump(said))
        journey = run.journey
        await stage.until(lambda: run.journey is not journey)
        assert (await answer(stage, make)).values == {"Y": "1e+00"}


async def test_a_missing_model_comes(stage: Any, make: Any) -> None:
    stage.simple()
    home = stage.folder / "models" / "double"
    away = stage.folder / "elsewhere"
    home.rename(away)
    async with stage.running() as service:
        (run,) = service.router.runs
        assert run.status == "inactive"
        away.rename(home)
        await stage.until(lambda: run.status == "running")
        assert (await answer(stage, make)).values == {"Y": "3e+00"}


async def test_the_library_is_gone_when_a_new_version_comes(stage: Any, make: Any) -> None:
    """What is loaded stays loaded; whatever comes next cannot be."""
    stage.simple()
    async with stage.running() as service:
        (run,) = service.router.runs
        await answer(stage, make)
        path = stage.folder / "models" / "double" / "2" / "model.fake"
        control(path).refuse = AcceleratorUnavailable("fake", 'its runtime is missing: pip install "fake"')
        version(stage, "2")
        await stage.until(lambda: run.status == "degraded")
        assert 'pip install "fake"' in run.reason
        assert (await answer(stage, make)).values == {"Y": "3e+00"}
        control(path).refuse = None
        (stage.folder / "models" / "double" / "2" / "note.txt").write_text("tried again")
        await stage.until(lambda: run.status == "running")
        assert (await answer(stage, make)).values == {"Y": "1.1e+01"}


async def test_what_is_in_flight_finishes_on_the_old_version(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it takes longer than the next version waits for it."""
    monkeypatch.setattr(running, "_ORDERLY", 0.01)
    strings = stage.simple(limits={"timeout": "60s"})
    async with stage.running() as service:
        (run,) = service.router.runs
        strings.always = "hang"
        strings.started.clear()
        await stage.send(make.event("p", X=1))
        await stage.until(strings.started.is_set)
        version(stage, "2")
        await stage.until(lambda: run.journey.plan.card.version == "2")
        second = await answer(stage, make)
        assert (second.event.tags["modelVersion"], second.values) == ("2", {"Y": "1.1e+01"})
        strings.always = "ok"
        strings.release.set()
        first = (await stage.have(2))[1]
        assert (first.event.tags["modelVersion"], first.values) == ("1", {"Y": "3e+00"})
        await stage.until(lambda: len(service.engine.fleet.lanes) == 1)
        counters = run.measures.counters()
        assert (counters["received"], counters["published"], counters["failed"]) == (2, 2, {})
