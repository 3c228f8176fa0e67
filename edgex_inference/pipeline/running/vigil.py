"""Asking models at work their golden samples again, now and then: a device that fails may go on answering."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.engine.lane import Lane
from edgex_inference.pipeline.planning import golden
from edgex_inference.pipeline.planning.plan import Plan
from edgex_inference.pipeline.running.run import Run

log = logging.getLogger(__name__)


class Vigil:
    """One session that answers wrongly counts as lost until another one of it gives the right answers."""

    def __init__(self, runs: Callable[[], Iterable[Run]], interval: float, max_pixels: int) -> None:
        self._runs, self._interval, self._max_pixels = runs, interval, max_pixels

    async def keep(self) -> None:
        """Looks every `interval` seconds until cancelled; at 0 never."""
        while self._interval:
            await asyncio.sleep(self._interval)
            await self.look()

    async def look(self) -> None:
        """Asks each session that answers, once."""
        journeys = [run.journey for run in self._runs()]
        plans = {one.plan.lane: one.plan for one in journeys if one is not None}
        for lane, plan in plans.items():
            if lane.state == "ready" and plan.card.golden:
                await self._ask(lane, plan)

    async def _ask(self, lane: Lane, plan: Plan) -> None:
        try:
            await golden.check(lane, plan.card, plan.build, max_pixels=self._max_pixels)
        except ModelRejected as error:
            if not golden.is_verdict(error):  # too busy, or lost: the lane knows
                log.debug("%s: no answer to its golden samples: %s", lane.name, error)
            elif lane.state == "ready":
                lane.lose(f"answers wrongly: {error.reason}")
