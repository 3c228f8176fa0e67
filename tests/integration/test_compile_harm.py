"""`edgex-inference compile` where something is in the way: disks, rights, other processes, and people who give up."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest
from onnx import helper

from edgex_inference.cli.compile import _json
from edgex_inference.cli.compiling import quantizing
from edgex_inference.cli.compiling.making import Outcome
from edgex_inference.cli.compiling.progress import Progress
from edgex_inference.cli.main import main
from edgex_inference.engine.compiling import locks
from tests.compiled import said

LACKING = json.dumps({"accel": [[math.nan] * 512] * 3, "temperature": [40.0]})


def test_a_place_where_nothing_can_be_kept_is_said_before_anything_is_compiled(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (models.parent / "cache").write_text("a file is in the way")
    code, out, err = said(
        capsys, "spindle-ae", "--for", "openvino", "--into", models.parent / "cache", "--models", models
    )
    assert (code, err) == (1, "")
    assert "openvino:CPU  failed" in out
    assert f"nothing can be kept in {models.parent}/cache/artefacts: Not a directory" in out


def test_who_waits_for_another_compiler_may_give_up(
    models: Path, process: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    into = models.parent / "cache"
    words = ["compile", "spindle-ae", "--for", "openvino", "--into", str(into), "--models", str(models)]
    assert main([*words, "--json"]) == 0
    entry = Path(json.loads(capsys.readouterr().out)[0]["artefact"]).parent
    shutil.rmtree(entry)
    making = locks.take(entry.with_name(f"{entry.name}.making"), alone=True)
    assert making is not None
    locks.write_owner(making)
    waiting = subprocess.Popen([process.command(), *words], stderr=subprocess.PIPE, text=True)
    try:
        assert waiting.stderr is not None
        for line in waiting.stderr:
            if f"waiting for process {os.getpid()}, which compiles it" in line:
                break
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(30) == 130
        assert "Traceback" not in waiting.stderr.read()
    finally:
        waiting.kill()
        waiting.communicate()
        making.close()


def test_a_difference_without_a_number_is_none_in_json() -> None:
    for difference, told in ((math.inf, None), (math.nan, None), (0.5, 0.5), (None, None)):
        text = _json([Outcome(target="openvino:CPU", difference=difference, wrong=True)], None)
        assert json.loads(text, parse_constant=pytest.fail)[0]["difference"] == told


def test_a_bar_stays_on_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    with Progress("tensorrt:GPU", stream) as progress:
        progress.told(0.5, "building tactics for a graph with a very long name")
    shown = [line for line in stream.getvalue().split("\r\x1b[K") if line]
    assert max(map(len, shown)) == 39


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"x": [1, 2, 3]}', "samples/1.json: "),
        ('{"x": [NaN', "samples/1.json: no JSON"),
        (LACKING, "samples/1.json: resource AccelX: nan is no finite number"),
        ("[]", "samples/1.json: an object is expected"),
    ],
)
def test_a_sample_that_does_not_fit_is_named(
    models: Path, content: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (models.parent / "samples").mkdir()
    (models.parent / "samples" / "1.json").write_text(content)
    code, out, err = said(
        capsys, "spindle-ae", "--models", models, "--quantize", "int8", "--samples", "samples"
    )
    assert (code, out) == (1, "")
    assert f"--samples: {sentence}" in err
    assert "golden" not in err


def test_a_store_that_cannot_be_written_gets_no_quantized_file(
    models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**keys: Any) -> Any:
        raise OSError(30, "Read-only file system", str(keys["dir"]))

    monkeypatch.setattr(quantizing.tempfile, "TemporaryDirectory", refused)
    golden = models / "part-detect" / "2026.11" / "golden"
    code, _, err = said(capsys, "part-detect", "--models", models, "--quantize", "int8", "--samples", golden)
    assert code == 1
    assert f"{golden.parent}: nothing can be written there: Read-only file system" in err


def test_what_gave_way_to_a_later_one_is_no_success(
    models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFERENCE_CACHEMAXSIZE", "1")
    words = ("part-detect", "--into", models.parent / "cache", "--models", models)
    code, out, _ = said(capsys, *words, "--for", "openvino,onnxruntime", "--json")
    assert [one["error"] for one in json.loads(out)] == ["", ""], "both have room"
    pad = models / "part-detect" / "2026.11" / "part-detect.onnx"
    graph = onnx.load(pad)
    helper.set_model_props(graph, {"padding": "x" * 300_000})
    onnx.save(graph, pad)
    card = pad.with_name("model.yaml")
    card.write_text(re.sub(r', sha256: "\w+"', "", card.read_text()))
    code, out, _ = said(capsys, *words, "--for", "openvino,onnxruntime")
    assert code == 1
    assert "openvino:CPU     failed" in out
    assert "gave way to the others: Inference.CacheMaxSize is 1 MB" in out
    assert "onnxruntime:CPU  compiled" in out
