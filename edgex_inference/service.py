"""The composition root: builds everything by hand, runs it, and takes it down in order."""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import Any, cast

from edgex_inference.bindings.book import Book
from edgex_inference.bindings.book import load as load_book
from edgex_inference.bindings.remote import NO_RECORDS
from edgex_inference.buses.bursts import at_hand
from edgex_inference.config.load import Loaded
from edgex_inference.config.schema import CORE_METADATA, Writable
from edgex_inference.config.secrets import Secrets
from edgex_inference.contracts.bus import Bursts, Bus, Refusal
from edgex_inference.contracts.errors import Problem, RegistryUnavailable, SetupError, TransportError
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import topics
from edgex_inference.edgex.providers.presence import Presence
from edgex_inference.engine.catalog import Catalog
from edgex_inference.opening import dialect_of, open_commands, open_engine, with_outbox
from edgex_inference.pipeline.alerting.lookout import Lookout
from edgex_inference.pipeline.emission import Outlet
from edgex_inference.pipeline.live import take_up
from edgex_inference.pipeline.measuring.ledger import Ledger
from edgex_inference.pipeline.measuring.reporting import Reporter
from edgex_inference.pipeline.outbox import Outbox
from edgex_inference.pipeline.overview import Overview
from edgex_inference.pipeline.platform.platform import Platform
from edgex_inference.pipeline.polling.poller import Poller
from edgex_inference.pipeline.publishing.emit import Sender
from edgex_inference.pipeline.router import Router
from edgex_inference.pipeline.running.order import Order, Workplace
from edgex_inference.pipeline.running.run import Run
from edgex_inference.pipeline.running.supervision import supervised
from edgex_inference.pipeline.running.upkeep import Upkeep
from edgex_inference.web.app import build as build_app
from edgex_inference.web.server import serve

log = logging.getLogger(__name__)

_PATIENCE = 10
"""Times that a task is asked to end, half a second apart, before it is left behind."""

_LOOK = 0.5
"""Seconds between two looks at the files of profiles and models."""

_FAIR = 512
"""Messages read in a row before results and timers get their turn."""


class Service:
    """One service on one bus: `run` works until `stop`; `started` is set when it takes messages.

    The bus is opened and closed here. `book` and `catalog` are read from disk and entry points unless given.
    `presence` is the registry and the configuration provider, none of either unless given.
    """

    def __init__(
        self,
        loaded: Loaded,
        bus: Bus,
        *,
        catalog: Catalog | None = None,
        book: Book | None = None,
        presence: Presence | None = None,
    ) -> None:
        self.loaded = loaded
        self.presence = presence or Presence(loaded=loaded)
        self.bus = with_outbox(loaded, bus)
        self.secrets = Secrets(loaded.config.writable.insecure_secrets)
        self.engine = open_engine(loaded, catalog, self.secrets)
        self._upkeep = Upkeep(loaded.profiles, self.engine.store)
        self.book = (book or load_book(loaded.profiles)).overridden(loaded.config.writable.inference_bindings)
        self.sender = Sender(service_key=loaded.service_key, dialect=dialect_of(loaded))
        largest = loaded.config.inference.max_message_size << 10
        self.router = Router(self.book, self._start, sender=self.sender, max_bytes=largest)
        self.ledger = Ledger()
        self.reporter = self._reporter(bus)
        self.platform = self._platform()
        self.lookout = Lookout(self.bus, self.sender, self.router, self.platform, self.presence)
        self.view = self._overview()
        self._poller = Poller(open_commands(loaded, self.presence), self.router)
        self.router.heard = self._poller.hear
        self.started = asyncio.Event()
        self.port = 0
        self._stopping, self._listening, self._looking = (asyncio.Event() for _ in range(3))
        self._records = NO_RECORDS
        self._through: list[Message] = []
        self._working: set[Run] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pixels = ThreadPoolExecutor(thread_name_prefix="pixels")

    def _reporter(self, bus: Bus) -> Reporter:
        """Metrics go to the bus itself: old ones are not worth keeping on disk."""
        return Reporter(
            lambda: self.loaded.config.writable.telemetry,
            lambda: self.view.points(),
            bus.publish,
            lambda: self.sender,
        )

    def _platform(self) -> Platform | None:
        return Platform.of(
            self.loaded,
            self.bus,
            self.sender.dialect,
            runs=lambda: self.router.runs,
            changed=self.look,
            locate=partial(self.presence.find, CORE_METADATA),
            startup=self.presence.patience.startup.duration,
        )

    def _overview(self) -> Overview:
        return Overview(
            bus=self.bus,
            outbox=self.bus if isinstance(self.bus, Outbox) else None,
            router=self.router,
            ledger=self.ledger,
            loaded=lambda: self.loaded,
            sender=lambda: self.sender,
            lookout=self.lookout,
            lost=lambda: self.reporter.lost,
            secret=self.store_secret,
            compiling=lambda: self.engine.fleet.compiling,
        )

    def apply(self, loaded: Loaded) -> None:
        """Takes up the Writable part of a configuration that changed; what cannot change now is said."""
        before, known = self.loaded.config, self.secrets.configured
        known_before = replace(before, writable=replace(before.writable, insecure_secrets=known))
        live = take_up(known_before, loaded.config, self.book)
        self.secrets.take_up(live.config.writable.insecure_secrets)
        self._use(live.config.writable)
        self._report(live.problems)
        if live.book is not None:
            self.use(live.book)
        telemetry = live.config.writable.telemetry
        if telemetry != before.writable.telemetry:
            self.reporter.changed()
            log.info("Writable.Telemetry has changed: metrics every %g s", telemetry.interval)

    async def store_secret(self, name: str, values: Mapping[str, str]) -> str:
        """Takes up values of a secret that somebody posted; why a provider does not keep them, else empty."""
        self.secrets.store(name, values)
        self._use(self.loaded.config.writable)
        log.info("the secret %r has new values of %s", name, ", ".join(sorted(values)))
        bus = self.loaded.config.message_bus
        if name == bus.secret_name and bus.auth_mode != "none":
            log.warning("the secret %r: the message bus logs in with it at the next start", name)
        try:
            await self.presence.keep(self.secrets.texts(name, values))
        except (RegistryUnavailable, SetupError) as error:
            return str(error)
        return ""

    def _use(self, writable: Writable) -> None:
        writable = replace(writable, insecure_secrets=self.secrets.entries())
        self.loaded = replace(self.loaded, config=replace(self.loaded.config, writable=writable))

    def look(self) -> None:
        """Looks at profiles and models at once; it does so twice a second anyway."""
        self._looking.set()

    def use(self, book: Book) -> None:
        """Takes up another book: what has changed in it is drawn anew, the rest goes on untouched."""
        known, self.book = frozenset(self.book.problems), book
        self._report(problem for problem in book.problems if problem not in known)
        self.router.use(book)
        self._start_known()
        self._poller.align(book)
        self._upkeep.follow(self._models)

    def stop(self) -> None:
        """Asks `run` to drain and return; legal at any time, more than once, from a signal handler."""
        self._stopping.set()

    async def run(self) -> None:
        """Opens everything, works until `stop`, drains and closes; raises SetupError when it cannot start."""
        self._report_folder()
        self._report(self.book.problems)
        config = self.loaded.config
        async with AsyncExitStack() as stack:
            stack.callback(self._pixels.shutdown, cancel_futures=True)
            stack.push_async_callback(self.engine.fleet.close)
            app = build_app(self.view, config.service, largest=config.inference.max_message_size)
            listening = await stack.enter_async_context(
                serve(app, config.service.bind_address, config.service.port)
            )
            self.port = listening.port
            stack.push_async_callback(self.presence.leave)
            await self._unless_stopped(self.presence.register(self.port))
            stack.push_async_callback(self.bus.close)
            if self.platform is not None:
                stack.push_async_callback(self.platform.close)
            stack.push_async_callback(self.lookout.close)
            stack.push_async_callback(self._end_tasks)
            if self.platform is not None and await self._unless_stopped(self.platform.first()):
                await self._follow_platform(self.platform)
                self._spawn("core-metadata", self.platform.follow)
                self._spawn("companions", self.platform.register)
            stack.push_async_callback(self._poller.close)
            self._start_known()
            self._poller.align(self.book)
            self._spawn("files", self._follow_files)
            self._spawn("metrics", self.reporter.work)
            self._spawn("configuration provider", partial(self.presence.watch, self.bus, self.apply))
            self.lookout.start(self._spawn)
            reader = self._spawn("bus reader", self._read)
            if await self._unless_stopped(self._listening.wait(), reader):
                await self.bus.open()  # now, since a broker sends at once what it kept for this client
                self.started.set()
                log.info("%s; %s:%d", config.service.startup_msg, listening.host, listening.port)
            await self._until_stopped(reader)
            await self._drain()

    async def _unless_stopped(self, work: Coroutine[Any, Any, Any], *others: asyncio.Task[None]) -> bool:
        """Whether the work was done before somebody asked to stop, and before any of the others."""
        doing, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((doing, stopping, *others), return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                doing.result()
            return doing.done()
        finally:
            doing.cancel()
            stopping.cancel()

    async def _until_stopped(self, reader: asyncio.Task[None]) -> None:
        """Waits for `stop`, then takes nothing more; raises the SetupError that keeps the reader from reading."""
        stopping = self._spawn("stop", self._stopping.wait)
        await asyncio.wait((stopping, reader), return_when=asyncio.FIRST_COMPLETED)
        if reader.done() and (error := reader.exception()) is not None:
            raise error
        await stopping
        reader.cancel()
        await asyncio.wait((reader,))

    def _start_known(self) -> None:
        """Starts what has bindings before the first event: every profile read, every device of the devices files."""
        profiles = [(profile, "") for profile in self.book.profiles]
        for profile, device in (*profiles, *((one.profile, name) for name, one in self.book.devices.items())):
            self.router.runs_of(profile, device)

    @property
    def _models(self) -> frozenset[str]:
        return frozenset().union(*(run.models for run in self.router.runs))

    async def _follow_files(self) -> None:
        """Takes up profiles and models that have changed, once they lie still."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._looking.wait()
            self._looking.clear()
            self._upkeep.keep(self._models)
            changes = await asyncio.to_thread(self._upkeep.look)
            if changes.profiles:
                await self._read_book()
            if self.platform is not None:
                await self._follow_platform(self.platform)
            self._poller.speak(self.sender.dialect.major)
            for run in self.router.runs:
                if run.models & changes.models:
                    run.refresh()

    async def _read_book(self) -> None:
        book = await asyncio.to_thread(load_book, self.loaded.profiles, self.book, self._records)
        self.use(book.overridden(self.loaded.config.writable.inference_bindings))

    async def _follow_platform(self, platform: Platform) -> None:
        """Takes up what core-metadata says now."""
        platform.speak(self.sender)
        records = platform.records()
        if records is not self._records:
            gone = self._records.devices.keys() - records.devices.keys()
            self._records = records
            await self._read_book()
            for device in gone:
                self.router.forget(device)
        self.router.bar(platform.barred())

    def _report_folder(self) -> None:
        if not self.loaded.profiles.is_dir():
            log.warning(
                "Inference.ProfilesDir: %s is no folder: there is nothing to infer", self.loaded.profiles
            )

    def _report(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            log.log(logging.ERROR if problem.severity == "error" else logging.WARNING, "%s", problem)

    def _spawn(self, name: str, work: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(supervised(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _start(self, order: Order, before: Order | None) -> Run:
        """A run for a binding that the router meets for the first time."""
        place = Workplace(
            engine=self.engine,
            outlet=Outlet(
                publish=self._publish,
                publish_all=self._publish_all if isinstance(self.bus, Bursts) else None,
                at_once=isinstance(self.bus, Bursts) and self.bus.at_once,
                sender=self.sender,
            ),
            pixels=self._pixels,
        )
        run, binding = Run(order, place, before=before), order.binding
        self._upkeep.follow(run.models)
        self.ledger.enter(run)
        self._working.add(run)
        work = self._spawn(f"binding {binding.name} of {binding.profile}", run.work)
        work.add_done_callback(lambda _: self.ledger.leave(run))
        work.add_done_callback(lambda _: self._working.discard(run))
        return run

    async def _publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await self.bus.publish(message)

    async def _publish_all(self, messages: Sequence[Message]) -> Sequence[Refusal]:
        return await cast(Bursts, self.bus).publish_all(messages)

    async def _read(self) -> None:
        """Hands every message that arrives to the router, fairly; by Trigger.Type none comes from the bus."""
        if self.loaded.config.trigger.type == "http":
            self._listening.set()
            await self._stopping.wait()
            return
        wanted = [topics.under_base(self.sender.dialect, t) for t in self.loaded.config.trigger.topics]
        rest = deque[Message]()
        async with self.bus.subscribe(*wanted) as bursts:
            self._listening.set()
            try:
                async for burst in bursts:
                    rest.extend(burst)
                    while len(rest) > _FAIR:
                        self.router.take(_first(rest, _FAIR), self._acknowledge)
                        await asyncio.sleep(0)
                    self.router.take(_first(rest, len(rest)), self._acknowledge)
            finally:  # what has come is taken in, also when it is time to stop: the bus would acknowledge it unread
                rest.extend(await at_hand(bursts))
                self.router.take(_first(rest, len(rest)), self._acknowledge)

    def _acknowledge(self, message: Message) -> None:
        """Collects what is through, and tells the bus once for all of a turn of the loop."""
        self._through.append(message)
        if len(self._through) == 1:
            task = asyncio.get_running_loop().create_task(self._acknowledge_all(), name="acknowledge")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _acknowledge_all(self) -> None:
        through, self._through = self._through, []
        try:
            await self.bus.done(through)
        except TransportError as error:
            log.debug("not acknowledged: %s", error)

    async def _drain(self) -> None:
        """Lets what was taken in get out, within DrainTimeout; says what did not."""
        await self._poller.close()
        limit = self.loaded.config.inference.drain_timeout
        drained = asyncio.gather(*(run.drain() for run in self._working), return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await drained
        left = sum(run.unfinished for run in self._working)
        if left:
            log.warning("Inference.DrainTimeout: %d events were not through after %g s", left, limit)
        await self._acknowledge_all()

    async def _end_tasks(self) -> None:
        """Cancels until every task has ended: one cancellation can get lost in a library's clean-up."""
        left = set(self._tasks)
        for _ in range(_PATIENCE):
            for task in left:
                task.cancel()
            if not left:
                return
            _, left = await asyncio.wait(left, timeout=0.5)
        for task in left:
            log.error("%s does not end: a defect of ours", task.get_name())


def _first(rest: deque[Message], count: int) -> Iterator[Message]:
    """Lets go of each message as it is taken: a picture may hang on it."""
    for _ in range(count):
        yield rest.popleft()
