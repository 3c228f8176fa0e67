"""A binding whose model is on another machine, and what answers while that machine is away."""

import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.contracts.accelerator import REMOTE
from edgex_inference.contracts.events import ValueType
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.claims import GROUP
from edgex_inference.pipeline.running import drawing
from edgex_inference.testing import onnx_models
from edgex_inference.testing.kinds import Kind
from tests.ports import free_port

NAMES = ("remote", "onnxruntime")


@pytest.fixture(params=["http", "grpc"])
def server(request: pytest.FixtureRequest, needs: Callable[..., None]) -> Iterator[Any]:
    needs("urllib3", "grpc", "tritonclient", "onnxruntime")
    sys.path.insert(0, str(Path(__file__).parents[1] / "simulators"))
    import open_inference

    found = open_inference.OpenInference(transport=request.param, port=free_port())
    tensor = ("FP32", (-1, 4))
    found.models["double"] = open_inference.Model(
        [("x", *tensor)], [("y", *tensor)], lambda arrays: {"y": 2 * arrays["x"] + 1}
    )
    yield found
    found.die()


@pytest.fixture
def ours(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real plug-ins, and impatience with what is away."""
    monkeypatch.setattr(drawing, "_ABSENT", 0.05)
    monkeypatch.setattr(drawing, "_LONG_ABSENT", 0.1)
    stage.catalog = Catalog(
        [EntryPoint(name=name, value=f"accelerators.{name}:PLUGIN", group=GROUP) for name in NAMES]
    )


def binding(stage: Any, accelerator: list[object], files: list[dict[str, str]]) -> None:
    block = {
        "model": {"name": "double", "task": "raw"},
        "accelerator": accelerator,
        "outputs": {"Y": {"value": "y"}},
    }
    stage.profile("pump", X=("Float32Array", {"Twice": block}))
    folder = stage.folder / "models" / "double" / "1"
    stage.model(card={"files": files})
    if files[0]["format"] == "onnx":
        onnx_models.write(Kind.ANY, folder).rename(folder / "model.onnx")


def event(make: Any, number: int) -> Any:
    return make.event("p", make.reading("X", [number] * 4, ValueType.FLOAT32_ARRAY))


def by(stage: Any) -> list[str]:
    return [one.event.tags["accelerator"] for one in stage.results()]


def firsts(stage: Any) -> list[float]:
    return [json.loads(one.values["Y"])[0] for one in stage.results()]


async def test_the_machine_is_lost_and_comes_back(stage: Any, make: Any, ours: None, server: Any) -> None:
    far = {"name": "remote", "options": {"url": server.url, "timeout": 5.0}}
    binding(stage, [far, "onnxruntime:CPU"], [{"path": "model.onnx", "format": "onnx"}])
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(event(make, 0))
        await stage.have(1)
        server.strings.script.append("die")
        await stage.send(event(make, 1))
        await stage.have(2)
        assert by(stage) == ["remote:SERVER", "onnxruntime:CPU"], "prepared again, and answered by the next"
        assert server.url in run.reason
        server.start()
        await stage.until(lambda: run.journey.plan.accelerator == "remote:SERVER")
        await stage.send(event(make, 2))
        await stage.have(3)
        assert by(stage)[-1] == "remote:SERVER"
        assert firsts(stage) == [1, 3, 5]
        assert run.measures.counters()["failed"] == {}


async def test_the_machine_is_away_at_the_start(stage: Any, make: Any, ours: None, server: Any) -> None:
    far = {"name": "remote", "options": {"url": server.url, "timeout": 5.0}}
    binding(stage, [far, "onnxruntime:CPU"], [{"path": "model.onnx", "format": "onnx"}])
    server.die()
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(event(make, 0))
        await stage.have(1)
        assert by(stage) == ["onnxruntime:CPU"]
        assert "start the server, or mend options.url" in run.reason
        server.start()
        await stage.until(lambda: run.journey.plan.accelerator == "remote:SERVER")


async def test_a_card_without_any_file(stage: Any, make: Any, ours: None, server: Any) -> None:
    far = {"name": "remote", "options": {"url": server.url}}
    binding(stage, [far], [{"format": REMOTE}])
    async with stage.running():
        await stage.send(event(make, 3))
        await stage.have(1)
    assert by(stage) == ["remote:SERVER"]
    assert firsts(stage) == [7]


async def test_what_the_card_says_must_fit_what_the_server_says(
    stage: Any, make: Any, ours: None, server: Any
) -> None:
    far = {"name": "remote", "options": {"url": server.url}}
    binding(stage, [far], [{"format": REMOTE}])
    stage.model(card={"files": [{"format": REMOTE}], "inputs": {"x": {"kind": "vector", "shape": [5]}}})
    async with stage.running() as service:
        (run,) = service.router.runs
        assert run.status == "inactive"
        assert "the card says [5], the file says x FP32[?, 4]" in run.reason


async def test_the_machine_hangs(stage: Any, make: Any, ours: None, server: Any) -> None:
    """It says that it is there, and gives no answers."""
    far = {"name": "remote", "options": {"url": server.url, "timeout": 2.0}}
    binding(stage, [far, "onnxruntime:CPU"], [{"path": "model.onnx", "format": "onnx"}])
    async with stage.running() as service:
        (run,) = service.router.runs
        await stage.send(event(make, 0))
        await stage.have(1)
        server.strings.always = "hang"
        sent = 1
        while len(stage.results()) == 1:
            await stage.send(event(make, sent))
            sent += 1
            await stage.through(sent)
        assert by(stage)[-1] == "onnxruntime:CPU"
        counters = run.measures.counters()
        assert counters["failed"].keys() == {"deadline"}
        assert counters["published"] == 2
        server.strings.always = "ok"
        server.strings.release.set()
        await stage.until(lambda: run.journey.plan.accelerator == "remote:SERVER")


async def test_a_secret_that_comes_later_opens_the_door(
    stage: Any, make: Any, ours: None, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.strings.token = "Bearer sesame-42"
    far = {"name": "remote", "options": {"url": server.url, "secret": "triton"}}
    binding(stage, [far, "onnxruntime:CPU"], [{"path": "model.onnx", "format": "onnx"}])
    caplog.set_level(0)
    async with stage.running() as service:
        (run,) = service.router.runs
        assert run.journey.plan.accelerator == "onnxruntime:CPU"
        assert "the secret 'triton' of options.secret is not there" in run.reason
        service.secrets.store("triton", {"token": "sesame-42"})
        await stage.until(lambda: run.journey.plan.accelerator == "remote:SERVER")
        page = (await stage.get("/api/v3/inference/bindings"))[1]
    assert "sesame" not in caplog.text
    assert "sesame" not in json.dumps(page)


async def test_in_a_process_of_its_own(stage: Any, make: Any, ours: None, server: Any) -> None:
    server.strings.token = "Bearer sesame-42"
    options = {"url": server.url, "secret": "triton"}
    binding(stage, [{"name": "remote", "isolation": "process", "options": options}], [{"format": REMOTE}])
    async with stage.running() as service:
        (run,) = service.router.runs
        service.secrets.store("triton", {"token": "sesame-42"})
        await stage.until(lambda: run.status == "running")
        await stage.send(event(make, 4))
        await stage.have(1)
    assert firsts(stage) == [9]
