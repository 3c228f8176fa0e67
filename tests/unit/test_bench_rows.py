"""The arithmetic and the shape of what `make bench` says."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def _loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_{name}", ROOT / "tests" / "bench" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rows = _loaded("rows")


@pytest.mark.parametrize(
    ("goal", "value", "holds"),
    [
        (rows.Goal(least=0.95), 0.95, True),
        (rows.Goal(least=0.95), 0.949, False),
        (rows.Goal(most=5), 5.0, True),
        (rows.Goal(most=5), 5.1, False),
        (rows.Goal(least=0.8, most=1.2), 1.0, True),
        (rows.Goal(least=0.8, most=1.2), 1.21, False),
        (rows.Goal(least=0.8, most=1.2), 0.79, False),
        (rows.RECORDED, 1e9, True),
        (rows.Goal(most=5), math.inf, False),
        (rows.Goal(most=5), math.nan, False),
    ],
)
def test_a_goal_holds_within_its_bounds(goal: Any, value: float, holds: bool) -> None:
    assert rows.Row(name="x", value=value, goal=goal).holds is holds


def test_what_could_not_be_measured_does_not_hold() -> None:
    assert not rows.Row(name="x", value=None).holds
    assert not rows.Row(name="x", value=None, goal=rows.Goal(most=5)).holds


def test_goals_are_spelled() -> None:
    spelled = [str(rows.Goal(least=0.95)), str(rows.Goal(most=5)), str(rows.Goal(least=0.8, most=1.2))]
    assert spelled == ["≥ 0.95", "≤ 5", "0.8 to 1.2"]
    assert str(rows.RECORDED) == "recorded"


def test_the_ratio_is_the_median_of_the_rounds_and_says_how_much_faster_we_are() -> None:
    assert rows.ratio([4.0, 8.0, 100.0], [2.0, 2.0, 2.0]) == 4.0
    assert rows.ratio([1.0], [2.0]) == 0.5
    for theirs, ours in (([], []), ([1.0], [1.0, 2.0])):
        with pytest.raises(ValueError, match="as many"):
            rows.ratio(theirs, ours)


@pytest.mark.parametrize(("share", "found"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1), (0.0, 1)])
def test_a_percentile_is_a_measured_value(share: float, found: int) -> None:
    assert rows.percentile(range(100, 0, -1), share) == found


def test_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        rows.percentile([], 0.5)


def test_rounds_are_interleaved_and_begin_with_another_work_each_time() -> None:
    order: list[str] = []

    def work(name: str) -> Callable[[], float]:
        def measure() -> float:
            order.append(name)
            return float(len(order))

        return measure

    measured = rows.interleaved(3, work("a"), work("b"))
    assert "".join(order) == "abbaab"
    assert measured == [[1.0, 4.0, 5.0], [2.0, 3.0, 6.0]]


def test_the_table_says_what_does_not_hold() -> None:
    made = [
        rows.Row(name="slow", value=0.5, goal=rows.Goal(least=0.95)),
        rows.Row(name="plain", value=12345.6, unit="µs"),
        rows.Row(name="gone", value=None, note="no broker"),
    ]
    lines = rows.table(made).splitlines()
    assert lines[0].split() == ["What", "Value", "Unit", "Must", "reach", "Holds"]
    assert lines[1].split() == ["slow", "0.5", "×", "≥", "0.95", "NO"]
    assert lines[2].split() == ["plain", "12346", "µs", "recorded"]
    assert "gone (no broker)" in lines[3]
    assert rows.table(made, markdown=True).splitlines()[2] == "| slow | 0.5 | × | ≥ 0.95 | NO |"


def test_make_bench_writes_its_rows_and_says_by_its_exit_code_whether_all_goals_hold(tmp_path: Path) -> None:
    env = os.environ | {
        "BENCH_ROWS": "footprint",
        "BENCH_QUICK": "1",
        "BENCH_OUTPUT": str(tmp_path / "b.json"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench"], cwd=ROOT, env=env, capture_output=True, text=True
    )
    said = json.loads((tmp_path / "b.json").read_text())
    assert said
    for row in said:
        assert {"name", "value", "unit", "goal", "holds"} <= row.keys()
        assert row["name"] in done.stdout
        assert isinstance(row["value"], float)
    assert done.returncode == (0 if all(row["holds"] for row in said) else 1), done.stderr


def test_a_family_that_does_not_exist_is_refused() -> None:
    env = os.environ | {"BENCH_ROWS": "sesions"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench"], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "sesions" in done.stderr
    assert "sessions" in done.stderr
