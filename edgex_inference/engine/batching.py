"""Grouping what waits: which items may share a run, and whose rows are whose afterwards."""

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgex_inference.contracts.accelerator import Batch
from edgex_inference.contracts.errors import DeadlineExceeded, EdgexInferenceError, RunHung
from edgex_inference.contracts.tensors import Array, Tensors, TensorSpec

Answer = Tensors | EdgexInferenceError

MOST_ROWS = 256
MOST_BYTES = 64 << 20
"""The most rows and bytes of input in one run of a session that takes any number of rows."""


class RowsLost(Exception):
    """A batched run whose outputs are not one row for each row of the inputs."""


@dataclass(slots=True, eq=False)
class Item:
    """One caller's tensors on their way through a lane; items with equal keys may share a run.

    `since` and `linger` are seconds (perf_counter): the run waits for company until since + linger.
    """

    tensors: Tensors
    rows: int
    key: Hashable
    ready: "asyncio.Future[Tensors]"
    timeout: float
    since: float
    linger: float = 0.0
    tries: int = 0


def settle(item: Item, answer: Answer) -> None:
    """Gives an item its answer unless it has one; on the loop."""
    if item.ready.done():
        return
    if isinstance(answer, EdgexInferenceError):
        item.ready.set_exception(answer)
    else:
        item.ready.set_result(answer)


def overdue(lane: str, item: Item, *, running: bool) -> DeadlineExceeded:
    """What an item is told that is past its deadline: its run hangs, or has not begun."""
    if running:
        return RunHung(f"{lane}: the run did not end within {item.timeout:g} s")
    return DeadlineExceeded(f"{lane}: waited for its run for {item.timeout:g} s")


def signature(tensors: Tensors) -> tuple[int, Hashable]:
    """The number of rows and what must be equal for tensors to be stacked; the key is None where they cannot be."""
    rows = -1
    parts = []
    for name, array in tensors.items():
        shape = array.shape
        if not shape or (rows >= 0 and shape[0] != rows):
            return 1, None
        rows = shape[0]
        parts.append((name, array.dtype, shape[1:]))
    return (rows, tuple(parts)) if rows > 0 else (1, None)


def most_rows(batch: Batch, tensors: Tensors, rows: int) -> int:
    """How many rows a run may have whose first item is this one."""
    if batch.kind == "none":
        return 1
    if batch.most is not None:
        return batch.most
    size = sum(array.nbytes for array in tensors.values()) // rows
    return max(1, min(MOST_ROWS, MOST_BYTES // max(1, size)))


def capped(batch: Batch, rows: int | None) -> Batch:
    """The lengths of runs with no more than so many rows; a fixed length stays what it is."""
    if rows is None or batch.kind not in ("any", "range"):
        return batch
    return Batch(kind="range", most=min(rows, batch.most or rows))


def join(items: Sequence[Item], batch: Batch) -> Tensors:
    """The items' tensors stacked on axis 0; a fixed batch is filled up with copies of the last row."""
    missing = (batch.most or 0) - sum(item.rows for item in items) if batch.kind == "fixed" else 0
    if len(items) == 1 and missing <= 0:
        return items[0].tensors
    stacked: dict[str, Array] = {}
    for name, first in items[0].tensors.items():
        parts = [item.tensors[name] for item in items]
        if missing > 0:
            parts.append(np.repeat(parts[-1][-1:], missing, axis=0))
        stacked[name] = np.concatenate(parts, dtype=first.dtype)
    return stacked


def unsound(specs: Sequence[TensorSpec], outputs: object, batch: Batch) -> str:
    """What an answer has that a session has not declared, as a sentence; empty where it keeps its word.

    The length of axis 0 is left alone where it may be a batch: `split` sees to it. A shape without a single known
    extent promises nothing, not even how many: so files are declared that leave the number of axes open.
    """
    if not isinstance(outputs, Mapping):
        return f"it gave a {type(outputs).__name__} instead of arrays by name"
    first = 0 if batch.kind == "none" else 1
    for spec in specs:
        array: object = outputs.get(spec.name)
        if not isinstance(array, np.ndarray):
            what = f"a {type(array).__name__} instead of an array" if spec.name in outputs else "no output"
            return f"it gave {what} {spec.name}"
        have, want = array.shape[first:], spec.shape[first:]
        alike = have == want and array.ndim == len(spec.shape)
        if array.dtype != spec.datatype.numpy or not (alike or _keeps(array.shape, spec.shape, first)):
            return f"it gave {spec.name} as {array.dtype.name}{list(array.shape)}, and has declared {spec}"
    return ""


def _keeps(have: Sequence[int], want: Sequence[int | None], first: int) -> bool:
    if not any(extent is not None for extent in want):
        return True
    return len(have) == len(want) and all(
        b in (None, a) for a, b in zip(have[first:], want[first:], strict=True)
    )


def split(outputs: Tensors, items: Sequence[Item], batch: Batch) -> list[Tensors]:
    """Each item's rows of every output; raises RowsLost when axis 0 is not the rows that went in."""
    rows = sum(item.rows for item in items)
    given = max(rows, batch.most or 0) if batch.kind == "fixed" else rows
    for array in outputs.values():
        if array.ndim == 0 or array.shape[0] != given:
            raise RowsLost
    answers: list[Tensors] = []
    start = 0
    for item in items:
        end = start + item.rows
        answers.append({name: array[start:end] for name, array in outputs.items()})
        start = end
    return answers


class Hopper:
    """Items that wait for a run, in order of arrival; anyone may put, one thread at a time may take."""

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._held: deque[Item] = deque()
        self._books = threading.Lock()  # over `_held`: the lane drains while a thread takes

    def __len__(self) -> int:
        return self._arrived.qsize() + len(self._held)

    def put(self, item: Item) -> None:
        self._arrived.put(item)

    def wake(self) -> None:
        """Makes a taker that waits come back with nothing."""
        self._arrived.put(None)

    def take(self, batch: Batch) -> list[Item]:
        """Blocks until something waits; gives it with everything that may share its run, or [] when woken."""
        with self._books:
            first = self._held.popleft() if self._held else None
        if first is None:
            first = self._arrived.get()
        if first is None or first.ready.done():
            return []
        taken = [first]
        most = most_rows(batch, first.tensors, first.rows)
        if first.key is None or most <= first.rows:
            return taken
        rows = self._from_held(taken, first.rows, most)
        self._from_arrived(taken, rows, most)
        return taken

    def drain(self) -> list[Item]:
        """Everything that waits, for another hopper."""
        with self._books:
            found, woken = list(self._held), False
            self._held.clear()
        while True:
            try:
                item = self._arrived.get_nowait()
            except queue.Empty:
                break
            if item is not None:
                found.append(item)
            woken = woken or item is None
        if woken:  # that was for a taker
            self.wake()
        return found

    def _from_held(self, taken: list[Item], rows: int, most: int) -> int:
        key, full = taken[0].key, False
        with self._books:
            for _ in range(len(self._held)):
                item = self._held.popleft()
                if item.key != key or full or rows + item.rows > most:
                    full = full or item.key == key
                    self._held.append(item)
                elif not item.ready.done():
                    taken.append(item)
                    rows += item.rows
        return most if full else rows

    def _from_arrived(self, taken: list[Item], rows: int, most: int) -> None:
        key = taken[0].key
        until = taken[0].since + taken[0].linger
        while rows < most:
            item = self._next(until)
            if item is None:
                return
            if item.ready.done():
                continue
            if item.key != key or rows + item.rows > most:
                with self._books:
                    self._held.append(item)
                if item.key == key:
                    return
                continue
            taken.append(item)
            rows += item.rows
            until = min(until, item.since + item.linger)

    def _next(self, until: float) -> Item | None:
        try:
            return self._seen(self._arrived.get_nowait())
        except queue.Empty:
            remaining = until - time.perf_counter()
        if remaining <= 0:
            return None
        try:
            return self._seen(self._arrived.get(timeout=remaining))
        except queue.Empty:
            return None

    def _seen(self, item: Item | None) -> Item | None:
        if item is None:
            self.wake()
        return item
