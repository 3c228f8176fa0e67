"""`make hardware` where there is no GPU, and all of it but silicon on the stand-in."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of tests/hardware, as `python -m tests.hardware` finds them."""
    monkeypatch.syspath_prepend(str(ROOT))
    return SimpleNamespace(
        **{name: import_module(f"tests.hardware.{name}") for name in ("gpu", "results", "rooms", "rows")}
    )


def test_without_a_gpu_it_is_one_sentence_and_a_code_of_its_own(hardware: Any) -> None:
    with pytest.raises(
        hardware.gpu.Missing, match=r"no NVIDIA GPU here \(libnone\.so\.9, a part of its driver"
    ):
        hardware.gpu.find("libnone.so.9")
    before = {path: path.read_bytes() for path in (ROOT / "accelerators").rglob("README.md")}
    if not _gpu(hardware):
        done = subprocess.run(
            [sys.executable, "-m", "tests.hardware"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert (done.returncode, done.stdout) == (3, "")
        assert re.fullmatch(
            r"make hardware: there is no NVIDIA GPU here \(.*\): nothing was run, and nothing was written.\n",
            done.stderr,
        )
        assert before == {path: path.read_bytes() for path in before}


def _gpu(hardware: Any) -> str:
    try:
        found: str = hardware.gpu.find()
    except hardware.gpu.Missing:
        return ""
    return found


def test_an_unknown_row_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.hardware"],
        cwd=ROOT,
        env={**os.environ, "HARDWARE_ROWS": "tensorrt,cuda"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "HARDWARE_ROWS: cuda: there are tensorrt, onnxruntime:CUDA, onnxruntime:TensorRT\n"
    )


def test_every_row_has_its_place_in_a_readme(hardware: Any) -> None:
    for name, row in hardware.rows.ROWS.items():
        page = (ROOT / "accelerators" / row.plugin / "README.md").read_text()
        outcome = hardware.rows.Outcome(row=name, gpu="A GPU", date="2027-01-02", runtime="x 1", passed=7)
        assert "2027-01-02, A GPU, x 1: 7 of 7 promises held.\n" in hardware.results.written(page, outcome)
        assert (ROOT / "tests" / "hardware" / row.suite).is_file()
    with pytest.raises(ValueError, match="0 places for tensorrt"):
        hardware.results.written("nothing", hardware.rows.Outcome(row="tensorrt", gpu="x"))


def test_what_does_not_hold_is_said(hardware: Any) -> None:
    outcome = hardware.rows.Outcome(
        row="tensorrt", gpu="A GPU", date="d", runtime="x 1", passed=7, failed=("test_a",)
    )
    assert str(outcome) == "d, A GPU, x 1: 7 of 8 promises held. not held: test_a."
    assert not outcome.holds
    assert not hardware.rows.Outcome(row="tensorrt", gpu="A GPU", passed=7, skipped=1).holds
    assert not hardware.rows.Outcome(row="tensorrt", gpu="A GPU").holds, "nothing was played"
    assert hardware.rows.Outcome(row="tensorrt", gpu="A GPU", passed=7).holds


def test_a_row_is_played_and_written(hardware: Any, nvidia: Callable[..., Any], tmp_path: Path) -> None:
    """On the stand-in: all of `make hardware` but the environments and the silicon."""
    nvidia("eleven")
    folder = ROOT / "tests" / "simulators" / "nvidia"
    environment = {
        "PYTHONPATH": os.pathsep.join(str(folder / part) for part in ("eleven", "common")),
        "NVIDIA_STAND_IN": "gpus=1",
        "HARDWARE_ROUNDS": "3",
        "EDGEX_INFERENCE_TESTDATA": "",
        # the rest is played by the contract suite itself
        "PYTEST_ADDOPTS": "-k 'numbers or inputs or closing_twice or does_not_grow'",
    }
    outcome = hardware.rows.play(hardware.rows.ROWS["tensorrt"], "stand-in", hardware.rooms.here(environment))
    assert outcome.problem == ""
    assert outcome.failed == ()
    assert outcome.holds
    assert outcome.passed > 10
    assert outcome.runtime == "tensorrt 11.4.0.106"
    assert set(outcome.ratios) == {"1024 numbers, batch 1", "1024 numbers, batch 64"}
    page = tmp_path / "README.md"
    page.write_text((ROOT / "accelerators" / "tensorrt" / "README.md").read_text())
    hardware.results.record(page, outcome)
    assert f"{outcome.date}, stand-in, tensorrt 11.4.0.106: {outcome.passed} of" in page.read_text()


def test_a_row_that_cannot_be_played_says_why(hardware: Any) -> None:
    environment = {"NVIDIA_STAND_IN": "", "PYTEST_ADDOPTS": "--no-such-option"}
    outcome = hardware.rows.play(hardware.rows.ROWS["tensorrt"], "none", hardware.rooms.here(environment))
    assert "no-such-option" in outcome.problem
    assert not outcome.holds
