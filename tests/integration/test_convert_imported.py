"""`model convert` of Caffe detectors, against a stand-in for OpenCV, and of Kaldi networks with both kinds of edges."""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml

from edgex_inference.cli.main import main
from edgex_inference.engine.formats import child
from edgex_inference.engine.formats.toolchains import SCRIPTS, Toolchains
from edgex_inference.testing.caffe_models import ORACLE, layer
from edgex_inference.testing.kaldi_models import KaldiNet, KaldiPart

Capture = pytest.CaptureFixture[str]
OPENCV = '''
"""Knows blobs by the layers that make them, as OpenCV does; nothing of DetectionOutput is used."""

import pathlib
import re

import numpy as np
import onnxruntime

__version__ = "4.double"
ERROR = 0.0


class error(Exception):
    pass


class Net:
    def __init__(self, graph, weights):
        from edgex_inference.importers.caffe import convert

        text = pathlib.Path(graph).read_text()
        self.tops = dict(re.findall(r'layer { name: "(.*?)" .*?top: "(.*?)"', text))
        self.last = {top: name for name, top in self.tops.items()}
        lines = [line for line in text.splitlines() if '"DetectionOutput"' not in line]
        short = pathlib.Path("short.prototxt")
        short.write_text("\\n".join(lines))
        model = convert(short, pathlib.Path(weights))
        self.session = onnxruntime.InferenceSession(model.SerializeToString())

    def setInput(self, array, name):
        self.fed = {name: array}

    def forward(self, names):
        assert all(self.last[self.tops[name]] == name for name in names)
        found = self.session.run([self.tops[name] for name in names], self.fed)
        return [one + np.float32(ERROR if one.ndim == 2 else 0) for one in found]


class dnn:
    readNetFromCaffe = Net
'''


KALDI = '''
"""Sums of three frames, each with its own weights, of utterances whose frames are numbered as Kaldi numbers them."""

import numpy as np

__version__ = "4.double"
CONTEXT = (1, 1)


class Network:
    def __init__(self, path):
        if path.endswith(".nnet"):
            raise ValueError("is no network of nnet3")
        self.weights = np.load(path + ".npy")

    def context(self):
        return CONTEXT

    def run(self, inputs, outputs):
        rows, first = inputs["input"]
        frame = dict(enumerate(rows, first))
        asked = outputs["output"]
        assert (min(frame), max(frame)) == (asked[0] - 1, asked[-1] + 1)
        return [
            np.stack([self.weights @ np.concatenate([frame[t + at] for at in (-1, 0, 1)]) for t in asked])
        ]
'''


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No toolchain of this machine's user is seen."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def stands_in(folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, text: str) -> None:
    """The scripts beside a module of ours, in this Python."""
    shutil.copytree(SCRIPTS, folder / "scripts")
    (folder / "scripts" / module).write_text(text)
    monkeypatch.setattr(child, "SCRIPTS", folder / "scripts")
    monkeypatch.setattr(Toolchains, "python", lambda self, name: Path(sys.executable))


def convert(*arguments: object, code: int = 0) -> None:
    assert main(["model", "convert", *map(str, arguments)]) == code


def parity(folder: Path) -> Any:
    return yaml.safe_load((folder / "model.yaml").read_text())["parity"]


@pytest.mark.parametrize("name", [name for name in ORACLE if name.startswith("ssd")])
def test_a_detector_is_compared_by_what_its_head_reads(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers have other names than the blobs that they make, one works in place, and boxes are clipped."""
    stands_in(tmp_path, monkeypatch, "cv2.py", OPENCV)
    prototxt, _ = ORACLE[name].write(tmp_path)
    text = prototxt.read_text().replace('name: "loc"', 'name: "mbox"').replace('name: "f"', 'name: "flat"')
    *rest, head = text.replace("code_type:", "clip: true code_type:").splitlines(keepends=True)
    within = layer("Power", "power_param { shift: 0.1 }", name="moved", bottom="loc", top="loc")
    prototxt.write_text("".join((*rest, within, head)))
    convert(prototxt, "--into", tmp_path / "models" / "ssd" / "1")
    found = parity(tmp_path / "models" / "ssd" / "1")
    assert found["source"] == "opencv 4.double"
    assert 0 < found["difference"] < 1e-5


def test_a_detector_that_answers_otherwise_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    stands_in(tmp_path, monkeypatch, "cv2.py", OPENCV.replace("ERROR = 0.0", "ERROR = 0.01"))
    prototxt, _ = ORACLE["ssd centers"].write(tmp_path)
    convert(prototxt, "--into", tmp_path / "models" / "ssd" / "1", code=1)
    assert "answers otherwise than opencv 4.double: detection_out_" in capsys.readouterr().err
    assert not (tmp_path / "models" / "ssd" / "1").exists()


def kaldi(path: Path, weights: Any) -> Path:
    """Sums of a frame, the one before and the one behind it, each with its own weights."""
    zeros = np.zeros(len(weights), np.float32)
    parts = [
        KaldiPart("Splice", (("", [-1, 0, 1]),)),
        KaldiPart("AffineTransform", (("", weights), ("", zeros))),
    ]
    return KaldiNet("nnet1", parts, dims={0: (6, 2), 1: (3, 6)}).write(path, binary=True)


def test_kaldi_with_either_kind_of_edges(tmp_path: Path, capsys: Capture) -> None:
    rng = np.random.default_rng(0)
    weights, frames = (
        rng.normal(size=(3, 6)).astype(np.float32),
        rng.normal(size=(2, 7, 2)).astype(np.float32),
    )
    source, samples = kaldi(tmp_path / "final.nnet", weights), tmp_path / "s.npz"
    seen = np.concatenate((frames[:, :-2], frames[:, 1:-1], frames[:, 2:]), 2) @ weights.T
    np.savez(samples, input=frames, output=seen)
    said = ("--samples", samples, "--models", tmp_path / "models")
    convert(source, "--edges", "cut", "--name", "cut", *said)
    assert parity(tmp_path / "models" / "cut" / "1")["difference"] < 1e-5
    convert(source, "--name", "held", *said, code=1)
    assert "answers otherwise than known answers" in capsys.readouterr().err
    ends = np.concatenate((frames[:, :1], frames, frames[:, -1:]), 1)
    np.savez(
        samples,
        input=frames,
        output=np.concatenate((ends[:, :-2], ends[:, 1:-1], ends[:, 2:]), 2) @ weights.T,
    )
    convert(source, "--edges", "held", "--name", "held", *said)
    assert parity(tmp_path / "models" / "held" / "1")["difference"] < 1e-5


def test_edges_are_for_kaldi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    stands_in(tmp_path, monkeypatch, "cv2.py", OPENCV)
    prototxt, _ = ORACLE["prelu"].write(tmp_path)
    convert(prototxt, "--edges", "cut", "--name", "m", "--models", tmp_path / "models", code=1)
    assert "is a Caffe model: --edges is for Kaldi models" in capsys.readouterr().err
    convert(
        prototxt, "--frame-subsampling-factor", "3", "--name", "m", "--models", tmp_path / "models", code=1
    )
    assert "is a Caffe model: --frame-subsampling-factor is for Kaldi models" in capsys.readouterr().err


def nnet3(path: Path) -> Path:
    """The same sums in nnet3, and the weights for the stand-in."""
    weights = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32)
    np.save(f"{path}.npy", weights)
    part = KaldiPart("LinearComponent", (("Params", weights),), "a")
    lines = ["input-node name=input dim=2", "output-node name=output input=a"]
    lines += ["component-node name=a component=a input=Append(Offset(input, -1), input, Offset(input, 1))"]
    return KaldiNet("nnet3", [part], lines).write(path, binary=True)


def utterances(path: Path, *, frames: int) -> Path:
    """Four of them for `nnet3`."""
    np.savez(path, input=np.random.default_rng(2).normal(size=(4, frames, 2)).astype(np.float32))
    return path


def test_kaldi_itself_is_asked_for_nnet3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Random utterances and the samples of a user, with both kinds of edges."""
    stands_in(tmp_path, monkeypatch, "kaldi_library.py", KALDI)
    source, samples = nnet3(tmp_path / "final.raw"), utterances(tmp_path / "s.npz", frames=9)
    for name, more in (("held", ()), ("cut", ("--edges", "cut")), ("given", ("--samples", samples))):
        convert(source, *more, "--name", name, "--models", tmp_path / "models")
        found = parity(tmp_path / "models" / name / "1")
        assert found["source"].startswith("kaldi 4.double")
        assert (found["samples"], found["difference"] < 1e-6) == (4 if more and name == "given" else 6, True)
    np.savez(samples, input=np.zeros((1, 2, 2), np.float32))
    short = ("--edges", "cut", "--samples", samples, "--name", "short", "--models", tmp_path / "models")
    convert(source, *short, code=1)
    assert "shorter than its context of 1 and 1 frames" in capsys.readouterr().err


def test_a_model_folder_says_how_many_frames_come_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Recipes keep the factor beside the model; a user's own word counts more."""
    stands_in(tmp_path, monkeypatch, "kaldi_library.py", KALDI)
    source, samples = nnet3(tmp_path / "final.raw"), utterances(tmp_path / "s.npz", frames=8)
    said = ("--samples", samples, "--models", tmp_path / "models")
    beside = tmp_path / "frame_subsampling_factor"
    beside.write_text("3\n")
    for name, more in (("beside", ()), ("said", ("--frame-subsampling-factor", "2", "--edges", "cut"))):
        convert(source, *more, *said, "--name", name)
        folder = tmp_path / "models" / name / "1"
        assert parity(folder)["difference"] < 1e-6
        session = onnxruntime.InferenceSession(next(folder.glob("*.onnx")))
        frames = session.run(None, {"input": np.zeros((1, 8, 2), np.float32)})[0].shape[1]
        assert frames == 3  # of 8 frames, or of 6 that have all their context
    assert "one frame of 3 comes out, as frame_subsampling_factor beside it says" in capsys.readouterr().out
    beside.write_text("often")
    convert(source, *said, "--name", "no", code=1)
    assert (
        "has frame_subsampling_factor beside it, which says 'often' and no number" in capsys.readouterr().err
    )
    convert(source, *said, "--name", "no", "--frame-subsampling-factor", "0", code=1)
    assert "--frame-subsampling-factor 0: must be from 1 on" in capsys.readouterr().err


def test_a_context_that_kaldi_does_not_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    stands_in(tmp_path, monkeypatch, "kaldi_library.py", KALDI.replace("(1, 1)\n", "(1, 0)\n"))
    convert(nnet3(tmp_path / "final.raw"), "--name", "m", "--models", tmp_path / "models", code=1)
    assert "Kaldi finds a context of 1 and 0 frames, and the importer 1 and 1" in capsys.readouterr().err
    older = kaldi(tmp_path / "older.nnet", np.ones((3, 6), np.float32))
    convert(older, "--name", "m", "--models", tmp_path / "models", code=1)
    assert "is that of nnet3, and this is no network of nnet3): give --samples" in capsys.readouterr().err
