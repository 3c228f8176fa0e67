"""The time that a start may take, counted from its beginning."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from edgex_inference.config.environment import Startup
from edgex_inference.contracts.errors import RegistryUnavailable, SetupError

log = logging.getLogger(__name__)
Found = TypeVar("Found")


@dataclass(slots=True)
class Patience:
    """EDGEX_STARTUP_DURATION and EDGEX_STARTUP_INTERVAL at work."""

    startup: Startup = Startup()
    _begun: float = field(default_factory=time.monotonic)

    async def until(self, attempt: Callable[[], Awaitable[Found]]) -> Found:
        """Tries until it does not raise RegistryUnavailable; each reason is said once.

        Raises SetupError once the time is over.
        """
        told = ""
        while True:
            try:
                return await attempt()
            except RegistryUnavailable as error:
                reason = str(error)
                left = self._begun + self.startup.duration - time.monotonic()
                if left <= 0:
                    limit = f"EDGEX_STARTUP_DURATION is {self.startup.duration:g} s"
                    raise SetupError(f"{reason}; gave up, {limit}") from error
            if reason != told:
                log.warning("%s; trying again every %g s", reason, self.startup.interval)
                told = reason
            await asyncio.sleep(min(self.startup.interval, left))
