"""When a reading on the bus is a trigger: edges of values, told apart for each device."""

from edgex_inference.contracts.bindings import Trigger
from edgex_inference.contracts.errors import MessageError
from edgex_inference.contracts.events import Reading
from edgex_inference.contracts.values import parse


class Edge:
    """Remembers the last value of one trigger's reading; the first one that is seen is an edge only if it is set."""

    def __init__(self, trigger: Trigger) -> None:
        self._edge = trigger.edge
        self._last: object = None

    def happens(self, reading: Reading) -> bool:
        """Whether this reading is the edge that is waited for."""
        try:
            value = parse(reading)
        except MessageError:
            return False
        before, self._last = self._last, value
        if self._edge == "any":
            return True
        if self._edge == "change":
            return before is not None and before != value
        was, now = _is_set(before), _is_set(value)
        return now and not was if self._edge == "rising" else was and not now


def _is_set(value: object) -> bool:
    """A true Bool, a number above 0, a text or array that is not empty."""
    if isinstance(value, bool | int | float):
        return value > 0
    try:
        return bool(value)
    except ValueError:  # an array of several elements
        return True
