"""What a benchmark says: a value, what it must reach, and whether it does."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

Measured = TypeVar("Measured")


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Bounds of a value, both included; without any it is only recorded."""

    least: float | None = None
    most: float | None = None

    def holds(self, value: float | None) -> bool:
        """Whether the value is there and within the bounds."""
        if value is None:
            return False
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        if self.least is not None:
            return f"≥ {self.least:g}"
        return f"≤ {self.most:g}" if self.most is not None else "recorded"


RECORDED = Goal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table; `value` None: it could not be measured, `note` says why."""

    name: str
    value: float | None
    unit: str = "×"
    goal: Goal = RECORDED
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.goal.holds(self.value)


def ratio(better: Sequence[float], ours: Sequence[float]) -> float:
    """The median of what the other takes ÷ what we take, round by round: above 1 we are the faster."""
    if not ours or len(better) != len(ours):
        raise ValueError("as many measurements of the one as of the other, and at least one")
    return median(theirs / mine for theirs, mine in zip(better, ours, strict=True))


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that this share of all do not exceed; raises ValueError without values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("nothing was measured")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def interleaved(rounds: int, *works: Callable[[], Measured]) -> list[list[Measured]]:
    """What each work measures, in `rounds` rounds that begin with another work each time."""
    measured: list[list[Measured]] = [[] for _ in works]
    for number in range(rounds):
        for step in range(len(works)):
            index = (number + step) % len(works)
            measured[index].append(works[index]())
    return measured


def spelled(value: float | None) -> str:
    """Three digits that mean something."""
    if value is None:
        return "—"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def table(rows: Sequence[Row], *, markdown: bool = False) -> str:
    """The rows in columns."""
    cells = [("What", "Value", "Unit", "Must reach", "Holds")]
    for row in rows:
        name = f"{row.name} ({row.note})" if row.note else row.name
        holds = "" if row.goal == RECORDED else ("yes" if row.holds else "NO")
        cells.append((name, spelled(row.value), row.unit, str(row.goal), holds))
    if markdown:
        lines = [f"| {' | '.join(line)} |" for line in cells]
        return "\n".join([lines[0], "|---|---|---|---|---|", *lines[1:]]) + "\n"
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def written(rows: Sequence[Row], path: Path) -> None:
    """Writes the rows as JSON: a list of {name, value, unit, goal, holds, note}."""
    said = [
        {
            "name": row.name,
            "value": row.value,
            "unit": row.unit,
            "goal": str(row.goal),
            "holds": row.holds,
            "note": row.note,
        }
        for row in rows
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(said, ensure_ascii=False, indent=1) + "\n")
