"""When to try a lost device again: later each time, and from the start once it held for a good while."""

import asyncio
import random
import time
from collections.abc import Callable

_MOST_DOUBLED = 10


class Reopening:
    """Calls `again` after a jittered wait (seconds) that doubles from `shortest` to `longest`.

    A session that was open for `steady` counts as good: the next wait is short again. One that comes and goes waits
    longer and longer.
    """

    def __init__(
        self,
        again: Callable[[], None],
        *,
        shortest: float,
        longest: float,
        steady: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._again, self._clock = again, clock
        self._shortest, self._longest, self._steady = shortest, longest, steady
        self._tries = 0
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def opened(self) -> None:
        """It is open from now on."""
        self._since = self._clock()

    def wait(self) -> float:
        """How long to wait now that it is lost, or could not be opened; without the jitter."""
        if self._since is not None and self._clock() - self._since >= self._steady:
            self._tries = 0
        self._since = None
        wait = min(self._longest, self._shortest * 2.0 ** min(self._tries, _MOST_DOUBLED))
        self._tries += 1
        return wait

    def later(self) -> None:
        """Tries again after a while, unless that is on its way."""
        if self._timer is None:
            delay = self.wait() * random.uniform(0.5, 1.0)
            self._timer = asyncio.get_running_loop().call_later(delay, self._try)

    def stop(self) -> None:
        """Gives up."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _try(self) -> None:
        self._timer = None
        self._again()
