"""`make tvm`: its tests, strictly, and its answers beside ONNX Runtime's, with the date into the plug-in's README.

Exit code 1 when a test fails or an answer is too far off; the README stays as it was then.
"""

import os
import platform
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from edgex_inference.contracts.accelerator import ONNX, TVM_LIBRARY, LoadRequest
from edgex_inference.contracts.probing import sample
from tests import dated

ROOT = Path(__file__).parents[1]
README = ROOT / "accelerators" / "tvm" / "README.md"
OURS = ROOT / "edgex_inference" / "demo" / "models"
SUITES = (
    ("TestTvm", "the contract suite"),
    ("TestTvmWithMoreCallersThanCores", "the same, four at once, for x86-64-v2"),
    ("test_tvm", "other machines, other products, foreign libraries"),
    ("test_tvm_library", "damaged files, linkers"),
)
"""The end of junit's name of a class, and what is in it."""

FILES = ("contract/test_accelerator_tvm.py", "integration/test_tvm.py", "unit/test_tvm_library.py")
MODELS = (OURS / "spindle-ae/2026.11/spindle-ae.onnx", OURS / "part-detect/2026.11/part-detect.onnx")
REAL = ("models/face-rfb320/version-RFB-320.onnx",)
"""Below EDGEX_INFERENCE_TESTDATA."""

_BAD = {"failure", "error", "skipped"}
_OFF = 2e-5
"""The share of the largest number that an answer may be off."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far TVM's answer is off ONNX Runtime's, and the largest number in that."""

    model: str
    off: float
    largest: float

    @property
    def holds(self) -> bool:
        return self.off <= _OFF * max(0.5, self.largest)


def main() -> int:
    """0 when everything holds."""
    holds, suites = played()
    data = os.environ.get("EDGEX_INFERENCE_TESTDATA")
    found = [difference(path) for path in (*MODELS, *(Path(data, one) for one in REAL if data))]
    text = report(suites, found)
    print(text)
    if not (holds and all(one.holds for one in found)):
        return 1
    dated.write(README, "make tvm", text)
    return 0


def played() -> tuple[bool, Sequence[str]]:
    """Whether all tests hold, and a row of a table for each suite."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-o", "junit_family=xunit1", f"--junitxml={results}"]
        done = subprocess.run(
            [*command, *(f"tests/{file}" for file in FILES)],
            cwd=ROOT, env={**os.environ, "EDGEX_INFERENCE_STRICT": "1"}, check=False,
        )  # fmt: skip
        cases = list(ElementTree.parse(results).iter("testcase"))
    names = [str(case.get("classname")).rpartition(".")[2] for case in cases]
    good = Counter(
        name for name, case in zip(names, cases, strict=True) if not _BAD & {part.tag for part in case}
    )
    rows = [f"| {what} | {good[name]} of {names.count(name)} |" for name, what in SUITES]
    return done.returncode == 0 and all(good[name] for name, _ in SUITES), rows


def difference(path: Path) -> Difference:
    """Compiles and runs a model here, on random inputs; raises what the plug-ins raise."""
    from accelerators.onnxruntime import PLUGIN as ONNXRUNTIME
    from accelerators.tvm import PLUGIN

    assert PLUGIN.compile is not None
    assert PLUGIN.load is not None
    assert ONNXRUNTIME.load is not None
    with tempfile.TemporaryDirectory() as folder:
        made = PLUGIN.compile(LoadRequest(path=path, format=ONNX, cache=Path(folder)))
        ours = PLUGIN.load(LoadRequest(path=made.path, format=TVM_LIBRARY))
        theirs = ONNXRUNTIME.load(LoadRequest(path=path, format=ONNX))
        given = sample(theirs.inputs, np.random.default_rng(1))
        answers, wanted = ours.infer(given), theirs.infer(given)
        ours.close()
        theirs.close()
    off = max(float(np.abs(answers[name] - array).max()) for name, array in wanted.items())
    return Difference(path.stem, off, max(float(np.abs(array).max()) for array in wanted.values()))


def report(suites: Sequence[str], found: Sequence[Difference]) -> str:
    versions = f"Apache TVM {version('apache-tvm')}, ONNX Runtime {version('onnxruntime')}"
    lines = [
        f"Played on {dated.today()}, on a CPU ({platform.machine()}): {versions}.",
        "",
        "| Tests | Held |",
        "|---|---|",
        *suites,
        "",
        "Answers beside ONNX Runtime's, on random inputs:",
        "",
        "| Model | Largest difference | Largest number |",
        "|---|---|---|",
        *(f"| {one.model} | {one.off:.1e} | {one.largest:.3g} |" for one in found),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
