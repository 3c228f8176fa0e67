"""A lane: the way onto one loaded session. It owns deadlines, replaces what hangs, and reopens what is lost."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Literal

from edgex_inference.contracts.accelerator import Batch, Session
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeadlineExceeded,
    DeviceLost,
    EdgexInferenceError,
    InferenceError,
    InferenceFailed,
    ModelRejected,
    Overloaded,
    SetupError,
    WorkerDied,
)
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.engine.alarm import Alarm
from edgex_inference.engine.batching import Answer, Item, overdue, settle, signature
from edgex_inference.engine.crew import RETIRED, Crew
from edgex_inference.engine.post import Post
from edgex_inference.engine.suspects import Suspects
from edgex_inference.engine.terms import LaneMetrics, LaneSettings

logger = logging.getLogger(__name__)

State = Literal["opening", "ready", "lost", "hung", "closed"]


class Lane:
    """One loaded session, replaced when it hangs or is lost. All methods belong to the loop that opened it."""

    def __init__(
        self, name: str, load: Callable[[], Session], *, settings: LaneSettings | None = None
    ) -> None:
        self.name = name
        self.state: State = "opening"
        self.reason, self.stalled = "not open", False  # stalled: a run takes longer than an item may wait
        self.metrics = LaneMetrics()
        self.settings = settings or LaneSettings()
        self.watchers: set[Callable[[Lane], None]] = set()  # called when `state` changes, or why it is lost
        self.proof: Callable[[Session], None] | None = None  # asked of each further session before it answers
        self._load = load
        self._session: Session | None = None
        self._crew: Crew | None = None
        self._items: set[Item] = set()
        self._alarm = Alarm(self._watch)
        self._suspects = Suspects(self.settings)
        self._reopening = self.settings.reopening(self._reopen)
        self._growth: asyncio.TimerHandle | None = None
        self._opened: asyncio.Future[Session] | None = None
        self._idle, self._left = asyncio.Event(), asyncio.Event()

    @property
    def session(self) -> Session:
        """The newest session that opened: its specs, traits and metadata; not for running."""
        if self._session is None:
            raise DeviceLost(f"{self.name}: not open")
        return self._session

    @property
    def batch(self) -> Batch:
        """How many rows a run may have now: what the session promised, or one where it broke its promise."""
        return self._crew.batch if self._crew is not None else Batch()

    @property
    def leaked(self) -> int:
        """Threads that hang in the vendor's code."""
        return self._suspects.leaked

    @property
    def lost(self) -> bool:
        return self.stalled or self.state in ("lost", "hung")

    @property
    def waiting(self) -> int:
        """Items that wait or run."""
        return len(self._items)

    async def open(self) -> Session:
        """Loads the session; raises ModelRejected or AcceleratorUnavailable, which ends the lane."""
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._enlist()
        try:
            async with asyncio.timeout(self.settings.load_timeout):
                return await asyncio.shield(self._opened)
        except TimeoutError:
            self._abandon("it did not load in time")
            reason = f"loading did not end within {self.settings.load_timeout:g} s"
            raise AcceleratorUnavailable(self.name, reason, late=True) from None
        except asyncio.CancelledError:
            self._abandon("loading was given up")
            raise

    async def infer(self, tensors: Tensors, *, timeout: float | None = None, linger: float = 0.0) -> Tensors:
        """Runs the session on these tensors, together with whatever else fits into the same run.

        `timeout` bounds the wait, then the run; `linger` that for company. Raises SignatureMismatch, InferenceError.
        """
        item = self._submit(tensors, timeout, linger)
        try:
            return await item.ready
        finally:
            self._forget(item)

    async def infer_many(
        self, burst: Sequence[Tensors], *, timeout: float | None = None, suspects: bool = False
    ) -> list[Answer]:
        """As `infer` for several samples at once; gives for each its answer or the error that it failed with.

        `suspects`: they shared a run that hung, so each gets one of its own.
        """
        items: list[Item | EdgexInferenceError] = []
        answers: list[Answer] = []
        try:
            for tensors in burst:
                try:
                    items.append(self._submit(tensors, timeout, suspect=suspects))
                except InferenceError as error:
                    items.append(error)
            for item in items:
                try:
                    answers.append(await item.ready if isinstance(item, Item) else item)
                except EdgexInferenceError as error:
                    answers.append(error)
        finally:
            for item in items:
                if isinstance(item, Item):
                    self._forget(item)
        return answers

    def _submit(
        self, tensors: Tensors, timeout: float | None, linger: float = 0.0, *, suspect: bool = False
    ) -> Item:
        crew = self._crew
        if crew is None or self.state not in ("opening", "ready"):
            raise self._refusal()
        if len(self._items) >= self.settings.queue or len(crew.hopper) >= self.settings.queue:
            raise Overloaded(f"{self.name}: {self.settings.queue} items wait already")
        rows, key = signature(tensors)
        limit = self.settings.timeout if timeout is None else timeout
        now = time.perf_counter()
        item = Item(tensors, rows, key, self._loop.create_future(), limit, now, linger)
        if suspect:
            self._suspects.part(item, now)
        self._items.add(item)
        crew.hopper.put(item)
        self._alarm.at_the_latest(now + limit)
        if self._growth is None and len(self._items) > 1:
            self._growth = self._loop.call_later(0.002, self._grow)
        return item

    def _grow(self) -> None:
        """Lets the crew hire when runs are so long that what waits could run beside them."""
        self._growth = None
        if self._crew is not None and len(self._crew.hopper):
            self._crew.grow(time.perf_counter())
            self._growth = self._loop.call_later(0.002, self._grow) if self._crew.may_grow else None

    def _forget(self, item: Item) -> None:
        """An item that was answered or given up; its tensors are let go even where it still waits."""
        self._items.discard(item)
        self._suspects.clear((item,))
        if not item.ready.done():
            item.ready.cancel()
        elif not item.ready.cancelled():
            item.ready.exception()
        item.tensors = {}
        if not self._items:
            self._idle.set()

    async def close(self, *, drain: float = 0.0) -> None:
        """Takes nothing new, gives what waits `drain` seconds, fails the rest and lets the session go; never hangs."""
        crew, opening = self._crew, self.state == "opening"
        if self.state != "closed":
            self._change("closed", "closed")
        self._reopening.stop()
        if self._items and drain > 0 and crew is not None and not opening:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(drain):
                    await self._idle.wait()
        self._reopening.stop()
        self._alarm.stop()
        for item in self._items:
            settle(item, InferenceFailed(f"{self.name}: closed before this run ended"))
        if crew is None:
            return
        self._crew = None
        crew.retire()
        if crew.runs or not crew.is_open:
            crew.close_now()
        if crew.threads:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._left.wait()

    def _enlist(self, *, cautious: bool = False) -> None:
        self._crew = Crew(self.name, self._load, Post(self, self._loop), self.proof, self.settings.rows)
        self._crew.cautious = cautious
        self._crew.start()
        if self._opened is not None and self._opened.done():
            self._loop.call_later(self.settings.load_timeout, self._reopened, self._crew)

    def _refusal(self) -> InferenceError:
        return (InferenceFailed if self.state == "closed" else DeviceLost)(f"{self.name}: {self.reason}")

    def _change(self, state: State, reason: str = "") -> None:
        before, self.state, self.reason = self.state, state, reason
        stalled, self.stalled = self.stalled, self.stalled and state == "opening"
        if state == before:
            return
        if state in ("lost", "hung"):
            logger.warning("%s: %s", self.name, reason)
        elif state == "ready" and (stalled or before in ("lost", "hung")):
            logger.warning("%s: works again", self.name)
        self._tell()

    def _tell(self) -> None:
        for watcher in tuple(self.watchers):
            watcher(self)

    # Reports of the crew, on the loop

    def crew_opened(self, crew: Crew, session: Session) -> None:
        """A crew's session is loaded."""
        if crew is not self._crew:
            return
        self._session, crew.is_open = session, True
        self._reopening.opened()
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(session)
        else:
            self.metrics.events.add("reopened")
        if self.state != "closed":
            self._change("ready")

    def crew_refused(self, crew: Crew, error: SetupError) -> None:
        """A crew could not load its session."""
        if crew is not self._crew:
            return
        self._crew = None
        if self._opened is not None and not self._opened.done():
            self._opened.set_exception(error)
            self._change("closed", str(error))
        else:
            self.lose(str(error), refused=isinstance(error, ModelRejected))

    def crew_answered(
        self, crew: Crew, items: Sequence[Item], answers: Sequence[Answer], seconds: float
    ) -> None:
        """A run came back."""
        self.metrics.events.add("runs")
        self.metrics.events.add("rows", sum(item.rows for item in items))
        self.metrics.runs.add(seconds)
        lost = next((one for one in answers if isinstance(one, DeviceLost) and one is not RETIRED), None)
        if isinstance(lost, WorkerDied) and crew is self._crew:
            self._restart(crew, str(lost))
        for item, answer in zip(items, answers, strict=True):
            again = isinstance(answer, InferenceError) and crew.retired
            if not (again and (item in crew.handed_on or self._again(item, answer))):
                settle(item, answer)
        self._suspects.clear([item for item in items if item.ready.done()])
        if self._crew is not None and not self._suspects:
            self._crew.cautious = False
        if lost is not None and crew is self._crew and self.state != "closed":
            self.lose(str(lost))

    def _again(self, item: Item, answer: Answer) -> bool:
        """Hands on, once, an item of a crew that retired or died, unless it may be several that were joined."""
        died, begun = isinstance(answer, WorkerDied), answer is not RETIRED
        if self._crew is None or item.ready.done() or (begun and item.tries) or (died and item.rows > 1):
            return False
        if died:
            self._suspects.blame(item, time.perf_counter())
        item.tries += begun
        self._crew.hopper.put(item)
        return True

    def _restart(self, crew: Crew, reason: str) -> None:
        """Another worker takes over what waits, unless too many have died."""
        now = time.perf_counter()
        if self.state == "closed" or self._suspects.too_many(now):
            return
        logger.warning("%s: it is started again", reason)
        self.metrics.events.add("restarted")
        crew.retire()
        self._succeed(crew.hopper.drain(), now, reason, cautious=True)

    def _succeed(self, rest: Sequence[Item], now: float, reason: str, *, cautious: bool = False) -> None:
        """Another crew takes the place of one that was retired, and what waits."""
        self._change("opening", reason)
        self._enlist(cautious=cautious)
        for item in rest:
            if self._crew is not None and not item.ready.done():
                item.since = max(now, item.since)
                self._crew.hopper.put(item)

    def crew_left(self, crew: Crew) -> None:
        """The last thread of a crew ended."""
        if self._crew is None:
            self._left.set()

    # Deadlines

    def _watch(self) -> None:
        """Fails what is past its deadline, and replaces a crew with a run that nobody waits for any more."""
        crew = self._crew
        if crew is None or not (self._items or crew.runs):
            return
        now = time.perf_counter()
        began = {item: run.started for run in crew.runs for item in run.items}
        if any(now >= run.due for run in crew.runs):
            self._replace(crew, now)
            began = {item: started for item, started in began.items() if item not in crew.handed_on}
        going = [run for run in crew.runs if not crew.retired]
        next_ = min((run.due for run in going), default=now + self.settings.timeout)
        held = min((run.due for run in going if run.is_late(now)), default=0.0)
        for item in [one for one in self._items if not one.ready.done()]:
            due = began[item] + item.timeout if item in began else max(item.since + item.timeout, held)
            if now < due:
                next_ = min(next_, due)
                continue
            self.metrics.events.add("deadline")
            settle(item, self._late(item, running=item in began))
        if not self._alarm.is_set:
            self._alarm.at(max(next_, now + 0.001))

    def _late(self, item: Item, *, running: bool) -> InferenceError:
        """What is told to an item past its deadline; who waits for another session may have somebody else to ask."""
        if running or self.state != "opening":
            return overdue(self.name, item, running=running)
        reason = f"{self.name}: {self.reason}, and the new one is not there yet"
        if not self.stalled:
            self.stalled = True
            logger.warning("%s", reason)
            self._tell()
        return DeviceLost(reason)

    def _replace(self, crew: Crew, now: float) -> None:
        crew.retire()
        rest = self._suspects.hung(crew, now)
        crew.close_now()
        rest.extend(crew.hopper.drain())
        if self.state == "closed":
            return
        if self.leaked > self.settings.leaks:
            self._crew = None
            error = DeadlineExceeded(f"{self.name}: {self.leaked} runs hang")
            for item in rest:
                settle(item, error)
            self._change("hung", f"{self.leaked} threads hang in runs past their deadline")
            self._reopening.later()
            return
        logger.warning("%s: a run is past its deadline: its session is replaced", self.name)
        self._succeed(rest, now, "a run hung: its session is replaced")

    def _abandon(self, closed: str = "") -> None:
        if self._crew is not None:
            self._crew.retire()
            self._suspects.leak(self._crew.threads)
            self._crew.close_now()
            self._crew = None
        if closed:
            self._change("closed", closed)

    def lose(self, reason: str, *, refused: bool = False) -> None:
        """It counts as lost until another session gives the right answers; `refused`: one was opened, and did not."""
        if self._crew is not None and self.state != "closed":
            self._crew.retire()
            self._crew = None
        self.metrics.events.add("lost")
        for item in list(self._items):
            settle(item, DeviceLost(reason))
        if self.state == "closed":
            return
        if refused and self.state == "lost" and reason != self.reason:
            logger.warning("%s: is not taken back: %s", self.name, reason)
            self.reason = reason
            self._tell()
        self._change("lost", reason)
        self._reopening.later()

    def _reopen(self) -> None:
        if self.leaked > self.settings.leaks:
            self._reopening.later()
        elif self.state != "closed":
            self._enlist()

    def _reopened(self, crew: Crew) -> None:
        if crew is self._crew and not crew.is_open:
            self._abandon()
            self.lose(f"loading did not end within {self.settings.load_timeout:g} s")
