"""Events in, results out, on the memory bus: one binding for each real accelerator. Prints how many of which came."""

import asyncio
import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from edgex_inference.engine.catalog import Catalog
from edgex_inference.testing import onnx_models, tflite_models
from edgex_inference.testing.kinds import Kind

EVENTS = 20
PATIENCE = 600.0
BINDINGS = {"onnxruntime": "double", "openvino": "double", "litert": "double-lite"}
"""Accelerator → model: all answer 2x + 1 to each of four numbers."""


def component() -> Any:
    """The component tests' stage: tests are no package."""
    path = Path(__file__).parents[1] / "component" / "conftest.py"
    spec = importlib.util.spec_from_file_location("stage", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["stage"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.PATIENCE = PATIENCE
    return module


def models(folder: Path) -> None:
    for name, write in (("double", onnx_models.write), ("double-lite", tflite_models.write)):
        path = write(Kind.ANY, folder / name / "1")
        kind = path.suffix.removeprefix(".")
        card = {"schema": 1, "name": name, "version": "1", "task": "raw"}
        card |= {"files": [{"path": path.name, "format": kind}]}  # type: ignore[dict-item]
        card |= {"inputs": {"x": {"kind": "vector"}}, "outputs": {"y": {}}}  # type: ignore[dict-item]
        (path.parent / "model.yaml").write_text(yaml.safe_dump(card))


async def main() -> None:
    made = component()
    folder = Path(tempfile.mkdtemp(prefix="journey-"))
    for name in ("profiles", "models"):
        (folder / name).mkdir()
    stage = made.Stage(folder, catalog=Catalog())
    models(folder / "models")
    blocks: dict[str, Any] = {
        f"On{name}": {
            "model": {"name": model},
            "accelerator": name,
            "inputs": [{"resource": name} for name in "ABCD"],
            "outputs": {"Y": {"value": "y.0", "type": "Float64"}, "On": {"value": "accelerator"}},
        }
        for name, model in BINDINGS.items()
    }
    stage.profile("pump", A=("Float32", blocks), B="Float32", C="Float32", D="Float32")
    async with stage.running():
        for number in range(EVENTS):
            await stage.send(made.event("pump-1", A=number, B=1, C=2, D=3))
        await stage.until(lambda: len(stage.results()) >= EVENTS * len(BINDINGS))
        for name in BINDINGS:
            on = [one.values for one in stage.results() if one.values["On"] == f"{name}:CPU"]
            right = sum(float(one["Y"]) == 2 * number + 1 for number, one in enumerate(on))
            print(f"{name} {right} of {EVENTS}")


if __name__ == "__main__":
    asyncio.run(main())
