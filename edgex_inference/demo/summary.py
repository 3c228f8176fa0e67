"""What the demo says at its end, and whether it kept its promise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgex_inference.demo.audience import Audience
from edgex_inference.demo.board import Panel


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Lines to print, and every broken promise."""

    lines: Sequence[str]
    broken: Sequence[str]


def summarize(audience: Audience, seconds: float, dropped: Mapping[str, str]) -> Summary:
    """Tells the whole run; `dropped` says for each binding what the service counted as dropped or failed."""
    parts, fault, board = audience.parts, audience.fault, audience.board
    results = sum(panel.results for panel in board.panels)
    sent = parts.sent + fault.sent
    lines = [
        f"{seconds:.0f} s: {audience.readings_sent} readings in ({sent} events), {results} results out",
        f"  pictures  {parts.answered} of {parts.sent} answered, "
        f"all part counts right in {parts.right} of {parts.answered}{_share(parts.right, parts.answered)}",
        f"  spindle   {fault.answered} of {fault.sent} answered, {_fault(audience)}",
    ]
    lines += [_latency(panel) for panel in board.panels if panel.results]
    lines += [f"  {binding}: {what}" for binding, what in dropped.items() if what]
    broken = [reason for reason in (parts.broken, fault.broken) if reason]
    broken += [f"{panel.binding} is {panel.status}: {panel.reason}" for panel in board.panels if _ill(panel)]
    return Summary(lines=lines, broken=broken)


def _ill(panel: Panel) -> bool:
    return panel.status not in ("", "running")


def _share(some: int, all_: int) -> str:
    return f" ({100 * some / all_:.1f} %)" if all_ else ""


def _fault(audience: Audience) -> str:
    fault = audience.fault
    alarms = f"{fault.false_alarms} false alarms" if fault.false_alarms else "no false alarm before it"
    if fault.began is None:
        return f"no fault yet, {alarms.removesuffix(' before it')}"
    if fault.delay is None:
        return f"fault not found, {alarms}"
    return f"fault found after {fault.delay:.1f} s, {alarms}"


def _latency(panel: Panel) -> str:
    latency = panel.latency.summary()
    return (
        f"  {panel.binding}: {panel.results} results by {panel.model} on {panel.accelerator}, capture to result "
        f"p50 {1e3 * latency.p50:.0f} ms, p99 {1e3 * latency.p99:.0f} ms"
    )
