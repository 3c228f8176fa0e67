"""Events in, results out, on the memory bus: one binding for each accelerator. Prints how many of which came.

journey.py onnxruntime:CPU litert:CPU migraphx:REF/mxr: behind the bar stands the format that the model is compiled
into beforehand; the binding then has nothing but the compiled file.
"""

import asyncio
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edgex_inference.contracts.accelerator import ONNX, LoadRequest
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.options import decode
from edgex_inference.testing.kinds import Kind

EVENTS = 20
PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Leg:
    """An accelerator with its device, and the format that a model is compiled into for it; "" leaves it as it is."""

    accelerator: str
    device: str
    compiled: str

    def __str__(self) -> str:
        return f"{self.accelerator}:{self.device}" + (f"/{self.compiled}" if self.compiled else "")

    @property
    def name(self) -> str:
        return f"{self.accelerator}{self.compiled}"


def leg(text: str) -> Leg:
    where, _, compiled = text.partition("/")
    accelerator, _, device = where.partition(":")
    return Leg(accelerator, device, compiled)


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


def write(one: Leg, folder: Path) -> None:
    """The model of a leg with its card: 2x + 1 of each of four numbers."""
    own = folder / one.name / "1"
    path = writer(one)(Kind.ANY, own)
    kind = one.compiled or path.suffix.removeprefix(".")
    if one.compiled:
        path = compiled(one, path)
    card = {"schema": 1, "name": one.name, "version": "1", "task": "raw"}
    card |= {"files": [{"path": path.name, "format": kind}]}  # type: ignore[dict-item]
    card |= {"inputs": {"x": {"kind": "vector"}}, "outputs": {"y": {}}}  # type: ignore[dict-item]
    (own / "model.yaml").write_text(yaml.safe_dump(card))


def writer(one: Leg) -> Callable[[Kind, Path], Path]:
    """Who writes the model; each needs what its format's readers have."""
    if one.accelerator == "litert":
        from edgex_inference.testing.tflite_models import write as tflite

        return tflite
    from edgex_inference.testing.onnx_models import write as onnx

    return onnx


def compiled(one: Leg, path: Path) -> Path:
    """What the accelerator makes of the ONNX file, in its place."""
    plugin = Catalog().get(one.accelerator)
    assert plugin.compile is not None
    options = decode(plugin, {})
    request = LoadRequest(path=path, format=ONNX, device=one.device, options=options, cache=path.parent)
    made = plugin.compile(request)
    assert made.format == one.compiled, made.format
    path.unlink()
    return made.path


async def main(legs: Sequence[Leg]) -> None:
    made = component()
    folder = Path(tempfile.mkdtemp(prefix="journey-"))
    for name in ("profiles", "models"):
        (folder / name).mkdir()
    stage = made.Stage(folder, catalog=Catalog())
    for one in legs:
        write(one, folder / "models")
    blocks: dict[str, Any] = {
        f"On{one.name}": {
            "model": {"name": one.name},
            "accelerator": {"name": one.accelerator, "device": one.device},
            "inputs": [{"resource": name} for name in "ABCD"],
            "outputs": {
                "Y": {"value": "y.0", "type": "Float64"},
                "On": {"value": "accelerator"},
            },
        }
        for one in legs
    }
    stage.profile("pump", A=("Float32", blocks), B="Float32", C="Float32", D="Float32")
    async with stage.running():
        for number in range(EVENTS):
            await stage.send(made.event("pump-1", A=number, B=1, C=2, D=3))
        await stage.until(lambda: len(stage.results()) >= EVENTS * len(legs))
        for one in legs:
            mine = [heard for heard in stage.results() if heard.event.source_name == f"On{one.name}"]
            right = sum(
                (heard.values["On"], float(heard.values["Y"]))
                == (f"{one.accelerator}:{one.device}", 2 * number + 1)
                for number, heard in enumerate(mine)
            )
            print(f"{one} {right} of {EVENTS}")


if __name__ == "__main__":
    asyncio.run(main([leg(text) for text in sys.argv[1:]]))
