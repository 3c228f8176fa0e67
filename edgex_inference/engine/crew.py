"""The threads around one loaded session: load, warm-up, runs and close all happen here, never on the loop.

Daemon threads of our own: those of an executor are joined at exit, so one run that hangs would hang the process.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgex_inference.contracts.accelerator import Batch, Session
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeadlineExceeded,
    DeviceLost,
    EdgexInferenceError,
    InferenceFailed,
    SetupError,
    WorkerDied,
)
from edgex_inference.contracts.probing import sample
from edgex_inference.contracts.tensors import Datatype, Tensors
from edgex_inference.engine.batching import Answer, Hopper, Item, RowsLost, capped, join, split, unsound

logger = logging.getLogger(__name__)

_WORTH_A_THREAD = 0.001
"""Seconds a run must take before another thread for the same session pays; shorter ones only fight for the GIL."""


class Reports(Protocol):
    """What a crew tells its lane; called from the crew's threads."""

    def opened(self, crew: "Crew", session: Session) -> None: ...
    def refused(self, crew: "Crew", error: SetupError) -> None: ...
    def answered(
        self, crew: "Crew", items: Sequence[Item], answers: Sequence[Answer], seconds: float
    ) -> None: ...
    def left(self, crew: "Crew") -> None: ...


@dataclass(frozen=True, slots=True)
class Run:
    """A run in flight: its items, those that come after it one by one, and since when (perf_counter)."""

    thread: threading.Thread
    items: Sequence[Item]
    rest: Sequence[Item]
    started: float
    timeout: float

    @property
    def due(self) -> float:
        """When it should have ended (perf_counter)."""
        return self.started + self.timeout

    def is_late(self, now: float) -> bool:
        """Whether it may be hanging: what waits behind it is not to blame, and begins to wait anew when it does."""
        return now - self.started > self.timeout / 2


class Crew:
    """One session and its threads; a retired crew takes nothing new, and its last thread closes the session."""

    def __init__(
        self,
        name: str,
        load: Callable[[], Session],
        reports: Reports,
        proof: Callable[[Session], None] | None = None,
        rows: int | None = None,
    ) -> None:
        """`proof` raises SetupError for a session that must not be trusted; `rows` is the most that a run may have."""
        self.hopper = Hopper()
        self.handed_on: set[Item] = set()  # from a run that hangs to another crew: its failing says no more
        self.is_open = False  # the lane has heard that the session is loaded, proven and warm
        self.cautious = False  # one run at a time: what is tried may take the worker down
        self._retired = threading.Event()
        self.session: Session | None = None
        self._name, self._load, self._reports, self._proof, self._rows = name, load, reports, proof, rows
        self.batch = Batch()
        self._lead = threading.Lock()
        self._books = threading.Lock()
        self._runs: dict[threading.Thread, Run | None] = {}

    def start(self) -> None:
        """Loads the session in the crew's first thread."""
        self._hire(self._open_and_work)

    @property
    def retired(self) -> bool:
        """Whether this crew takes nothing new."""
        return self._retired.is_set()

    @property
    def runs(self) -> Sequence[Run]:
        """The runs in flight."""
        with self._books:
            return [run for run in self._runs.values() if run is not None]

    @property
    def threads(self) -> Sequence[threading.Thread]:
        """The threads that have not left."""
        with self._books:
            return list(self._runs)

    @property
    def may_grow(self) -> bool:
        """Whether the session allows more threads than there are."""
        session = self.session
        return session is not None and not self.retired and len(self._runs) < self._parallel(session)

    def grow(self, now: float) -> None:
        """Starts another thread when something waits, every thread is busy with a long run, and more are allowed."""
        session = self.session
        if session is None or self.retired or not len(self.hopper):
            return
        with self._books:
            busy = [
                run for run in self._runs.values() if run is not None and now - run.started > _WORTH_A_THREAD
            ]
            if len(busy) < len(self._runs) or len(busy) >= self._parallel(session):
                return
        self._hire(self._work)

    def retire(self) -> None:
        """Takes nothing new from now on; threads leave as their runs end."""
        self._retired.set()
        self.hopper.wake()

    def close_now(self) -> None:
        """Closes the session in a thread of its own, so that runs in flight may end early."""
        session = self.session
        if session is not None and session.traits.affinity == "any":
            threading.Thread(target=_close, args=(session,), name=f"{self._name} close", daemon=True).start()

    def _parallel(self, session: Session) -> int:
        return 1 if self.cautious or session.traits.affinity == "thread" else max(1, session.parallel)

    def _hire(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=self._name, daemon=True)
        with self._books:
            self._runs[thread] = None
        thread.start()

    def _open_and_work(self) -> None:
        refusal: SetupError
        try:
            self.session = self._load()  # from here on it can be closed, also while it is proven or warms up
            session = self._proven(self.session)
        except SetupError as error:
            refusal = error
        except BaseException as error:
            logger.debug("loading failed", exc_info=True)
            refusal = AcceleratorUnavailable(
                self._name, f"loading failed with {type(error).__name__}: {error}"
            )
        else:
            self._begin(session)
            return
        self._reports.refused(self, refusal)  # first: what waits is told with all others why
        self._leave()

    def _proven(self, session: Session) -> Session:
        try:
            if self._proof is not None and not self.retired:
                self._proof(session)
        except BaseException:
            _close(session)
            raise
        return session

    def _begin(self, session: Session) -> None:
        self.batch = capped(session.traits.batch, self._rows)
        if not self.retired:
            _warm_up(session)
        self._reports.opened(self, session)
        self._work()

    def _work(self) -> None:
        while not self._retired.is_set():
            with self._lead:
                items = [] if self._retired.is_set() else self.hopper.take(self.batch)
            if items:
                self._run(items)
        self.hopper.wake()
        self._leave()

    def _leave(self) -> None:
        with self._books:
            self._runs.pop(threading.current_thread(), None)
            last = not self._runs
        if last:
            if self.session is not None:
                _close(self.session)
            if late := self.hopper.drain():  # put there, or held, while the lane had taken the rest
                self._reports.answered(self, late, [RETIRED] * len(late), 0.0)
            self._reports.left(self)

    def _run(self, items: list[Item]) -> None:
        if self.retired:  # taken while the lane handed the waiting items on: they go the same way
            self._reports.answered(self, items, [RETIRED] * len(items), 0.0)
            return
        assert self.session is not None
        try:
            self._answer(self.session, items, ())
        except RowsLost:
            self.batch = Batch()
            logger.warning("%s: its outputs are not one row for each input row: batching is off", self._name)
            self._one_by_one(self.session, items)
        except _Apart:
            self._one_by_one(self.session, items)
        finally:
            self._runs[threading.current_thread()] = None

    def _one_by_one(self, session: Session, items: list[Item]) -> None:
        """After a failed batch, so that one bad item fails alone."""
        for index, item in enumerate(items):
            if self.retired:  # the rest goes the way of what was not begun
                rest = items[index:]
                self._reports.answered(self, rest, [RETIRED] * len(rest), 0.0)
                return
            if item.ready.done():
                continue
            self._answer(session, [item], items[index + 1 :])

    def _answer(self, session: Session, items: list[Item], rest: Sequence[Item]) -> None:
        timeout = max(item.timeout for item in items)
        started = time.perf_counter()
        thread = threading.current_thread()
        self._runs[thread] = Run(thread, items, rest, started, timeout)
        answers: Sequence[Answer]
        try:
            if len(items) == 1 and self.batch.kind != "fixed":
                answers = [self._sound(session, session.infer(items[0].tensors, timeout=timeout))]
            else:
                outputs = session.infer(join(items, self.batch), timeout=timeout)
                answers = split(self._sound(session, outputs), items, self.batch)
        except RowsLost:
            if len(items) == 1:
                answers = [InferenceFailed(f"{self._name}: the outputs have other rows than the inputs")]
            else:
                raise
        except (DeviceLost, DeadlineExceeded) as error:
            answers = [error] * len(items)
            if isinstance(error, WorkerDied):
                self.retire()  # at once: whatever is taken from now on would be said to have died too
        except BaseException as error:
            if len(items) > 1:
                raise _Apart from error
            if not isinstance(error, EdgexInferenceError):
                logger.debug("a run failed in a way that the port forbids", exc_info=True)
                error = _bug(self._name, error)
            answers = [error]
        self._reports.answered(self, items, answers, time.perf_counter() - started)

    def _sound(self, session: Session, outputs: Tensors) -> Tensors:
        """The answer, if it is of the kind that the session has declared; raises InferenceFailed."""
        if unfit := unsound(session.outputs, outputs, self.batch):
            raise InferenceFailed(f"{self._name}: {unfit}")
        return outputs


class _Apart(Exception):
    """A batched run failed: its items are tried one by one."""


RETIRED = DeviceLost("the session was abandoned before this run")


def _warm_up(session: Session) -> None:
    """One run on made-up numbers where the shapes are known; a model may refuse them."""
    if any(spec.datatype is Datatype.BYTES or None in spec.shape[1:] for spec in session.inputs):
        return
    try:
        session.infer(sample(session.inputs, np.random.default_rng(0)))
    except Exception:
        logger.debug("the warm-up run failed", exc_info=True)


def _close(session: Session) -> None:
    try:
        session.close()
    except Exception:
        logger.debug("closing a session failed", exc_info=True)


def _bug(name: str, error: BaseException) -> InferenceFailed:
    return InferenceFailed(f"{name}: the plug-in failed with {type(error).__name__}: {error}")
