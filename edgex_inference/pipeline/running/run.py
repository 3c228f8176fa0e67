"""One effective binding from start to stop: what is wanted of it, the plan that answers, and the next one."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected, ProfileError, SetupError
from edgex_inference.contracts.events import Event
from edgex_inference.contracts.models import ModelCard
from edgex_inference.engine.lane import Lane
from edgex_inference.pipeline.emission import DEGRADED, INACTIVE, RUNNING, Standing
from edgex_inference.pipeline.intake import Item, give_way
from edgex_inference.pipeline.journey import Journey
from edgex_inference.pipeline.measure import Measures
from edgex_inference.pipeline.planning.plan import Plan, draw, release
from edgex_inference.pipeline.running.drawing import Drawing, Watch, absence
from edgex_inference.pipeline.running.notices import Notices
from edgex_inference.pipeline.running.order import Course, Order, Workplace, has_others
from edgex_inference.pipeline.running.patience import Patience
from edgex_inference.pipeline.running.sayings import say

log = logging.getLogger(__name__)

STARTING, DISABLED = "starting", "disabled"
_LOADING = "the model is being loaded"
_REMOVED = "its block was removed"

_ORDERLY = 1.0
"""Seconds that the next plan waits for the last bursts of the one before, so that results keep their order."""


class Run:
    """Takes a binding's events from the first moment on; they wait while a model loads.

    A change is drawn as another plan beside the one that runs, which goes on until the other is ready; one that
    cannot be drawn leaves it running, and says so. A plan whose device is lost makes way for the next candidate.
    """

    def __init__(self, order: Order, place: Workplace, *, before: Order | None = None) -> None:
        """`before` is what answered the same devices so far, and goes on where `order` cannot be had."""
        self.measures = Measures()
        self.settled = asyncio.Event()
        self._order, self._taken = order, before
        self._waiting = (before or order).intake()
        self._place = place
        self._notices = Notices(place.outlet)
        self._course: Course | None = None
        self._asked = asyncio.Event()
        self._drawing = Drawing()
        self._leaving: set[asyncio.Task[None]] = set()
        self._stranded: list[Item] = []
        self._seeking, self._shaken = False, before is not None
        self.complaint, self.rejected, self._succeeded = "", False, False
        self._watch = Watch(self._changed)
        self._patience = Patience(self._asked.set)
        self._absent = absence(self._asked.set)
        self._take_up(before or order, STARTING, _LOADING)

    @property
    def status(self) -> str:
        """starting, running, degraded, inactive or disabled."""
        return DEGRADED if self._trouble else self._status

    @property
    def reason(self) -> str:
        """Why the status is what it is."""
        return self._trouble or self._reason

    @property
    def journey(self) -> Journey | None:
        """The journey that answers now."""
        return self._course.journey if self._course is not None else None

    @property
    def _trouble(self) -> str:
        return self._course.journey.trouble if self._course is not None else ""

    @property
    def models(self) -> frozenset[str]:
        """The names of the models that it has or wants."""
        return self._order.models | (self._taken.models if self._taken is not None else frozenset())

    def wants(self, event: Event) -> bool:
        """Whether the event has a reading that this binding waits for; one that has no model takes any."""
        if self._status == DISABLED or self.binding.poll is not None:
            return False
        if self.binding.model is None and self._order.inactive:
            return True
        wanted = self._wanted
        for one in event.readings:  # noqa: SIM110 - as a rule the first one is wanted, and a generator is dear
            if one.resource_name in wanted:
                return True
        return False

    def offer(self, *items: Item) -> None:
        """Takes events in; never waits."""
        self.measures.events.add("received", len(items))
        if self._course is not None:
            self._course.journey.offer(*items)
            return
        for item in items:
            if self._status == INACTIVE:
                self._refuse(item)
            else:
                self._hold(item)

    def tell(self, device: str, reason: str) -> None:
        """Says, once, that nothing is inferred for a device."""
        if self.binding.enabled:
            self._notices.tell(self.binding, device, reason, origin=self._place.outlet.wall_clock())

    def forget(self, device: str) -> None:
        """Nothing is remembered of a device any more."""
        self._notices.forget_one(device)
        if self._course is not None:
            self._course.journey.forget(device)

    # What is wanted

    def revise(self, order: Order) -> None:
        """Another form of the binding, or why its new form cannot be used; what comes to the same changes nothing."""
        same, self._order = order.same(self._order), order
        if not same:
            self.refresh()
        elif self._taken is not None and order.same(self._taken):
            self.binding, self._taken = order.binding, order

    def retire(self, *, succeeded: bool = False) -> None:
        """Lets what was taken in get out, and ends `work`; `succeeded`: another run answers its devices."""
        self._order, self._succeeded = replace(self._order, gone=True), succeeded
        self.refresh()

    def refresh(self) -> None:
        """Draws the plan anew: something that it was made from has changed."""
        self._absent.opened()  # what was changed may be what brings it
        self._drawing.stop()
        self._asked.set()

    # The work

    async def work(self) -> None:
        """Brings what runs in line with what is wanted, until retired; may be called again after a surprise."""
        self._asked.set()
        try:
            while True:
                await self._next()
                if self._order.gone:
                    await self._end(_REMOVED)
                    return
                await self._settle(self._order)
        finally:
            await self._close()

    async def _next(self) -> None:
        """Returns when there is something to do; raises what ended the journey, a defect of ours."""
        asked = asyncio.create_task(self._asked.wait(), name=f"{self.binding.name} asked")
        course = self._course
        try:
            works = {course.work} if course is not None else set()
            await asyncio.wait({asked, *works}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
        if course is not None and course.work.done():
            course.work.result()
        self._asked.clear()

    async def _settle(self, order: Order) -> None:
        reason, plan = order.inactive, None
        shaken, self._shaken = self._shaken, False
        self._absent.stop()
        self.rejected &= not reason
        if not order.binding.enabled:
            await self._end("enabled: false")
            self._take_up(order, DISABLED, "enabled: false")
            self.settled.set()
            return
        if not reason:
            try:
                plan = await self._drawn(order)
            except SetupError as error:
                reason, self.rejected = error.brief, isinstance(error, ModelRejected | ProfileError)
                if isinstance(error, AcceleratorUnavailable):
                    self._absent.later()
            except Exception as error:
                reason = f"a defect of ours: {error!r}; trying again"
                if self._course is None:
                    self._reason = reason
                    raise
                self._absent.later()  # what runs goes on
        if plan is not None:
            if plan.absent:
                self._absent.later()
            mended, self.complaint, self.rejected = bool(self.complaint), "", False
            await self._switch(order, plan, mended=mended)
        elif reason:
            if shaken:
                await self._step_down()
            self._refused(order, reason)

    async def _step_down(self) -> None:
        """Another candidate for what answered before a change that is refused, as far as there is one."""
        taken, course = self._taken, self._course
        if taken is None or taken.inactive:
            return
        with suppress(SetupError):
            plan = await self._drawn(taken, course.plan.card if course is not None else None)
            if plan is not None:
                await self._switch(taken, plan)

    async def _drawn(self, order: Order, card: ModelCard | None = None) -> Plan | None:
        """The plan, or None when something else is wanted meanwhile."""
        work = draw(order.binding, self._place.engine, order.book, card, told=self._hear)
        return await self._drawing.plan(work, f"drawing {order.binding.name}")

    def _hear(self, said: str) -> None:
        """What takes long while nothing runs yet."""
        if self._status == STARTING:
            self._reason = said

    async def _switch(self, order: Order, plan: Plan, *, mended: bool = False) -> None:
        """Lets another plan answer from here on; the one before finishes what it has begun."""
        place, before = self._place, self._course
        journey = Journey(plan, place.outlet, place.pixels, self.measures, strand=self._strand)
        if before is not None:
            before.journey.pause()
            await before.journey.landed(_ORDERLY)
        for item in (*self._stranded, *self._waiting.take(len(self._waiting))):
            journey.offer(item)
        self._stranded.clear()
        if before is not None:
            journey.take_over(before.journey)
        name = f"binding {plan.binding.name} of {plan.binding.profile}"
        self._course = Course(journey, asyncio.create_task(journey.run(), name=name))
        self._watch.over(plan)
        status = DEGRADED if plan.reserve and plan.binding.fallback != "allow" else RUNNING
        say(before.plan if before is not None else None, plan, changed=mended or order is not self._taken)
        self._take_up(order, status, plan.standing)
        journey.standing = Standing(status=status, reason=plan.standing)
        self.settled.set()
        if before is not None:
            self._leave(before)
        if plan.lane.lost:
            self._changed(plan.lane)

    def _refused(self, order: Order, reason: str) -> None:
        """What is wanted cannot be had: the plan that runs stays, or the binding rests."""
        where = f"profile {order.binding.profile}: binding {order.binding.name}"
        self._seeking = False
        course = self._course
        if course is None:
            self._take_up(order, INACTIVE, reason)
            if reason != self.complaint:
                log.error("%s is inactive: %s", where, reason)
                self._notices.repeat(order.binding, reason)
            self.complaint = reason
            self._refuse_all()
        else:
            if course.plan.lane.lost:
                log.warning("%s: nobody else answers: %s", where, reason)
            else:
                self._complain(course, where, reason)
            for item in self._stranded:
                course.journey.offer(item)
            self._stranded.clear()
            course.journey.resume()
        self.settled.set()

    def _complain(self, course: Course, where: str, reason: str) -> None:
        """The change cannot be taken up; said once."""
        said = f"{course.plan.standing} as before; the change is refused: {reason}"
        if reason != self.complaint:
            log.error("%s: the change is refused, what ran goes on: %s", where, reason)
        self.complaint = reason
        self._status, self._reason = DEGRADED, said
        course.journey.standing = Standing(status=DEGRADED, reason=said)

    async def _end(self, reason: str) -> None:
        """Ends what runs in good order."""
        course = self._course
        self._status, self._reason, self.complaint = DISABLED, reason, ""
        self._notices.forget()
        if course is not None:
            course.journey.resume()
            await course.journey.drain()
            self._course = None
            self._watch.over(None)
            if not self._succeeded:
                self._notices.farewell(course.plan.binding, course.journey.devices, reason)
            self._leave(course)
        self._refuse_all()

    async def _close(self) -> None:
        """Stops at once; what waits is kept for another `work`."""
        course, self._course = self._course, None
        self._watch.over(None)
        self._notices.close()
        self._patience.stop()
        self._absent.stop()
        self._drawing.stop()
        if course is None:
            return
        self.settled.clear()
        self._status, self._reason, self.complaint = STARTING, _LOADING, ""
        await self._end_at_once(course)
        for item in (*self._stranded, *course.journey.leave()):
            self._hold(item)
        self._stranded.clear()
        await release(course.plan, self._place.engine)

    async def _end_at_once(self, course: Course) -> None:
        """After a surprise what is under way gets a moment, and what does not land counts; not so at a stop."""
        task = asyncio.current_task()
        if task is not None and not task.cancelling():
            course.journey.pause()
            await course.journey.landed(_ORDERLY)
            self.measures.failed.add("unexpected", course.journey.unfinished - course.journey.queued)
        course.work.cancel()
        await asyncio.wait((course.work,))

    def _leave(self, course: Course) -> None:
        gone = course.gone(self._place.engine)
        task = asyncio.create_task(gone, name=f"{course.work.get_name()} ends")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    # Lost devices

    def _changed(self, lane: Lane) -> None:
        """A lane's state: lost, and another candidate is sought; back, and it is taken again."""
        course = self._course
        if course is None:
            return
        if lane.state == "ready":
            self._shaken = True
            self._patience.back()
        elif lane.lost and (lane is not course.plan.lane or has_others(self.binding)):
            if lane is course.plan.lane:
                self._patience.lost()
                self._seeking = True
                course.journey.pause()
            self._shaken = True  # of one in reserve: it is lost for another reason than before
            self._asked.set()

    def _strand(self, items: Sequence[Item]) -> bool:
        """Takes over items whose device was lost while another is sought."""
        if self._seeking:
            self._stranded.extend(items)
        return self._seeking

    def _take_up(self, order: Order, status: str, reason: str) -> None:
        """What holds from here on."""
        self._taken, self.binding = order, order.binding
        self._status, self._reason = status, reason
        self._wanted = frozenset(reading.resource for reading in order.binding.readings)
        self._seeking = False

    def _hold(self, item: Item) -> None:
        gone = self._waiting.offer(item)
        if gone is not None:
            self.measures.dropped.add(give_way(gone, item))

    def _refuse_all(self) -> None:
        for item in (*self._stranded, *self._waiting.take(len(self._waiting))):
            self._refuse(item)
        self._stranded.clear()

    def _refuse(self, item: Item) -> None:
        self.measures.dropped.add("inactive")
        item.refuse("inactive", self._reason)
        self._notices.tell(self.binding, item.event.device_name, self._reason, origin=item.event.origin)

    async def drain(self) -> None:
        """Returns when everything offered has left or was dropped; a model is waited for only if events are."""
        while self.unfinished or self._leaving:  # again where another plan has taken over meanwhile
            if self._held:
                await self.settled.wait()
            if self._course is not None:
                await self._course.journey.drain()
            if self._leaving:
                await asyncio.wait(tuple(self._leaving))
            await asyncio.sleep(0)
        if self._course is not None:  # what timers let out just now
            await self._course.journey.landed()
        await self._notices.drain()

    @property
    def _held(self) -> int:
        return len(self._waiting) + len(self._stranded)

    @property
    def queued(self) -> int:
        """Events that wait for their turn."""
        return self._held + (self._course.journey.queued if self._course is not None else 0)

    @property
    def unfinished(self) -> int:
        """Events that wait or are under way."""
        return self._held + (self._course.journey.unfinished if self._course is not None else 0)
