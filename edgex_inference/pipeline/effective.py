"""A binding's effective settings in the block's own spelling, and where each of them came from."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from edgex_inference.config import durations
from edgex_inference.contracts.bindings import Binding
from edgex_inference.pipeline.intake import Queueing
from edgex_inference.pipeline.planning.plan import Plan

_SPELLED = {"raise_at": "raise", "clear_below": "clear", "as_": "as", "pointer": "field"}
_NOT_SHOWN = frozenset({"profile", "resource", "name", "origins", "unsupported"})
_DURATIONS = frozenset({"interval", "delay", "min_interval", "keep_alive", "max_age", "max_delay", "timeout"})

DEFAULT, CARD = "default", "model card"


def effective(binding: Binding, plan: Plan | None) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """The settings as nested maps, and for each dotted key its origin.

    Origins are `default`, `model card`, or as the binding says (`profile FILE`, `side-car FILE`, `device NAME`).
    Without a plan, for a binding that does not run, what the model's card would add is not known.
    """
    said = _settings(binding)
    added = _from_plan(binding, plan) if plan is not None else {}
    shown = _laid_under(said, {key: value for key, (value, _) in added.items()})
    origins = {path: _origin(path, binding, added) for path in _leaves(shown, "")}
    return shown, origins


def device_of(binding: Binding) -> str | None:
    """The device whose overrides make this binding its own; None for one that all devices share."""
    found = {
        origin.removeprefix("device ") for origin in binding.origins.values() if origin.startswith("device ")
    }
    return found.pop() if len(found) == 1 else None


def _settings(binding: Binding) -> dict[str, Any]:
    plain = _plain(binding)
    assert isinstance(plain, dict)
    shown = {key: value for key, value in plain.items() if key not in _NOT_SHOWN}
    shown["outputs"] = {
        output["name"]: {key: value for key, value in output.items() if key != "name" and value != ""}
        for output in plain.get("outputs", ())
    }
    return shown


def _from_plan(binding: Binding, plan: Plan) -> dict[str, tuple[Any, str]]:
    """Dotted key → value and origin, of everything that the plan settled."""
    card, queueing = plan.card, Queueing.of(binding.limits, pixels=plan.preprocess.pixels)
    found: dict[str, tuple[Any, str]] = {
        "model.version": (card.version, CARD),
        "model.task": (card.task.value, CARD),
        "limits.overload": ("latest" if queueing.latest else "all", DEFAULT),
        "limits.queue": (queueing.length, DEFAULT),
    }
    if card.labels is not None:
        found["model.labels"] = (_plain(card.labels), CARD)
    for key, value in _plain(card.postprocess).items():
        found[f"postprocess.{key}"] = (value, CARD)
    if plan.decide is not None:
        limit = card.score.limit if card.score is not None else None
        for key, value in _plain(plan.decide).items():
            from_card = key in ("raise", "clear") and value == limit
            found[f"decide.{key}"] = (value, CARD if from_card else DEFAULT)
    for column in plan.columns:
        found[f"outputs.{column.name}.type"] = (column.type.value, DEFAULT)
    return found


def _laid_under(said: dict[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    for path, value in added.items():
        *parents, last = path.split(".")
        inner = said
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner.setdefault(last, value)
    return said


def _leaves(tree: Mapping[str, Any], path: str) -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield path + key


def _origin(path: str, binding: Binding, added: Mapping[str, tuple[Any, str]]) -> str:
    steps = path.split(".")
    for length in range(len(steps), 0, -1):
        origin = binding.origins.get(".".join(steps[:length]))
        if origin is not None:
            return origin
    below = (origin for key, origin in binding.origins.items() if key.startswith((f"{path}.", f"{path}[")))
    return next(below, added[path][1] if path in added else DEFAULT)


def _plain(value: Any, name: str = "") -> Any:
    if is_dataclass(value):
        shown = {_spell(f.name): _plain(getattr(value, f.name), f.name) for f in fields(value)}
        return {key: inner for key, inner in shown.items() if inner not in (None, {}, [])}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return durations.text(value) if name in _DURATIONS and value is not None else value


def _spell(name: str) -> str:
    if name in _SPELLED:
        return _SPELLED[name]
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
