"""What a file says of itself besides its tensors, such as names of classes, reaches what it is converted to."""

import importlib.util
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgex_inference.cli.main import main
from edgex_inference.contracts.appended import append
from edgex_inference.testing import onnx_models, tflite_models
from edgex_inference.testing.kinds import Kind as Model

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def labelled(path: Path) -> Path:
    """Scores of three classes, whose names are in the file."""
    weights = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3) / 7, "w")
    node = helper.make_node("MatMul", ["x", "w"], ["scores"])
    takes, gives = (TensorProto.FLOAT, (None, 4)), (TensorProto.FLOAT, (None, 3))
    said = {"names": "{0: 'good', 1: 'worn', 2: 'broken'}", "note": "two\nlines"}
    onnx_models.save(path, [node], {"x": takes}, {"scores": gives}, [weights], metadata=said)
    return path


@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_names_of_classes_come_along(target: str, tmp_path: Path) -> None:
    source = labelled(tmp_path / "m.onnx")
    store = tmp_path / "models"
    assert main(["model", "convert", str(source), "--to", target, "--name", "m", "--models", str(store)]) == 0
    assert "# labels come from the file: good, worn, broken" in (store / "m" / "1" / "model.yaml").read_text()


def test_those_of_tflite_too(tmp_path: Path, capsys: Capture) -> None:
    source = tflite_models.write(Model.ONE, tmp_path / "in")
    source.write_bytes(append(source.read_bytes(), {"names": '["a", "b"]'}))
    store = ["--models", str(tmp_path / "models")]
    assert main(["model", "add", str(source), "--name", "whole", *store]) == 0
    assert main(["model", "convert", str(source), "--to", "openvino", "--name", "ir", *store]) == 0
    for name in ("whole", "ir"):
        (path,) = (
            one for one in (tmp_path / "models" / name / "1").iterdir() if one.suffix in (".tflite", ".xml")
        )
        capsys.readouterr()
        assert main(["model", "info", str(path)]) == 0
        assert 'names: ["a", "b"]' in capsys.readouterr().out


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_a_quantized_file_still_names_its_classes(form: str, tmp_path: Path, capsys: Capture) -> None:
    if form == "tflite" and importlib.util.find_spec("ai_edge_quantizer") is None:
        pytest.skip(
            "ai-edge-quantizer is missing, and `make test` has it not: pip install '.[quantize-litert]'"
        )
    source = tmp_path / f"m.{form}"
    if form == "onnx":
        labelled(source)
    else:
        tflite_models.write_affine(source, shape=(1, 4))
        source.write_bytes(append(source.read_bytes(), {"names": "{0: 'good', 1: 'worn', 2: 'broken'}"}))
    samples, store = tmp_path / "samples", ["--models", str(tmp_path / "models")]
    samples.mkdir()
    for n in range(8):
        (samples / f"{n}.json").write_text(json.dumps({"x": [[n / 8, -n / 9, n / 10, 0.3]]}))
    assert main(["model", "add", str(source), "--task", "raw", *store]) == 0
    assert main(["compile", "m", "--quantize", "int8", "--samples", str(samples), *store]) == 0
    capsys.readouterr()
    assert main(["model", "info", str(tmp_path / "models" / "m" / "1" / f"m-int8.{form}")]) == 0
    assert "names: {0: 'good', 1: 'worn', 2: 'broken'}" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["link", "pipe"])
def test_a_folder_that_leads_out_of_itself_is_not_copied(what: str, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"\x08\x01\x12\x00")
    (tmp_path / "secret").write_text("s")
    if what == "link":
        (folder / "assets").symlink_to(tmp_path / "secret")
    else:
        os.mkfifo(folder / "assets")
    assert main(["model", "add", str(folder), "--models", str(tmp_path / "models")]) == 1
    assert "assets in it is " in capsys.readouterr().err
    assert not list((tmp_path / "models").rglob("*"))


def test_labels_beside_a_zip_of_another_kind_are_none_of_ours(tmp_path: Path) -> None:
    source = tflite_models.write(Model.ONE, tmp_path / "in")
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr("labels.txt", "a\nb\n")
    assert main(["model", "add", str(source), "--name", "m", "--models", str(tmp_path / "models")]) == 0
