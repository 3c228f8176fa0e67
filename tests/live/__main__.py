"""`make live EDGEX_METADATA=http://… EDGEX_BUS=mqtt://…`: our promises against a running EdgeX, as a table.

Exit code 1 when one does not hold, 2 when there is no EdgeX to try. Everything that is put there is taken away.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.live.cases import CASES
from tests.live.edgex import WORDS, Place, Unusable
from tests.live.scene import Scene, Skip

NAMES = max(len(name) for name in CASES) + 2


def main() -> int:
    try:
        place = Place.of()
        with opened(place) as scene:
            return played(scene)
    except Unusable as error:
        print(error, "\n", file=sys.stderr)
        for name, text in WORDS.items():
            print(f"{name:16} {text}", file=sys.stderr)
        return 2


@contextmanager
def opened(place: Place) -> Iterator[Scene]:
    scene = Scene(place)
    try:
        yield scene
    finally:
        scene.close()


def played(scene: Scene) -> int:
    """Plays all cases; the first one must hold for the others to mean anything."""
    print(f"EdgeX {scene.version}, as {scene.key}\n{'case':{NAMES}} {'holds':8} {'s':>5}  note")
    verdicts: list[str] = []
    try:
        for number, (name, case) in enumerate(CASES.items()):
            verdicts.append(row(name, lambda case=case: case(scene)))
            if number == 0 and verdicts != ["yes"]:
                break
    finally:
        verdicts.append(row("nothing is left behind", lambda: cleared(scene)))
    return 1 if "no" in verdicts else 0


def cleared(scene: Scene) -> str:
    left = scene.clear()
    assert not left, "; ".join(left)
    return ""


def row(name: str, case: Callable[[], Any]) -> str:
    """Plays a case, prints its row, returns its verdict."""
    begun = time.monotonic()
    try:
        holds, note = "yes", str(case())
    except Skip as why:
        holds, note = "skipped", str(why)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other cases and the cleaning up come next
        holds, note = "no", f"{type(error).__name__}: {str(error) or 'see the suite'}"
    print(
        f"{name:{NAMES}} {holds:8} {time.monotonic() - begun:5.1f}  {' '.join(note.split())[:300]}",
        flush=True,
    )
    return holds


if __name__ == "__main__":
    sys.exit(main())
