"""Bindings as the page and `/api/v3/inference/bindings` show them: effective values, origins, counters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from edgex_inference.contracts.bindings import Binding
from edgex_inference.pipeline.run import Run

_SPELLED = {"raise_at": "raise", "clear_below": "clear", "as_": "as", "pointer": "field"}
_NOT_SHOWN = frozenset({"profile", "resource", "name", "origins", "unsupported"})


def rows(runs: Iterable[Run]) -> Sequence[Mapping[str, Any]]:
    """One row for each run."""
    return [row(run) for run in runs]


def row(run: Run) -> Mapping[str, Any]:
    """What one binding is, where each setting came from, how it is doing."""
    plan = run.journey.plan if run.journey is not None else None
    return {
        "profile": run.binding.profile,
        "binding": run.binding.name,
        "resource": run.binding.resource,
        "status": run.status,
        "reason": run.reason,
        "model": {"name": plan.card.name, "version": plan.card.version} if plan is not None else None,
        "accelerator": plan.accelerator if plan is not None else None,
        "passedOver": list(plan.passed_over) if plan is not None else [],
        "settings": settings(run.binding),
        "origins": dict(run.binding.origins),
        "queued": run.queued,
        "counters": run.measures.counters(),
        "latencyMs": run.measures.latencies(),
    }


def settings(binding: Binding) -> Mapping[str, Any]:
    """The block's effective settings in its own spelling; what was not said is left out."""
    plain = _plain(binding)
    assert isinstance(plain, dict)
    return {key: value for key, value in plain.items() if key not in _NOT_SHOWN}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        shown = {_spell(f.name): _plain(getattr(value, f.name)) for f in fields(value)}
        return {key: inner for key, inner in shown.items() if inner not in (None, {}, [])}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _spell(name: str) -> str:
    if name in _SPELLED:
        return _SPELLED[name]
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
