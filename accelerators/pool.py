"""What a session runs on, one run at a time on each; closing lets runs in flight end and refuses the next."""

import queue
import time
from collections.abc import Iterable
from typing import Generic, TypeVar

from edgex_inference.contracts.errors import DeadlineExceeded, InferenceFailed

Slot = TypeVar("Slot")


class Pool(Generic[Slot]):
    """Slots of one model; the one used last comes first, whose memory is still near the processor.

    `what` is the runtime's word for a slot, in messages. A free slot costs one `pop` and one `append` of a list, both
    atomic: a lock or a queue would be a tenth of what a small model takes.
    """

    def __init__(self, model: str, slots: Iterable[Slot], what: str) -> None:
        self._model, self._what, self.closed = model, what, False
        self._slots = list(slots)
        self._waiting: list[bool] = []  # an entry for each, since counting up is not atomic
        self._given: queue.SimpleQueue[None] = queue.SimpleQueue()

    def take(self, timeout: float | None) -> Slot:
        """A free slot, to be given back; raises DeadlineExceeded after so many seconds, InferenceFailed when closed."""
        try:
            return self._slots.pop()
        except IndexError:
            return self._wait(timeout)

    def give(self, slot: Slot) -> None:
        """After a run; a slot of a closed pool goes with it."""
        self._slots.append(slot)
        if self._waiting:
            self._given.put(None)
        if self.closed:
            self._slots.clear()

    def close(self) -> None:
        """Idempotent; slots in use go when they are given back."""
        self.closed = True
        self._slots.clear()
        self._given.put(None)

    def _wait(self, timeout: float | None) -> Slot:
        until = None if timeout is None else time.monotonic() + timeout
        self._waiting.append(True)  # before looking again: whoever gives a slot back from now on says so
        try:
            while True:
                if self.closed:
                    self._given.put(None)  # whoever waits behind must hear it too
                    raise InferenceFailed(f"model {self._model!r}: the session is closed")
                try:
                    return self._slots.pop()
                except IndexError:
                    self._given.get(True, None if until is None else max(0.0, until - time.monotonic()))
        except queue.Empty:
            reason = f"no free {self._what} within {timeout:g} s"
            raise DeadlineExceeded(f"model {self._model!r}: {reason}") from None
        finally:
            self._waiting.pop()
