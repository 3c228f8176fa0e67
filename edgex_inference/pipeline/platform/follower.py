"""Following core-metadata: everything at once, then each change by its system event, and all again now and then."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgex_inference.contracts.bus import Bus
from edgex_inference.contracts.errors import (
    ConfigurationError,
    MessageError,
    MetadataUnavailable,
    Problem,
    TransportError,
)
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex.metadata import changes
from edgex_inference.edgex.metadata.changes import Change
from edgex_inference.edgex.metadata.client import MetadataClient
from edgex_inference.edgex.metadata.mirror import KINDS, Mirror, write

log = logging.getLogger(__name__)

_FIRST = 3.0
"""Seconds that a start waits for a core-metadata that it can do without."""

_SHORTEST, _LONGEST = 1.0, 30.0
_LOOK = 0.5
"""Seconds between two looks at whether the bus is back: what was said meanwhile was missed."""

_POLL = 1.5
"""Seconds between two readings of everything where EdgeX tells nobody of changes."""

_STILL = 2.0
"""Seconds without a change before the copy is written to disk, so that a flood of changes is written once."""

_MOST_NAMED = 5
_MOST_MEANWHILE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """How core-metadata is followed: `interval` and `startup` in seconds, `copy` is the file of what was known last."""

    required: bool = False
    interval: float = 60.0
    startup: float = 60.0
    copy: Path | None = None


class Follower:
    """Keeps `mirror` in line with core-metadata, calls `changed` when something in it has changed.

    `topic` is where the system events are, base and all.
    """

    def __init__(
        self, client: MetadataClient, bus: Bus, topic: str, following: Following, changed: Callable[[], None]
    ) -> None:
        self.mirror = Mirror()
        self.trouble = ""
        self._client = client
        self._bus = bus
        self._topic = topic
        self._following = following
        self._changed = changed
        self._reached = False
        self._asked = asyncio.Event()
        self._unsaved = 0.0
        self._warned: set[str] = set()
        self._reading = False
        self._meanwhile: deque[Change] = deque(maxlen=_MOST_MEANWHILE)

    @property
    def reached(self) -> bool:
        """Whether core-metadata itself has been heard, not only the copy of it."""
        return self._reached

    def ask(self) -> None:
        """Reads everything again, now."""
        self._asked.set()

    async def first(self) -> None:
        """Reads everything for a start, or takes the copy of last time; raises ConfigurationError where required."""
        deadline = time.monotonic() + (self._following.startup if self._following.required else 0.0)
        delay = _SHORTEST
        while True:
            try:
                async with asyncio.timeout(_FIRST):
                    await self._read()
                return
            except (MetadataUnavailable, TimeoutError) as error:
                reason = self._reason(error)
            if not self._following.required:
                await self._fall_back(reason)
                return
            self._lost(reason, "it is required, so the start waits for it")
            if time.monotonic() + delay > deadline:
                raise ConfigurationError(
                    [Problem(file="Inference.Metadata", path="", message=f"required, but {reason}")]
                )
            await asyncio.sleep(delay)

    async def work(self) -> None:
        """Follows until cancelled."""
        async with self._bus.subscribe(self._topic) as bursts, asyncio.TaskGroup() as group:
            group.create_task(self._listen(bursts), name="core-metadata's system events")
            group.create_task(self._save_now_and_then(), name="copy of core-metadata")
            await self._reconcile_for_ever()

    async def _reconcile_for_ever(self) -> None:
        delay, connected = _SHORTEST, self._bus.connected
        while True:
            heard = connected and not self.trouble
            try:
                missed = await self._read()
            except MetadataUnavailable as error:
                self._lost(self._reason(error), "what is known of it goes on")
                wait, delay = delay * random.uniform(0.75, 1.25), min(_LONGEST, delay * 2)
            else:
                wait, delay = self._following.interval or float("inf"), _SHORTEST
                if self._client.api == "v2":  # no word of profiles before EdgeX 3, of anything before 2.3
                    wait = min(wait, _POLL)
                elif missed and heard:
                    log.info("core-metadata: without a system event: %s", _named(missed))
            connected = await self._rest(wait, self._bus.connected)

    async def _rest(self, seconds: float, connected: bool) -> bool:
        """Waits until it is time to read everything again; returns whether the bus was there all the time."""
        due = time.monotonic() + seconds
        whole = connected
        while (left := due - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(min(_LOOK, left)):
                    await self._asked.wait()
                self._asked.clear()
                return whole
            except TimeoutError:
                pass
            now = self._bus.connected
            whole = whole and now
            if now and not connected:
                return whole
            connected = now
        return whole

    async def _listen(self, bursts: AsyncIterator[Sequence[Message]]) -> None:
        async for burst in bursts:
            taken = [self._take(message) for message in burst]
            if any(taken):
                self._note_change()
            try:
                await self._bus.done(burst)
            except TransportError as error:
                log.debug("not acknowledged: %s", error)

    def _take(self, message: Message) -> bool:
        try:
            change = changes.read(message)
        except MessageError as error:
            level = logging.DEBUG if error.reason in self._warned else logging.WARNING
            self._warned.add(error.reason)
            log.log(level, "%.300s; dropped as %s", error, error.reason)
            return False
        if change is None:
            return False
        if self._reading:
            self._meanwhile.append(change)
        return self.mirror.take(change)

    async def _read(self) -> Sequence[str]:
        """Everything anew; returns what is different from what was known."""
        self._meanwhile.clear()
        self._reading = True
        try:
            return await self._read_all()
        finally:
            self._reading = False

    async def _read_all(self) -> Sequence[str]:
        version = await self._client.version()
        different: list[str] = []
        lists = [(kind, await self._client.all(kind)) for kind in KINDS]
        for kind, records in lists:
            different += (f"{kind} {name}" for name in self.mirror.replace(kind, records))
        for change in self._meanwhile:  # a list may have been read before what its system event tells of
            self.mirror.take(change)
        news = bool(different) or version != self.mirror.version
        self.mirror.version = version
        self._found(version)
        if news:
            self._note_change()
        return different

    def _note_change(self) -> None:
        self._unsaved = time.monotonic()
        self._changed()

    def _found(self, version: str) -> None:
        if self.trouble or not self._reached:
            counts = ", ".join(f"{len(self.mirror.records(kind))} {kind}s" for kind in KINDS)
            back = "is back" if self.trouble else "answers"
            log.info("core-metadata %s at %s %s: %s", version, self._client.url, back, counts)
        self.trouble, self._reached = "", True

    def _lost(self, reason: str, consequence: str) -> None:
        """Said once, until it is back."""
        if not self.trouble:
            expected = self._reached or self._following.required or self.mirror.version
            log.log(logging.WARNING if expected else logging.INFO, "%s: %s", reason, consequence)
        self.trouble = reason

    async def _fall_back(self, reason: str) -> None:
        file = self._following.copy
        kept = await asyncio.to_thread(Mirror.load, file, self._client.url) if file is not None else None
        if kept is None:
            self._lost(reason, "profiles and devices come from files until it answers")
            return
        self.mirror = kept
        self._lost(reason, f"the copy of last time is in force ({file})")
        self._changed()

    def _reason(self, error: Exception) -> str:
        if isinstance(error, MetadataUnavailable):
            return str(error)
        return f"core-metadata at {self._client.url} does not answer within {_FIRST:g} s"

    async def _save_now_and_then(self) -> None:
        file = self._following.copy
        while file is not None:
            await asyncio.sleep(_STILL)
            if self._unsaved and time.monotonic() - self._unsaved >= _STILL:
                self._unsaved = 0.0
                try:
                    await asyncio.to_thread(write, file, self.mirror.encoded(self._client.url))
                except OSError as error:
                    log.warning(
                        "%s: the copy of core-metadata cannot be kept: %s", file, error.strerror or error
                    )
                    return


def _named(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
