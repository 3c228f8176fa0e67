"""`make soak`: long under load, again and again; build/soak.json, and exit code 1 when something does not hold.

SOAK_SECONDS=60 shortens the 10 minutes under load, SOAK_LOAD=0.5 is the share of what the service can do (0.8),
SOAK_ONLY=litert,openvino loads and closes no others, SOAK_OUTPUT=FILE writes elsewhere, SOAK_DOCS=1 puts the table into
docs/benchmarks.md too.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

from edgex_inference.contracts.accelerator import Accelerator, Level
from tests.bench import document
from tests.bench.rows import Goal, Row, table, written
from tests.soak.under_load import Wanted, rows

CYCLES, FEW = 200, 40
SHORT = 60.0
"""Seconds below which there are only a few load-and-close cycles too: such a soak shows that the soak works."""

_PATIENCE = 600


def main() -> int:
    """0 when everything holds."""
    logging.disable(logging.WARNING)
    wanted = Wanted(
        seconds=float(os.environ.get("SOAK_SECONDS", "600")), load=float(os.environ.get("SOAK_LOAD", "0.8"))
    )
    output = Path(os.environ.get("SOAK_OUTPUT", "build/soak.json"))
    before = document.load()
    print(f"{wanted.seconds:g} s at {wanted.load:.0%} load …", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        found = list(rows(wanted, Path(folder)))
    cycles = CYCLES if wanted.seconds >= SHORT else FEW
    only = os.environ.get("SOAK_ONLY", "").replace(",", " ").split()
    for name in only or accelerators():
        print(f"{name}: {cycles} times loaded and closed …", file=sys.stderr, flush=True)
        found += _cycled(name, cycles)
    print(table(found))
    written(found, output)
    if os.environ.get("SOAK_DOCS", "") not in ("", "0"):
        document.record("soak", found, before)
    broken = [row for row in found if not row.holds]
    print(f"{len(found)} rows in {output}; " + (f"{len(broken)} NOT held" if broken else "everything holds"))
    return 1 if broken else 0


def accelerators() -> Sequence[str]:
    """Every plug-in of ours whose runtime is installed, or stood in for by its suite."""
    claims = entry_points(group="edgex_inference.accelerators")
    ours: list[Accelerator] = [one.load() for one in claims if one.value.startswith("accelerators.")]
    return sorted(one.name for one in ours if one.level is Level.SIMULATED or one.version() is not None)


def suite(name: str) -> Path:
    """The file with an accelerator's contract suite."""
    return Path(__file__).parents[1] / "contract" / f"test_accelerator_{name}.py"


def _cycled(name: str, cycles: int) -> Sequence[Row]:
    """What its contract suite leaves behind, in a process of its own, so that no other runtime's memory is in it."""
    what = f"{name}: {cycles} times loaded, run and closed"
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        output = Path(folder) / "growth.json"
        env = os.environ | {"SOAK_CYCLES": str(cycles), "SOAK_GROWTH": str(output)}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.soak.growth", f"--timeout={_PATIENCE}"]
        done = subprocess.run(
            [*command, str(suite(name))],
            env=env,
            capture_output=True,
            text=True,
            timeout=2 * _PATIENCE,
            check=False,
        )
        noted = json.loads(output.read_text()) if output.exists() else []
    measured = [one for one in noted if "grown" in one]
    if measured:
        grown, threads = (max(one[key] for one in measured) for key in ("grown", "threads"))
        return [
            Row(name=f"{what}: memory grown by", value=grown / 1e6, unit="MB", goal=Goal(most=12)),
            Row(name=f"{what}: threads more", value=threads, unit="", goal=Goal(most=0)),
        ]
    reason = (
        next((one["reason"] for one in noted), "") or (done.stdout.strip().splitlines() or ["no suite"])[-1]
    )
    if noted and all(one["outcome"] == "skipped" for one in noted):
        print(f"{name}: skipped: {reason}", file=sys.stderr, flush=True)
        return []
    return [Row(name=f"{what}: memory grown by", value=None, unit="MB", note=reason)]


if __name__ == "__main__":
    sys.exit(main())
