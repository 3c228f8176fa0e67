"""A profile that wishes for TensorRT, on a machine without: it runs on the CPU, and the log says once why."""

import logging
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import pytest
import yaml

from accelerators.tensorrt import library
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.claims import GROUP
from edgex_inference.testing.onnx_models import write_affine

MISSING = 'its runtime is missing: pip install "edgex-inference[tensorrt]"'
WISHED = ["tensorrt", "onnxruntime:CPU"]


@pytest.fixture
def wishing(stage: Any) -> Any:
    """A stage whose binding wants TensorRT, then ONNX Runtime's CPU."""
    points = [one for one in entry_points(group=GROUP) if one.name in ("tensorrt", "onnxruntime")]
    stage.catalog = Catalog(points)
    stage.simple(accelerator=WISHED)
    folder = stage.folder / "models" / "double" / "1"
    write_affine(folder / "model.onnx", shape=("N", 1))
    card = yaml.safe_load((folder / "model.yaml").read_text())
    card["files"] = [{"path": "model.onnx", "format": "onnx"}]
    (folder / "model.yaml").write_text(yaml.safe_dump(card))
    return stage


async def falls_back(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> str:
    """Runs an event through, and gives the one warning."""
    async with stage.running() as service:
        (run,) = service.router.runs
        assert run.journey.plan.accelerator == "onnxruntime:CPU"
        await stage.send(make.event("p", X=3))
        (heard,) = await stage.have(1)
        assert float(heard.values["Y"]) == 7
    warnings = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert len(warnings) == 1, warnings
    return str(warnings[0])


async def test_tensorrt_is_not_installed(
    wishing: Any, make: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(library.Library, "version", None)
    said = await falls_back(wishing, make, caplog)
    assert "tensorrt" in said
    assert MISSING in said


async def test_there_is_no_driver(
    wishing: Any, make: Any, nvidia: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    nvidia("eleven", driver="absent")
    assert "tensorrt" in await falls_back(wishing, make, caplog)


async def test_there_is_a_gpu(
    wishing: Any, make: Any, nvidia: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The stand-in's: the model is compiled, loaded as an engine, and answers."""
    nvidia("eleven", gpus=1)
    async with wishing.running() as service:
        (run,) = service.router.runs
        assert run.journey.plan.accelerator == "tensorrt:GPU"
        await wishing.send(make.event("p", X=3))
        (heard,) = await wishing.have(1)
        assert float(heard.values["Y"]) == 7
    warnings = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert [one for one in warnings if "tensorrt" in one] == []
