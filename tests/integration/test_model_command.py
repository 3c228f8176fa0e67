"""`model info`, `model check`, `model add` and `init`: a file becomes a model, and a model a profile that runs."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgex_inference.cli.main import main
from edgex_inference.contracts.accelerator import Batch
from edgex_inference.contracts.models import Task
from edgex_inference.contracts.results import Detections, Regression
from edgex_inference.engine.cards.card import read_card
from edgex_inference.pipeline.planning.choosing.difference import largest
from edgex_inference.pipeline.planning.choosing.finding import batch
from edgex_inference.testing import onnx_models

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "edgex_inference" / "demo" / "models"
Capture = pytest.CaptureFixture[str]


def constant(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(np.full(shape, 0.1, np.float32), name)


def classifier(path: Path, metadata: dict[str, str] | None = None) -> Path:
    """A picture in, four scores out."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["scores"]),
    ]
    return onnx_models.save(
        path,
        nodes,
        {"pixels": (TensorProto.FLOAT, ("N", 3, 24, 32))},
        {"scores": (TensorProto.FLOAT, ("N", 4))},
        [constant("w", 3, 4)],
        metadata=metadata,
    )


def regression(path: Path) -> Path:
    nodes = [helper.make_node("MatMul", ["in.1", "w"], ["758"])]
    numbers = {"in.1": (TensorProto.FLOAT, ("N", 5))}
    return onnx_models.save(
        path, nodes, numbers, {"758": (TensorProto.FLOAT, ("N", 1))}, [constant("w", 5, 1)]
    )


def encoder(path: Path) -> Path:
    return onnx_models.write_affine(path, shape=("N", 6))


def two(path: Path) -> Path:
    spec = (TensorProto.FLOAT, ("N", 3))
    nodes = [helper.make_node("Add", ["a", "b"], ["t.1"]), helper.make_node("Sub", ["a", "b"], ["t_1"])]
    return onnx_models.save(path, nodes, {"a": spec, "b": spec}, {"t.1": spec, "t_1": spec})


Make = Callable[[Path], Path]
KINDS: list[tuple[Make, Task]] = [
    (classifier, Task.CLASSIFICATION),
    (regression, Task.REGRESSION),
    (encoder, Task.ANOMALY),
    (two, Task.RAW),
]


def out(capsys: Capture, *arguments: object, code: int = 0) -> str:
    assert main([*map(str, arguments)]) == code
    return capsys.readouterr().out


# model info


def test_what_a_file_says(tmp_path: Path, capsys: Capture) -> None:
    path = classifier(tmp_path / "c.onnx", {"names": "{0: 'a'}"})
    (found,) = json.loads(out(capsys, "model", "info", path, "--json"))
    assert found["inputs"] == ["pixels FP32[N, 3, 24, 32]"]
    assert found["outputs"] == ["scores FP32[N, 4]"]
    assert found["opset"] == {"ai.onnx": 17, "ai.onnx.ml": 3}
    assert found["metadata"] == {"names": "{0: 'a'}"}
    assert found["operators"] == {"GlobalAveragePool": 1, "Flatten": 1, "MatMul": 1}
    assert found["size"] == path.stat().st_size
    assert len(found["sha256"]) == 64


def test_what_a_model_of_the_store_says(capsys: Capture) -> None:
    said = out(capsys, "model", "info", "part-detect:2026.11")
    assert "task: detection\n" in said
    assert "  heatmap FP32[batch, 4, 30, 40]\n" in said
    assert "golden samples: 2\n" in said


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("nowhere.onnx", "no such file"),
        ("part-detec", "did you mean part-detect?"),
        ("part-detect:1", "has no version '1'"),
        (ROOT / "LICENSE", "tells no format; known: .onnx"),
        (ROOT / "tests" / "no.tflite", "no such file"),
    ],
)
def test_info_of_what_is_no_model(what: object, words: str, capsys: Capture) -> None:
    assert main(["model", "info", str(what)]) == 1
    assert words in capsys.readouterr().err


def test_info_of_a_format_that_nobody_reads(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "m.xmodel").write_bytes(b"x")
    said = out(capsys, "model", "info", tmp_path / "m.xmodel")
    assert "size: 1 bytes" in said
    assert "not read: accelerator 'auto': nothing here reads xmodel" in said


# model check


def test_golden_samples_on_what_is_here(capsys: Capture) -> None:
    said = out(capsys, "model", "check", "spindle-ae")
    assert "the card is right, 2 golden samples" in said
    row = next(line.split() for line in said.splitlines() if line.startswith("onnxruntime:CPU"))
    assert row[1] == "right"
    assert float(row[2]) < 1e-3
    assert (row[4], row[5][-2:], row[6:8]) == ("ms", "/s", ["any", "number"])
    assert re.fullmatch(r"f32 all [1-9]\d+ nodes on CPU", " ".join(row[8:]))
    assert said.splitlines()[-1] == "auto takes onnxruntime:CPU: it has no other choice"


def test_it_says_whom_auto_takes(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERENCE_AUTOACCELERATORS", "onnxruntime,openvino")
    last = out(capsys, "model", "check", "spindle-ae").splitlines()[-1]
    assert re.fullmatch(r"auto takes \w+:CPU: by these times the best of the 2 that it considers", last)


def copied(tmp_path: Path, name: str) -> Path:
    """A model of the demo in a store of its own."""
    import shutil

    shutil.copytree(DEMO / name, tmp_path / name)
    return tmp_path / name / "2026.11"


def test_a_wrong_answer_is_told_with_its_difference(tmp_path: Path, capsys: Capture) -> None:
    folder = copied(tmp_path, "spindle-ae")
    (folder / "golden" / "faulty.expect.json").write_text('{"score": 99.0}')
    found = json.loads(out(capsys, "model", "check", "spindle-ae", "--models", tmp_path, "--json", code=1))
    (ours,) = [one for one in found if one["accelerator"] == "onnxruntime:CPU"]
    assert ours["wrong"] is True
    assert "faulty.json: score is 11." in ours["reason"]
    assert ours["difference"] == pytest.approx((99 - 11.2) / 99, abs=0.01)


def test_a_broken_card_is_told_with_its_lines(tmp_path: Path, capsys: Capture) -> None:
    card = copied(tmp_path, "spindle-ae") / "model.yaml"
    card.write_text(card.read_text().replace("decoder:", "decodr:").replace("kind: tensor", "kind: tenser"))
    assert main(["model", "check", "spindle-ae", "--models", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "model.yaml:10" in said
    assert "did you mean tensor?" in said
    assert "unknown key 'decodr'" in said


def test_a_model_that_nothing_here_runs(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    (folder / "m.xmodel").write_bytes(b"x")
    (folder / "model.yaml").write_text(
        'schema: 1\nname: m\nversion: "1"\ntask: raw\nfiles: [{path: m.xmodel}]\n'
    )
    assert main(["model", "check", "m", "--models", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "vitisai" in said.out
    assert "vart and xir are missing" in said.out


def test_differences() -> None:
    def boxes(score: float, x0: float, *more: tuple[float, ...]) -> Detections:
        rows = [(x0, 0.0, 1.0, 1.0), *more]
        return Detections(
            boxes=np.array(rows, np.float32),
            scores=np.full(len(rows), score, np.float32),
            classes=np.zeros(len(rows), np.int64),
            labels=("a",),
            width=1,
            height=1,
        )

    item = {"label": "a", "score": 0.5, "box": [0.0, 0.0, 1.0, 1.0]}
    want = {"detections": {"items": [item]}, "count": 1}
    assert largest(boxes(0.5, 0.0), want) == 0
    assert largest(boxes(0.5, 0.25), want) == pytest.approx(0.25)
    assert largest(boxes(0.9, 0.0), want) == pytest.approx(0.4)
    assert largest(boxes(0.5, 0.0, (0.0, 0.0, 1.0, 1.0)), want) == float("inf")
    assert largest(boxes(0.5, 0.0), {"labels": ["b"]}) == float("inf")
    numbers = Regression(values=np.array([4, 0.5], np.float32))
    assert largest(numbers, {"values": [5.0, 0.6]}) == pytest.approx(0.2), "relative above 1"


def test_batches_in_words() -> None:
    kinds = [Batch(), Batch(kind="any"), Batch(kind="fixed", most=3), Batch(kind="range", most=8)]
    assert [batch(one) for one in kinds] == ["one by one", "any number", "exactly 3", "up to 8"]


# model add and init


@pytest.mark.parametrize(("make", "task"), KINDS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_file_becomes_a_model_and_a_profile(
    make: Make, task: Task, tmp_path: Path, capsys: Capture
) -> None:
    store = tmp_path / "store"
    said = out(capsys, "model", "add", make(tmp_path / "My Model_v2.onnx"), "--models", store)
    card = store / "my-model-v2" / "1" / "model.yaml"
    assert f"wrote {card}, task {task}" in said
    assert read_card(card).task is task
    assert out(capsys, "validate", card) == "1 file: 0 errors, 0 warnings\n"
    profile = tmp_path / "p.yaml"
    profile.write_text(out(capsys, "init", "my-model-v2", "--models", store))
    assert out(capsys, "validate", profile, "--models", store) == "1 file: 0 errors, 0 warnings\n"
    assert "name: my-model-v2-device\n" in profile.read_text()
    row = out(capsys, "model", "check", "my-model-v2", "--models", store).splitlines()[2]
    assert row.split()[:2] == ["onnxruntime:CPU", "unproven"]


def test_nothing_is_overwritten(tmp_path: Path, capsys: Capture) -> None:
    path = classifier(tmp_path / "c.onnx")
    store = tmp_path / "store"
    out(capsys, "model", "add", path, "--models", store)
    card = store / "c" / "1" / "model.yaml"
    card.write_text(card.read_text() + "description: mine\n")
    assert main(["model", "add", str(path), "--models", str(store)]) == 1
    assert "is there already, and nothing is overwritten: say another --version" in capsys.readouterr().err
    assert "mine" in card.read_text()
    out(capsys, "model", "add", path, "--models", store, "--version", "2", "--name", "c")
    assert sorted(one.name for one in (store / "c").iterdir()) == ["1", "2"], "nothing half-made is left"


def test_files_that_belong_to_it_come_along(tmp_path: Path, capsys: Capture) -> None:
    path = onnx_models.write_affine(tmp_path / "big.onnx", external=True)
    out(capsys, "model", "add", path, "--models", tmp_path / "s", "--task", "raw")
    folder = tmp_path / "s" / "big" / "1"
    assert sorted(one.name for one in folder.iterdir()) == ["big.onnx", "big.onnx.data", "model.yaml"]
    (tmp_path / "big.onnx.data").unlink()
    assert main(["model", "add", str(path), "--models", str(tmp_path / "s"), "--version", "2"]) == 1
    assert "needs the file 'big.onnx.data' beside it" in capsys.readouterr().err


def test_what_the_file_does_not_say_is_asked(tmp_path: Path, capsys: Capture) -> None:
    store = tmp_path / "s"
    said = out(
        capsys, "model", "add", classifier(tmp_path / "c.onnx"), "--task", "detection", "--models", store
    )
    assert "still to say: decoder: task detection needs one of centernet" in said
    assert "still to say: labels" in said
    unfinished = out(capsys, "validate", store / "c/1/model.yaml", code=1)
    assert "decoder: is missing: task detection needs centernet" in unfinished
    assert out(capsys, "validate", store / "c/1/model.yaml", "--schema-only").startswith("1 file: 0 errors")
    named = classifier(tmp_path / "n.onnx", {"names": "['a', 'b', 'c', 'd']"})
    assert "labels" not in out(capsys, "model", "add", named, "--models", store)


def test_a_file_that_nothing_here_loads(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "m.xmodel").write_bytes(b"x")
    said = out(capsys, "model", "add", tmp_path / "m.xmodel", "--models", tmp_path / "s")
    assert "nothing here could load the file" in said
    checked = out(capsys, "validate", tmp_path / "s/m/1/model.yaml")
    assert (
        "not checked: whether the card fits the file: accelerator 'auto': nothing here reads xmodel"
        in checked
    )
    assert checked.endswith("1 file: 0 errors, 0 warnings, 1 not checked\n")


@pytest.mark.parametrize(
    ("file", "more", "words"),
    [
        ("no.onnx", (), "no such file"),
        ("LICENSE", (), "tells no format"),
        ("broken.onnx", (), "is no ONNX model, or a truncated one"),
        ("c.onnx", ("--name", "../x"), "--name '../x' cannot be a folder"),
        ("c.onnx", ("--version", "a b"), "--version 'a b' cannot be a folder"),
    ],
)
def test_what_cannot_be_added(
    file: str, more: tuple[str, ...], words: str, tmp_path: Path, capsys: Capture
) -> None:
    whole = classifier(tmp_path / "c.onnx").read_bytes()
    (tmp_path / "broken.onnx").write_bytes(whole[:-20])
    (tmp_path / "LICENSE").write_text("x")
    assert main(["model", "add", str(tmp_path / file), "--models", str(tmp_path / "s"), *more]) == 1
    assert words in capsys.readouterr().err
    assert not list((tmp_path / "s").glob("*/*"))


@pytest.mark.parametrize("name", ["part-detect", "spindle-ae"])
def test_a_profile_for_our_own_models(name: str, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(out(capsys, "init", f"{name}:2026.11", "--device-profile", "line 4"))
    assert 'name: "line 4"\n' in path.read_text()
    assert 'version: "2026.11"' in path.read_text()
    assert out(capsys, "validate", path) == "1 file: 0 errors, 0 warnings\n"


def test_the_outputs_in_comments_are_right_too(tmp_path: Path, capsys: Capture) -> None:
    import re

    text = out(capsys, "init", "part-detect")
    (tmp_path / "p.yaml").write_text(
        re.sub(r"# (\w+: \{)", r"\1", text).replace("# accelerator: [openvino,", "# [")
    )
    assert "Present: {value: present}" in (tmp_path / "p.yaml").read_text()
    assert out(capsys, "validate", tmp_path / "p.yaml") == "1 file: 0 errors, 0 warnings\n"


def test_the_resource_may_be_named(capsys: Capture) -> None:
    found: list[Any] = [out(capsys, "init", "part-detect", "--resource", "jpeg")]
    assert "  - name: jpeg\n" in found[0]
    assert main(["init", "spindle-ae", "--resource", "Vibration"]) == 1
    assert "it takes several readings by their names (AccelX, AccelY, AccelZ, Temperature)" in (
        capsys.readouterr().err
    )
