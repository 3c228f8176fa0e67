"""One effective binding from start to stop: starting, then running, or inactive with a reason."""

import asyncio
import logging
from concurrent.futures import Executor
from dataclasses import dataclass

from edgex_inference.bindings.book import Book
from edgex_inference.contracts.bindings import Binding
from edgex_inference.contracts.errors import MessageError, SetupError, TransportError
from edgex_inference.contracts.events import Event
from edgex_inference.pipeline.emission import DEGRADED, INACTIVE, RUNNING, Outlet
from edgex_inference.pipeline.intake import Intake, Item, Queueing
from edgex_inference.pipeline.journey import Journey
from edgex_inference.pipeline.measure import Measures
from edgex_inference.pipeline.planning.plan import Engine, Plan, draw, release

log = logging.getLogger(__name__)

STARTING, DISABLED = "starting", "disabled"
_LOADING = "the model is being loaded"

_MOST_DEVICES = 10_000
"""Devices whose inactive status is remembered as announced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """What every run needs: where plans come from, the way out, the threads for pictures."""

    engine: Engine
    outlet: Outlet
    pixels: Executor


class Run:
    """Takes a binding's events from the first moment on; they wait while the model loads."""

    def __init__(self, binding: Binding, book: Book, place: Workplace, *, inactive: str = "") -> None:
        """`book` is where the binding comes from; `inactive` says why it cannot run at all."""
        self.binding = binding
        self.measures = Measures()
        self._status, self._reason = STARTING, _LOADING
        self._inactive = inactive
        self.journey: Journey | None = None
        self.settled = asyncio.Event()
        self._book = book
        self._place = place
        self._wanted = frozenset(reading.resource for reading in binding.readings)
        self._announced: dict[str, bool] = {}
        self._outgoing: set[asyncio.Task[None]] = set()
        resources = book.resources(binding.profile)
        pictures = any(
            resources[name].value_type.lower() == "binary" for name in self._wanted if name in resources
        )
        self._waiting = Intake(Queueing.of(binding.limits, pixels=pictures))

    @property
    def status(self) -> str:
        """starting, running, degraded, inactive or disabled."""
        return DEGRADED if self._trouble else self._status

    @property
    def reason(self) -> str:
        """Why the status is what it is."""
        return self._trouble or self._reason

    @property
    def _trouble(self) -> str:
        return self.journey.trouble if self.journey is not None else ""

    def wants(self, event: Event) -> bool:
        """Whether the event has one of the readings that this binding takes; one that has no model takes any."""
        if self.binding.model is None and self._inactive:
            return True
        return any(reading.resource_name in self._wanted for reading in event.readings)

    def offer(self, item: Item) -> None:
        """Takes an event in; never waits."""
        self.measures.events.add("received")
        if self.journey is not None:
            self.journey.offer(item)
            return
        if self._status == INACTIVE:
            self._refuse(item)
            return
        self._hold(item)

    def _hold(self, item: Item) -> None:
        gone = self._waiting.offer(item)
        if gone is not None:
            self.measures.dropped.add("queueFull" if gone is item else "overtaken")
            gone.receipt.release()

    async def work(self) -> None:
        """Draws the plan and runs the journey until cancelled; may be called again after a surprise."""
        if self._inactive:
            await self._rest(self._inactive)
        try:
            plan = await draw(self.binding, self._place.engine, self._book)
        except SetupError as error:
            await self._rest(error.brief)
        except Exception as error:
            self._reason = f"a defect of ours: {error!r}; trying again"
            raise
        else:
            await self._run(plan)

    async def _run(self, plan: Plan) -> None:
        journey = Journey(plan, self._place.outlet, self._place.pixels, self.measures)
        self._status, self._reason = RUNNING, plan.standing
        log.info("binding %s of profile %s: %s", self.binding.name, self.binding.profile, self._reason)
        self.journey = journey
        for item in tuple(self._waiting.take(len(self._waiting))):
            journey.offer(item)
        self.settled.set()
        try:
            await journey.run()
        finally:
            self.journey = None
            self.settled.clear()
            self._status, self._reason = STARTING, _LOADING
            for item in journey.leave():
                self._hold(item)
            await release(plan, self._place.engine)

    def disable(self) -> None:
        """For a binding that says `enabled: false`: it never works and is no fault."""
        self._status, self._reason = DISABLED, "enabled: false"
        self.settled.set()

    async def drain(self) -> None:
        """Returns when everything offered has left or was dropped; a model is waited for only if events are."""
        if len(self._waiting):
            await self.settled.wait()
        if self.journey is not None:
            await self.journey.drain()
        if self._outgoing:
            await asyncio.wait(self._outgoing)

    @property
    def queued(self) -> int:
        """Events that wait for their turn."""
        return len(self._waiting) + (self.journey.queued if self.journey is not None else 0)

    @property
    def unfinished(self) -> int:
        """Events that wait or are under way."""
        return len(self._waiting) + (self.journey.unfinished if self.journey is not None else 0)

    async def _rest(self, reason: str) -> None:
        """Inactive until cancelled: says why, once in the log and to each device that asks."""
        self._status, self._reason = INACTIVE, reason
        log.error("profile %s: binding %s is inactive: %s", self.binding.profile, self.binding.name, reason)
        for item in tuple(self._waiting.take(len(self._waiting))):
            self._refuse(item)
        self.settled.set()
        keep_alive = self.binding.publish.keep_alive
        if keep_alive is None:
            await asyncio.Event().wait()
            return
        while True:
            await asyncio.sleep(keep_alive)
            for device in tuple(self._announced):
                self._say(device)

    def _refuse(self, item: Item) -> None:
        self.measures.dropped.add("inactive")
        item.receipt.release()
        device = item.event.device_name
        if not self._announced.get(device) and len(self._announced) < _MOST_DEVICES:
            self._announced[device] = True
            self._say(device, item.event.origin)

    def _say(self, device: str, origin: int | None = None) -> None:
        task = asyncio.create_task(self._publish_status(device, origin), name=f"{self.binding.name} status")
        self._outgoing.add(task)
        task.add_done_callback(self._outgoing.discard)

    async def _publish_status(self, device: str, origin: int | None) -> None:
        outlet = self._place.outlet
        when = outlet.wall_clock() if origin is None else origin
        messages = outlet.sender.status(self.binding, device, INACTIVE, self._reason, origin=when)
        try:
            await outlet.publish(messages)
        except TransportError:
            self._announced[device] = False  # its next event tries again
        except MessageError as error:
            log.debug("binding %s: status not published: %s", self.binding.name, error)
