"""One task for each device of each polled binding: fetch when it is time, and offer what came."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from edgex_inference.bindings.book import Book
from edgex_inference.contracts.bindings import Binding, Poll
from edgex_inference.contracts.errors import EnvelopeError, SourceUnavailable
from edgex_inference.contracts.events import Event
from edgex_inference.edgex.commands import CommandClient
from edgex_inference.edgex.dialect import Major
from edgex_inference.edgex.ids import new_id
from edgex_inference.pipeline.emission import INACTIVE
from edgex_inference.pipeline.intake import Item, Receipt
from edgex_inference.pipeline.polling.edges import Edge
from edgex_inference.pipeline.router import Router
from edgex_inference.pipeline.running.run import Run

log = logging.getLogger(__name__)

_SPREAD = 1.0
"""Seconds over which the first fetches are spread, so that a thousand devices are not asked at once."""

_MOST_AT_ONCE = 32


@dataclass(slots=True, eq=False)
class _Pull:
    """The fetching for one device of one binding."""

    device: str
    run: Run
    binding: Binding
    fired: asyncio.Event = field(default_factory=asyncio.Event)
    work: "asyncio.Task[None] | None" = None
    edge: Edge | None = None

    @property
    def poll(self) -> Poll:
        assert self.binding.poll is not None
        return self.binding.poll

    def same(self, other: "_Pull") -> bool:
        """Whether another one fetches the same in the same way."""
        ours, theirs = (
            (one.poll, one.binding.trigger, one.commands, one.binding.limits.timeout) for one in (self, other)
        )
        return ours == theirs

    @property
    def commands(self) -> Sequence[str]:
        """What is read: the poll's command, else each resource of the binding."""
        if self.poll.command is not None:
            return (self.poll.command,)
        return tuple(dict.fromkeys(reading.resource for reading in self.binding.readings))


class Poller:
    """Fetches for all devices of the book whose bindings poll; `hear` gets every event of the bus, for triggers."""

    def __init__(
        self, client: CommandClient, router: Router, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._router = router
        self._clock = clock
        self._pulls: dict[tuple[str, int], _Pull] = {}
        self._triggers: dict[tuple[str, str], list[_Pull]] = {}
        self._gate = asyncio.Semaphore(_MOST_AT_ONCE)

    def align(self, book: Book) -> None:
        """Fetches for the devices and bindings that are in this book, and for no others."""
        wanted = {(pull.device, id(pull.run)): pull for pull in self._wanted(book)}
        for key, pull in tuple(self._pulls.items()):
            if key not in wanted or not pull.same(wanted[key]):
                self._end(self._pulls.pop(key))
        for key, pull in wanted.items():
            if key not in self._pulls:
                self._pulls[key] = pull
                name = f"{pull.device} polled for {pull.binding.name}"
                pull.work = asyncio.create_task(self._work(pull), name=name)
        self._triggers = {}
        for pull in self._pulls.values():
            trigger = pull.binding.trigger
            if trigger is not None and pull.poll.interval is None:
                pull.edge = pull.edge or Edge(trigger)
                self._triggers.setdefault((trigger.device or pull.device, trigger.resource), []).append(pull)

    def speak(self, major: Major | None) -> None:
        """Which EdgeX is asked."""
        self._client.major = major

    def hear(self, event: Event) -> None:
        """Looks for triggers in an event of the bus."""
        if not self._triggers:
            return
        for reading in event.readings:
            for pull in self._triggers.get((event.device_name, reading.resource_name), ()):
                if pull.edge is not None and pull.edge.happens(reading):
                    pull.fired.set()

    async def close(self) -> None:
        """Stops; legal at any time."""
        pulls, self._pulls, self._triggers = list(self._pulls.values()), {}, {}
        for pull in pulls:
            self._end(pull)
        works = [pull.work for pull in pulls if pull.work is not None]
        if works:
            await asyncio.wait(works)
        await self._client.close()

    def _wanted(self, book: Book) -> Iterable[_Pull]:
        for name, device in book.devices.items():  # one alone may poll: by a side-car, by its override
            if any(binding.poll is not None for binding in book.match(device.profile, name)):
                for run in self._router.runs_of(device.profile, name):
                    if run.binding.poll is not None and run.binding.enabled:
                        yield _Pull(device=name, run=run, binding=run.binding)

    def _end(self, pull: _Pull) -> None:
        if pull.work is not None:
            pull.work.cancel()

    async def _work(self, pull: _Pull) -> None:
        interval = pull.poll.interval
        await pull.run.settled.wait()
        due = self._clock() + random.uniform(0, min(interval or 0.0, _SPREAD))
        while True:
            if interval is None:
                await pull.fired.wait()
                pull.fired.clear()
                await asyncio.sleep(pull.binding.trigger.delay if pull.binding.trigger is not None else 0.0)
            else:
                await asyncio.sleep(max(0.0, due - self._clock()))
                due = max(due + interval, self._clock())  # what was missed meanwhile is not made up for
            try:
                await self._fetch(pull)
            except Exception as error:  # noqa: BLE001 - one device's surprise must not end its polling
                log.error("%s: a defect of ours: %r", pull.device, error)

    async def _fetch(self, pull: _Pull) -> None:
        run, device = pull.run, pull.device
        if self._router.barred(device) is not None:
            return
        if run.journey is None:
            if run.status == INACTIVE:
                run.tell(device, run.reason)
            return
        arrived, correlation = self._clock(), new_id()
        try:
            async with self._gate:
                event = await self._event(pull)
        except (SourceUnavailable, EnvelopeError) as error:
            item = Item(_nothing(pull), correlation, arrived, Receipt(_nobody))
            if run.journey is not None:
                run.measures.events.add("received")
                await run.journey.missed(item, SourceUnavailable(str(error)))
        else:
            run.offer(Item(event, correlation, arrived, Receipt(_nobody)))

    async def _event(self, pull: _Pull) -> Event:
        limit = pull.binding.limits.timeout
        found = [
            await self._client.get(pull.device, command, pull.poll.query, timeout=limit)
            for command in pull.commands
        ]
        if len(found) == 1:
            return found[0]
        readings = tuple(reading for event in found for reading in event.readings)
        return replace(found[0], readings=readings, origin=max(event.origin for event in found))


def _nothing(pull: _Pull) -> Event:
    """Stands for what could not be fetched."""
    return Event(
        api_version="v3",
        id=new_id(),
        device_name=pull.device,
        profile_name=pull.binding.profile,
        origin=time.time_ns(),
        readings=(),
    )


def _nobody() -> None:
    """Nobody waits for an acknowledgement of what was fetched."""
