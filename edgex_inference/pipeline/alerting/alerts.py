"""What is amiss with bindings, told to support-notifications: rarely, in order, and never at the cost of anything."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgex_inference.config.load import Loaded
from edgex_inference.config.schema import NOTIFICATIONS
from edgex_inference.contracts.bus import Bus
from edgex_inference.contracts.errors import NotificationsUnavailable
from edgex_inference.edgex.notifications import Notification, NotificationClient, Severity
from edgex_inference.pipeline.alerting.facts import FELL_BACK, Stalls, Subject, facts
from edgex_inference.pipeline.publishing.emit import Sender
from edgex_inference.pipeline.running.run import Run
from edgex_inference.telemetry.metrics import Counts

log = logging.getLogger(__name__)

NOTICES = ("sent", "heldBack", "refused", "overflow", "expired")
"""What becomes of notifications; `heldBack` counts those that the interval did not let out."""

_MOST = 100
_MOST_SUBJECTS = 1000
_TOO_OLD = 3600.0
"""Notifications that wait, subjects that are remembered, seconds after which what waits tells nothing any more."""

_SHORTEST, _LONGEST = 1.0, 60.0


@dataclass(slots=True)
class _Told:
    """What was told of a subject last; `at` is when it was last said that it is amiss."""

    at: float
    amiss: bool = True
    held: bool = False


class Alerts:
    """Looks at `runs` and tells what has changed for the worse, and when that is over.

    `interval` (s) is the least time between two notifications of one subject.
    """

    def __init__(
        self,
        client: NotificationClient,
        bus: Bus,
        sender: Sender,
        runs: Callable[[], Sequence[Run]],
        *,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = Counts()
        self.trouble = ""
        self._client, self._bus, self._sender, self._runs = client, bus, sender, runs
        self._interval, self._clock = interval, clock
        self._stalls = Stalls(clock)
        self._told: dict[Subject, _Told] = {}
        self._waiting: deque[tuple[float, Notification]] = deque()
        self._more = asyncio.Event()
        self._refused: set[str] = set()

    @classmethod
    def of(
        cls, loaded: Loaded, bus: Bus, sender: Sender, runs: Callable[[], Sequence[Run]]
    ) -> "Alerts | None":
        """None where no support-notifications is configured, or NotificationInterval is 0."""
        where = loaded.config.clients.get(NOTIFICATIONS)
        interval = loaded.config.inference.notification_interval
        if where is None or not interval:
            return None
        client = NotificationClient(where.url, loaded.service_key)
        return cls(client, bus, sender, runs, interval=interval)

    @property
    def waiting(self) -> int:
        """Notifications that are not out yet."""
        return len(self._waiting)

    def look(self) -> None:
        """Queues what is to be told now."""
        runs = self._runs()
        self._stalls.keep(runs)
        if not self._bus.connected:
            self._stalls.reset()
        self._compare(facts(runs, self._stalls))

    def _compare(self, found: Mapping[Subject, str]) -> None:
        now = self._clock()
        for subject, reason in found.items():
            told = self._told.get(subject)
            if told is None or (not told.amiss and now - told.at >= self._interval):
                self._remember(subject, now)
                severity: Severity = "NORMAL" if subject.kind == FELL_BACK else "CRITICAL"
                self._queue(subject, f"{subject}: {reason}", severity)
            elif not told.amiss and not told.held:
                told.held = True
                self.counts.add("heldBack")
        for subject, told in tuple(self._told.items()):
            if subject in found:
                continue
            if told.amiss:
                self._queue(subject, f"{subject}: {subject.kind} is over", "MINOR")
            told.amiss = told.held = False
            if now - told.at >= self._interval:
                del self._told[subject]

    def _remember(self, subject: Subject, now: float) -> None:
        self._told.pop(subject, None)
        self._told[subject] = _Told(now)
        if len(self._told) > _MOST_SUBJECTS:
            del self._told[next(iter(self._told))]

    def _queue(self, subject: Subject, text: str, severity: Severity) -> None:
        said = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        note = Notification(content=f"{text} ({said})", labels=(subject.kind,), severity=severity)
        if len(self._waiting) >= _MOST:
            self._waiting.popleft()
            self.counts.add("overflow")
        self._waiting.append((self._clock(), note))
        self._more.set()

    async def send(self) -> None:
        """Sends what is queued until cancelled, in order; what cannot be sent waits for a while."""
        delay = _SHORTEST
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                queued = self._waiting[0]
                try:
                    await self._send(*queued)
                except NotificationsUnavailable as error:
                    self._lost(str(error))
                    await asyncio.sleep(delay * random.uniform(0.5, 1.5))
                    delay = min(_LONGEST, delay * 2)
                    continue
                delay = _SHORTEST
                if self._waiting and self._waiting[0] is queued:  # else it had to make room meanwhile
                    self._waiting.popleft()

    async def _send(self, queued_at: float, note: Notification) -> None:
        if self._clock() - queued_at > _TOO_OLD:
            self.counts.add("expired")
            return
        self._client.major = self._sender.dialect.major
        why = await self._client.post(note)
        if self.trouble:
            log.info("support-notifications at %s answers again", self._client.url)
            self.trouble = ""
        self.counts.add("refused" if why else "sent")
        if why:
            level = logging.DEBUG if why in self._refused or len(self._refused) >= _MOST else logging.WARNING
            self._refused.add(why)
            log.log(level, "support-notifications at %s refuses: %s", self._client.url, why)

    def _lost(self, reason: str) -> None:
        """Said once, until it is back."""
        if not self.trouble:
            log.warning("%s: notifications wait", reason)
        self.trouble = reason

    async def close(self) -> None:
        """Legal at any time."""
        await self._client.close()
