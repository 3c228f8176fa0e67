"""Counters and latency histograms; cheap to update from any thread, read as plain numbers."""

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, sqrt

import numpy as np
import numpy.typing as npt

_BOUNDS = tuple(1e-5 * 2 ** (step / 4) for step in range(84))
"""Bucket bounds in seconds, from 10 µs to about 17 s in steps of a fourth root of two (19 %)."""
_EDGES = np.array(_BOUNDS)


_FRESH = 512
"""What is added up or sorted into buckets at once: appending costs a fraction of it, and takes no lock."""
_MANY = 32
"""Durations from which on an array is worth it."""


class Counts:
    """Totals by word, for instance drops by reason."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fresh: deque[str] = deque()
        self._totals: dict[str, int] = {}

    def add(self, word: str, amount: int = 1) -> None:
        if amount == 1:
            self._fresh.append(word)
            if len(self._fresh) < _FRESH:
                return
        with self._lock:
            self._sum_up()
            if amount != 1:
                self._totals[word] = self._totals.get(word, 0) + amount

    def _sum_up(self) -> None:
        """Adds up what was added since; another thread may go on adding."""
        for _ in range(len(self._fresh)):
            word = self._fresh.popleft()
            self._totals[word] = self._totals.get(word, 0) + 1

    def total(self, word: str | None = None) -> int:
        """The total under one word, or under all of them."""
        with self._lock:
            self._sum_up()
            return sum(self._totals.values()) if word is None else self._totals.get(word, 0)

    def by_word(self) -> Mapping[str, int]:
        with self._lock:
            self._sum_up()
            return dict(sorted(self._totals.items()))

    def take_in(self, other: "Counts") -> None:
        """Adds all that another one has counted."""
        for word, amount in other.by_word().items():
            self.add(word, amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """A histogram's summary, in seconds; all 0 when nothing was measured."""

    count: int = 0
    mean: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    worst: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What a histogram has seen, in seconds; `buckets` holds how many lie in each of its own buckets, the last open.

    `squares` is the sum of squares.
    """

    buckets: Sequence[int] = (0,) * (len(_BOUNDS) + 1)
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    least: float = inf
    most: float = 0.0

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    @property
    def variance(self) -> float:
        """In square seconds."""
        return max(0.0, self.squares / self.count - self.mean**2) if self.count else 0.0

    @property
    def deviation(self) -> float:
        return sqrt(self.variance)

    def up_to(self, every: int) -> Sequence[tuple[float, int]]:
        """How many took no longer than each `every`-th bound."""
        found, seen = [], 0
        for index, bound in enumerate(_BOUNDS):
            seen += self.buckets[index]
            if (index + 1) % every == 0:
                found.append((bound, seen))
        return found

    def percentile(self, share: float) -> float:
        """In seconds, right to a bucket's width (19 %)."""
        wanted, seen = share * self.count, 0
        for index, amount in enumerate(self.buckets):
            seen += amount
            if self.count and seen >= wanted:
                return min(_BOUNDS[index] if index < len(_BOUNDS) else self.most, self.most)
        return self.most


@dataclass(slots=True)
class Histogram:
    """Durations in fixed buckets: percentiles are right to a bucket's width (19 %)."""

    _fresh: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _buckets: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(_BOUNDS) + 1, np.int64))
    _count: int = 0
    _sum: float = 0.0
    _squares: float = 0.0
    _least: float = inf
    _most: float = 0.0

    def add(self, *seconds: float) -> None:
        self._fresh.extend(seconds)
        if len(self._fresh) >= _FRESH:
            with self._lock:
                self._sort_in()

    def add_all(self, seconds: Sequence[float]) -> None:
        """As `add`, for all of a burst."""
        if len(seconds) < _MANY:
            self.add(*seconds)
            return
        with self._lock:
            self._count_in(np.array(seconds))

    def repeat(self, seconds: float, times: int) -> None:
        """As `add` for as many equal durations."""
        if not times:
            return
        with self._lock:
            self._buckets[bisect_left(_BOUNDS, seconds)] += times
            self._count += times
            self._sum += seconds * times
            self._squares += seconds * seconds * times
            self._least = min(self._least, seconds)
            self._most = max(self._most, seconds)

    def _sort_in(self) -> None:
        """Moves what was added since into the buckets; another thread may go on adding."""
        take = self._fresh.popleft
        fresh = [take() for _ in range(len(self._fresh))]
        if fresh:
            self._count_in(np.array(fresh))

    def _count_in(self, fresh: npt.NDArray[np.float64]) -> None:
        self._buckets += np.bincount(np.searchsorted(_EDGES, fresh), minlength=len(_BOUNDS) + 1)
        self._count += fresh.size
        self._sum += float(fresh.sum())
        self._squares += float(fresh @ fresh)
        self._least = min(self._least, float(fresh.min()))
        self._most = max(self._most, float(fresh.max()))

    def take_in(self, seen: Spread) -> None:
        """Adds all that another one has seen."""
        with self._lock:
            self._buckets += np.array(seen.buckets)
            self._count += seen.count
            self._sum += seen.total
            self._squares += seen.squares
            self._least = min(self._least, seen.least)
            self._most = max(self._most, seen.most)

    def spread(self) -> Spread:
        """All that was seen so far."""
        with self._lock:
            self._sort_in()
            return Spread(
                buckets=tuple(self._buckets.tolist()),
                count=self._count,
                total=self._sum,
                squares=self._squares,
                least=self._least,
                most=self._most,
            )

    def summary(self) -> Latency:
        seen = self.spread()
        if not seen.count:
            return Latency()
        return Latency(
            count=seen.count,
            mean=seen.mean,
            p50=seen.percentile(0.50),
            p95=seen.percentile(0.95),
            p99=seen.percentile(0.99),
            worst=seen.most,
        )
