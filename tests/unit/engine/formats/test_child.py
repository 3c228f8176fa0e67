"""A script in a child: its bounds, and every ending in one sentence."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.engine.formats import child
from edgex_inference.engine.formats.child import Job, Limits, run
from edgex_inference.engine.formats.parity import read_cases
from edgex_inference.engine.formats.toolchains import SCRIPTS, surroundings
from edgex_inference.testing import onnx_models
from tests.toolchain_double import SCRIPT


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scripts"
    folder.mkdir()
    shutil.copy(SCRIPTS / "exchange.py", folder)
    (folder / "double.py").write_text(SCRIPT)
    monkeypatch.setattr(child, "SCRIPTS", folder)
    return folder


def attempt(tmp_path: Path, how: str, limits: Limits | None = None, **more: object) -> child.Reply:
    source = onnx_models.write_affine(tmp_path / "m.onnx")
    folder = tmp_path / "work"
    folder.mkdir()
    job = Job(source=str(source), kind="onnx", options={"factory": how}, **more)  # type: ignore[arg-type]
    return run(Path(sys.executable), "double.py", job, folder, limits or Limits(timeout=60))


@pytest.mark.usefixtures("scripts")
def test_a_model_and_answers_come_back(tmp_path: Path) -> None:
    reply = attempt(tmp_path, "right")
    assert (reply.framework, reply.tool) == ("double 1", "copier 2")
    assert reply.answers is not None
    cases = read_cases(reply.answers, "m")
    assert [len(case.inputs[0]) for case in cases] == [1, 1, 3, 1, 1, 1]
    np.testing.assert_allclose(cases[2].outputs[0], cases[2].inputs[0] * 2 + 1, rtol=1e-6)


@pytest.mark.usefixtures("scripts")
def test_given_samples_are_what_is_asked(tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", anything=np.arange(8.0).reshape(2, 4))
    reply = attempt(tmp_path, "right", inputs=str(tmp_path / "in.npz"))
    assert reply.answers is not None
    assert [case.inputs[0].tolist() for case in read_cases(reply.answers, "m")] == [
        [[0, 1, 2, 3]],
        [[4, 5, 6, 7]],
    ]


@pytest.mark.usefixtures("scripts")
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("refuse", "does not like this model"),
        ("raise", "failed: ValueError: a converter's own words"),
        ("crash", r"crashed \(SIGABRT\)"),
        ("mute", "ended without an answer"),
        ("greedy", "more memory than it may have"),
    ],
)
def test_each_ending_is_one_sentence(how: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match=said) as caught:
        attempt(tmp_path, how, Limits(timeout=60, memory=4 << 30))
    assert "Traceback" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("scripts")
def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match=r"ended after 1 s: say a longer --timeout"):
        attempt(tmp_path, "hang", Limits(timeout=1))


def test_nothing_leads_a_child_back_into_the_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "EDGEX_SECURITY_SECRET_STORE", "INFERENCE_MODELSDIR"):
        monkeypatch.setenv(name, "x")
    found = surroundings(tmp_path)
    assert (
        not {"PYTHONPATH", "PYTHONHOME", "EDGEX_SECURITY_SECRET_STORE", "INFERENCE_MODELSDIR"} & found.keys()
    )
    assert found["HOME"] == str(tmp_path)


def test_scripts_know_nothing_of_the_project_but_the_two_that_call_its_importers() -> None:
    knowing = {path.name for path in SCRIPTS.glob("*.py") if "edgex_inference" in path.read_text()}
    assert knowing == {"import_caffe.py", "import_kaldi.py"}
