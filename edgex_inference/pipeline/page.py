"""What the pages below `/api/v3/inference` show: bindings with effective values and origins, and the bus's traffic."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edgex_inference.pipeline.alerting.lookout import Lookout
from edgex_inference.pipeline.effective import device_of, effective
from edgex_inference.pipeline.measure import milliseconds
from edgex_inference.pipeline.origins import ORIGINS
from edgex_inference.pipeline.outbox import OUTBOX, Outbox
from edgex_inference.pipeline.router import Traffic
from edgex_inference.pipeline.running.run import Run


def rows(runs: Iterable[Run]) -> Sequence[Mapping[str, Any]]:
    """One row for each run."""
    return [row(run) for run in runs]


def row(run: Run) -> Mapping[str, Any]:
    """What one binding is, where each setting came from, how it is doing."""
    plan = run.journey.plan if run.journey is not None else None
    settings, origins = effective(run.binding, plan)
    return {
        "device": device_of(run.binding),
        "profile": run.binding.profile,
        "binding": run.binding.name,
        "resource": run.binding.resource,
        "status": run.status,
        "reason": run.reason,
        "model": {"name": plan.card.name, "version": plan.card.version} if plan is not None else None,
        "accelerator": plan.accelerator if plan is not None else None,
        "passedOver": list(plan.passed_over) if plan is not None else [],
        "choice": plan.choice.as_json() if plan is not None and plan.choice is not None else None,
        "settings": settings,
        "origins": origins,
        "queued": run.queued,
        "counters": run.measures.counters(),
        "latencyMs": run.measures.latencies(),
    }


FATES = ("matched", "unmatched", "own", "notEvent", "repeated")
"""What becomes of a message that can be read."""


def messages(seen: Traffic) -> Mapping[str, int]:
    """How many messages had each fate, the refused ones as `invalid`."""
    return {fate: seen.messages.total(fate) for fate in FATES} | {"invalid": seen.invalid.total()}


def traffic(seen: Traffic, outbox: Outbox | None, lookout: Lookout) -> Mapping[str, Any]:
    """Since the start: messages by fate, refused ones by reason, times of reading one, what was amiss, who was told."""
    told: dict[str, Any] = {
        "messages": messages(seen),
        "invalid": dict(seen.invalid.by_word()),
        "origins": {word: seen.origins.counts.total(word) for word in ORIGINS},
        "decodeMs": milliseconds(seen.decode.summary()),
    }
    if outbox is not None:
        told["outbox"] = {"waiting": outbox.waiting, **{word: outbox.counts.total(word) for word in OUTBOX}}
    return {**told, **lookout.counted()}
