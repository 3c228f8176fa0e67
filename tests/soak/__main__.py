"""`make soak`: long under load, again and again; build/soak.json, and exit code 1 when something does not hold.

SOAK_SECONDS=60 shortens the 10 minutes under load, SOAK_LOAD=0.5 is the share of what the service can do (0.8),
SOAK_OUTPUT=FILE writes elsewhere, SOAK_DOCS=1 puts the table into docs/benchmarks.md too.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench import document
from tests.bench.rows import Goal, Row, table, written
from tests.soak.under_load import Wanted, rows

ACCELERATORS = ("onnxruntime", "openvino", "reference")
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
    for name in ACCELERATORS:
        print(f"{name}: {cycles} times loaded and closed …", file=sys.stderr, flush=True)
        found += _cycled(name, cycles)
    print(table(found))
    written(found, output)
    if os.environ.get("SOAK_DOCS", "") not in ("", "0"):
        document.record("soak", found, before)
    broken = [row for row in found if not row.holds]
    print(f"{len(found)} rows in {output}; " + (f"{len(broken)} NOT held" if broken else "everything holds"))
    return 1 if broken else 0


def _cycled(name: str, cycles: int) -> Sequence[Row]:
    """In a process of its own, so that no other runtime's memory is in it."""
    command = [sys.executable, "-m", "tests.soak.cycles", name, str(cycles)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    what = f"{name}: {cycles} times loaded, run and closed"
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        return [Row(name=f"{what}: memory grown by", value=None, unit="MB", note=reason[0])]
    said = json.loads(done.stdout)
    return [
        Row(name=f"{what}: memory grown by", value=said["grown"], unit="MB", goal=Goal(most=12)),
        Row(name=f"{what}: threads more", value=said["threads"], unit="", goal=Goal(most=0)),
    ]


if __name__ == "__main__":
    sys.exit(main())
