"""Store and forward: a bus around a bus that keeps on disk what cannot leave, and sends it first when it can."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

from edgex_inference.buses.bursts import side_by_side
from edgex_inference.contracts.bus import Bursts, Bus, Refusal
from edgex_inference.contracts.errors import BusUnavailable, MessageError, TransportError
from edgex_inference.contracts.messages import Message
from edgex_inference.pipeline.shelf import Kept, Shelf
from edgex_inference.telemetry.metrics import Counts

log = logging.getLogger(__name__)

OUTBOX = ("stored", "forwarded", "outboxFull", "outboxAge", "outboxRefused")
"""What becomes of messages that found the bus away."""

_BATCH = 64
_LOOK = 0.1
"""Seconds between two looks at whether the bus is back while something waits."""

Found = TypeVar("Found")


class Outbox:
    """Publishes on `bus`; what finds it away is kept in `file` and leaves, in order, before anything newer.

    `most` is in bytes, `max_age` in seconds; the oldest have to go first. Delivery is at least once: what was under
    way when the bus broke off may arrive twice. `counts` has the words of OUTBOX.
    """

    def __init__(self, bus: Bus, file: Path, *, most: int, max_age: float) -> None:
        self.counts = Counts()
        self._bus = bus
        self._file = file
        self._shelf = Shelf(file, most=most, max_age=max_age)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._usable = False
        self._waiting = 0
        self._pending: list[tuple[Message, asyncio.Future[None]]] = []
        self._through = asyncio.Event()
        self._through.set()
        self._turn, self._behind = asyncio.Lock(), 0  # those that wait for `_through` go on in their order
        self._stored = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._forwarding: asyncio.Task[None] | None = None
        self._said = False

    @property
    def waiting(self) -> int:
        """Messages that wait for the bus."""
        return self._waiting

    @property
    def connected(self) -> bool:
        return self._bus.connected

    async def open(self) -> None:
        """Opens the bus and the file; without the file it is the bus alone, and says so."""
        if self._forwarding is None:
            try:
                self._waiting = await self._do(self._shelf.open)
                self._usable = True
            except (OSError, sqlite3.Error) as error:
                log.warning("%s: results are not kept while the bus is away: %s", self._file, _words(error))
            if self._waiting:
                log.info("%s: %d messages of last time wait for the bus", self._file, self._waiting)
                self._said = True
                self._stored.set()
            self._forwarding = asyncio.create_task(self._forward(), name="outbox")
        await self._bus.open()

    async def close(self) -> None:
        forwarding, self._forwarding = self._forwarding, None
        if forwarding is not None:
            forwarding.cancel()
            await asyncio.wait((forwarding,))
        if self._writing is not None:
            await asyncio.wait((self._writing,))
        await self._bus.close()
        if self._usable:
            self._usable = False
            if self._waiting:
                log.warning("%s: %d messages wait for the next start", self._file, self._waiting)
            await self._do(self._shelf.close)
        self._thread.shutdown(wait=False)

    async def publish(self, message: Message) -> None:
        """Returns when the message is out or on disk; raises BusUnavailable when neither can be."""
        if self._behind or not self._through.is_set():
            self._behind += 1
            try:
                async with self._turn:
                    await self._through.wait()
            finally:
                self._behind -= 1
        if not self._waiting:
            try:
                await self._bus.publish(message)
                return
            except TransportError:
                if not self._usable:
                    raise
        await self._keep(message)

    @property
    def at_once(self) -> bool:
        return self._bus.at_once if isinstance(self._bus, Bursts) else True

    async def publish_all(self, messages: Sequence[Message]) -> Sequence[Refusal]:
        """As `publish` for each in its turn."""
        held_up = self._waiting or self._behind or not self._through.is_set()
        if held_up or not isinstance(self._bus, Bursts):
            return await side_by_side(self.publish, messages)
        found = list(await self._bus.publish_all(messages))
        missed = [at for at, refusal in enumerate(found) if isinstance(refusal, TransportError)]
        if missed and self._usable:
            kept = await side_by_side(self._keep, [messages[at] for at in missed])
            for at, refusal in zip(missed, kept, strict=True):
                found[at] = refusal
        return found

    def subscribe(self, *topics: str) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Message]]]:
        return self._bus.subscribe(*topics)

    async def done(self, messages: Sequence[Message]) -> None:
        await self._bus.done(messages)

    async def _keep(self, message: Message) -> None:
        self._waiting += 1  # at once: whoever comes next must queue up behind it
        kept = asyncio.get_running_loop().create_future()
        self._pending.append((message, kept))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="outbox writes")
        await kept

    async def _write(self) -> None:
        """Writes what has come together; one transaction for all of it."""
        try:
            while self._pending:
                pending, self._pending = self._pending, []
                await self._write_all(pending)
        finally:
            self._writing = None

    async def _write_all(self, pending: Sequence[tuple[Message, "asyncio.Future[None]"]]) -> None:
        messages = [message for message, _ in pending]
        try:
            gone = await self._do(lambda: self._shelf.add(messages))
        except sqlite3.Error as error:
            self._waiting -= len(pending)
            failure = BusUnavailable(
                f"the message bus is away, and {self._file} takes nothing: {_words(error)}"
            )
            for _, kept in pending:
                if not kept.done():
                    kept.set_exception(failure)
            return
        self._waiting -= gone
        self.counts.add("stored", len(messages))
        self.counts.add("outboxFull", gone)
        if not self._said:
            self._said = True
            log.warning("the message bus is away: results are kept in %s", self._file)
        self._stored.set()
        for _, kept in pending:
            if not kept.done():
                kept.set_result(None)

    async def _forward(self) -> None:
        while True:
            await self._stored.wait()
            if not self._bus.connected:
                await asyncio.sleep(_LOOK)
                continue
            try:
                held_up = not await self._forward_some()
            except Exception as error:  # noqa: BLE001 - what waits is kept, whatever goes wrong
                log.error("%s: %s", self._file, _words(error))
                held_up = True
            finally:
                self._through.set()
            if held_up:
                await asyncio.sleep(_LOOK)

    async def _forward_some(self) -> bool:
        """Sends the oldest; whether all of them have left."""
        old = await self._do(self._shelf.drop_old)
        self._waiting -= old
        self.counts.add("outboxAge", old)
        batch = await self._do(lambda: self._shelf.first(_BATCH))
        if self._waiting <= _BATCH:  # the last ones: what is newer waits a moment, and then goes out directly
            self._through.clear()
            if self._writing is not None:
                await asyncio.wait((self._writing,))
            batch = await self._do(lambda: self._shelf.first(2 * _BATCH))
        fates = await self._send(batch)
        gone = await self._do(
            lambda: self._shelf.remove(fates)
        )  # the rest had to go for want of room meanwhile
        for id in gone:
            self.counts.add(fates[id])
        self._waiting -= len(gone)
        if self._waiting <= 0 and not self._pending:
            self._stored.clear()
            self._said = False
            log.info("what was kept while the message bus was away is out")
        return len(fates) == len(batch)

    async def _send(self, batch: Sequence[Kept]) -> Mapping[int, str]:
        """What became of those that have left, or never can, by id; the words are those of OUTBOX."""
        answers = await asyncio.gather(
            *(self._bus.publish(one.message) for one in batch), return_exceptions=True
        )
        fates: dict[int, str] = {}
        for one, answer in zip(batch, answers, strict=True):
            if isinstance(answer, TransportError):
                break  # from here on in order, once the bus is back
            if isinstance(answer, asyncio.CancelledError):
                raise answer
            if answer is not None:
                level = logging.WARNING if isinstance(answer, MessageError) else logging.ERROR
                log.log(level, "%.300s; dropped as outboxRefused", answer)
            fates[one.id] = "forwarded" if answer is None else "outboxRefused"
        return fates

    async def _do(self, work: Callable[[], Found]) -> Found:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _words(error: Exception) -> str:
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return "another process uses it"
    return getattr(error, "strerror", None) or str(error)
