"""What the demo knows at any moment: the latest result of each binding, and a log of what happened."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgex_inference.telemetry.metrics import Histogram

Tone = Literal["plain", "good", "bad", "warning"]

RECENT = 5.0
"""Seconds over which a rate is taken."""

_MOST_ENTRIES = 500
_MOST_SCORES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the log, `seconds` after the devices started."""

    seconds: float
    text: str
    tone: Tone


@dataclass(slots=True, kw_only=True)
class Panel:
    """One binding as the bus tells of it; `latency` runs from the capture to the result's arrival here.

    `scores` are the latest anomaly scores, each with whether the alarm was on.
    """

    binding: str
    device: str
    values: Mapping[str, object] = field(default_factory=dict)
    status: str = ""
    reason: str = ""
    model: str = ""
    accelerator: str = ""
    results: int = 0
    latency: Histogram = field(default_factory=Histogram)
    scores: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=_MOST_SCORES))
    arrivals: deque[int] = field(default_factory=deque)

    def hear(self, values: Mapping[str, object], tags: Mapping[str, object], origin: int, now: int) -> None:
        """Takes a result that arrived at `now`; times in ns since the epoch."""
        self.values = values
        self.model = f"{tags.get('model', '?')} {tags.get('modelVersion', '')}".strip()
        self.accelerator = str(tags.get("accelerator", "?"))
        self.results += 1
        self.latency.add(max(0, now - origin) / 1e9)
        self.arrivals.append(now)
        score = values.get("AnomalyScore")
        if isinstance(score, float):
            self.scores.append((score, values.get("IsAnomaly") is True))

    def rate(self, now: int) -> float:
        """Results a second, lately."""
        while self.arrivals and self.arrivals[0] < now - RECENT * 1e9:
            self.arrivals.popleft()
        if len(self.arrivals) < 2:
            return 0.0
        return (len(self.arrivals) - 1) * 1e9 / (self.arrivals[-1] - self.arrivals[0])


@dataclass(slots=True, kw_only=True)
class Board:
    """Everything that a view shows; `started` (ns since the epoch) is 0 until the devices start."""

    title: str
    listen: str
    panels: tuple[Panel, ...]
    duration: float | None = None
    started: int = 0
    doing: str = "starting"
    alarm: bool = False
    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=_MOST_ENTRIES))
    logged: int = 0

    def elapsed(self, now: int) -> float:
        """Seconds since the devices started."""
        return max(0.0, (now - self.started) / 1e9) if self.started else 0.0

    def log(self, text: str, now: int, tone: Tone = "plain") -> None:
        """Adds a line to the log."""
        self.entries.append(Entry(seconds=self.elapsed(now), text=text, tone=tone))
        self.logged += 1

    def newer_than(self, seen: int) -> list[Entry]:
        """The lines after the first `seen` of all that were ever logged, as far as they are kept."""
        fresh = min(self.logged - seen, len(self.entries))
        return list(self.entries)[len(self.entries) - fresh :]
