"""The drawing of a plan, which another wish cuts short, and an eye on its lanes."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from edgex_inference.engine.lane import Lane
from edgex_inference.engine.reopening import Reopening
from edgex_inference.pipeline.planning.plan import Plan

_ABSENT, _LONG_ABSENT = 30.0, 3600.0
"""Seconds until a candidate that was not there is looked for again, at first and at most."""


def absence(asked: Callable[[], None]) -> Reopening:
    """Asks again and again for a candidate that was not there."""
    return Reopening(asked, shortest=_ABSENT, longest=_LONG_ABSENT, steady=0)


class Drawing:
    """One plan at a time is drawn."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Plan] | None = None

    def stop(self) -> None:
        """Something else is wanted; legal at any time."""
        if self._task is not None:
            self._task.cancel()

    async def plan(self, work: Coroutine[Any, Any, Plan], name: str) -> Plan | None:
        """The plan, or None when it was stopped; raises what `work` raises."""
        self._task = asyncio.create_task(work, name=name)
        try:
            await asyncio.wait((self._task,))
            return None if self._task.cancelled() else self._task.result()
        finally:
            self._task.cancel()
            self._task = None


class Watch:
    """Tells when a lane of a plan is lost, or lost for another reason, and when one that was is back.

    A session that hung and was replaced changes nothing that a plan is made from: another plan for that would only
    overtake what waits behind it.
    """

    def __init__(self, changed: Callable[[Lane], None]) -> None:
        self._changed = changed
        self._lanes: set[Lane] = set()
        self._down: set[Lane] = set()

    def over(self, plan: Plan | None) -> None:
        for lane in self._lanes:
            lane.watchers.discard(self._hear)
        self._lanes = {plan.lane, *plan.reserve} if plan is not None else set()
        self._down = {lane for lane in self._lanes if lane.lost}
        for lane in self._lanes:
            lane.watchers.add(self._hear)

    def _hear(self, lane: Lane) -> None:
        if lane.lost:
            self._down.add(lane)
        elif lane not in self._down:
            return
        elif lane.state == "ready":
            self._down.discard(lane)
        self._changed(lane)
