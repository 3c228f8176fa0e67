"""How long a model takes to be ready: without any cache, from the runtime's own cache, and from an artefact made ahead.

Processor time of the whole process counts, so that others on the machine do not: a start uses all cores at once.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from edgex_inference.contracts.accelerator import ONNX, TFLITE, Accelerator, LoadRequest
from tests.bench.effort import Effort
from tests.bench.pictures import detector, testdata
from tests.bench.rows import Goal, Row, interleaved, ratio

GOAL = Goal(least=5.0)


def rows(effort: Effort, folder: Path) -> Sequence[Row]:
    """OpenVINO on a detector and, with the real models, on a larger detector and a quantized MobileNet."""
    plugin: Accelerator = import_module("accelerators.openvino").PLUGIN
    models = [(detector().name, LoadRequest(path=detector().path, format=ONNX), Goal())]
    data = testdata()
    if data is not None:
        mobile = data / "models" / "coral" / "mobilenet_v1_0.25_128_quant.tflite"
        fastest = next((data / "models").rglob("FastestDet.onnx"))
        models += [
            ("FastestDet", LoadRequest(path=fastest, format=ONNX), Goal()),
            ("MobileNet int8", LoadRequest(path=mobile, format=TFLITE), GOAL),
        ]
    found: list[Row] = []
    for name, request, goal in models:
        found += _compared(
            effort, plugin, name, replace(request, device="CPU", options=plugin.options()), folder, goal
        )
    return found


def _compared(
    effort: Effort, plugin: Accelerator, name: str, request: LoadRequest, folder: Path, goal: Goal
) -> Sequence[Row]:
    assert plugin.compile is not None
    made = folder / f"made-{name}"
    made.mkdir()
    artefact = plugin.compile(replace(request, cache=made))
    cold, cached = _loaded(plugin, request), _loaded(plugin, replace(request, cache=folder / f"kept-{name}"))
    warm = _loaded(plugin, replace(request, path=artefact.path, format=artefact.format))
    for once in (cold, cached, warm):
        once()
    measured = interleaved(effort.of(9, 1), cold, cached, warm)
    return [
        Row(
            name=f"openvino, {name}: start without a cache ÷ from an artefact",
            value=ratio(measured[0], measured[2]),
            goal=goal,
        ),
        Row(
            name=f"openvino, {name}: start without a cache ÷ from OpenVINO's own cache",
            value=ratio(measured[0], measured[1]),
        ),
    ]


def _loaded(plugin: Accelerator, request: LoadRequest) -> Callable[[], float]:
    """Seconds of processor time until a session is ready."""

    def measure() -> float:
        assert plugin.load is not None
        began = time.process_time()
        session = plugin.load(request)
        taken = time.process_time() - began
        session.close()
        return taken

    return measure
