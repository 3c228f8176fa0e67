"""How long a model takes to be ready: without any cache, from the runtime's own cache, and from an artefact made ahead.

Processor time of the whole process counts, so that others on the machine do not: a start uses all cores at once.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from edgex_inference.contracts.accelerator import ONNX, TFLITE, Accelerator, Artefact, LoadRequest
from tests.bench.effort import Effort
from tests.bench.pictures import detector, testdata
from tests.bench.rows import Goal, Row, interleaved, ratio

GOAL = Goal(least=5.0)


def rows(effort: Effort, folder: Path) -> Sequence[Row]:
    """Each plug-in that compiles on this CPU, on a detector and, with the real models, on two more."""
    models = [(detector().name, LoadRequest(path=detector().path, format=ONNX))]
    data = testdata()
    if data is not None:
        mobile = data / "models" / "coral" / "mobilenet_v1_0.25_128_quant.tflite"
        fastest = next((data / "models").rglob("FastestDet.onnx"))
        models += [
            ("FastestDet", LoadRequest(path=fastest, format=ONNX)),
            ("MobileNet int8", LoadRequest(path=mobile, format=TFLITE)),
        ]
    found: list[Row] = []
    for name in ("openvino", "onnxruntime", "tvm"):
        plugin: Accelerator = import_module(f"accelerators.{name}").PLUGIN
        fit = [one for one in models if plugin.version() is not None and one[1].format in plugin.compiles]
        for model, request in fit:
            asked = replace(request, device="CPU", options=plugin.options())
            found += _Start(plugin, model, asked, folder / name).rows(effort)
    return found


class _Start:
    """One model on one plug-in."""

    def __init__(self, plugin: Accelerator, model: str, request: LoadRequest, folder: Path) -> None:
        self._plugin, self._request, self._folder = plugin, request, folder / model
        self._name = f"{plugin.name}, {model}: start without a cache"

    def rows(self, effort: Effort) -> Sequence[Row]:
        """Against an artefact, and against the runtime's own cache where it has one; OpenVINO has a goal."""
        goal = GOAL if self._plugin.name == "openvino" else Goal()
        artefact = self._made("made")
        warm = self._loaded(replace(self._request, path=artefact.path, format=artefact.format))
        cold, own = self._cold, self._loaded(replace(self._request, cache=self._folder / "own"))
        sides = [cold, warm, own] if self._plugin.name == "openvino" else [cold, warm]
        for once in sides:
            once()
        quick = self._request.format in self._plugin.formats
        measured = interleaved(effort.of(9 if quick else 3, 1), *sides)
        found = [
            Row(name=f"{self._name} ÷ from an artefact", value=ratio(measured[0], measured[1]), goal=goal)
        ]
        for kept in measured[2:]:
            found.append(
                Row(name=f"{self._name} ÷ from OpenVINO's own cache", value=ratio(measured[0], kept))
            )
        return found

    def _made(self, where: str) -> Artefact:
        assert self._plugin.compile is not None
        folder = self._folder / where
        folder.mkdir(parents=True, exist_ok=True)
        return self._plugin.compile(replace(self._request, cache=folder))

    def _cold(self) -> float:
        """Loaded as it is, or compiled first where that must be."""
        if self._request.format in self._plugin.formats:
            return self._loaded(self._request)()
        began = time.process_time()
        artefact = self._made("again")
        taken = time.process_time() - began
        return taken + self._loaded(replace(self._request, path=artefact.path, format=artefact.format))()

    def _loaded(self, request: LoadRequest) -> Callable[[], float]:
        """Seconds of processor time until a session is ready."""

        def measure() -> float:
            assert self._plugin.load is not None
            began = time.process_time()
            session = self._plugin.load(request)
            taken = time.process_time() - began
            session.close()
            return taken

        return measure
