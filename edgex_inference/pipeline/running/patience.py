"""How long to wait before a device that came back is trusted again: longer each time it was lost soon after."""

import asyncio
import time
from collections.abc import Callable

_SOON = 60.0
_SHORTEST, _LONGEST = 0.5, 60.0


class Patience:
    """Calls `again` at once for a device that is back, later and later for one that comes and goes (seconds)."""

    def __init__(self, again: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._again, self._clock = again, clock
        self._trusted_at = float("-inf")
        self._losses = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def delay(self) -> float:
        """Seconds from being back to being trusted."""
        return min(_LONGEST, _SHORTEST * 2.0 ** (self._losses - 1)) if self._losses else 0.0

    def lost(self) -> None:
        """The device in use is lost."""
        soon = self._clock() - self._trusted_at < _SOON + self.delay
        self._losses = self._losses + 1 if soon else 0
        self.stop()

    def back(self) -> None:
        """The device is back."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.delay, self._trust)

    def stop(self) -> None:
        """Forgets that it was back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _trust(self) -> None:
        self._timer = None
        self._trusted_at = self._clock()
        self._again()
