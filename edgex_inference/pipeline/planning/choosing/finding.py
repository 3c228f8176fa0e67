"""What was found out about one model on the inference devices of this machine, and who is taken for it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
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
    a second. `precision` and `placement` are the session's own words, `elsewhere` counts the nodes that are on other
    devices than the one that was asked for.
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
    precision: str = ""
    placement: Mapping[str, int] = field(default_factory=dict)
    elsewhere: int = 0

    @property
    def ran(self) -> bool:
        """Whether the model was loaded there and asked."""
        return bool(self.batch) or self.p50 is not None

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


_HEAD = ("ACCELERATOR", "ANSWERS", "DIFFERENCE", "P50", "THROUGHPUT", "BATCH", "PRECISION", "PLACEMENT")


def table(found: Sequence[Finding]) -> str:
    """The findings as aligned columns, what is wrong on a line of its own; who did not run is named below them."""
    ran, away = [one for one in found if one.ran], [one for one in found if not one.ran]
    lines = _aligned(ran) if ran else []
    return "\n".join([*lines, *(["not run:"] if away else []), *(f"  {_refusal(one)}" for one in away)])


def _aligned(found: Sequence[Finding]) -> list[str]:
    rows = [_HEAD, *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = []
    for row, one in zip(rows, [None, *found], strict=True):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        lines += [f"  {said}" for said in (_remarks(one) if one is not None else ())]
    return lines


def _row(one: Finding) -> Row:
    return (
        one.accelerator,
        one.answers,
        "-" if one.difference is None else f"{one.difference:.1e}",
        "-" if one.p50 is None else milliseconds(one.p50),
        "-" if one.throughput is None else rate(one.throughput),
        one.batch or "-",
        one.precision or "-",
        placed(one.placement),
    )


def _remarks(one: Finding) -> Sequence[str]:
    """What a person should know of a row."""
    nodes = sum(one.placement.values())
    away = f"{one.elsewhere} of {nodes} nodes are not on {one.accelerator.partition(':')[2]}, the device asked for"
    strays = f"{away}: a binding with `fallback: never` refuses that" if one.elsewhere else ""
    return [said for said in (one.reason, strays) if said]


def _refusal(one: Finding) -> str:
    """Who, and why not, the name said once."""
    said = one.reason
    for name in (one.accelerator, one.accelerator.partition(":")[0]):
        said = said.removeprefix(f"accelerator {name!r}: ")
    return f"{one.accelerator}: {said}"


def placed(placement: Mapping[str, int]) -> str:
    """Where the nodes are: `all 58 nodes on CPU`, `50 of 58 nodes on TPU, 8 on CPU`; a runtime may count only one."""
    counts = [(_joint(place), count) for place, count in placement.items() if count]
    if not counts:
        return "-"
    whole = sum(count for _, count in counts)
    if len(counts) == 1:
        place = counts[0][0]
        return f"all on {place}" if whole == 1 else f"all {whole} nodes on {place}"
    (first, most), *others = sorted(counts, key=lambda pair: -pair[1])
    return ", ".join(
        [f"{most} of {whole} nodes on {first}", *(f"{count} on {place}" for place, count in others)]
    )


def _joint(place: str) -> str:
    """`GPU+CPU`, where a runtime does not tell which nodes are on which of them."""
    return " and ".join(place.split("+"))


def _shown(one: Finding) -> Mapping[str, Any]:
    return {
        "accelerator": one.accelerator,
        "answers": one.answers,
        "reason": one.reason,
        "difference": one.difference,
        "yardstick": one.yardstick,
        "p50Ms": None if one.p50 is None else round(one.p50 * 1e3, 3),
        "throughput": None if one.throughput is None else round(one.throughput, 1),
        "precision": one.precision,
        "placement": dict(one.placement),
    }


def as_json(one: Finding) -> Mapping[str, Any]:
    """For programs; JSON has no infinity, so a difference without a number is null, and `reason` tells."""
    shown = {key.name: getattr(one, key.name) for key in fields(one)}
    known = one.difference is not None and math.isfinite(one.difference)
    return {**shown, "answers": one.answers, "difference": one.difference if known else None}


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
