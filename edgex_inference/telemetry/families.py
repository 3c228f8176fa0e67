"""Measurements for others: the same numbers leave as EdgeX metrics and as Prometheus series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgex_inference.telemetry.metrics import Spread

Kind = Literal["counter", "gauge", "timer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What is measured; `metric` is its name on the bus, `series` in Prometheus, "" where it is not told there.

    `labels` names what its points are told apart by: few values each, never a device.
    """

    metric: str
    series: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a family; a timer's is a Spread in seconds. `of` names what it belongs to, such as a binding."""

    family: Family
    value: float | Spread
    labels: Mapping[str, str] = field(default_factory=dict)
    of: str = ""


Points = Sequence[Point]
