"""The figures on the bus, as often as the configuration says."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from edgex_inference.config.schema import Telemetry
from edgex_inference.contracts.errors import MessageError, TransportError
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import telemetry
from edgex_inference.pipeline.publishing.emit import Sender
from edgex_inference.telemetry.families import Points
from edgex_inference.telemetry.metrics import Counts

log = logging.getLogger(__name__)

_SHORTEST = 0.1
"""Seconds between two reports at least, whatever the configuration says."""


class Reporter:
    """Publishes what is switched on; what cannot be published is counted and gone, for the next is newer.

    `settings`, `points` and `sender` are asked anew each time.
    """

    def __init__(
        self,
        settings: Callable[[], Telemetry],
        points: Callable[[], Awaitable[Points]],
        publish: Callable[[Message], Awaitable[None]],
        sender: Callable[[], Sender],
    ) -> None:
        self._settings = settings
        self._points = points
        self._publish = publish
        self._sender = sender
        self._changed = asyncio.Event()
        self._counts = Counts()

    @property
    def lost(self) -> int:
        """Metrics that could not be published."""
        return self._counts.total("lost")

    def changed(self) -> None:
        """The settings are others now: a new interval begins."""
        self._changed.set()

    async def work(self) -> None:
        """Reports until cancelled; an interval of 0 is off until it changes."""
        while True:
            interval = self._settings().interval
            if await self._is_due(max(interval, _SHORTEST) if interval > 0 else None):
                await self.report()

    async def _is_due(self, interval: float | None) -> bool:
        """Waits for the interval to pass (None: for ever); False when the settings changed meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(interval):
                await self._changed.wait()
        due = not self._changed.is_set()
        self._changed.clear()
        return due

    async def report(self) -> None:
        """Publishes every metric that is switched on, once."""
        settings, now = self._settings(), time.time_ns()
        if not any(settings.metrics.values()):
            return
        wanted = [one for one in await self._points() if telemetry.is_wanted(one, settings.metrics)]
        sender, lost = self._sender(), 0
        for point in wanted:
            message = telemetry.encode(
                point,
                service=sender.service_key,
                tags=settings.tags,
                now=now,
                dialect=sender.dialect,
            )
            try:
                await self._publish(message)
            except (TransportError, MessageError) as error:
                lost += 1
                log.debug("metric %s: not published: %s", point.family.metric, error)
        self._counts.add("lost", lost)
