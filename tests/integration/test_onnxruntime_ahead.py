"""ONNX models compiled ahead by ONNX Runtime: for the CPU, and for a chip by its provider's compiler."""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelerators.onnxruntime import PLUGIN, depending, session
from accelerators.onnxruntime.options import Options
from edgex_inference.cli.main import main
from edgex_inference.contracts.accelerator import ONNX, ONNXRUNTIME_MODEL, Artefact, LoadRequest, Session
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected
from edgex_inference.contracts.models import Build, ModelCard, Task
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.compiling.artefacts import Artefacts
from edgex_inference.engine.compiling.orders import order
from edgex_inference.engine.fleet import Fleet
from edgex_inference.testing import onnx_models
from edgex_inference.testing.kinds import Kind

X = np.arange(4, dtype=np.float32).reshape(1, 4)


@pytest.fixture(autouse=True)
def _runtime(needs: Callable[..., None]) -> None:
    needs("onnxruntime")


def asked(path: Path, **keys: Any) -> LoadRequest:
    return LoadRequest(path=path, format=ONNX, cache=path.parent, options=Options(), **keys)


def made(request: LoadRequest) -> Artefact:
    assert PLUGIN.compile is not None
    return PLUGIN.compile(request)


def opened(request: LoadRequest, artefact: Artefact) -> Session:
    assert PLUGIN.load is not None
    return PLUGIN.load(replace(request, path=artefact.path, format=artefact.format))


def test_what_was_found_out_is_not_found_out_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = onnx_models.write(Kind.ANY, tmp_path)
    request = asked(path)
    assert PLUGIN.load is not None
    plain, artefact = PLUGIN.load(request), made(request)
    monkeypatch.setattr(session, "probe", lambda *_: pytest.fail("it was tried out again"))
    loaded = opened(request, artefact)
    assert (loaded.inputs, loaded.outputs, loaded.traits) == (plain.inputs, plain.outputs, plain.traits)
    assert np.array_equal(loaded.infer({"x": X})["y"], 2 * X + 1)


def test_weights_beside_the_graph_are_inside(tmp_path: Path) -> None:
    path = onnx_models.write_affine(tmp_path / "m" / "split.onnx", external=True)
    request = asked(path, beside=("split.onnx.data",))
    artefact = made(replace(request, cache=tmp_path))
    shutil.rmtree(path.parent)
    assert np.array_equal(opened(request, artefact).infer({"x": X})["y"], 2 * X + 1)


def test_another_processor_or_runtime_makes_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The runtime itself would load the graph that was optimized for another machine's instructions."""
    path = onnx_models.write(Kind.ONE, tmp_path)
    artefact = made(asked(path))
    assert kept(tmp_path, path).fresh
    assert not kept(tmp_path, path).fresh
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(depending, "processor", lambda: "Z80")
    assert kept(tmp_path, path).fresh
    assert "here is Z80: it is compiled again" in caplog.text
    with pytest.raises(ModelRejected, match=r"compiled with processor .*, here is Z80: compile it again"):
        opened(asked(path), artefact)
    monkeypatch.undo()
    monkeypatch.setattr(depending, "version", lambda: "1.99")
    with pytest.raises(
        ModelRejected, match=r"compiled with onnxruntime 1\..*, here is 1\.99: compile it again"
    ):
        opened(asked(path), artefact)


def test_a_compiled_model_without_its_description(tmp_path: Path) -> None:
    path = onnx_models.write(Kind.ONE, tmp_path)
    artefact = made(asked(path))
    for text in ("{", None):
        artefact.beside[0].unlink() if text is None else artefact.beside[0].write_text(text)
        with pytest.raises(ModelRejected, match="beside it is missing or damaged: compile it again"):
            opened(asked(path), artefact)


def kept(folder: Path, path: Path, **keys: Any) -> Any:
    """What the store gives, let go of at once."""
    build = Build(path=path, format=ONNX)
    card = ModelCard(name="m", version="1", task=Task.RAW, folder=path.parent, builds=(build,))
    choice = AcceleratorChoice(name="onnxruntime", **keys)
    (candidate,) = Catalog().candidates(choice, [ONNX])
    wanted = order(candidate, Fleet().request(candidate, choice, card, build), card, build)
    held = Artefacts(folder / "cache").get(wanted)
    held.close()
    return held


# On Qualcomm's simulator


@pytest.fixture
def qnn() -> Any:
    return pytest.importorskip(
        "onnxruntime_qnn", reason='onnxruntime-qnn is not installed: pip install "edgex-inference[test-qnn]"'
    )


def test_qnn_runs_what_was_compiled_ahead(qnn: Any, tmp_path: Path) -> None:
    path = onnx_models.write(Kind.ANY, tmp_path)
    request = asked(path, device="QNN", batch=2)
    artefact = made(request)
    assert b"EPContext" in artefact.path.read_bytes()
    path.unlink()
    loaded = opened(request, artefact)
    assert loaded.traits.placement == {"QNN": 2}
    assert (loaded.traits.precision, loaded.traits.batch.kind) == ("f32", "fixed")
    x = np.concatenate((X, -X))
    assert np.allclose(loaded.infer({"x": x})["y"], 2 * x + 1)
    with pytest.raises(ModelRejected, match=r"compiled with provider QNN.*, here is CPUExecutionProvider"):
        opened(replace(request, device="CPU"), artefact)


def test_qnn_by_the_command_and_damaged_ones_once_more(
    qnn: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "models" / "m" / "1"
    onnx_models.write(Kind.ONE, folder)
    (folder / "model.yaml").write_text(
        "schema: 1\nname: m\nversion: '1'\ntask: raw\nfiles: [{path: one.onnx}]\n"
    )
    words = ["compile", "m", "--for", "onnxruntime:QNN,onnxruntime", "--models", str(tmp_path / "models")]
    words += ["--into", str(tmp_path / "cache"), "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["target"], one["made"], one["wrong"]) for one in found] == [
        ("onnxruntime:QNN", True, False),
        ("onnxruntime:CPU", True, False),
    ]
    artefact = Path(found[0]["artefact"])
    artefact.write_bytes(artefact.read_bytes()[:-100])
    assert main(words) == 0
    assert [one["made"] for one in json.loads(capsys.readouterr().out)] == [True, False]
    assert "is damaged (one.compiled.onnx has changed): it is compiled again" in caplog.text


def test_an_absent_provider_is_refused(tmp_path: Path) -> None:
    path = onnx_models.write(Kind.ONE, tmp_path)
    with pytest.raises(AcceleratorUnavailable, match=r"onnxruntime:CUDA.*not on this machine"):
        made(asked(path, device="CUDA"))


def test_it_compiles_onnx_only(tmp_path: Path) -> None:
    request = replace(asked(tmp_path / "m.ort"), format=ONNXRUNTIME_MODEL)
    with pytest.raises(ModelRejected, match="compiles onnx, not onnxruntime-model"):
        made(request)
