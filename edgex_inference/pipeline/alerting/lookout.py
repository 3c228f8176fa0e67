"""Looking now and then at what is amiss: for the log, for /ready and for people elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from edgex_inference.contracts.bus import Bus
from edgex_inference.edgex.providers.presence import Presence
from edgex_inference.pipeline.alerting.alerts import NOTICES, Alerts
from edgex_inference.pipeline.alerting.conditions import Conditions
from edgex_inference.pipeline.platform.platform import Platform
from edgex_inference.pipeline.publishing.emit import Sender
from edgex_inference.pipeline.router import Router
from edgex_inference.pipeline.running.vigil import Vigil

_LOOK = 1.0
"""Seconds between two looks."""


class Lookout:
    """The service's conditions, and its notifications where those are configured."""

    def __init__(
        self, bus: Bus, sender: Sender, router: Router, platform: Platform | None, presence: Presence
    ) -> None:
        loaded = presence.loaded
        self.alerts = Alerts.of(loaded, bus, sender, lambda: router.runs)
        self._platform, self._presence = platform, presence
        inference = loaded.config.inference
        self.vigil = Vigil(lambda: router.runs, inference.self_check_interval, inference.max_pixels)
        outages: dict[str, Callable[[], bool]] = {"bus": lambda: not bus.connected}
        if presence.provided is not None or presence.registry is not None:
            outages["provider"] = lambda: bool(presence.trouble)
        if platform is not None:
            outages["core-metadata"] = lambda: bool(platform.trouble)
        if (alerts := self.alerts) is not None:
            outages["support-notifications"] = lambda: bool(alerts.trouble)
        self.conditions = Conditions(router, outages)

    @property
    def told(self) -> Sequence[str]:
        """What is amiss, for /ready."""
        others = [one for one in (self._platform, self._presence, self.alerts) if one is not None]
        return [*(one.trouble for one in others if one.trouble), *self.conditions.told]

    def counted(self) -> Mapping[str, Any]:
        """How often each condition has begun, and what became of notifications."""
        conditions, alerts = self.conditions, self.alerts
        told: dict[str, Any] = {
            "conditions": {kind: conditions.counts.total(kind) for kind in conditions.kinds}
        }
        if alerts is not None:
            notices = {word: alerts.counts.total(word) for word in NOTICES}
            told["notifications"] = {"waiting": alerts.waiting, **notices}
        return told

    def start(self, spawn: Callable[[str, Callable[[], Awaitable[None]]], object]) -> None:
        """Starts looking and telling, as tasks that `spawn` keeps alive under these names."""
        spawn("lookout", self._look)
        spawn("provider and registry", self._presence.attend)
        spawn("self-check", self.vigil.keep)
        if self.alerts is not None:
            spawn("notifications", self.alerts.send)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)  # first: a bus that is not open yet is no outage
            self.conditions.look()
            if self.alerts is not None:
                self.alerts.look()

    async def close(self) -> None:
        """Legal at any time."""
        if self.alerts is not None:
            await self.alerts.close()
