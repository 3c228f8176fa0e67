"""`model convert` with what lives beside the service, and with a toolchain that answers wrongly."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from edgex_inference.cli.main import main
from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.engine.cards.card import read_card
from edgex_inference.engine.formats import child, converting, toolchains
from edgex_inference.engine.formats.kinds import Kind
from edgex_inference.engine.formats.routes import Step
from edgex_inference.engine.formats.toolchains import HERE, SCRIPTS
from edgex_inference.testing import onnx_models, tflite_models
from edgex_inference.testing.kaldi_models import KaldiNet, KaldiPart
from edgex_inference.testing.kinds import Kind as Model
from tests.toolchain_double import SCRIPT

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No toolchain of this machine's user is seen."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A source that is converted by a script which behaves as it is told."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    shutil.copy(SCRIPTS / "exchange.py", scripts)
    (scripts / "double.py").write_text(SCRIPT)
    monkeypatch.setattr(child, "SCRIPTS", scripts)
    step = Step(sources=frozenset({Kind.ONNX}), target=ONNX, toolchain=HERE, script="double.py")
    monkeypatch.setattr(converting, "route", lambda kind, target: [step])

    def made(how: str) -> Path:
        source = onnx_models.write_affine(tmp_path / "source.onnx")
        Path(f"{source}.how").write_text(how)
        return source

    return made


def convert(*arguments: object, code: int = 0) -> None:
    assert main(["model", "convert", *map(str, arguments)]) == code


def test_onnx_to_openvino_with_its_report_in_the_card(tmp_path: Path, capsys: Capture) -> None:
    source = onnx_models.write(Model.ANY, tmp_path / "in")
    convert(source, "--to", "openvino", "--into", tmp_path / "models" / "affine" / "3", "--json")
    said = json.loads(capsys.readouterr().out)
    card = tmp_path / "models" / "affine" / "3" / "model.yaml"
    assert said["card"] == str(card)
    parity = yaml.safe_load(card.read_text())["parity"]
    assert parity["source"].startswith("onnxruntime:CPU ")
    assert parity["checkedOn"] == "openvino:CPU"
    assert parity["difference"] <= parity["tolerance"] == 1e-4
    assert parity["converter"].startswith("openvino ")
    assert read_card(card).builds[0].format == "openvino-ir"
    assert main(["model", "check", "affine", "--models", str(tmp_path / "models")]) == 0


def test_tflite_to_openvino(tmp_path: Path) -> None:
    source = tflite_models.write(Model.ONE, tmp_path / "in")
    convert(source, "--to", "openvino", "--name", "t", "--models", tmp_path / "models")
    parity = yaml.safe_load((tmp_path / "models" / "t" / "1" / "model.yaml").read_text())["parity"]
    assert parity["source"].startswith("litert:CPU ")


def test_external_weights_and_an_older_operator_set(tmp_path: Path) -> None:
    source = onnx_models.write_affine(tmp_path / "m.onnx", external=True)
    convert(source, "--opset", 20, "--name", "m", "--models", tmp_path / "models")
    folder = tmp_path / "models" / "m" / "1"
    assert {one.name for one in folder.iterdir()} == {"model.onnx", "model.yaml"}
    assert main(["model", "info", str(folder / "model.onnx")]) == 0


def test_a_right_answer_is_kept(double: Callable[[str], Path], tmp_path: Path) -> None:
    convert(double("right"), "--name", "m", "--models", tmp_path / "models")
    parity = yaml.safe_load((tmp_path / "models" / "m" / "1" / "model.yaml").read_text())["parity"]
    assert (parity["source"], parity["converter"], parity["samples"]) == ("double 1", "copier 2", 6)


def test_inputs_that_are_laid_out_otherwise_are_compared_as_they_are(
    double: Callable[[str], Path], tmp_path: Path, capsys: Capture
) -> None:
    source = double("turn0231")
    _picture(source, (1, 3, 12, 16), (0, 1, 2, 3))
    _picture(Path(f"{source}.turned"), (1, 12, 16, 3), (0, 3, 1, 2))
    convert(source, "--name", "m", "--models", tmp_path / "models")
    text = (tmp_path / "models" / "m" / "1" / "model.yaml").read_text()
    assert yaml.safe_load(text)["parity"]["difference"] < 1e-5
    assert "layout: NHWC" in text
    Path(f"{source}.how").write_text("turn0321")  # height and width the other way round
    convert(source, "--name", "n", "--models", tmp_path / "models", code=1)
    capsys.readouterr()


def _picture(path: Path, shape: tuple[int, ...], order: tuple[int, ...]) -> None:
    """Sums over each channel's rows, of a picture whose axes are brought into this order first."""
    nodes = [
        helper.make_node("Transpose", ["picture"], ["first"], perm=order),
        helper.make_node("ReduceSum", ["first", "axis"], ["sums"], keepdims=0),
    ]
    axis = numpy_helper.from_array(np.array([3]), "axis")
    takes, gives = (TensorProto.FLOAT, shape), (TensorProto.FLOAT, (1, 3, 12))
    onnx_models.save(path, nodes, {"picture": takes}, {"sums": gives}, [axis])


@pytest.mark.parametrize("how", ["wrong", "refuse", "raise", "crash", "mute"])
def test_what_fails_leaves_nothing(
    how: str, double: Callable[[str], Path], tmp_path: Path, capsys: Capture
) -> None:
    convert(double(how), "--name", "m", "--models", tmp_path / "models", code=1)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert not (tmp_path / "models").exists() or not list((tmp_path / "models").iterdir())
    if how == "wrong":
        assert "answers otherwise than double 1: y differs by" in said
        assert "0.0001 is allowed" in said


def test_a_tolerance_that_is_said(double: Callable[[str], Path], tmp_path: Path, capsys: Capture) -> None:
    convert(double("wrong"), "--name", "m", "--models", tmp_path / "models", "--tolerance", 0.9)
    assert "0.9 is allowed" in capsys.readouterr().out
    convert(double("wrong"), "--name", "n", "--models", tmp_path / "models", "--tolerance", 1, code=1)


def test_known_answers_of_the_users_samples_count_too(
    double: Callable[[str], Path], tmp_path: Path, capsys: Capture
) -> None:
    rows = np.arange(8, dtype=np.float32).reshape(2, 4)
    right, wrong = tmp_path / "right.npz", tmp_path / "wrong.npz"
    np.savez(right, x=rows, y=rows * 2 + 1)
    np.savez(wrong, x=rows, y=rows * 2 + 1 + np.array([[0], [0.5]]))
    convert(double("right"), "--samples", right, "--name", "m", "--models", tmp_path / "models")
    assert "samples of right.npz" in capsys.readouterr().out
    convert(double("right"), "--samples", wrong, "--name", "n", "--models", tmp_path / "models", code=1)
    assert "y of sample 1 differs by" in capsys.readouterr().err


def test_known_answers_stand_for_a_framework_that_is_not_here(tmp_path: Path, capsys: Capture) -> None:
    rows = np.arange(8, dtype=np.float32).reshape(2, 4)
    np.savez(tmp_path / "s.npz", x=rows, y=rows * 2 + 1)
    source = onnx_models.write(Model.ANY, tmp_path / "in")
    convert(
        source,
        "--to",
        "openvino",
        "--samples",
        tmp_path / "s.npz",
        "--name",
        "m",
        "--models",
        tmp_path / "models",
    )
    assert "as known answers" in capsys.readouterr().out


def test_a_toolchain_that_is_missing_is_said_with_its_command(tmp_path: Path, capsys: Capture) -> None:
    source = tmp_path / "m.txt"
    source.write_bytes(b"tree\nversion=v4\n")
    convert(source, "--name", "m", "--models", tmp_path / "models", code=1)
    assert "edgex-inference toolchain install sklearn" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_what_is_there_is_not_overwritten(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "models" / "m" / "1").mkdir(parents=True)
    source = onnx_models.write(Model.ANY, tmp_path / "in")
    convert(source, "--to", "openvino", "--name", "m", "--models", tmp_path / "models", code=1)
    assert "nothing is overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "coreml"], "--to coreml"),
        (["--shape", "x=a"], "--shape x=a"),
        (["--into", "x/y", "--name", "z"], "leave out --name"),
        (["--into", "/models/ /1"], "must end in the model's name"),
    ],
)
def test_arguments_that_cannot_be(arguments: list[str], said: str, tmp_path: Path, capsys: Capture) -> None:
    convert(onnx_models.write(Model.ANY, tmp_path / "in"), *arguments, code=1)
    assert said in capsys.readouterr().err


def test_the_list_says_what_can_be_installed(capsys: Capture, home: Path) -> None:
    assert main(["toolchain", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {one["name"] for one in rows} == set(toolchains.manifest())
    assert all(one["state"] == "not installed" for one in rows)
    assert main(["toolchain", "list"]) == 0
    assert str(home) in capsys.readouterr().out
    assert main(["toolchain", "check"]) == 0
    assert "no toolchain is installed" in capsys.readouterr().out
    assert main(["toolchain", "check", "sklearn"]) == 1
    assert "toolchain install sklearn" in capsys.readouterr().out
    assert main(["toolchain", "remove", "sklearn"]) == 1
    assert main(["toolchain", "install", "nothing"]) == 1
    assert "no toolchain is called 'nothing'" in capsys.readouterr().err


def test_what_a_foreign_file_says_of_itself(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "m.txt"
    path.write_text("tree\nversion=v4\nmax_feature_idx=4\nobjective=binary\nfeature_names=a b c d e\n")
    assert main(["model", "info", str(path), "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert said["is"] == "a LightGBM model"
    assert said["inputs"] == ["input FP32[?, 5]"]
    assert said["readings"] == list("abcde")
    assert said["next"] == f"edgex-inference model convert {path}"


def test_what_a_broken_foreign_file_says(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "m.txt"
    path.write_text("tree\nversion=v4\nmax_feature_idx=x\n")
    assert main(["model", "info", str(path)]) == 0
    assert "not read: it is broken" in capsys.readouterr().out


def test_a_pickle_is_looked_into_and_not_opened(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    assert main(["model", "info", str(path), "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert said["imports"] == ["posix.mkdir"]
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.folder,)


def test_kaldi_with_known_answers_and_not_without(tmp_path: Path, capsys: Capture) -> None:
    rng = np.random.default_rng(0)
    weights, bias = rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    part = KaldiPart("AffineTransform", (("LearnRateCoef", 1.0), ("", weights), ("", bias)))
    source = KaldiNet("nnet1", [part], dims={0: (3, 4)}).write(tmp_path / "final.nnet", binary=True)
    convert(source, "--name", "k", "--models", tmp_path / "models", code=1)
    assert "give --samples with the answers too, output" in capsys.readouterr().err
    frames = rng.normal(size=(2, 7, 4)).astype(np.float32)
    np.savez(tmp_path / "s.npz", input=frames, output=frames @ weights.T + bias)
    convert(source, "--samples", tmp_path / "s.npz", "--name", "k", "--models", tmp_path / "models")
    np.savez(tmp_path / "s.npz", input=frames, output=frames @ weights.T)
    convert(source, "--samples", tmp_path / "s.npz", "--name", "l", "--models", tmp_path / "models", code=1)
    assert "answers otherwise than known answers" in capsys.readouterr().err
