"""The journey of one binding: events in, samples, tensors, results, events out; in order for each device."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial

from edgex_inference.contracts.errors import (
    DeviceLost,
    EdgexInferenceError,
    InferenceError,
    InferenceFailed,
    MessageError,
)
from edgex_inference.engine.batching import Answer
from edgex_inference.engine.bundles import infer_bundled
from edgex_inference.pipeline.aloft import Aloft, let_go
from edgex_inference.pipeline.convoy import Convoy
from edgex_inference.pipeline.emission import Emission, Outlet, Parcel, Standing
from edgex_inference.pipeline.faults import Faults
from edgex_inference.pipeline.intake import Intake, Item, Queueing, give_way
from edgex_inference.pipeline.measure import Measures
from edgex_inference.pipeline.passage import Passage, read
from edgex_inference.pipeline.planning.plan import Plan
from edgex_inference.pipeline.reply import Outcome

log = logging.getLogger(__name__)

_Future = asyncio.Future[None]
_Carried = tuple[Sequence[Passage], Sequence[Parcel]]

_BURST = 256
"""Items taken at once at most: far above what makes a hand-off cheap, low enough to stay fair."""

_PATIENCE = 1.0
"""Seconds that a burst may take on the lane, or a fourth of `limits.timeout`: what waits there is beyond the overload
policy, so a slow model gets smaller bursts."""

_AHEAD = 2
"""Bursts on their way out: one is prepared while another runs on the lane."""

_ALOFT, _PICTURES_ALOFT = 8 * _BURST, 2 * _BURST
"""Items that are not out and acknowledged by the bus, which may take its time; a picture hangs on its item."""


class Journey:
    """Carries a binding's events through one plan: `offer` never waits, `run` does the work.

    `strand` is asked when items come back because the device was lost: True, and another plan will have them.
    """

    def __init__(
        self,
        plan: Plan,
        outlet: Outlet,
        pixels: Executor,
        measures: Measures,
        *,
        strand: Callable[[Sequence[Item]], bool] = lambda _items: False,
    ) -> None:
        self.plan = plan
        self._strand = strand
        self._going = asyncio.Event()
        self._going.set()
        self._clock = outlet.clock
        self._pixels = pixels
        self._measures = measures
        self._emission = Emission(plan, outlet, measures)
        self._intake = Intake(Queueing.of(plan.binding.limits, pixels=plan.preprocess.pixels))
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._faults = Faults(plan.binding.name, measures)
        self._convoy = Convoy(plan, self._emission, measures, self._faults, outlet=outlet, ran=self._ran)
        self._bursts: dict[asyncio.Task[None], None] = {}  # in order
        self._most = 1
        self._aboard = 0
        self._aloft = Aloft()
        self._most_aloft = _PICTURES_ALOFT if plan.preprocess.pixels else _ALOFT

    @property
    def queued(self) -> int:
        return len(self._intake)

    @property
    def unfinished(self) -> int:
        """Items that wait or are under way."""
        return len(self._intake) + self._aboard

    @property
    def trouble(self) -> str:
        """Why the binding is degraded for one of its devices, or as a whole; empty when all is well."""
        return self._emission.trouble or self.plan.trouble

    @property
    def devices(self) -> Sequence[str]:
        """The devices that it remembers."""
        return self._emission.devices

    def forget(self, device: str) -> None:
        """Nothing is remembered of a device any more."""
        self._emission.forget(device)

    async def missed(self, item: Item, error: InferenceError) -> None:
        """Counts and tells of an item whose readings could not be had."""
        await self._emission.send(self._emission.failed(item, error))

    @property
    def standing(self) -> Standing:
        """What each device is told of the binding while its own items go well."""
        return self._emission.standing

    @standing.setter
    def standing(self, standing: Standing) -> None:
        self._emission.standing = standing

    def pause(self) -> None:
        """Starts no more bursts; what comes waits."""
        self._going.clear()

    def resume(self) -> None:
        """Goes on after `pause`."""
        self._going.set()

    async def landed(self, timeout: float | None = None) -> None:
        """Returns when no burst is under way, nor what a timer let out; or after so many seconds."""
        if under_way := (*self._bursts, *self._emission.leaving):
            await asyncio.wait(under_way, timeout=timeout)

    def take_over(self, before: "Journey") -> None:
        """Goes on where a paused journey of the same binding stopped: its devices' states, pace, and what waits."""
        self._most, self._aloft = before._most, before._aloft
        self._emission.take_over(before._emission)
        self.offer(*before.leave())

    def offer(self, *items: Item) -> None:
        """Takes events in; by the overload policy some may have to go, which is counted."""
        for item in items:
            gone = self._intake.offer(item)
            if gone is not None:
                self._measures.dropped.add(give_way(gone, item))
        self._idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """Works until cancelled; bursts under way are abandoned then."""
        gate, loop = asyncio.Semaphore(_AHEAD), asyncio.get_running_loop()
        before, delay = None, self.plan.binding.limits.max_delay
        try:
            while True:
                await self._wake.wait()
                if delay:
                    await asyncio.sleep(delay)
                await gate.acquire()
                while self._aloft.count >= self._most_aloft or not self._going.is_set():
                    await self._going.wait()
                    await self._aloft.below(self._most_aloft)
                out: _Future = loop.create_future()
                out.add_done_callback(lambda _: gate.release())
                burst = asyncio.create_task(self._burst(before, out), name=f"{self.plan.binding.name} burst")
                self._bursts[burst] = None
                burst.add_done_callback(partial(self._landed, out))
                before = out
                await asyncio.sleep(0)
        finally:
            for burst in self._bursts:
                burst.cancel()
            self._emission.close()

    async def drain(self) -> None:
        """Returns when everything offered so far has left or was dropped."""
        await self._idle.wait()

    def leave(self) -> Sequence[Item]:
        """What still waits, for whoever carries on after `run` has ended."""
        items = self._intake.take(len(self._intake))
        if not self._bursts:
            self._idle.set()
        return items

    def _landed(self, out: _Future, burst: asyncio.Task[None]) -> None:
        self._bursts.pop(burst, None)
        let_go(out)
        if not burst.cancelled() and (error := burst.exception()) is not None:
            self._faults.surprise(error)
        if not self._bursts and not len(self._intake):
            self._idle.set()

    async def _burst(self, before: _Future | None, out: _Future) -> None:
        """`out` is to be set once its results have left, in order, though nobody has acknowledged them yet."""
        items = self._intake.take(self._most)
        self._aboard += len(items)
        self._aloft.add(len(items))
        if not len(self._intake):
            self._wake.clear()
        try:
            passages, parcels = await self._carried(items, before)
            if parcels:
                await self._deliver_all(items, parcels, out)
            else:
                await self._deliver(passages)
        finally:
            self._aboard -= len(items)
            self._aloft.add(-len(items))

    async def _carried(self, items: Sequence[Item], before: _Future | None) -> _Carried:
        """What is to be delivered, when it may be: parcels where nothing about the burst is unusual."""
        try:
            stack = self._convoy.stacked(items)
            if stack is not None:
                passages, parcels = await self._convoy.carry(items, stack, partial(self._landing, before))
                if parcels:
                    return (), parcels
            else:
                passages = [Passage(item) for item in items]
                await self._prepare(passages)
                await self._infer([passage for passage in passages if passage.sample is not None])
            unread = [passage for passage in passages if passage.result is None]
            read(unread, self.plan.interpret.many, self._clock)
        except Exception as error:  # noqa: BLE001 - each of them has its fate, whatever happens
            self._faults.fail(error, len(items))
            passages = [Passage(item) for item in items]
        await self._landing(before)
        return passages, ()

    async def _landing(self, before: _Future | None) -> None:
        """Results leave in order: not before those of the burst before."""
        if before is not None and not before.done():
            await asyncio.wait({before})

    async def _deliver_all(self, items: Sequence[Item], parcels: Sequence[Parcel], out: _Future) -> None:
        if not await self._convoy.send(items, parcels, partial(let_go, out)):
            await self._send_all(deque(zip(items, parcels, strict=True)))

    async def _deliver(self, passages: Sequence[Passage]) -> None:
        """Publishes in order; no result waits for the acknowledgement of the one before, a status holds up all."""
        waiting: deque[tuple[Item, Parcel]] = deque()
        for passage in self._unstranded(passages):
            try:
                parcel = self._emit(passage)
            except Exception as error:  # noqa: BLE001 - one item's surprise must not take its neighbors along
                self._faults.fail(error)
                parcel = None
            if parcel is not None and not parcel.status:
                waiting.append((passage.item, parcel))
                continue
            await self._send_all(waiting)
            await self._send(passage.item, parcel)
        await self._send_all(waiting)

    async def _send_all(self, waiting: deque[tuple[Item, Parcel]]) -> None:
        """Begins each in its turn, also while the one before waits for its acknowledgement.

        The next task takes over when this one has to wait: where publishing waits for nothing, one does it all.
        """
        follower: asyncio.Task[None] | None = None
        try:
            while waiting:
                item, parcel = waiting.popleft()
                if follower is None and waiting:
                    follower = asyncio.create_task(self._send_all(waiting))
                await self._send(item, parcel)
            if follower is not None:
                await follower
        finally:
            if follower is not None:
                follower.cancel()

    def _unstranded(self, passages: Sequence[Passage]) -> Sequence[Passage]:
        """What is left when the items of a lost device are taken over."""
        lost = [passage.item for passage in passages if isinstance(passage.answer, DeviceLost)]
        if not lost or not self._strand(lost):
            return passages
        return [passage for passage in passages if not isinstance(passage.answer, DeviceLost)]

    async def _send(self, item: Item, parcel: Parcel | None) -> None:
        """Publishes what became of an item; without the bus it is not acknowledged, so a broker may send it again."""
        try:
            through = await self._emission.send(parcel) if parcel is not None else True
        except Exception as error:  # noqa: BLE001 - as in _deliver
            self._faults.fail(error)
            through = True
        item.end(acknowledge=through)

    async def _prepare(self, passages: Sequence[Passage]) -> None:
        now = self._clock()
        self._measures.stages["queue"].add_all([now - passage.item.arrived for passage in passages])
        if not self.plan.preprocess.pixels:
            self._prepare_all([passage for passage in passages if self._is_fresh(passage)])
            return
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(loop.run_in_executor(self._pixels, self._prepare_one, passage) for passage in passages)
        )

    def _is_fresh(self, passage: Passage) -> bool:
        """Whether it is not too old; one that is counts as dropped."""
        stale = self._intake.is_stale(passage.item)
        if stale:
            self._measures.dropped.add("maxAge")
            passage.item.tell(Outcome(fate="dropped", reason="maxAge", message="older than limits.maxAge"))
        return not stale

    def _prepare_all(self, passages: Sequence[Passage]) -> None:
        started = self._clock()
        try:
            samples = self.plan.preprocess.many([passage.item.event for passage in passages])
        except Exception:  # noqa: BLE001 - whose surprise it is shows when they are tried one by one
            for passage in passages:
                self._prepare_one(passage)
            return
        share = (self._clock() - started) / max(1, len(passages))
        for passage, sample in zip(passages, samples, strict=True):
            if isinstance(sample, MessageError):
                self._faults.drop(passage.item, sample)
            else:
                passage.sample = sample
        prepared = sum(passage.sample is not None for passage in passages)
        self._measures.stages["preprocess"].repeat(share, prepared)

    def _prepare_one(self, passage: Passage) -> None:
        event = passage.item.event
        if self.plan.preprocess.pixels and not self._is_fresh(passage):
            return
        started = self._clock()
        try:
            passage.sample = self.plan.preprocess(event)
        except MessageError as error:
            self._faults.drop(passage.item, error)
        except Exception as error:  # noqa: BLE001 - as in _deliver
            self._faults.fail(error)
        else:
            self._measures.stages["preprocess"].add(self._clock() - started)

    async def _infer(self, passages: Sequence[Passage]) -> None:
        if not passages:
            return
        plan, started = self.plan, self._clock()
        burst = [passage.sample.tensors for passage in passages if passage.sample is not None]
        timeout = plan.binding.limits.timeout
        try:
            if plan.preprocess.pixels:
                answers: Sequence[Answer] = await plan.lane.infer_many(burst, timeout=timeout)
            else:
                answers = await infer_bundled(plan.lane, burst, timeout=timeout)
        except Exception as error:  # noqa: BLE001 - as in _deliver
            self._faults.fail(error, len(passages))
            return
        for passage, answer in zip(passages, answers, strict=True):
            passage.answer = answer
        self._ran(len(passages), self._clock() - started)

    def _ran(self, items: int, seconds: float) -> None:
        self._pace(items, seconds)
        self._measures.stages["infer"].repeat(seconds, items)

    def _pace(self, items: int, seconds: float) -> None:
        patience = min(_PATIENCE, self.plan.binding.limits.timeout / 4)
        if seconds > patience:
            self._most = max(1, items // 2)
        elif seconds < patience / 2 and items >= self._most:
            self._most = min(_BURST, 2 * self._most)

    def _emit(self, passage: Passage) -> Parcel | None:
        item, sample, answer = passage.item, passage.sample, passage.answer
        if sample is None or answer is None:
            return None
        if isinstance(answer, MessageError):
            self._faults.drop(item, answer)
            return None
        if isinstance(answer, EdgexInferenceError):
            return self._emission.failed(item, answer)
        result = passage.result
        if result is None:
            started = self._clock()
            try:
                result = self.plan.interpret(answer, sample)
            except InferenceFailed as error:
                result = error
            passage.spent = self._clock() - started
        if isinstance(result, InferenceFailed):
            return self._emission.failed(item, result)
        parcel = self._emission.result(item, sample.origin, result, spent=passage.spent)
        self._measures.stages["total"].add(self._clock() - item.arrived)
        return parcel
