"""Events that come twice: buses that deliver at least once do so after a lost acknowledgement."""

from edgex_inference.pipeline.intake import Receipt

_MOST = 20_000
"""Events that are remembered: twenty times what a stream or a broker leaves unacknowledged."""


class Repeats:
    """What was taken lately, by event id."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._receipts: dict[str, Receipt] = {}

    def came_before(self, event_id: str, receipt: Receipt) -> bool:
        """Whether this event's results are out or under way; its message is then acknowledged with the first one's.

        Results that could not leave do not count: the event came again for them.
        """
        first = self._receipts.get(event_id)
        if first is None or first.failed:
            return False
        first.lead(receipt)
        return True

    def remember(self, event_id: str, receipt: Receipt) -> None:
        """Forgets the oldest beyond the bound."""
        self._receipts.pop(event_id, None)
        self._receipts[event_id] = receipt
        if len(self._receipts) > self._most:
            del self._receipts[next(iter(self._receipts))]
