"""The bounds of a lane, and what it counts."""

from collections.abc import Callable
from dataclasses import dataclass, field

from edgex_inference.engine.reopening import Reopening
from edgex_inference.telemetry.metrics import Counts, Histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSettings:
    """Bounds of a lane; times in seconds.

    `leaks` is how many threads may hang, and `restarts` how many workers may die within `steady`, before the lane
    gives up for a while. `rows` is the most that a run may have, whatever its session takes.
    """

    queue: int = 4096
    rows: int | None = None
    timeout: float = 5.0
    load_timeout: float = 120.0
    compile_timeout: float = 3600.0
    leaks: int = 4
    restarts: int = 10
    backoff: float = 0.5
    backoff_most: float = 30.0
    steady: float = 60.0

    def reopening(self, again: Callable[[], None]) -> Reopening:
        return Reopening(again, shortest=self.backoff, longest=self.backoff_most, steady=self.steady)


@dataclass(slots=True)
class LaneMetrics:
    """What a lane counts: `events` by word (rows, runs, deadline, restarted, lost, reopened), `runs` in seconds."""

    events: Counts = field(default_factory=Counts)
    runs: Histogram = field(default_factory=Histogram)
