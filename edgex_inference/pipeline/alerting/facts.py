"""What a person should hear of a binding: its model was rejected, it fell back, its device is lost, it has stalled."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from edgex_inference.pipeline.emission import DEGRADED, INACTIVE, RUNNING
from edgex_inference.pipeline.running.order import has_others
from edgex_inference.pipeline.running.run import Run

REJECTED, UNAVAILABLE, FELL_BACK, LOST, STALLED = (
    "model-rejected",
    "binding-inactive",
    "accelerator-fallback",
    "accelerator-lost",
    "binding-stalled",
)
"""The kinds, as labels."""

_SHORTEST, _TIMEOUTS = 30.0, 10
"""A binding has stalled when its events had no result for so many seconds, and for so many times its deadline."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is told, once: a kind of fact about a binding."""

    kind: str
    profile: str
    binding: str

    def __str__(self) -> str:
        return f"profile {self.profile}: binding {self.binding}"


@dataclass(slots=True)
class _Progress:
    """When a binding's events began to go without results; `behind_since` is None while they do not."""

    answered: int = 0
    received: int = 0
    behind_since: float | None = None
    first: int = 0


class Stalls:
    """Finds bindings that take events and give nothing, by their counters at each look."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._progress: dict[Run, _Progress] = {}

    def keep(self, runs: Iterable[Run]) -> None:
        """Forgets all others."""
        known = self._progress
        self._progress = {run: known[run] for run in runs if run in known}

    def reset(self) -> None:
        """What was seen so far tells nothing: the bus was away."""
        self._progress.clear()

    def of(self, run: Run) -> str:
        """How a binding has stalled; empty while it has not."""
        events = run.measures.events
        answered = events.total("published") + events.total("suppressed")
        received = events.total("received")
        seen = self._progress.get(run)
        if seen is None or seen.answered != answered or run.status not in (RUNNING, DEGRADED):
            self._progress[run] = _Progress(answered=answered, received=received)
            return ""
        now = self._clock()
        if seen.behind_since is None:
            if run.unfinished or received > seen.received:
                seen.behind_since, seen.first = now, received
            return ""
        patience = max(_SHORTEST, _TIMEOUTS * run.binding.limits.timeout)
        if now - seen.behind_since < patience or not (run.unfinished or received > seen.first):
            return ""
        came, since = received - seen.received, now - seen.behind_since
        return f"no result for {since:.0f} s; {run.unfinished} events wait, {came} came since the last one"


def facts(runs: Iterable[Run], stalls: Stalls) -> Mapping[Subject, str]:
    """All that is amiss now, with the reason: of several forms of a binding for several devices the first."""
    found: dict[Subject, str] = {}
    for run in runs:
        for kind, reason in _facts_of(run, stalls.of(run)):
            found.setdefault(Subject(kind, run.binding.profile, run.binding.name), reason)
    return found


def _facts_of(run: Run, stalled: str) -> Iterable[tuple[str, str]]:
    if not run.binding.enabled:
        return
    if run.complaint and run.status in (INACTIVE, DEGRADED):
        yield (REJECTED if run.rejected else UNAVAILABLE), f"{run.status}: {run.reason}"
    plan = run.journey.plan if run.journey is not None else None
    if plan is not None and plan.passed_over and run.binding.fallback != "allow":
        yield FELL_BACK, plan.standing
    if plan is not None and plan.lane.lost and not has_others(run.binding):
        yield LOST, f"{plan.accelerator} is lost, and nobody else may answer: {plan.lane.reason}"
    if stalled:
        yield STALLED, f"{stalled}; {run.status}: {run.reason}"
