"""`edgex-inference compile` on real runtimes: artefacts, their answers, 8 bits, and what cannot be done."""

import asyncio
import importlib.util
import io
import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml

from edgex_inference.cli.compiling.progress import Progress
from edgex_inference.cli.compiling.writing import entered
from edgex_inference.cli.main import main
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import SetupError
from edgex_inference.engine.cards.card import read_card
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.fleet import Fleet
from edgex_inference.pipeline.planning import golden
from edgex_inference.testing import tflite_models
from tests.compiled import said


def figures(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    code, out, _ = said(capsys, *words, "--json")
    assert code == 0, out
    return json.loads(out)


def test_an_artefact_is_made_proven_and_used(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    into = models.parent / "cache"
    words = ("spindle-ae", "--for", "openvino", "--into", into, "--models", models)
    (one,) = figures(capsys, *words)
    assert one["made"]
    assert 0 <= one["difference"] < 0.01
    assert Path(one["artefact"]).is_relative_to(into / "artefacts" / "openvino")
    provenance = json.loads((Path(one["artefact"]).parent / "provenance.json").read_text())
    assert provenance["parity"]["difference"] == one["difference"]
    assert provenance["parity"]["samples"] == 2
    code, out, err = said(capsys, *words)
    assert (code, err) == (0, "")
    assert re.search(r"^TARGET +ARTEFACT +SIZE +SECONDS +DIFFERENCE$", out, re.MULTILINE)
    assert re.search(r"^openvino:CPU +was there +[\d.]+ [kM]B +[\d.]+ +\d\.\de-\d\d$", out, re.MULTILINE)
    code, out, err = said(capsys, *words, "--again", "--json")
    assert code == 0
    assert json.loads(out)[0]["made"]
    assert re.match(r"openvino:CPU, \d+ s: compiling for CPU\nopenvino:CPU, \d+ s: trying it out\n", err), (
        "how far it is"
    )
    (other,) = figures(capsys, *words, "--batch", 4)
    assert other["made"], "another batch is another artefact"
    assert json.loads((Path(other["artefact"]).parent / "provenance.json").read_text())["batch"] == 4


@pytest.mark.parametrize(
    ("name", "wanted"), [("openvino", "openvino-blob"), ("onnxruntime", "onnxruntime-model")]
)
async def test_the_fleet_loads_the_artefact_with_the_same_answers(
    models: Path, name: str, wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    into = models.parent / "cache"
    words = ["compile", "part-detect", "--for", name, "--into", str(into), "--models", str(models), "--json"]
    assert await asyncio.to_thread(main, words) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one["difference"] < 1e-3
    card, choice = (
        read_card(models / "part-detect" / "2026.11" / "model.yaml"),
        AcceleratorChoice(name=name),
    )
    (candidate,) = Catalog().candidates(choice, [card.builds[0].format])
    formats: list[str] = []
    plugin = candidate.accelerator
    load = plugin.load
    assert load is not None
    seeing = replace(plugin, load=lambda request: formats.append(request.format) or load(request))  # type: ignore[func-returns-value]
    fleet = Fleet(cache=into)
    lane, build = await fleet.acquire(replace(candidate, accelerator=seeing), choice, card)
    assert formats == [wanted]
    await golden.check(lane, card, build, max_pixels=64_000_000)
    assert lane.session.traits.precision == "f32"
    await fleet.close()


def test_what_cannot_be_made_is_said_and_the_rest_is_made(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--into", models.parent / "cache", "--models", models)
    code, out, _ = said(
        capsys, "spindle-ae", "--for", "openvino,openvino:NPU,openvino:AUTO,reference,nobody,auto", *words
    )
    assert code == 1
    assert "openvino:CPU   compiled" in out
    assert "not on this machine" in out
    assert "accelerator 'openvino:AUTO': " in out
    assert "chooses devices at each start: name one of them to compile ahead" in out
    assert "its artefact was made with" not in out, "that one was for another device"
    assert "accelerator 'auto': is chosen at each start: name who is to compile" in out
    assert "accelerator 'reference': compiles nothing ahead: it takes the model's files as they are" in out
    assert "no such accelerator" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("spindle-ae",), "--for: name at least one accelerator, such as openvino:CPU"),
        (("spindle-ae", "--for", ":CPU", "--into", "x"), "--for: ':CPU' names no accelerator"),
        (("spindle-ae", "--for", "openvino"), "there is nowhere to keep artefacts: say --into DIR"),
        (("nothing", "--for", "openvino", "--into", "x"), "model 'nothing'"),
        (("spindle-ae", "--quantize", "int8"), "--quantize needs --samples DIR"),
        (("spindle-ae", "--quantize", "int8", "--samples", "nowhere"), "--samples: nowhere cannot be read"),
        (
            ("spindle-ae", "--quantize", "int8", "--samples", "models"),
            "--samples: there is no JSON file of inputs",
        ),
        (
            ("part-detect", "--quantize", "int8", "--samples", "models"),
            "--samples: there is no picture in models",
        ),
        (("spindle-ae", "--for", "openvino", "--into", "x", "--options", "{"), "--options: no JSON"),
        (("spindle-ae", "--for", "openvino", "--into", "x", "--batch", "0"), "--batch: must be 1 or more"),
        (
            ("spindle-ae", "--for", "openvino", "--into", "x", "--options", "[]"),
            "--options: an object is expected",
        ),
    ],
)
def test_mistakes_are_one_sentence(
    models: Path, words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capsys, *words, "--models", models)
    assert (code, out) == (1, "")
    assert sentence in err
    assert "Traceback" not in err


def loosened(models: Path, **tolerance: float) -> Path:
    """part-detect with other tolerances."""
    path = models / "part-detect" / "2026.11" / "model.yaml"
    text = path.read_text()
    for key, value in tolerance.items():
        text = re.sub(rf"{key}: 0\.0\d", f"{key}: {value}", text)
    path.write_text(text)
    return path


def test_eight_bits_are_calibrated_compared_and_entered_into_the_card(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = loosened(models, score=0.06, box=0.04)
    before = path.read_text()
    words = ("part-detect", "--models", models, "--into", models.parent / "cache")
    found = figures(
        capsys, *words, "--quantize", "int8", "--samples", path.parent / "golden", "--for", "openvino"
    )
    quantized, (artefact,) = found["quantized"], found["artefacts"]
    assert quantized["samples"] == 2
    assert quantized["differenceBefore"] < 1e-3 < quantized["differenceAfter"] < 0.06
    assert quantized["sizeAfter"] < quantized["sizeBefore"] / 2
    assert artefact["source"] == "part-detect-int8.onnx"
    assert artefact["difference"] < 0.06
    card = read_card(path)
    assert [(one.path.name, one.precision) for one in card.builds] == [
        ("part-detect.onnx", None),
        ("part-detect-int8.onnx", "int8"),
    ]
    (added,) = set(path.read_text().splitlines()) - set(before.splitlines())
    entry = yaml.safe_load(added)[0]
    assert entry["parity"]["source"] == "part-detect.onnx"
    assert len(entry["parity"]["calibration"]) == 64
    assert entry["parity"]["difference"] == pytest.approx(quantized["differenceAfter"], rel=0.01)
    kinds = {node.op_type for node in onnx.load(card.builds[1].path).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    code, _, err = said(capsys, *words, "--quantize", "int8", "--samples", path.parent / "golden")
    assert code == 1
    assert "has a quantized file already: remove it and its line first" in err


def test_ir_is_quantized_by_nncf(
    models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NNCF_CI", raising=False)
    if importlib.util.find_spec("nncf") is None:
        pytest.skip("nncf is not installed, and `make test` does not: pip install '.[quantize-openvino]'")
    import openvino

    path = loosened(models, score=0.06, box=0.04)
    source = path.parent / "part-detect.onnx"
    openvino.save_model(
        openvino.convert_model(source), path.parent / "part-detect.xml", compress_to_fp16=False
    )
    source.unlink()
    path.write_text(re.sub(r"- \{path: part-detect.*", "- {path: part-detect.xml}", path.read_text()))
    quantized = figures(
        capsys, "part-detect", "--models", models, "--quantize", "int8", "--samples", path.parent / "golden"
    )["quantized"]
    assert quantized["differenceBefore"] < 1e-3 < quantized["differenceAfter"] < 0.06
    assert quantized["sizeAfter"] < quantized["sizeBefore"] / 2
    assert (path.parent / "part-detect-int8.bin").is_file()
    assert read_card(path).builds[1].precision == "int8"
    assert os.environ.get("NNCF_CI"), "it would report to its maker"


REGRESSION = """schema: 1
name: line
version: "1"
task: regression
files: [{path: line.tflite}]
inputs: {x: {kind: vector, names: [A, B, C, D]}}
outputs: {y: {}}
golden: [{input: golden/0.json, expect: golden/0.expect.json, tolerance: {value: TOLERANCE}}]
"""


def test_tflite_is_quantized_by_googles_own(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if importlib.util.find_spec("ai_edge_quantizer") is None:
        pytest.skip(
            "ai-edge-quantizer is missing, and `make test` has it not: pip install '.[quantize-litert]'"
        )
    folder = models / "line" / "1"
    (folder / "golden").mkdir(parents=True)
    tflite_models.write_affine(folder / "line.tflite", shape=(1, 4))
    for n in range(8):
        (folder / "golden" / f"{n}.json").write_text(json.dumps({"x": [n / 8, -n / 9, n / 10, 0.3]}))
    (folder / "golden" / "0.expect.json").write_text(json.dumps({"value": 1}))
    card = folder / "model.yaml"
    words = ("line", "--models", models, "--quantize", "int8", "--samples", folder / "golden")
    card.write_text(REGRESSION.replace("TOLERANCE", "0.0001"))
    code, _, err = said(capsys, *words)
    assert (code, "in 8 bits it answers wrongly, and nothing was written" in err) == (1, True)
    card.write_text(REGRESSION.replace("TOLERANCE", "0.02"))
    quantized = figures(capsys, *words)["quantized"]
    assert quantized["differenceBefore"] == 0 < quantized["differenceAfter"] < 0.02
    made = read_card(card).builds[1]
    assert (made.path.name, made.precision) == ("line-int8.tflite", "int8")
    assert main(["model", "check", "line", "--models", str(models)]) == 0


async def test_who_asks_for_int8_gets_the_quantized_file_and_nobody_else(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = loosened(models, score=0.06, box=0.04)
    words = ["compile", "part-detect", "--models", str(models), "--quantize", "int8"]
    assert await asyncio.to_thread(main, [*words, "--samples", str(path.parent / "golden")]) == 0
    card, fleet = read_card(path), Fleet()
    for name in ("openvino", "onnxruntime"):
        for precision, file in ((None, "part-detect.onnx"), ("int8", "part-detect-int8.onnx")):
            choice = AcceleratorChoice(name=name, precision=precision)
            (candidate,) = Catalog().candidates(choice, [card.builds[0].format])
            _, build = await fleet.acquire(candidate, choice, card)
            assert build.path.name == file
    await fleet.close()


def test_eight_bits_that_answer_wrongly_are_not_written(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = loosened(models, score=0.0001)
    before = path.read_text()
    there = sorted(path.parent.rglob("*"))
    code, _, err = said(
        capsys, "part-detect", "--models", models, "--quantize", "int8", "--samples", path.parent / "golden"
    )
    assert code == 1
    assert "in 8 bits it answers wrongly, and nothing was written: golden sample" in err
    assert path.read_text() == before
    assert sorted(path.parent.rglob("*")) == there


CARDS: Mapping[str, str] = {
    "block": "files:\n  - path: a.onnx  # the one\n    sha256: null\n\ntask: raw # x\n",
    "flow": "files: [{path: a.onnx}]\ntask: raw\n",
    "flow over lines": "files: [\n  {path: a.onnx},\n]\ntask: raw\n",
    "last": "task: raw\nfiles:\n- {path: a.onnx, inputs: {x: {tensor: t}}}",
}


@pytest.mark.parametrize("text", CARDS.values(), ids=CARDS)
def test_a_line_is_added_and_the_rest_of_a_card_stays(tmp_path: Path, text: str) -> None:
    from edgex_inference.contracts.models import ModelCard, Task

    (tmp_path / "model.yaml").write_text(text)
    card = ModelCard(name="m", version="1", task=Task.RAW, folder=tmp_path, builds=())
    new = yaml.safe_load(entered(card, 0, {"path": "b.onnx", "precision": "int8"}))
    old = yaml.safe_load(text)
    meaning = {"inputs": old["files"][0]["inputs"]} if "inputs" in old["files"][0] else {}
    assert new == {**old, "files": [*old["files"], {"path": "b.onnx", "precision": "int8", **meaning}]}
    if "#" in text:
        assert "# the one" in entered(card, 0, {"path": "b.onnx"})
        assert "# x" in entered(card, 0, {"path": "b.onnx"})


def test_a_card_in_a_strange_hand_is_left_alone(tmp_path: Path) -> None:
    from edgex_inference.contracts.models import ModelCard, Task

    (tmp_path / "model.yaml").write_text("x: &f\n  - {path: a.onnx}\nfiles: *f\n")
    card = ModelCard(name="m", version="1", task=Task.RAW, folder=tmp_path, builds=())
    with pytest.raises(
        SetupError, match=r"one more file cannot be put into: add to files: \{path: b\.onnx\}"
    ):
        entered(card, 0, {"path": "b.onnx"})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_and_anything_else_lines() -> None:
    for stream in (io.StringIO(), Terminal()):
        with Progress("tensorrt:GPU", stream) as progress:
            progress.told(None, "reading")
            progress.told(0.5, "building tactics")
            progress.told(0.5, "building tactics")
        said = stream.getvalue()
        if stream.isatty():
            assert re.search(r"tensorrt:GPU \[#{12}·{12}\] 50% \d+ s building tactics", said)
            assert said.endswith("\r\x1b[K")
        else:
            assert re.fullmatch(
                r"tensorrt:GPU, \d+ s: reading\ntensorrt:GPU 50%, \d+ s: building tactics\n", said
            )
