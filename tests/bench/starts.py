"""How long a model takes to be ready: without any cache, from the runtime's own cache, and from an artefact made ahead.

The goal is on what a user waits for. A start uses all cores at once, the import of an artefact more evenly than the
compiler, so the processor time of the whole process, which others on the machine do not change, is recorded too.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

from edgex_inference.contracts.accelerator import ONNX, TFLITE, Accelerator, Artefact, Format, LoadRequest
from tests.bench.effort import Effort
from tests.bench.pictures import detector, testdata
from tests.bench.rows import Goal, Row, interleaved, ratio

GOAL = Goal(least=5.0)
Made = TypeVar("Made")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """Seconds by the clock, and of processor time of the whole process."""

    waited: float
    computed: float

    def __add__(self, other: "_Taken") -> "_Taken":
        return _Taken(waited=self.waited + other.waited, computed=self.computed + other.computed)


_CLOCKS: Sequence[Callable[[_Taken], float]] = (attrgetter("waited"), attrgetter("computed"))


def _timed(work: Callable[[], Made]) -> tuple[_Taken, Made]:
    waited, computed = time.perf_counter(), time.process_time()
    made = work()
    taken = _Taken(waited=time.perf_counter() - waited, computed=time.process_time() - computed)
    return taken, made


class _Start:
    """One model on one plug-in."""

    def __init__(self, plugin: Accelerator, model: str, request: LoadRequest, folder: Path) -> None:
        self._plugin, self._request, self._folder = plugin, request, folder / model
        self._name = f"{plugin.name}, {model}: start without a cache"

    def rows(self, effort: Effort) -> Sequence[Row]:
        """Against an artefact, and against the runtime's own cache where it has one; OpenVINO has a goal."""
        goal = GOAL if self._plugin.name == "openvino" else Goal()
        artefact = self._made("made")
        ready = replace(self._request, path=artefact.path, format=artefact.format)
        warm = self._loaded(ready)
        cold, own = self._cold, self._loaded(replace(self._request, cache=self._folder / "own"))
        sides = [cold, warm, own] if self._plugin.name == "openvino" else [cold, warm]
        for once in sides:
            once()
        quick = self._request.format in self._plugin.formats
        measured = interleaved(effort.of(15 if quick else 3, 1), *sides)
        found: list[Row] = []
        for kept, source in zip(measured[1:], ("an artefact", "OpenVINO's own cache"), strict=False):
            waited, computed = (
                ratio([clock(one) for one in measured[0]], [clock(one) for one in kept]) for clock in _CLOCKS
            )
            name = f"{self._name} ÷ from {source}"
            found += [
                Row(name=name, value=waited, goal=goal if kept is measured[1] else Goal()),
                Row(name=f"{name}, processor time", value=computed),
            ]
        if quick:
            sides = [_anew(self._plugin.name, one) for one in (self._request, ready)]
            waited = [[one.waited for one in side] for side in interleaved(effort.of(9, 1), *sides)]
            found.append(Row(name=f"{self._name} ÷ from an artefact, in a new process", value=ratio(*waited)))
        return found

    def _made(self, where: str) -> Artefact:
        assert self._plugin.compile is not None
        folder = self._folder / where
        folder.mkdir(parents=True, exist_ok=True)
        return self._plugin.compile(replace(self._request, cache=folder))

    def _cold(self) -> _Taken:
        """Loaded as it is, or compiled first where that must be."""
        if self._request.format in self._plugin.formats:
            return self._loaded(self._request)()
        taken, artefact = _timed(lambda: self._made("again"))
        return taken + self._loaded(replace(self._request, path=artefact.path, format=artefact.format))()

    def _loaded(self, request: LoadRequest) -> Callable[[], _Taken]:
        """What it takes until a session is ready."""
        load = self._plugin.load
        assert load is not None

        def measure() -> _Taken:
            taken, session = _timed(lambda: load(request))
            session.close()
            return taken

        return measure


def _anew(name: str, request: LoadRequest) -> Callable[[], _Taken]:
    """In a process of its own, which has asked for the devices, as the service does, and loaded nothing yet."""
    command = [sys.executable, "-m", __spec__.name, name, os.fspath(request.path), request.format]

    def measure() -> _Taken:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        waited, computed = map(float, done.stdout.split())
        return _Taken(waited=waited, computed=computed)

    return measure


def _once(name: str, path: str, format_: str) -> None:
    """Loads a model and prints what that took."""
    plugin: Accelerator = import_module(f"accelerators.{name}").PLUGIN
    plugin.devices()
    request = LoadRequest(path=Path(path), format=Format(format_), device="CPU", options=plugin.options())
    load = plugin.load
    assert load is not None
    taken, _ = _timed(lambda: load(request))
    print(taken.waited, taken.computed)


if __name__ == "__main__":
    _once(*sys.argv[1:])
