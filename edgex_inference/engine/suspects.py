"""Items whose run hung or took its process down: each is tried once more, for itself, while nothing runs beside it."""

from collections import deque
from collections.abc import Iterable

from edgex_inference.engine.batching import Item
from edgex_inference.engine.terms import LaneSettings


class Suspects:
    """Which items those are; `now` is seconds (perf_counter)."""

    def __init__(self, settings: LaneSettings) -> None:
        self._leaks, self._steady, self._most = settings.leaks, settings.steady, settings.restarts
        self._items: set[Item] = set()
        self._deaths: deque[float] = deque()

    def __bool__(self) -> bool:
        return bool(self._items)

    def part(self, item: Item, now: float) -> None:
        """For a run of its own; it may have to wait for all those that hang, one after the other."""
        item.key, item.since = None, now + item.timeout * self._leaks

    def blame(self, item: Item, now: float) -> None:
        """Its worker died while it ran."""
        self.part(item, now)
        self._items.add(item)

    def clear(self, items: Iterable[Item]) -> None:
        """They were answered, or given up."""
        self._items.difference_update(items)

    def too_many(self, now: float) -> bool:
        """Takes note of another worker that died; whether there were too many in a short time."""
        self._deaths.append(now)
        while now - self._deaths[0] > self._steady:
            self._deaths.popleft()
        return len(self._deaths) > self._most
