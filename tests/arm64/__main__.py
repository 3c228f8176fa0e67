"""`make arm64`: the accelerators, a whole journey and TVM's cross-compiled code on an emulated Cortex-A72.

Writes docs/arm64.md; exit code 1 when something does not hold. ARM64_ONLY=litert,journey,tvm runs some of it: the rows
of the others stay as they were. Two parts run at a time.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import msgspec

from tests import dated
from tests.arm64 import provision
from tests.arm64.provision import HOME, PROCESSOR, PYTHON
from tests.foreign import outcomes
from tests.foreign.debian import ROOT, Unavailable
from tests.foreign.outcomes import Outcome, Part

PAGE = ROOT / "docs" / "arm64.md"
SUITES = {
    "onnxruntime": "TestOnnxRuntime",
    "litert": "TestLiteRt",
    "openvino": "TestOpenVino",
    "reference": "TestReference",
}
"""The plug-ins, and the classes of their contract suites that run: further ones repeat it with other options."""

LEFT_OUT = {
    name: ("test_closing_during_a_run", *(("test_placement_counts_the_graph",) if name == "litert" else ()))
    for name in SUITES
}
"""Their model has 3.4 billion operations: minutes for each run in an emulator, and LiteRT runs it while it loads."""

MODELS = ("spindle-ae/2026.11/spindle-ae.onnx", "part-detect/2026.11/part-detect.onnx")
PACKAGES = ("onnxruntime", "openvino", "ai-edge-litert", "apache-tvm")
JOURNEYS = ("onnxruntime:CPU", "openvino:CPU", "litert:CPU")
_PATIENCE = 1800


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The last outcome of each part; `took` are the minutes from beginning to end of the last run of them all."""

    outcomes: Sequence[Outcome] = ()
    took: str = ""


def main() -> int:
    """0 when everything holds."""
    began = time.monotonic()
    wanted = [name for name in os.environ.get("ARM64_ONLY", "").split(",") if name] or list(PARTS)
    try:
        provision.provide()
    except Unavailable as error:
        print(f"make arm64: {error}", file=sys.stderr)
        return 1
    ready = time.monotonic()
    found = []
    with ProcessPoolExecutor(2) as pool:
        for one in pool.map(measured, wanted):
            found.append(one)
            print(one, flush=True)
    now = time.monotonic()
    took = f"{(now - began) / 60:.1f} minutes, {(ready - began) / 60:.1f} of them to fetch and install"
    took += f"; load {os.getloadavg()[2]:.1f} on {os.cpu_count()} cores"
    print(took)
    record(found, took if set(wanted) == set(PARTS) else "")
    return 0 if all(one.holds for one in found) else 1


def measured(name: str) -> Outcome:
    """Runs a part, alone in this process."""
    return outcomes.measured(name, PARTS[name])


def suite(name: str) -> tuple[bool, str]:
    """The contract suite of a plug-in, without what is left out."""
    tests = f"tests/contract/test_accelerator_{name}.py::{SUITES[name]}"
    return outcomes.suite(PYTHON, name, tests, without=LEFT_OUT[name], patience=_PATIENCE)


def journey() -> tuple[bool, str]:
    """Events on the memory bus through a binding on each accelerator, and out again."""
    return outcomes.journey(PYTHON, JOURNEYS, patience=_PATIENCE)


def library() -> tuple[bool, str]:
    """Our models, compiled here for the emulated processor, against ONNX Runtime here."""
    told, holds = [], True
    for model in MODELS:
        path = ROOT / "edgex_inference" / "demo" / "models" / model
        here = [sys.executable, "-m", "tests.arm64.cross", "compile", str(path), str(HOME / "tvm")]
        made = subprocess.run(here, cwd=ROOT, capture_output=True, text=True, check=False)
        if made.returncode:
            return False, made.stderr.strip().splitlines()[-1]
        library = made.stdout.strip().splitlines()[-1]
        ran = PYTHON.run(str(ROOT / "tests" / "arm64" / "cross.py"), "run", library, patience=_PATIENCE)
        if ran.returncode:
            return False, (ran.stderr.strip().splitlines() or ["no word"])[-1]
        compared = [sys.executable, "-m", "tests.arm64.cross", "compare", str(path), library]
        said = subprocess.run(compared, cwd=ROOT, capture_output=True, text=True, check=True)
        off, largest = map(float, said.stdout.split()[-2:])
        holds = holds and off <= 2e-5 * max(0.5, largest)
        told.append(f"{path.stem}: {off:.1e} off ONNX Runtime on x86-64, largest number {largest:.3g}")
    return holds, "; ".join(told)


def record(found: Sequence[Outcome], took: str) -> None:
    """Puts the outcomes into the page, beside those of other parts that ran before."""
    file = HOME / "outcomes.json"
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=Kept) if file.exists() else Kept()
    except msgspec.DecodeError:  # of an older form
        kept = Kept()
    known = {one.name: one for one in (*kept.outcomes, *found)}
    kept = Kept(outcomes=tuple(known.values()), took=took or kept.took)
    file.write_bytes(msgspec.json.encode(kept))
    shown = [known[name] for name in PARTS if name in known]
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [
        "",
        f"Emulated {PROCESSOR}: qemu-user 10, Debian 12, Python 3.11, {packages}; "
        f"{sum(one.used for one in shown) / 60:.1f} minutes of processor time in all.",
        *([f"The last whole run, two parts at a time: {kept.took}."] if kept.took else []),
        "",
        outcomes.table(shown),
        "",
    ]
    dated.write(PAGE, "measured: arm64", "\n".join(lines) + "\n")


PARTS: Mapping[str, Part] = {
    **{name: partial(suite, name) for name in SUITES},
    "journey": journey,
    "tvm": library,
}


if __name__ == "__main__":
    sys.exit(main())
