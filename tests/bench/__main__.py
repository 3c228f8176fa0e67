"""`make bench`: all rows, the table, build/bench.json; exit code 1 when a goal is not held.

BENCH_ROWS=sensor,sessions chooses families, BENCH_QUICK=1 shortens everything (its numbers mean nothing),
BENCH_OUTPUT=FILE writes elsewhere, BENCH_DOCS=1 puts the tables into docs/benchmarks.md too. With
EDGEX_INFERENCE_TESTDATA the pictures and the detector are real ones.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from tests.bench import document
from tests.bench.effort import Effort
from tests.bench.rows import Row, table, written

FAMILIES: Mapping[str, str] = {
    "camera": "the camera path",
    "sensor": "the sensor path on the memory bus",
    "broker": "the sensor path through mosquitto",
    "clients": "MQTT clients beside each other, through mosquitto",
    "edgex-sdk": "beside the official Go application SDK, through mosquitto",
    "buses": "every message bus",
    "sessions": "sessions against their bare runtimes",
    "together": "lanes, worker processes, and models that share the processor",
    "many": "many bindings and devices",
    "footprint": "memory and start",
}
OUTPUT = Path(os.environ.get("BENCH_OUTPUT", "build/bench.json"))


def main() -> int:
    """Measures and prints; 0 when every goal is held."""
    logging.disable(logging.WARNING)
    wanted = [name for name in os.environ.get("BENCH_ROWS", "").replace(",", " ").split() if name] or [
        *FAMILIES
    ]
    unknown = [name for name in wanted if name not in FAMILIES]
    if unknown:
        print(f"BENCH_ROWS: {', '.join(unknown)}: there are {', '.join(FAMILIES)}", file=sys.stderr)
        return 2
    effort = Effort(quick=os.environ.get("BENCH_QUICK", "") not in ("", "0"))
    documented = os.environ.get("BENCH_DOCS", "") not in ("", "0") and not effort.quick
    rows: list[Row] = []
    for name in wanted:
        print(f"{FAMILIES[name]} …", file=sys.stderr, flush=True)
        before = document.load()
        found = measured(name, effort)
        rows += found
        if documented:
            document.record(name, found, before)
    print(table(rows))
    written(rows, OUTPUT)
    broken = [row for row in rows if not row.holds]
    if effort.quick:
        print("quick: these numbers mean nothing")
    print(f"{len(rows)} rows in {OUTPUT}; " + (f"{len(broken)} NOT held" if broken else "all goals are held"))
    return 1 if broken else 0


def measured(name: str, effort: Effort) -> Sequence[Row]:
    """The rows of one family, in a folder of its own; one row without a value when it fails."""
    work: Callable[[Effort, Path], Sequence[Row]] = import_module(
        f"tests.bench.{name.replace('-', '_')}"
    ).rows
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            return work(effort, Path(folder))
    except Exception as error:  # noqa: BLE001 - the other rows are still worth having
        return [Row(name=FAMILIES[name], value=None, unit="", note=f"not measured: {error!r}")]


if __name__ == "__main__":
    sys.exit(main())
