"""One network in two builds: LiteRT takes NHWC, ONNX Runtime NCHW; a sample is prepared again for whoever answers."""

import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edgex_inference.contracts.events import ValueType
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.claims import GROUP
from edgex_inference.engine.terms import LaneSettings

LOOSE = '''
from dataclasses import replace

from accelerators.litert import PLUGIN as LITERT
from edgex_inference.contracts.errors import AcceleratorUnavailable, DeviceLost

AWAY = False


class Loose:
    """A real session until its plug is pulled."""

    def __init__(self, session):
        self._session = session
        self.inputs, self.outputs = session.inputs, session.outputs
        self.parallel, self.traits, self.metadata = session.parallel, session.traits, session.metadata

    def infer(self, tensors, *, timeout=None):
        if AWAY:
            raise DeviceLost("loose:CPU: unplugged")
        return self._session.infer(tensors, timeout=timeout)

    def close(self):
        self._session.close()


def load(request):
    if AWAY:
        raise AcceleratorUnavailable("loose:CPU", "unplugged")
    return Loose(LITERT.load(request))


PLUGIN = replace(LITERT, name="loose", load=load)
'''
"""LiteRT itself on a device that can be unplugged."""

CARD = """
schema: 1
name: faces
version: "1"
task: detection
files:
  - {path: faces.onnx, format: onnx}
  - path: faces.tflite
    format: tflite
    inputs: {image: {tensor: input_1, layout: NHWC}}
    outputs: {scores: {tensor: Identity_1}, boxes: {tensor: Identity, role: offsets}}
inputs:
  image: {tensor: input, kind: image, layout: NCHW, color: rgb, size: [320, 240], decode: full,
          range: [0, 255], mean: [127, 127, 127], std: [128, 128, 128]}
outputs:
  scores: {role: scores, background: 0}
  boxes: {role: boxes, form: corners}
decoder: rfb
priors: {steps: [8, 16, 32, 64], sizes: [[10, 16, 24], [32, 48], [64, 96], [128, 192, 256]],
         variances: [0.1, 0.2], clip: true}
labels: [face]
postprocess: {scoreThreshold: 0.7, nmsIou: 0.5}
"""
NAMES = {
    "version-RFB-320.onnx": "faces.onnx",
    "version-RFB-320_without_postprocessing.tflite": "faces.tflite",
}
EACH = 6


@pytest.fixture
def loose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The plug-in's module, whose AWAY pulls the plug."""
    (tmp_path / "loose_litert.py").write_text(LOOSE)
    monkeypatch.syspath_prepend(tmp_path)
    import loose_litert  # type: ignore[import-not-found]

    yield loose_litert
    del sys.modules["loose_litert"]


def plugged(stage: Any, testdata: Path) -> None:
    """The two builds, and a binding that prefers the one that can be unplugged."""
    points = [
        EntryPoint(name="loose", value="loose_litert:PLUGIN", group=GROUP),
        EntryPoint(name="onnxruntime", value="accelerators.onnxruntime:PLUGIN", group=GROUP),
    ]
    stage.catalog = Catalog(points)
    stage.lanes = LaneSettings(backoff=0.05, backoff_most=0.1)
    folder = stage.folder / "models" / "faces" / "1"
    folder.mkdir(parents=True)
    for given, name in NAMES.items():
        shutil.copy(testdata / "models" / "face-rfb320" / given, folder / name)
    (folder / "model.yaml").write_text(CARD)
    block = {
        "model": {"name": "faces"},
        "accelerator": ["loose", "onnxruntime"],
        "outputs": {"Faces": {"value": "count"}},
        "limits": {"overload": "all", "queue": 1000},
    }
    stage.profile("door", Picture=("Binary", {"Count": block}))


async def test_a_fallback_to_another_build_prepares_samples_again(
    stage: Any, make: Any, testdata: Path, needs: Any, loose: ModuleType
) -> None:
    needs("onnxruntime", "ai_edge_litert", "simplejpeg")
    plugged(stage, testdata)
    picture = (testdata / "images" / "faces.jpg").read_bytes()

    async def send(count: int) -> None:
        reading = make.reading("Picture", picture, ValueType.BINARY)
        await stage.send(*(make.event("cam", reading, profile="door") for _ in range(count)))

    async with stage.running() as service:
        (run,) = service.router.runs
        assert run.journey.plan.lane.session.inputs[0].shape[1:] == (240, 320, 3)
        await send(EACH)
        await stage.have(2)
        loose.AWAY = True  # with samples of its layout in every place: waiting, prepared, running
        await send(EACH)
        await stage.have(2 * EACH)
        assert run.journey.plan.lane.session.inputs[0].shape[1:] == (3, 240, 320)
        assert run.status == "degraded"
        loose.AWAY = False
        await stage.until(lambda: run.journey.plan.accelerator == "loose:CPU")
        await send(EACH)
        await stage.have(3 * EACH)
        counters = await stage.through(3 * EACH, "Count")
    assert (counters["dropped"], counters["failed"]) == ({}, {})
    assert {one.values["Faces"] for one in stage.results()} == {"28"}
    answered = [one.event.tags["accelerator"] for one in stage.results()]
    assert (answered[0], answered[-1]) == ("loose:CPU", "loose:CPU")
    assert "onnxruntime:CPU" in answered


async def test_auto_measures_both_builds(
    stage: Any, make: Any, testdata: Path, needs: Any, loose: ModuleType
) -> None:
    """Without golden samples another build is not compared, so it is not preferred to the first one."""
    needs("onnxruntime", "ai_edge_litert", "simplejpeg")
    plugged(stage, testdata)
    block = {"model": {"name": "faces"}, "outputs": {"Faces": {"value": "count"}}}
    stage.profile("door", Picture=("Binary", {"Count": block}))
    async with stage.running() as service:
        choice = service.router.runs[0].journey.plan.choice
        assert [one.accelerator for one in choice.findings] == ["loose:CPU", "onnxruntime:CPU"]
        assert [one.answers for one in choice.findings] == ["unproven", "unproven"]
        assert all(one.p50 for one in choice.findings)
