"""Events that come twice: buses that deliver at least once do so after a lost acknowledgement."""

from collections import deque

from edgex_inference.pipeline.intake import Receipt

_MOST = 10_000
"""Events that are remembered: ten times what a stream or a broker leaves unacknowledged."""


class Repeats:
    """What was taken lately, by event id with its receipt, on which nothing hangs once it is through."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._taken: dict[str, Receipt] = {}
        self._order: deque[str] = deque()

    def came_before(self, event_id: str, receipt: Receipt) -> bool:
        """Whether this event's results are out or under way; its message is then acknowledged with the first one's.

        Results that could not leave do not count: the event came again for them.
        """
        first = self._taken.get(event_id)
        if first is None or first.failed:
            return False
        first.lead(receipt)
        return True

    def remember(self, event_id: str, receipt: Receipt) -> None:
        """Forgets the oldest beyond the bound."""
        if event_id not in self._taken:
            self._order.append(event_id)  # the first key of a dict that lost many is slow to find
        self._taken[event_id] = receipt
        if len(self._order) > self._most:
            del self._taken[self._order.popleft()]
