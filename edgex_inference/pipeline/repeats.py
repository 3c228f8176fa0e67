"""Events that come twice: buses that deliver at least once do so after a lost acknowledgement."""

from collections.abc import Callable
from functools import partial

from edgex_inference.pipeline.intake import Receipt

_MOST = 10_000
"""Events that are remembered: ten times what a stream or a broker leaves unacknowledged."""


class Repeats:
    """What was taken lately, by event id: its receipt while it is under way, nothing more afterwards."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._taken: dict[str, Receipt | None] = {}

    def came_before(self, event_id: str, receipt: Receipt) -> bool:
        """Whether this event's results are out or under way; its message is then acknowledged with the first one's.

        Results that could not leave do not count: the event came again for them.
        """
        if event_id not in self._taken:
            return False
        first = self._taken[event_id]
        if first is not None:
            if first.failed:
                return False
            first.lead(receipt)
        return True

    def remember(self, event_id: str, receipt: Receipt) -> None:
        """To be called while the receipt is still held; forgets the oldest beyond the bound."""
        self._taken.pop(event_id, None)
        self._taken[event_id] = receipt
        receipt.acknowledge = partial(self._through, event_id, receipt.acknowledge)
        if len(self._taken) > self._most:
            del self._taken[next(iter(self._taken))]

    def _through(self, event_id: str, acknowledge: Callable[[], None]) -> None:
        if event_id in self._taken:
            self._taken[event_id] = None
        acknowledge()
