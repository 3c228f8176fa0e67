"""What is played on a GPU: for each runtime the accelerator's contract suite and a comparison with the bare runtime."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from tests.hardware.rooms import Room

ROOT = Path(__file__).parents[2]
GOAL = 0.95
_CUDA = "onnxruntime-gpu[cuda,cudnn] >=1.22,<2"
_TENSORRT = "tensorrt >=10,<12"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A runtime on a device; `suite` is a file of this folder, `needs` what pip installs for it into `room`."""

    plugin: str
    device: str
    suite: str
    room: str
    needs: tuple[str, ...]


ROWS: Mapping[str, Row] = {
    "tensorrt": Row(
        plugin="tensorrt",
        device="GPU",
        suite="on_tensorrt.py",
        room="tensorrt",
        needs=(_TENSORRT, "cuda-bindings >=12.9,<14"),
    ),
    "onnxruntime:CUDA": Row(
        plugin="onnxruntime", device="CUDA", suite="on_cuda.py", room="onnxruntime", needs=(_CUDA, _TENSORRT)
    ),
    "onnxruntime:TensorRT": Row(
        plugin="onnxruntime",
        device="TENSORRT",
        suite="on_onnxruntime_tensorrt.py",
        room="onnxruntime",
        needs=(_CUDA, _TENSORRT),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the tests ended, which of them failed, and how fast it was: the bare runtime's time ÷ ours."""

    row: str
    gpu: str
    date: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat())
    runtime: str = ""
    passed: int = 0
    failed: tuple[str, ...] = ()
    skipped: int = 0
    ratios: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""

    @property
    def holds(self) -> bool:
        """Whether the plug-in may be called proven: everything was played, nothing was skipped or failed."""
        return not self.problem and bool(self.passed) and not self.failed and not self.skipped

    def __str__(self) -> str:
        if self.problem:
            return f"{self.date}, {self.gpu}: not played: {self.problem}"
        total = self.passed + len(self.failed) + self.skipped
        fast = "; ".join(f"{name} {ratio:.2f}" for name, ratio in self.ratios.items())
        parts = [
            f"{self.date}, {self.gpu}, {self.runtime}: {self.passed} of {total} promises held",
            f"not held: {', '.join(self.failed)}" if self.failed else "",
            f"bare runtime's time ÷ ours: {fast}" if fast else "",
        ]
        return ". ".join(part for part in parts if part) + "."


def play(row: Row, gpu: str, room: Room) -> Outcome:
    """Runs the suite and the bench of a row in its room."""
    name = next(name for name, one in ROWS.items() if one == row)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        suite = f"tests/hardware/{row.suite}"
        arguments = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "junit_family=xunit1")
        done = _run(room, *arguments, f"--junitxml={report}", suite)
        if not report.is_file():
            return Outcome(row=name, gpu=gpu, problem=_last(done))
        passed, failed, skipped = _counted(report)
    if done.returncode not in (0, 1) or not passed:
        return Outcome(row=name, gpu=gpu, problem=_last(done))
    measured = _run(room, "-m", "tests.hardware.bench", row.plugin, row.device)
    if measured.returncode:
        return Outcome(row=name, gpu=gpu, problem=f"the bench failed: {_last(measured)}")
    said = json.loads(measured.stdout.splitlines()[-1])
    return Outcome(
        row=name,
        gpu=gpu,
        runtime=said["runtime"],
        passed=passed,
        failed=tuple(failed),
        skipped=skipped,
        ratios=said["ratios"],
    )


def _run(room: Room, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **room.environment}
    return subprocess.run(
        [room.python, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def _counted(report: Path) -> tuple[int, Sequence[str], int]:
    cases = ElementTree.parse(report).getroot().findall(".//testcase")
    failed = [
        one.get("name", "?")
        for one in cases
        if one.find("failure") is not None or one.find("error") is not None
    ]
    skipped = [one for one in cases if one.find("skipped") is not None]
    return len(cases) - len(failed) - len(skipped), failed, len(skipped)


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or [f"it ended with code {done.returncode} and said nothing"])[-1]
