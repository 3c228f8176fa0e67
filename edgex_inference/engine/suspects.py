"""Items whose run hung or took its process down: each is tried once more, for itself, while nothing runs beside it."""

import threading
from collections import deque
from collections.abc import Iterable

from edgex_inference.engine.batching import Item
from edgex_inference.engine.crew import Crew
from edgex_inference.engine.terms import LaneSettings


class Suspects:
    """Which items those are; `now` is seconds (perf_counter)."""

    def __init__(self, settings: LaneSettings) -> None:
        self._leaks, self._steady, self._most = settings.leaks, settings.steady, settings.restarts
        self._items: set[Item] = set()
        self._deaths: deque[float] = deque()
        self._threads: list[threading.Thread] = []

    def __bool__(self) -> bool:
        return bool(self._items)

    def part(self, item: Item, now: float) -> None:
        """For a run of its own; it may have to wait for all those that hang, one after the other."""
        item.key, item.since = None, now + item.timeout * self._leaks

    def blame(self, item: Item, now: float) -> None:
        """Its worker died while it ran."""
        self.part(item, now)
        self._items.add(item)

    @property
    def leaked(self) -> int:
        """Threads that hang in the vendor's code."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        return len(self._threads)

    def leak(self, threads: Iterable[threading.Thread]) -> None:
        """They may never end."""
        self._threads.extend(threads)

    def hung(self, crew: Crew, now: float) -> list[Item]:
        """What another crew takes over from the runs of this one that are past their deadline."""
        rest: list[Item] = []
        late = [run for run in crew.runs if now >= run.due]
        for run in late:
            again = run.items if len(run.items) > 1 else ()  # of one alone there is nobody else to blame
            crew.handed_on.update((*again, *run.rest))
            for item in again:
                self.part(item, now)
            rest.extend((*again, *run.rest))
        self.leak(run.thread for run in late)
        return rest

    def clear(self, items: Iterable[Item]) -> None:
        """They were answered, or given up."""
        self._items.difference_update(items)

    def too_many(self, now: float) -> bool:
        """Takes note of another worker that died; whether there were too many in a short time."""
        self._deaths.append(now)
        while now - self._deaths[0] > self._steady:
            self._deaths.popleft()
        return len(self._deaths) > self._most
