"""Models of every format and task from their file to a profile, by the commands that each step prints."""

import importlib
import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgex_inference.cli.main import main
from edgex_inference.contracts.models import Task
from edgex_inference.engine.cards.card import read_card
from edgex_inference.testing import onnx_models

Capture = pytest.CaptureFixture[str]
Extents = tuple[int | str, ...]
CLEAN = "1 file: 0 errors, 0 warnings\n"


@pytest.fixture(autouse=True)
def _everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Formats that OpenVINO alone reads are among these."""
    monkeypatch.setenv("INFERENCE_AUTOACCELERATORS", "onnxruntime,openvino,litert")


def openvino() -> object:
    """The runtime, or a skip that says why."""
    if os.environ.get("EDGEX_INFERENCE_STRICT") == "1":
        return importlib.import_module("openvino")
    reason = 'openvino is missing: pip install "edgex-inference[openvino]"'
    return pytest.importorskip("openvino", reason=reason)


def out(capsys: Capture, *arguments: object, code: int = 0) -> str:
    assert main([*map(str, arguments)]) == code, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys: Capture, *arguments: object) -> str:
    assert main([*map(str, arguments)]) == 1
    return capsys.readouterr().err


def pictures(
    path: Path,
    gives: Extents,
    *,
    takes: Extents = (1, 3, 32, 32),
    element: int = TensorProto.FLOAT,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A picture in; out come numbers of this shape, the same for every picture."""
    fixed = np.full([1 if isinstance(extent, str) else extent for extent in gives], 0.1, np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "fixed"], ["out"]),
    ]
    constants = [numpy_helper.from_array(np.float32(0), "zero"), numpy_helper.from_array(fixed, "fixed")]
    into, outof = {"images": (element, takes)}, {"out": (TensorProto.FLOAT, gives)}
    return onnx_models.save(path, nodes, into, outof, constants, metadata=dict(metadata or {}))


def follow(capsys: Capture, said: str, folder: Path) -> None:
    """Does what `model add` says is next, in a folder of its own; the profile must be clean."""
    _, _, steps = said.partition("next:\n")
    check, init, validate = (shlex.split(line)[1:] for line in steps.splitlines())
    out(capsys, *check)
    assert init[-2] == ">"
    (folder / init[-1]).write_text(out(capsys, *init[:-2]))
    validate[validate.index(init[-1])] = str(folder / init[-1])
    assert out(capsys, *validate) == CLEAN


TASKS = [
    (Task.CLASSIFICATION, (1, 4)),
    (Task.SEGMENTATION, (1, 4, 32, 32)),
    (Task.EMBEDDING, (1, 128)),
    (Task.REGRESSION, (1, 2)),
    (Task.RAW, (1, 7, 7)),
]


@pytest.mark.parametrize(("task", "gives"), TASKS)
def test_each_task_to_a_clean_profile(task: Task, gives: Extents, tmp_path: Path, capsys: Capture) -> None:
    store = tmp_path / "my models"
    said = out(
        capsys, "model", "add", pictures(tmp_path / "m.onnx", gives), "--task", task, "--models", store
    )
    assert read_card(store / "m/1/model.yaml").task is task
    follow(capsys, said, tmp_path)


def test_pictures_of_bytes(tmp_path: Path, capsys: Capture) -> None:
    path = pictures(tmp_path / "m.onnx", (1, 4), element=TensorProto.UINT8)
    said = out(capsys, "model", "add", path, "--models", tmp_path / "s")
    assert "range: [0, 255]" in (tmp_path / "s/m/1/model.yaml").read_text()
    follow(capsys, said, tmp_path)


def test_a_size_that_the_file_leaves_open(tmp_path: Path, capsys: Capture) -> None:
    path = pictures(tmp_path / "m.onnx", (1, 4), takes=(1, 3, "high", "wide"))
    assert "images FP32[1, 3, high, wide]" in out(capsys, "model", "info", path)
    said = out(capsys, "model", "add", path, "--models", tmp_path / "s")
    assert "still to say: inputs.images.size: [width, height], which the file leaves open" in said
    card = tmp_path / "s/m/1/model.yaml"
    missing = "inputs.images.size: the model leaves the size open"
    assert missing in refused(capsys, "model", "check", "m", "--models", tmp_path / "s")
    assert missing in out(capsys, "validate", card, code=1)
    card.write_text(card.read_text().replace("fit: stretch,", "fit: stretch, size: [64, 48],"))
    follow(capsys, said, tmp_path)


DETECT = {"task": "detect", "stride": "32", "names": "{0: 'a', 1: 'b'}", "imgsz": "[64, 96]"}


def test_what_an_exporter_wrote_is_taken(tmp_path: Path, capsys: Capture) -> None:
    path = pictures(tmp_path / "y.onnx", (1, 6, 84), takes=("batch", 3, "high", "wide"), metadata=DETECT)
    said = out(capsys, "model", "add", path, "--models", tmp_path / "s")
    assert "model.yaml, task detection" in said
    text = (tmp_path / "s/y/1/model.yaml").read_text()
    assert "# decoder comes from the file: yolov8" in text
    assert "size: [96, 64], fit: letterbox" in text
    assert "still to say: decoder" not in said
    follow(capsys, said, tmp_path)


def test_a_graph_with_its_weights(tmp_path: Path, capsys: Capture) -> None:
    ov = openvino()
    path = tmp_path / "net.xml"
    onnx = onnx_models.write_affine(tmp_path / "a.onnx", shape=("N", 6))
    ov.save_model(ov.Core().read_model(onnx), path, compress_to_fp16=False)  # type: ignore[attr-defined]
    info = json.loads(out(capsys, "model", "info", path, "--json"))[0]
    assert (info["format"], info["files"]) == ("openvino-ir", ["net.bin"])
    assert info["size"] == path.stat().st_size + path.with_suffix(".bin").stat().st_size
    assert info["inputs"] == ["x FP32[?, 6]"]
    said = out(capsys, "model", "add", path, "--models", tmp_path / "s")
    follow(capsys, said, tmp_path)
    sha256 = read_card(tmp_path / "s/net/1/model.yaml").builds[0].sha256
    assert sha256 == info["sha256"], "what `info` says can stand in a card"
    weights = refused(capsys, "model", "info", path.with_suffix(".bin"))
    assert "net.bin: has the weights of net.xml: name that file" in weights
    path.with_suffix(".bin").unlink()
    lacking = refused(capsys, "model", "add", path, "--models", tmp_path / "s", "--version", "2")
    assert "it needs the file 'net.bin' beside it, which is missing" in lacking


def test_a_folder_as_tensorflow_saves_it(testdata: Path, tmp_path: Path, capsys: Capture) -> None:
    openvino()
    folder = testdata / "models/mlperf-tiny/kws_saved_model"
    info = out(capsys, "model", "info", folder)
    assert "format: tensorflow" in info
    assert "kws_saved_model/variables/variables.index" in info
    said = out(capsys, "model", "add", folder, "--models", tmp_path / "s")
    follow(capsys, said, tmp_path)
    part = refused(capsys, "model", "info", folder / "saved_model.pb")
    assert f"is a part of a SavedModel: name its folder, {folder}" in part


def test_other_folders(tmp_path: Path, capsys: Capture) -> None:
    said = refused(capsys, "model", "add", tmp_path, "--models", tmp_path / "s")
    assert "is a folder without a saved_model.pb: name a file" in said


def test_what_cannot_be_loaded_leaves_nothing_behind(tmp_path: Path, capsys: Capture) -> None:
    openvino()
    (tmp_path / "m.tflite").write_bytes(b"\x1c\0\0\0TFL3 and then nothing")
    refused(capsys, "model", "add", tmp_path / "m.tflite", "--models", tmp_path / "s")
    assert not (tmp_path / "s" / "m").exists()


CARD = """schema: 1
name: m
version: "1"
task: {task}
files: [{{path: m.onnx}}]
{rest}
"""


@pytest.mark.parametrize(
    ("task", "rest", "words"),
    [
        ("detection", "decoder: yolov88", ":6:10: decoder: 'yolov88' is not one of"),
        (
            "detection",
            "decoder: yolov8\nlabels: [a, b]",
            ":7:9: labels: 2 labels, but the model has 80 classes",
        ),
        ("detection", "decoder: yolov8\nlabels: lost.txt", ":7:9: labels: 'lost.txt' is neither"),
        (
            "segmentation",
            "inputs: {images: {layout: NHWC}}",
            ":6:27: inputs.images.layout: the card says NHWC",
        ),
    ],
)
def test_mistakes_of_a_card_that_only_the_file_shows(
    task: str, rest: str, words: str, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    pictures(folder / "m.onnx", (1, 84, 20))
    (folder / "model.yaml").write_text(CARD.format(task=task, rest=rest))
    assert words in out(capsys, "validate", folder / "model.yaml", code=1)
    assert words in refused(capsys, "model", "check", "m", "--models", tmp_path)
    assert out(capsys, "validate", folder / "model.yaml", "--schema-only") == CLEAN
