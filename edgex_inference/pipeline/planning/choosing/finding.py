"""What was found out about one model on the inference devices of this machine, and who is taken for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgex_inference.contracts.accelerator import Batch

_AS_GOOD, _AS_MANY = 1.25, 1.5
"""Times, and samples a second, that are no further apart than this are equal: so far they differ by chance."""

_QUICK, _MANY = 0.2e-3, 5000.0
"""Seconds below which, and samples a second above which, nobody is better than another."""

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one inference device does with the model; `reason` says why not, `wrong` that its answers are.

    `away` says that it may be there another time. `difference` is the largest one from the golden answers, or from
    those of `yardstick`, which may be itself: absolute, relative above 1. `p50` is in seconds, `throughput` in samples
    a second.
    """

    accelerator: str
    reason: str = ""
    wrong: bool = False
    away: bool = False
    difference: float | None = None
    yardstick: str = ""
    p50: float | None = None
    throughput: float | None = None
    batch: str = ""

    @property
    def answers(self) -> str:
        """right, wrong, agrees, differs, unproven or not run."""
        if self.wrong:
            return "differs" if self.yardstick else "wrong"
        if self.reason and not self.batch:
            return "not run"
        if self.difference is None:
            return "unproven"
        return "agrees" if self.yardstick else "right"

    @property
    def brief(self) -> str:
        """In a few words, for a log."""
        times = f"p50 {milliseconds(self.p50)}, {rate(self.throughput)}" if self.p50 is not None else ""
        return f"{self.accelerator} {', '.join(one for one in (self.answers, times) if one)}" + (
            f" ({self.reason})" if self.reason else ""
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The candidates of `auto` for a model, in the order in which they are taken.

    `samples` golden samples were asked, 0: made-up numbers, which tell of agreement alone. `when` is in UTC, `kept`
    says that it was found out at an earlier start.
    """

    findings: tuple[Finding, ...]
    samples: int
    when: str
    kept: bool = False

    @property
    def order(self) -> Sequence[str]:
        """Who is taken, and who comes after."""
        return [one.accelerator for one in self.findings]

    @property
    def complete(self) -> bool:
        """Whether each candidate could be tried: what was away may come back."""
        return not any(one.away for one in self.findings)

    @property
    def basis(self) -> str:
        """What it was measured on."""
        if self.samples:
            return f"{self.samples} golden sample{'' if self.samples == 1 else 's'}"
        return "made-up numbers (no golden samples: how the candidates agree was compared, nothing is proven)"

    @property
    def sentence(self) -> str:
        """Who is taken, and why, in one line."""
        first, *others = self.findings
        return f"auto takes {first.brief}; then {'; '.join(one.brief for one in others)}; by {self.basis}"

    def as_json(self) -> Mapping[str, Any]:
        """As the bindings page shows it."""
        return {
            "samples": self.samples,
            "measured": self.when,
            "kept": self.kept,
            "candidates": [_shown(one) for one in self.findings],
        }


def ranked(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings, the best first: right before unproven before absent before wrong, then by time.

    Where times are as good as equal the one with clearly more samples a second comes first, then the one that was.
    """
    order: list[Finding] = []
    for group in range(4):
        left = [one for one in found if _group(one) == group]
        while left:
            best = _best(left)
            order.append(best)
            left.remove(best)
    return tuple(order)


def _group(one: Finding) -> int:
    if one.wrong:
        return 3
    if one.p50 is None:
        return 2
    return int(one.difference is None and one.yardstick != one.accelerator)


def _best(left: Sequence[Finding]) -> Finding:
    fastest = max(_QUICK, min(one.p50 or 0.0 for one in left))
    near = [one for one in left if (one.p50 or 0.0) <= fastest * _AS_GOOD]
    most = min(_MANY, max(one.throughput or 0.0 for one in near))
    return next(one for one in near if (one.throughput or 0.0) * _AS_MANY >= most)


def table(found: Sequence[Finding]) -> str:
    """The findings as aligned columns, what is wrong on a line of its own."""
    rows = [("ACCELERATOR", "ANSWERS", "DIFFERENCE", "P50", "THROUGHPUT", "BATCH")]
    rows += [_row(one) for one in found]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row, one in zip(rows, [None, *found], strict=True):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if one is not None and one.reason:
            lines.append(f"  {one.reason}")
    return "\n".join(lines)


def _row(one: Finding) -> tuple[str, str, str, str, str, str]:
    return (
        one.accelerator,
        one.answers,
        "-" if one.difference is None else f"{one.difference:.1e}",
        "-" if one.p50 is None else milliseconds(one.p50),
        "-" if one.throughput is None else rate(one.throughput),
        one.batch or "-",
    )


def _shown(one: Finding) -> Mapping[str, Any]:
    return {
        "accelerator": one.accelerator,
        "answers": one.answers,
        "reason": one.reason,
        "difference": one.difference,
        "yardstick": one.yardstick,
        "p50Ms": None if one.p50 is None else round(one.p50 * 1e3, 3),
        "throughput": None if one.throughput is None else round(one.throughput, 1),
    }


def milliseconds(seconds: float) -> str:
    """`0.05 ms`."""
    return f"{seconds * 1e3:.2f} ms"


def rate(throughput: float | None) -> str:
    """`21000/s`, with two digits that count."""
    if throughput is None:
        return ""
    return f"{float(f'{throughput:.2g}'):g}/s"


def batch(known: Batch) -> str:
    """Batchability in words."""
    return {
        "none": "one by one",
        "any": "any number",
        "fixed": f"exactly {known.most}",
        "range": f"up to {known.most}",
    }[known.kind]
