"""A timer on the loop for the earliest of many moments."""

import asyncio
import time
from collections.abc import Callable


class Alarm:
    """Calls `ring` at the moment that was set last (perf_counter), or at once when it is past."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring, self._when = ring, 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        return self._timer is not None

    def at_the_latest(self, when: float) -> None:
        """Rings then, or earlier where it is set to."""
        if self._timer is None or when < self._when:
            self.at(when)

    def at(self, when: float) -> None:
        """Rings then and at no other time."""
        self.stop()
        self._when = when
        delay = max(0.001, when - time.perf_counter())
        self._timer = asyncio.get_running_loop().call_later(delay, self._now)

    def stop(self) -> None:
        """Rings no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _now(self) -> None:
        self._timer = None
        self._ring()
