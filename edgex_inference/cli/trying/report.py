"""What `try` says of each input: lines for people, or an object for programs."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgex_inference.contracts.events import Event, Reading
from edgex_inference.pipeline.planning.choosing.finding import table
from edgex_inference.pipeline.planning.plan import Plan
from edgex_inference.pipeline.trial import STAGES, Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One input and its answer, or the sentence that says why there is none."""

    name: str
    plan: Plan
    answer: Answer | None = None
    error: str = ""
    saved: Path | None = None


def head(plan: Plan, seconds: float) -> str:
    """Who answers."""
    binding, card = plan.binding, plan.card
    lines = [
        f"{binding.name} of {binding.profile}: {card.name} {card.version} on {plan.accelerator}, "
        f"loaded in {milliseconds(seconds)}",
        *(f"passed over: {reason}" for reason in plan.passed_over),
        *chosen(plan),
        *(["enabled: false: the service would not run it"] if not binding.enabled else []),
    ]
    return "\n".join(lines)


def chosen(plan: Plan) -> list[str]:
    """What `auto` found out, as a table; nothing where it had no choice."""
    choice = plan.choice
    if choice is None:
        return []
    when = f"measured {choice.when}, kept since" if choice.kept else "measured now"
    rows = table(choice.findings).splitlines()
    return [f"auto measured {len(choice.findings)} on {choice.basis}, {when}:", *(f"  {row}" for row in rows)]


def text(outcome: Outcome, *, pretty: bool) -> str:
    """Input, topic, event, times."""
    answer = outcome.answer
    if answer is None:
        return f"{outcome.name}: {outcome.error}"
    lines = [f"{outcome.name}: {answer.topic or 'nothing to publish'}"]
    if answer.event is not None:
        lines.append(written(answer.event, pretty=pretty))
    if answer.held:
        lines.append(f"  not published now: {answer.held}")
    if answer.unfit:
        lines.append(f"  left out, the number does not fit its type: {', '.join(answer.unfit)}")
    lines.append("  " + times(answer.seconds))
    if outcome.saved is not None:
        lines.append(f"  saved as {outcome.saved}")
    return "\n".join(lines)


def brief(outcome: Outcome) -> str:
    """`pumps.csv:2: AnomalyScore=3.6e-01 IsAnomaly=false`, and why it would be kept back."""
    answer = outcome.answer
    if answer is None:
        return f"{outcome.name}: {outcome.error}"
    readings = answer.event.readings if answer.event is not None else ()
    said = " ".join(f"{one.resource_name}={_value(one)}" for one in readings)
    held = [f"(not published now: {answer.held})"] if answer.held else []
    return " ".join([f"{outcome.name}:", *([said] if said else []), *held])


def _value(reading: Reading) -> str:
    if reading.value is not None:
        return str(reading.value)
    return json.dumps(reading.object_value, ensure_ascii=False)


def written(event: Event, *, pretty: bool) -> str:
    """An event as JSON on one line, or indented."""
    compact = msgspec.json.encode(event)
    return (msgspec.json.format(compact, indent=2) if pretty else compact).decode()


def as_json(outcome: Outcome) -> str:
    """One line: input, event, topic, times, or the error."""
    found: dict[str, Any] = {
        "input": outcome.name,
        "profile": outcome.plan.binding.profile,
        "binding": outcome.plan.binding.name,
        "model": {"name": outcome.plan.card.name, "version": outcome.plan.card.version},
        "accelerator": outcome.plan.accelerator,
        "choice": outcome.plan.choice.as_json() if outcome.plan.choice is not None else None,
    }
    answer = outcome.answer
    if answer is None:
        return json.dumps({**found, "error": outcome.error}, ensure_ascii=False)
    found |= {
        "topic": answer.topic,
        "event": msgspec.to_builtins(answer.event),
        "held": answer.held,
        "unfit": list(answer.unfit),
        "milliseconds": {name: round(one * 1e3, 3) for name, one in answer.seconds.items()},
        "saved": str(outcome.saved) if outcome.saved is not None else None,
    }
    return json.dumps(found, ensure_ascii=False)


def summary(outcomes: Sequence[Outcome]) -> str:
    """The middle of several times, and how many inputs have no answer."""
    answers = [one.answer for one in outcomes if one.answer is not None]
    failed = len(outcomes) - len(answers)
    count = f"{len(outcomes)} inputs, {failed} without an answer"
    if not answers:
        return count
    middle = {name: statistics.median(answer.seconds[name] for answer in answers) for name in STAGES}
    return f"{count}; p50 {times(middle)}"


def times(seconds: Mapping[str, float]) -> str:
    """`preprocess 3.1 ms, infer 12.0 ms, …`."""
    return ", ".join(f"{name} {milliseconds(one)}" for name, one in seconds.items())


def milliseconds(seconds: float) -> str:
    """`12.3 ms`."""
    return f"{seconds * 1e3:.1f} ms" if seconds < 10 else f"{seconds:.1f} s"
