"""What a session runs on, one run at a time on each; closing lets runs in flight end and refuses the next."""

import queue
from collections.abc import Iterable
from typing import Generic, TypeVar

from edgex_inference.contracts.errors import DeadlineExceeded, InferenceFailed

Slot = TypeVar("Slot")


class Pool(Generic[Slot]):
    """Slots of one model; the one used last comes first, whose memory is still near the processor.

    `what` is the runtime's word for a slot, in messages.
    """

    def __init__(self, model: str, slots: Iterable[Slot], what: str) -> None:
        self._model, self._what, self.closed = model, what, False
        self._slots = list(slots)
        self._free: queue.SimpleQueue[bool] = queue.SimpleQueue()
        for _ in self._slots:
            self._free.put(True)

    def take(self, timeout: float | None) -> Slot:
        """A free slot, to be given back; raises DeadlineExceeded after so many seconds, InferenceFailed when closed."""
        try:
            if self._free.get(True, timeout) and not self.closed:
                return self._slots.pop()
        except queue.Empty:
            reason = f"no free {self._what} within {timeout:g} s"
            raise DeadlineExceeded(f"model {self._model!r}: {reason}") from None
        self._free.put(False)  # whoever waits behind must hear it too
        raise InferenceFailed(f"model {self._model!r}: the session is closed")

    def give(self, slot: Slot) -> None:
        """After a run; a slot of a closed pool goes with it."""
        if not self.closed:
            self._slots.append(slot)
            self._free.put(True)

    def close(self) -> None:
        """Idempotent; slots in use go when they are given back."""
        self.closed = True
        try:
            while True:
                self._free.get_nowait()
        except queue.Empty:
            self._slots.clear()
            self._free.put(False)
