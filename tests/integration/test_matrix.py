"""Every release of EdgeX on every bus: official device service → server → our service → official consumer → judge.

EdgeX 4 on MQTT unless EDGEX_INFERENCE_MATRIX=all (`make matrix`), which writes build/matrix.json too.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Make = Callable[..., Any]
ALL = os.environ.get("EDGEX_INFERENCE_MATRIX") == "all"
REPORT = Path(__file__).parents[2] / "build" / "matrix.json"
NATS = ("nats-core", "nats-jetstream")
BUSES = {
    "4": ("mqtt", *NATS),
    "3": ("mqtt", "redis", *NATS),
    "2": ("mqtt", "redis", *NATS, "zero"),
    "21": ("mqtt", "redis", "zero"),
}
CELLS = [(one, bus) for one, buses in BUSES.items() for bus in buses] if ALL else [("4", "mqtt")]


@pytest.fixture(scope="module")
def report() -> Iterator[list[dict[str, Any]]]:
    """The rows of build/matrix.json, written when all cells are done."""
    rows: list[dict[str, Any]] = []
    yield rows
    if ALL:
        rows.sort(key=lambda row: (row["edgex"], row["release"], row["bus"]), reverse=True)
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(json.dumps(rows, indent=1) + "\n")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("generation", "bus"), CELLS, ids=[f"edgex {one} {bus}" for one, bus in CELLS])
def test_an_official_service_is_heard_and_an_official_consumer_hears(
    enter: Make, official: Any, judge: Make, report: list[dict[str, Any]], generation: str, bus: str
) -> None:
    facts = {"edgex": generation[0], "release": official.cell.RELEASES[generation], "bus": bus}
    rows = {case: facts | {"case": case, "holds": False} for case in official.cell.CASES}
    report += rows.values()
    cell = enter(generation, bus)
    cell.wait()
    for case, row in rows.items():
        for one in cell.events(case)[:2]:
            assert official.cell.is_right(case, one), one
            assert one["event"]["apiVersion"] == cell.version
            assert one["correlation"]
            assert cell.verdict(judge, one) == ""
        row["holds"] = True


def test_the_page_shows_this_table(official: Any) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "message-buses.md").read_text()
    columns = ("mqtt", "redis", *NATS, "zero")
    for generation, release in official.cell.RELEASES.items():
        row = " | ".join("yes" if bus in BUSES[generation] else "–" for bus in columns)
        assert f"| {release} | {row} |" in page
