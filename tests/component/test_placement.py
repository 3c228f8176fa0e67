"""Limits of an inference device: what does not fit goes to the next candidate with a sentence, or is refused."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from edgex_inference import service as room
from edgex_inference.config.schema import DeviceLimits
from edgex_inference.contracts.errors import ConfigurationError
from edgex_inference.pipeline.running import drawing

BOTH = ["fake:NPU", "fake:CPU"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK", 0.02)
    monkeypatch.setattr(drawing, "_ABSENT", 0.02)
    monkeypatch.setattr(drawing, "_LONG_ABSENT", 0.04)


def limited(stage: Any, **limits: int) -> None:
    stage.inference = {"devices": {"fake:NPU": DeviceLimits(**limits)}}


def binding(model: str, **more: object) -> dict[str, Any]:
    """A block over a model that publishes a reading of the model's own name."""
    outputs = {model.title(): {"value": "y.0", "type": "Float64"}}
    return {"model": {"name": model}, "accelerator": BOTH, "outputs": outputs, **more}


def placed(service: Any) -> Mapping[str, str]:
    """Binding → where its model runs."""
    return {
        run.binding.name: run.journey.plan.accelerator
        for run in service.router.runs
        if run.journey is not None
    }


async def test_a_device_that_is_full_passes_the_next_one_on(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    limited(stage, max_models=1)
    stage.model("one")
    stage.model("two")
    stage.profile("pump", X=("Float32", {"First": binding("one")}))
    async with stage.running() as service:
        stage.profile("fan", X=("Float32", {"Second": binding("two")}))
        await stage.until(lambda: len(placed(service)) == 2)
        assert placed(service) == {"First": "fake:NPU", "Second": "fake:CPU"}
        (second,) = [run for run in service.router.runs if run.binding.name == "Second"]
        assert (second.status, second.reason) == (
            "running",
            "fake:CPU answers; accelerator 'fake:NPU': has 1 model, as many as "
            'Inference.Devices."fake:NPU".MaxModels allows: one 1',
        )
        (stage.folder / "profiles" / "pump.yaml").unlink()
        await stage.until(lambda: placed(service) == {"Second": "fake:NPU"})
        await stage.send(make.event("p", profile="fan", X=1))
        assert (await stage.have(1))[0].values == {"Two": "3e+00"}
    passed = [one for one in caplog.records if "as many as" in one.getMessage()]
    assert [one.levelno for one in passed] == [logging.WARNING], "said once"


async def test_without_another_candidate_it_waits_for_room(stage: Any, make: Any) -> None:
    limited(stage, max_models=1)
    stage.model("one")
    stage.model("two")
    stage.profile("pump", X=("Float32", {"First": binding("one")}))
    async with stage.running() as service:
        stage.profile("fan", X=("Float32", {"Second": binding("two", fallback="never")}))
        await stage.until(lambda: any(run.status == "inactive" for run in service.router.runs))
        (second,) = [run for run in service.router.runs if run.binding.name == "Second"]
        assert "as many as" in second.reason
        (stage.folder / "profiles" / "pump.yaml").unlink()
        await stage.until(lambda: placed(service) == {"Second": "fake:NPU"})


async def test_one_session_for_many_bindings_is_one_model(stage: Any, make: Any) -> None:
    limited(stage, max_models=1)
    stage.model("one")
    stage.profile("pump", X=("Float32", {"First": binding("one"), "Second": binding("one")}))
    async with stage.running() as service:
        assert placed(service) == {"First": "fake:NPU", "Second": "fake:NPU"}


async def test_a_new_version_replaces_the_old_one_on_a_full_device(stage: Any, make: Any) -> None:
    limited(stage, max_models=1)
    stage.model("one")
    stage.profile("pump", X=("Float32", {"First": binding("one", fallback="never")}))
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        before = run.journey
        stage.model("one", scale=4.0)
        await stage.until(lambda: run.journey is not before)
        await stage.send(make.event("p", X=1))
        assert (await stage.have(2))[1].values == {"One": "5e+00"}
        assert (run.status, placed(service)) == ("running", {"First": "fake:NPU"})
        await stage.until(lambda: len(service.engine.fleet.lanes) == 1)


async def test_the_memory_of_a_device_is_counted_by_the_size_of_files(stage: Any, make: Any) -> None:
    limited(stage, max_memory=1)
    for name in ("one", "two"):
        stage.model(name, metadata={"padding": "x" * 600_000})
    stage.profile("pump", X=("Float32", {"First": binding("one")}))
    async with stage.running() as service:
        stage.profile("fan", X=("Float32", {"Second": binding("two")}))
        await stage.until(lambda: len(placed(service)) == 2)
        assert placed(service) == {"First": "fake:NPU", "Second": "fake:CPU"}
        (second,) = [run for run in service.router.runs if run.binding.name == "Second"]
        assert (
            "the files of two 1 have 0.6 MB, too much beside one 1 with 0.6: "
            'Inference.Devices."fake:NPU".MaxMemory is 1 MB'
        ) in second.reason


async def test_what_is_refused_takes_no_place(stage: Any, make: Any) -> None:
    limited(stage, max_models=1)
    broken = stage.model("one")
    broken.away.add("NPU")
    stage.model("two")
    stage.profile("pump", X=("Float32", {"First": binding("one")}))
    async with stage.running() as service:
        assert placed(service) == {"First": "fake:CPU"}
        stage.profile("fan", X=("Float32", {"Second": binding("two")}))
        await stage.until(lambda: placed(service).get("Second") == "fake:NPU")


async def test_an_accelerator_without_a_device_means_all_of_its_devices(stage: Any, make: Any) -> None:
    stage.inference = {"devices": {"fake": DeviceLimits(max_models=1)}}
    stage.model("one")
    stage.model("two")
    stage.profile("pump", X=("Float32", {"First": binding("one")}))
    async with stage.running() as service:
        stage.profile("fan", X=("Float32", {"Second": binding("two")}))
        await stage.until(lambda: any(run.status == "inactive" for run in service.router.runs))
        (second,) = [run for run in service.router.runs if run.binding.name == "Second"]
        assert second.reason.count('Inference.Devices."fake".MaxModels') == 2


async def test_limits_of_nobody_are_refused(stage: Any) -> None:
    stage.inference = {"devices": {"fkae:NPU": DeviceLimits(max_models=1)}}
    with pytest.raises(
        ConfigurationError, match=r"Inference.Devices.fkae:NPU: 'fkae' is no .*did you mean fake\?"
    ):
        async with stage.running():
            pass
