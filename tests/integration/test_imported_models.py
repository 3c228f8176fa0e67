"""Imported nets on each accelerator: real ones of Caffe with their known answers, synthetic ones of Kaldi."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from accelerators.onnxruntime import PLUGIN as ONNXRUNTIME
from accelerators.openvino import PLUGIN as OPENVINO
from accelerators.reference import PLUGIN as REFERENCE
from edgex_inference.contracts.accelerator import ONNX, Accelerator, LoadRequest
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.results import Detections
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.fleet import Fleet
from edgex_inference.engine.store import Store
from edgex_inference.importers import kaldi
from edgex_inference.importers.caffe import convert
from edgex_inference.pipeline.planning import golden
from edgex_inference.postprocess.values import evaluate
from edgex_inference.testing.caffe_models import REAL, sample
from edgex_inference.testing.kaldi_models import KaldiNet, KaldiPart
from edgex_inference.testing.kaldi_networks import OTHERS

CARD = """schema: 1
name: faces
version: "1"
task: detection
files: [{path: faces.onnx, format: onnx}]
inputs:
  image: {tensor: input, kind: image, layout: NCHW, color: rgb, size: [320, 240], fit: stretch, resize: bilinear,
          decode: full, range: [0, 255], mean: [127, 127, 127], std: [128, 128, 128]}
outputs:
  scores: {role: scores, background: 0}
  boxes: {role: offsets}
decoder: rfb
priors: {steps: [8, 16, 32, 64], sizes: [[10, 16, 24], [32, 48], [64, 96], [128, 192, 256]], variances: [0.1, 0.2]}
labels: [face]
postprocess: {scoreThreshold: 0.7, nmsIou: 0.5}
"""


@pytest.fixture(autouse=True)
def _runtimes(needs: Callable[..., None]) -> None:
    needs("onnxruntime", "openvino", "onnx")


def imported(testdata: Path, name: str, folder: Path) -> Path:
    """The ONNX file of a real net."""
    at = testdata / "models" / name
    path = folder / f"{at.name}.onnx"
    onnx.save(convert(at.with_name(f"{at.name}.prototxt"), at.with_name(f"{at.name}.caffemodel")), path)
    return path


def answer(plugin: Accelerator, path: Path, given: Tensors) -> Tensors:
    assert plugin.load is not None
    session = plugin.load(LoadRequest(path=path, format=ONNX))
    try:
        assert session.inputs[0].shape[0] is None
        return session.infer(given)
    finally:
        session.close()


@pytest.mark.parametrize("accelerator", ["onnxruntime", "openvino"])
async def test_28_faces_in_a_caffe_net(testdata: Path, tmp_path: Path, accelerator: str) -> None:
    folder = tmp_path / "faces" / "1"
    folder.mkdir(parents=True)
    imported(testdata, "face-rfb320/RFB-320", folder).rename(folder / "faces.onnx")
    (folder / "model.yaml").write_text(CARD)
    catalog, fleet, card = Catalog(), Fleet(), Store([tmp_path]).find("faces")
    choice = AcceleratorChoice(name=accelerator)
    (candidate,) = catalog.candidates(choice, [build.format for build in card.builds])
    lane, build = await fleet.acquire(candidate, choice, card)
    try:
        picture = testdata / "images" / "faces.jpg"
        found = await golden.answer(lane, card, build, picture, max_pixels=64_000_000)
    finally:
        await fleet.close()
    assert isinstance(found, Detections)
    assert evaluate(found, "count.face") == 28
    assert found.scores.min() == pytest.approx(0.7122, abs=2e-4)


@pytest.mark.parametrize("name", [name for name in REAL if name.startswith("mtcnn")])
def test_accelerators_agree_on_imported_nets(testdata: Path, tmp_path: Path, name: str) -> None:
    path = imported(testdata, name, tmp_path)
    shape = REAL[name][0]
    given = {"data": np.repeat(sample(shape), 3, 0)}
    exact = answer(REFERENCE, path, given)
    for plugin in (ONNXRUNTIME, OPENVINO):
        for output, array in answer(plugin, path, given).items():
            np.testing.assert_allclose(array, exact[output], rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("edges", ["held", "cut"])
def test_accelerators_agree_on_a_kaldi_network(tmp_path: Path, edges: kaldi.Edges) -> None:
    """Frames from before and behind, an iVector: with a state OpenVINO computes such a network wrongly."""
    chance = np.random.default_rng(2)
    first, second = (0.2 * chance.standard_normal(shape).astype(np.float32) for shape in ((8, 19), (4, 24)))
    parts = [
        KaldiPart("FixedAffineComponent", (("LinearParams", first), ("BiasParams", first[:, 0])), "a"),
        KaldiPart("TdnnComponent",
                  (("TimeOffsets", [-3, 0, 3]), ("LinearParams", second), ("BiasParams", second[:, 0])), "b"),
        KaldiPart("LogSoftmaxComponent", (("Dim", 4),), "c"),
    ]  # fmt: skip
    lines = [
        "input-node name=ivector dim=3",
        "input-node name=input dim=8",
        "component-node name=a component=a "
        "input=Append(Offset(input, -2), Offset(input, 1), ReplaceIndex(ivector, t, 0))",
        "component-node name=b component=b input=a",
        "component-node name=c component=c input=b",
        "output-node name=output input=c",
    ]  # fmt: skip
    file, path = (
        KaldiNet("nnet3", parts, lines).write(tmp_path / "final.raw", binary=True),
        tmp_path / "m.onnx",
    )
    onnx.save(kaldi.convert(file, edges=edges), path)
    for frames in (10, 25):
        given = {
            "input": chance.standard_normal((2, frames, 8)).astype(np.float32),
            "ivector": chance.standard_normal((2, 3)).astype(np.float32),
        }
        exact = answer(REFERENCE, path, given)["output"]
        assert exact.shape == (2, frames - (9 if edges == "cut" else 0), 4)
        for plugin in (ONNXRUNTIME, OPENVINO):
            np.testing.assert_allclose(answer(plugin, path, given)["output"], exact, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("name", ["chain", "statistics in periods", "statistics of every frame"])
def test_accelerators_agree_on_some_frames_and_on_statistics(tmp_path: Path, name: str, every: int) -> None:
    net, path = OTHERS[name], tmp_path / "m.onnx"
    onnx.save(kaldi.convert(net.write(tmp_path / "final.raw", binary=True), every=every), path)
    columns = 5 if name == "chain" else 4
    for frames in (7, 25):
        given = {
            "input": np.random.default_rng(frames).standard_normal((2, frames, columns)).astype(np.float32)
        }
        exact = answer(REFERENCE, path, given)["output"]
        assert exact.shape == (2, -(-frames // every), 3)
        for plugin in (ONNXRUNTIME, OPENVINO):
            np.testing.assert_allclose(answer(plugin, path, given)["output"], exact, rtol=1e-4, atol=5e-5)


@pytest.mark.parametrize("delay", [-3, 2])
def test_accelerators_agree_on_a_network_that_remembers(tmp_path: Path, delay: int) -> None:
    """An LSTM's states are no states of the session: a run knows nothing of the one before. It reads an iVector too."""
    chance = np.random.default_rng(3)
    gates, cells = (0.5 * chance.standard_normal(shape).astype(np.float32) for shape in ((16, 11), (3, 4)))
    parts = [
        KaldiPart("FixedAffineComponent", (("LinearParams", gates), ("BiasParams", gates[:, 0])), "a"),
        KaldiPart("LstmNonlinearityComponent", (("Params", cells),), "cell"),
        KaldiPart("BackpropTruncationComponent", (("Dim", 8), ("Scale", 0.9)), "t"),
    ]
    lines = [
        "input-node name=input dim=5",
        "input-node name=ivector dim=2",
        "component-node name=a component=a "
        f"input=Append(Offset(input, -1), ReplaceIndex(ivector, t, 0), IfDefined(Offset(m, {delay})))",
        f"component-node name=cell component=cell input=Append(a, IfDefined(Offset(c, {delay})))",
        "component-node name=t component=t input=cell",
        "dim-range-node name=c input-node=t dim-offset=0 dim=4",
        "dim-range-node name=m input-node=t dim-offset=4 dim=4",
        "output-node name=output input=m",
    ]
    file, path = KaldiNet("nnet3", parts, lines).write(tmp_path / "f", binary=True), tmp_path / "m.onnx"
    onnx.save(kaldi.convert(file), path)
    for frames in (1, 10, 25):
        given = {
            "input": chance.standard_normal((3, frames, 5)).astype(np.float32),
            "ivector": chance.standard_normal((3, 2)).astype(np.float32),
        }
        exact = answer(REFERENCE, path, given)["output"]
        assert exact.shape == (3, frames, 4)
        for plugin in (ONNXRUNTIME, OPENVINO):
            for _ in range(2):
                np.testing.assert_allclose(answer(plugin, path, given)["output"], exact, rtol=1e-5, atol=2e-5)
