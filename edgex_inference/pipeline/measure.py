"""What is counted and timed for each binding."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgex_inference.telemetry.metrics import Counts, Histogram, Latency

STAGES = ("queue", "preprocess", "infer", "postprocess", "publish", "total")


@dataclass(frozen=True, slots=True)
class Measures:
    """One binding's counters and latencies, over all its devices.

    `dropped` counts inputs by reason, `failed` runs by kind, `events` the words received, published, suppressed
    (held back by the publish policy), repeated (by keepAlive) and unfit (numbers left out of an event). When nothing
    is under way received = published + suppressed + dropped + failed.
    """

    events: Counts = field(default_factory=Counts)
    dropped: Counts = field(default_factory=Counts)
    failed: Counts = field(default_factory=Counts)
    stages: Mapping[str, Histogram] = field(default_factory=lambda: {name: Histogram() for name in STAGES})

    def counters(self) -> Mapping[str, object]:
        """Counters as the bindings page shows them."""
        return {
            "received": self.events.total("received"),
            "published": self.events.total("published"),
            "suppressed": self.events.total("suppressed"),
            "repeated": self.events.total("repeated"),
            "unfit": self.events.total("unfit"),
            "dropped": dict(self.dropped.by_word()),
            "failed": dict(self.failed.by_word()),
        }

    def take_in(self, other: "Measures") -> None:
        """Adds all that another one has counted and timed."""
        for mine, theirs in (
            (self.events, other.events),
            (self.dropped, other.dropped),
            (self.failed, other.failed),
        ):
            mine.take_in(theirs)
        for name, histogram in self.stages.items():
            histogram.take_in(other.stages[name].spread())

    def latencies(self) -> Mapping[str, Mapping[str, float | int]]:
        """Percentiles of every stage, in milliseconds."""
        return {name: milliseconds(histogram.summary()) for name, histogram in self.stages.items()}


def milliseconds(latency: Latency) -> Mapping[str, float | int]:
    """A summary as pages show it."""
    return {
        "count": latency.count,
        "mean": round(latency.mean * 1e3, 3),
        "p50": round(latency.p50 * 1e3, 3),
        "p95": round(latency.p95 * 1e3, 3),
        "p99": round(latency.p99 * 1e3, 3),
    }
