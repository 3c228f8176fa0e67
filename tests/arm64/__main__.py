"""`make arm64`: the accelerators, a whole journey and TVM's cross-compiled code on an emulated Cortex-A72.

Writes docs/arm64.md; exit code 1 when something does not hold. ARM64_ONLY=litert,journey,tvm runs a part of it and
leaves the page alone.
"""

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version

from tests.arm64 import provision
from tests.arm64.provision import HOME, PROCESSOR, PYTHON, ROOT

PAGE = ROOT / "docs" / "arm64.md"
SUITES = {
    "onnxruntime": "TestOnnxRuntime",
    "litert": "TestLiteRt",
    "openvino": "TestOpenVino",
    "reference": "TestReference",
}
"""The plug-ins, and the classes of their contract suites that run: further ones repeat it with other options."""

LEFT_OUT = ("test_closing_during_a_run",)
"""Its model has 3.4 billion operations: minutes for each run in an emulator."""

MODELS = ("spindle-ae/2026.11/spindle-ae.onnx", "part-detect/2026.11/part-detect.onnx")
_PATIENCE = 1800


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What ran, whether it holds, what was seen, and the seconds of processor time and of the clock."""

    name: str
    holds: bool
    seen: str
    used: float
    took: float


def main() -> int:
    """0 when everything holds."""
    parts: Mapping[str, Callable[[], tuple[bool, str]]] = {
        **{name: lambda name=name: suite(name) for name in SUITES},  # type: ignore[misc]
        "journey": journey,
        "tvm": library,
    }
    wanted = [name for name in os.environ.get("ARM64_ONLY", "").split(",") if name] or list(parts)
    began = time.monotonic()
    try:
        provision.provide()
    except provision.Unavailable as error:
        print(f"make arm64: {error}", file=sys.stderr)
        return 1
    provided = time.monotonic() - began
    print(f"provided in {provided:.0f} s", flush=True)
    found = []
    for name in wanted:
        found.append(measured(name, parts[name]))
        one = found[-1]
        print(f"{one.name}: {'holds' if one.holds else 'BROKEN'}: {one.seen} ({one.used:.0f} s)", flush=True)
    if len(wanted) == len(parts):
        record(found, provided)
    return 0 if all(one.holds for one in found) else 1


def measured(name: str, part: Callable[[], tuple[bool, str]]) -> Outcome:
    """Runs a part; one that does not end in time does not hold."""
    clock, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        holds, seen = part()
    except subprocess.TimeoutExpired:
        holds, seen = False, f"did not end within {_PATIENCE} s"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Outcome(name=name, holds=holds, seen=seen, used=used, took=time.monotonic() - clock)


def suite(name: str) -> tuple[bool, str]:
    """The contract suite of a plug-in, without what is left out."""
    without = " and ".join(f"not {test}" for test in LEFT_OUT)
    done = emulated(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-o", "timeout=900",
        f"tests/contract/test_accelerator_{name}.py::{SUITES[name]}", "-k", without,
    )  # fmt: skip
    (HOME / f"{name}.log").write_text(done.stdout + done.stderr)
    last = next((line for line in reversed(done.stdout.splitlines()) if " in " in line), "no word")
    counts = re.sub(r"=+ ?| in .*|, \d+ deselected", "", last).strip()
    return done.returncode == 0, f"{counts} ({HOME.name}/{name}.log)" if done.returncode else counts


def journey() -> tuple[bool, str]:
    """The demo: virtual devices → embedded broker → service → models → embedded broker."""
    words = ("demo", "--for", "120s", "--seed", "100001", "--json", "--accelerator", "onnxruntime")
    done = emulated("-m", "edgex_inference", *words)
    (HOME / "journey.log").write_text(done.stdout + done.stderr)
    events = [json.loads(line)["event"] for line in done.stdout.splitlines() if line.startswith("{")]
    sources = {
        name: sum(one["sourceName"] == name for one in events) for name in ("PartInspection", "SpindleHealth")
    }
    told = ", ".join(f"{count} of {name}" for name, count in sources.items())
    return all(sources.values()), f"events with results: {told}"


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
        ran = emulated(str(ROOT / "tests" / "arm64" / "cross.py"), "run", library)
        if ran.returncode:
            return False, (ran.stderr.strip().splitlines() or ["no word"])[-1]
        compared = [sys.executable, "-m", "tests.arm64.cross", "compare", str(path), library]
        said = subprocess.run(compared, cwd=ROOT, capture_output=True, text=True, check=True)
        off, largest = map(float, said.stdout.split()[-2:])
        holds = holds and off <= 2e-5 * max(0.5, largest)
        told.append(f"{path.stem}: {off:.1e} off ONNX Runtime on x86-64, largest number {largest:.3g}")
    return holds, "; ".join(told)


def emulated(*words: str) -> "subprocess.CompletedProcess[str]":
    """A Python program on the emulated processor."""
    return subprocess.run(
        [str(PYTHON), *words], cwd=ROOT, env=provision.environment(), capture_output=True, text=True,
        errors="replace", timeout=_PATIENCE, check=False,
    )  # fmt: skip


def record(found: Sequence[Outcome], provided: float) -> None:
    """Puts the outcomes into the page."""
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("onnxruntime", "openvino", "ai-edge-litert", "apache-tvm")
    )
    total = sum(one.used for one in found)
    lines = [
        f"{date.today()}, emulated {PROCESSOR} (qemu-user 10, Debian 12, Python 3.11), {packages}. "
        f"{total / 60:.0f} minutes of processor time, {sum(one.took for one in found) / 60:.0f} by the clock; "
        f"downloads and unpacking before it {provided:.0f} s.",
        "",
        "| | Holds | Seen | Processor time |",
        "|---|---|---|---|",
        *(
            f"| {one.name} | {'yes' if one.holds else '**no**'} | {one.seen} | {one.used:.0f} s |"
            for one in found
        ),
        "",
    ]
    part = re.compile(r"(<!-- measured: arm64 -->\n).*?(<!-- end -->)", re.DOTALL)
    PAGE.write_text(
        part.sub(lambda match: match[1] + "\n" + "\n".join(lines) + "\n" + match[2], PAGE.read_text())
    )


if __name__ == "__main__":
    sys.exit(main())
