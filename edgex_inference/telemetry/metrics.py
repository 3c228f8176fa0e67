"""Counters and latency histograms; cheap to update from any thread, read as plain numbers."""

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

_BOUNDS = tuple(1e-5 * 2 ** (step / 4) for step in range(84))
"""Bucket bounds in seconds, from 10 µs to about 17 s in steps of a fourth root of two (19 %)."""


class Counts:
    """Totals by word, for instance drops by reason."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: dict[str, int] = {}

    def add(self, word: str, amount: int = 1) -> None:
        with self._lock:
            self._totals[word] = self._totals.get(word, 0) + amount

    def total(self, word: str | None = None) -> int:
        """The total under one word, or under all of them."""
        with self._lock:
            return sum(self._totals.values()) if word is None else self._totals.get(word, 0)

    def by_word(self) -> Mapping[str, int]:
        with self._lock:
            return dict(sorted(self._totals.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """A histogram's summary, in seconds; all 0 when nothing was measured."""

    count: int = 0
    mean: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    worst: float = 0.0


_FRESH = 512
"""Durations that are sorted into buckets at once: appending one costs a twentieth of sorting it in."""


@dataclass(slots=True)
class Histogram:
    """Durations in fixed buckets: percentiles are right to a bucket's width (19 %)."""

    _fresh: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _buckets: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    _count: int = 0
    _sum: float = 0.0
    _worst: float = 0.0

    def add(self, *seconds: float) -> None:
        self._fresh.extend(seconds)
        if len(self._fresh) >= _FRESH:
            with self._lock:
                self._sort_in()

    def _sort_in(self) -> None:
        """Moves what was added since into the buckets; another thread may go on adding."""
        for _ in range(len(self._fresh)):
            seconds = self._fresh.popleft()
            self._buckets[bisect_left(_BOUNDS, seconds)] += 1
            self._count += 1
            self._sum += seconds
            self._worst = max(self._worst, seconds)

    def summary(self) -> Latency:
        with self._lock:
            self._sort_in()
            if not self._count:
                return Latency()
            return Latency(
                count=self._count,
                mean=self._sum / self._count,
                p50=self._percentile(0.50),
                p95=self._percentile(0.95),
                p99=self._percentile(0.99),
                worst=self._worst,
            )

    def _percentile(self, share: float) -> float:
        wanted, seen = share * self._count, 0
        for index, amount in enumerate(self._buckets):
            seen += amount
            if seen >= wanted:
                return min(_BOUNDS[index] if index < len(_BOUNDS) else self._worst, self._worst)
        return self._worst
