"""`make hardware`: the contract suite and the bench on an NVIDIA GPU, into the plug-ins' READMEs.

Each runtime gets an environment of its own below build/hardware. HARDWARE_ROWS=tensorrt,onnxruntime:CUDA chooses.
Exit code 0: all held; 1: something did not; 2: HARDWARE_ROWS is wrong; 3: there is no GPU, and nothing was done.
"""

import os
import sys
from pathlib import Path

from tests.hardware.gpu import Missing, find
from tests.hardware.results import record
from tests.hardware.rooms import RoomUnavailable, room
from tests.hardware.rows import ROWS, Outcome, play

ROOT = Path(__file__).parents[2]
NOTHING = 3


def main() -> int:
    """Plays every row and writes what came of it."""
    wanted = os.environ.get("HARDWARE_ROWS", "").replace(",", " ").split() or [*ROWS]
    unknown = [name for name in wanted if name not in ROWS]
    if unknown:
        print(f"HARDWARE_ROWS: {', '.join(unknown)}: there are {', '.join(ROWS)}", file=sys.stderr)
        return 2
    try:
        gpu = find()
    except Missing as error:
        print(f"make hardware: {error}: nothing was run, and nothing was written.", file=sys.stderr)
        return NOTHING
    outcomes = [_played(name, gpu) for name in wanted]
    for outcome in outcomes:
        print(f"{outcome.row}: {outcome}")
    return 0 if all(outcome.holds for outcome in outcomes) else 1


def _played(name: str, gpu: str) -> Outcome:
    row = ROWS[name]
    print(f"{name} on {gpu} …", file=sys.stderr, flush=True)
    try:
        place = room(ROOT / "build" / "hardware" / row.room, row.needs)
    except RoomUnavailable as error:
        return Outcome(row=name, gpu=gpu, problem=str(error))
    outcome = play(row, gpu, place)
    record(ROOT / "accelerators" / row.plugin / "README.md", outcome)
    return outcome


if __name__ == "__main__":
    raise SystemExit(main())
