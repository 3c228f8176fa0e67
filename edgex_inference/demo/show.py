"""The demo as a whole: starts broker, service, audience and devices, ends them in order, sums up."""

import asyncio
import io
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

from edgex_inference.bindings.book import Book
from edgex_inference.config.load import Loaded
from edgex_inference.contracts.bus import Bus
from edgex_inference.contracts.errors import ConfigurationError, SetupError
from edgex_inference.demo.audience import Audience
from edgex_inference.demo.board import Board, Panel
from edgex_inference.demo.broker import EmbeddedBroker
from edgex_inference.demo.devices import CAMERA, SPINDLE, Camera, Device, VibrationSensor, play
from edgex_inference.demo.scoring import FaultScore, PartScore
from edgex_inference.demo.stage import BINDINGS, HTTP_PORTS, book, configuration, connection, fates, idle
from edgex_inference.demo.summary import Summary, summarize
from edgex_inference.demo.view import LiveView, save_picture, view_for
from edgex_inference.demo.world.conveyor import LABELS
from edgex_inference.edgex import topics
from edgex_inference.edgex.dialect import Dialect, Major
from edgex_inference.opening import open_bus
from edgex_inference.service import Service
from edgex_inference.telemetry import logs

_REFRESH = 0.25
_PATIENCE = 10.0
_LEAD = 200_000_000
"""Nanoseconds from the order to start to the first picture, which has to be drawn."""
_LAST_RESULTS, _LOOK = 2.0, 0.02
"""Seconds that results have to come in after the devices have stopped, and how often that is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked of the demo; `seconds` None: until it is stopped, `port` None: 1883 or the next free one."""

    seed: int
    major: Major = "4"
    seconds: float | None = None
    port: int | None = None
    accelerator: str = ""
    svg: Path | None = None


class Show:
    """One run of the demo. `out` gets the view, `echo` the AddEventRequest of each published event."""

    def __init__(self, wish: Wish, out: TextIO, echo: Callable[[bytes], None] | None = None) -> None:
        self._wish, self._out, self._echo = wish, out, echo
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def stop(self) -> None:
        """Ends the run early, with its summary; legal at any time."""
        self._stopping.set()

    async def run(self) -> Summary:
        """Plays until the time is up or `stop`; raises SetupError when it cannot start."""
        wish = self._wish
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="edgex-inference-demo-")))
            bindings = book(folder, wish.accelerator)
            broker = EmbeddedBroker()
            port = await broker.start(wish.port)
            stack.push_async_callback(broker.stop)
            audience = self._audience(port)
            self._open_view(stack, audience.board)
            stack.push_async_callback(self._end, self._tasks)
            drawn = asyncio.create_task(asyncio.to_thread(_devices, wish))
            await self._subscribe(stack, connection("demo-audience", port), audience)
            service = await self._open_service(
                stack, lambda http: _service(configuration(folder, port, wish.major, http), bindings)
            )
            self._said.release(forget=bool(idle(service)))
            if idle(service):
                raise SetupError(idle(service))
            seconds = await self._play(
                audience, [(made, await self._plug(stack, made, port)) for made in await drawn]
            )
            if wish.svg is not None:
                save_picture(audience.board, wish.svg)
            return summarize(audience, seconds, fates(service))

    def _audience(self, port: int) -> Audience:
        wish = self._wish
        results = topics.under_base(Dialect(major=wish.major), f"events/device/{topics.SERVICE_KEY}/#")
        board = Board(
            title=f"edgex-inference demo · EdgeX {wish.major} · seed {wish.seed}",
            listen=f"mosquitto_sub -h localhost -p {port} -t '{results}' -v",
            panels=tuple(Panel(binding=BINDINGS[n.profile], device=n.device) for n in (CAMERA, SPINDLE)),
            duration=wish.seconds,
        )
        return Audience(board=board, parts=PartScore(labels=LABELS), fault=FaultScore(), echo=self._echo)

    def _open_view(self, stack: AsyncExitStack, board: Board) -> None:
        view = view_for(board, self._out)
        said = self._said = _Said(board, live=isinstance(view, LiveView))
        logs.configure(topics.SERVICE_KEY, level="WARN", stream=said)
        stack.callback(said.repeat)
        view.open()
        stack.callback(view.close)

        async def refresh() -> None:
            while True:
                await asyncio.sleep(_REFRESH)
                view.refresh()

        self._spawn(refresh())

    async def _subscribe(self, stack: AsyncExitStack, bus: Bus, audience: Audience) -> None:
        """Subscribes to the results before there are any."""
        await self._connect(stack, bus)
        topic = topics.under_base(Dialect(), f"events/device/{topics.SERVICE_KEY}/#")
        bursts = await stack.enter_async_context(bus.subscribe(topic))

        async def hear() -> None:
            async for burst in bursts:
                for message in burst:
                    audience.hear(message)

        self._spawn(hear())

    async def _open_service(self, stack: AsyncExitStack, make: Callable[[int], Service]) -> Service:
        """The service once it listens and every binding has its model, or never will."""
        for http_port in HTTP_PORTS:
            service = make(http_port)
            try:
                await self._start(stack, service)
            except ConfigurationError:
                if http_port == HTTP_PORTS[-1]:
                    raise
                await service.bus.close()
            else:
                break
        for run in service.router.runs:
            await self._or_over(run.settled.wait())
        return service

    async def _start(self, stack: AsyncExitStack, service: Service) -> None:
        await self._connect(stack, service.bus)
        task = self._spawn(service.run())

        async def end() -> None:
            service.stop()
            await asyncio.wait([task])

        stack.push_async_callback(end)
        try:
            await self._or_over(service.started.wait())
        except ConfigurationError:
            self._tasks.remove(task)
            raise

    async def _plug(self, stack: AsyncExitStack, device: Device, port: int) -> Bus:
        """A device's own connection."""
        bus = connection(device.names.service, port)
        await self._connect(stack, bus)
        return bus

    async def _connect(self, stack: AsyncExitStack, bus: Bus) -> None:
        await bus.open()
        stack.push_async_callback(bus.close)
        deadline = time.monotonic() + _PATIENCE
        while not bus.connected:
            if time.monotonic() > deadline:
                raise SetupError("the demo's own broker does not answer")
            await asyncio.sleep(0.01)

    async def _play(self, audience: Audience, devices: Sequence[tuple[Device, Bus]]) -> float:
        """Lets the devices send for the time wished, then waits for the last results; returns the seconds played."""
        board = audience.board
        board.started = start = time.time_ns() + _LEAD
        playing = [self._spawn(play(device, bus, start, audience.expect)) for device, bus in devices]
        seconds = self._wish.seconds
        await self._or_over(
            asyncio.Event().wait() if seconds is None else asyncio.sleep(seconds + _LEAD / 1e9)
        )
        played = board.elapsed(time.time_ns())
        await self._end(playing)
        for _ in range(round(_LAST_RESULTS / _LOOK)):
            if not audience.waits(time.time_ns() - round(_LAST_RESULTS * 1e9)):
                break
            await asyncio.sleep(_LOOK)
        return played

    async def _or_over(self, waited: Coroutine[Any, Any, Any]) -> None:
        """Returns when `waited` is through or the show is over; raises what any part of it raised."""
        ends = [asyncio.ensure_future(waited), asyncio.ensure_future(self._stopping.wait())]
        try:
            done, _ = await asyncio.wait([*ends, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        for task in done:
            task.result()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Said(io.StringIO):
    """Log lines that must wait: until the start is over, or the terminal is free again.

    While the terminal is the view's they are shown in its log of events.
    """

    def __init__(self, board: Board, *, live: bool) -> None:
        super().__init__()
        self._board, self._live, self._direct = board, live, False

    def write(self, text: str, /) -> int:
        if self._direct:
            return sys.stderr.write(text)
        if self._live:
            message = text.partition(" msg=")[2].strip() or text.strip()
            self._board.log(message.strip('"'), time.time_ns(), "warning")
        return super().write(text)

    def release(self, *, forget: bool = False) -> None:
        """The start is over; `forget` what was said, where it is said otherwise."""
        if forget or not self._live:
            self.repeat(forget=forget)
        self._direct = not self._live

    def repeat(self, *, forget: bool = False) -> None:
        """Says what waited on standard error."""
        if not forget:
            print(self.getvalue(), end="", file=sys.stderr)
        self.seek(0)
        self.truncate()


def _service(loaded: Loaded, bindings: Book) -> Service:
    return Service(loaded, open_bus(loaded), book=bindings)


def _devices(wish: Wish) -> Sequence[Device]:
    dialect = Dialect(major=wish.major)
    return Camera(wish.seed, dialect), VibrationSensor(wish.seed, dialect)
