"""When events say that they were captured: those from the future, and those that come after a later one."""

import time
from collections import OrderedDict
from collections.abc import Callable

from edgex_inference.contracts.events import Event
from edgex_inference.telemetry.metrics import Counts

ORIGINS = ("future", "outOfOrder")
"""What is counted; both are inferred as they come, and their results have their own origin."""

_AHEAD = 60.0
"""Seconds that a device's clock may be ahead."""

_MOST = 10_000


class Origins:
    """Compares each event with this machine's clock, and with the one before of its device and source."""

    def __init__(self, wall_clock: Callable[[], int] = time.time_ns) -> None:
        self.counts = Counts()
        self.latest: dict[str, str] = {}
        """by word: the newest example"""
        self._wall_clock = wall_clock
        self._last: OrderedDict[tuple[str, str], int] = OrderedDict()

    def look(self, event: Event) -> None:
        """To be called for each event that is inferred, in the order of arrival."""
        ahead = (event.origin - self._wall_clock()) / 1e9
        if ahead > _AHEAD:  # and no measure for those that follow
            self._note("future", f"{event.device_name} is {ahead:.0f} s ahead of this machine's clock")
            return
        key = (event.device_name, event.source_name)
        last = self._last.get(key)
        if last is not None and event.origin < last:
            behind = (last - event.origin) / 1e9
            self._note("outOfOrder", f"{event.device_name}: {event.source_name} came {behind:.3f} s too late")
            return
        self._last[key] = event.origin
        if last is None and len(self._last) > _MOST:
            self._last.popitem(last=False)

    def _note(self, word: str, example: str) -> None:
        self.counts.add(word)
        self.latest[word] = example
