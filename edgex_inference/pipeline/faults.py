"""What goes wrong on a binding's way: counted always, said once."""

import logging

from edgex_inference.contracts.errors import MessageError
from edgex_inference.pipeline.intake import Item
from edgex_inference.pipeline.measure import Measures
from edgex_inference.pipeline.reply import Outcome

log = logging.getLogger(__name__)

_MOST_WARNINGS = 1000
"""Sources whose first drop is said at WARN; a flood of new device names must not fill the log."""


class Faults:
    """Drops and surprises of one binding."""

    def __init__(self, binding: str, measures: Measures) -> None:
        self._binding, self._measures = binding, measures
        self._warned: set[tuple[str, str]] = set()

    def fail(self, error: Exception, items: int = 1) -> None:
        """A defect of ours that cost so many items."""
        self._measures.failed.add("unexpected", items)
        self.surprise(error)

    def surprise(self, error: BaseException) -> None:
        """Says a defect of ours: each kind once at ERROR."""
        level = logging.ERROR if self._is_first(("", type(error).__name__)) else logging.DEBUG
        log.log(level, "binding %s: a defect of ours: %r", self._binding, error)
        log.debug("its traceback", exc_info=error)

    def drop(self, item: Item, error: MessageError) -> None:
        """Counts a drop; the first of its kind for a device is said at WARN, the rest at DEBUG."""
        self._measures.dropped.add(error.reason)
        item.tell(Outcome(fate="dropped", reason=error.reason, message=str(error)))
        first = self._is_first((item.event.device_name, error.reason))
        level = logging.WARNING if first else logging.DEBUG
        log.log(level, "binding %s: %s; dropped as %s", self._binding, error, error.reason)

    def _is_first(self, kind: tuple[str, str]) -> bool:
        first = kind not in self._warned and len(self._warned) < _MOST_WARNINGS
        if first:
            self._warned.add(kind)
        return first
