"""What the demo says at its end, and whether it kept its promise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgex_inference.demo.audience import Audience
from edgex_inference.demo.board import Panel
from edgex_inference.demo.scoring import FaultScore, PartScore


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Lines to print, and every broken promise."""

    lines: Sequence[str]
    broken: Sequence[str]


def summarize(audience: Audience, seconds: float, dropped: Mapping[str, str]) -> Summary:
    """Tells the whole run; `dropped` says for each binding what the service counted as dropped or failed."""
    parts, fault, board = audience.parts, audience.fault, audience.board
    results = sum(panel.results for panel in board.panels)
    sent = f"{audience.readings_sent} readings in ({parts.sent + fault.sent} events)"
    lines = [f"{seconds:.0f} s: {sent}, {results} results out"]
    for panel, told in zip(board.panels, (_pictures(parts), _bursts(fault)), strict=True):
        lines.append(f"  {panel.binding:<15} {told}")
        lines += [f"{'':17} {line}" for line in (_latency(panel), dropped.get(panel.binding, "")) if line]
    broken = [reason for reason in (parts.broken, fault.broken) if reason]
    broken += [f"{panel.binding} is {panel.status}: {panel.reason}" for panel in board.panels if _ill(panel)]
    return Summary(lines=lines, broken=broken)


def _ill(panel: Panel) -> bool:
    return panel.status not in ("", "running")


def _pictures(parts: PartScore) -> str:
    share = f" ({100 * parts.right / parts.answered:.1f} %)" if parts.answered else ""
    return f"{parts.answered} of {parts.sent} pictures answered, all counts right in {parts.right}{share}"


def _bursts(fault: FaultScore) -> str:
    alarms = f"false alarms: {fault.false_alarms}" if fault.false_alarms else "no false alarm"
    found = "fault not found" if fault.delay is None else f"fault found in {fault.delay:.1f} s"
    found = "no fault yet" if fault.began is None else found
    return f"{fault.answered} of {fault.sent} bursts answered, {alarms}, {found}"


def _latency(panel: Panel) -> str:
    latency = panel.latency.summary()
    times = f"p50 {1e3 * latency.p50:.0f} ms, p99 {1e3 * latency.p99:.0f} ms from capture to result"
    return f"{times}; {panel.accelerator}" if latency.count else ""
