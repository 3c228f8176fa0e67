"""Keeping long-lived tasks alive: one surprise must not take the service down."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from edgex_inference.contracts.errors import SetupError

log = logging.getLogger(__name__)

_SHORTEST, _LONGEST = 0.2, 30.0


async def supervised(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Runs `work` again after a surprise, with jittered back-off; SetupErrors and cancellation pass through."""
    delay = _SHORTEST
    while True:
        try:
            await work()
        except SetupError:
            raise
        except Exception as error:  # noqa: BLE001 - a supervisor exists for what nobody foresaw
            log.error("%s stopped with a defect of ours: %r; starting it again", name, error)
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))
            delay = min(_LONGEST, delay * 2)
        else:
            return
