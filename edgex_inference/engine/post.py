"""The way from a crew's threads back onto the loop."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgex_inference.contracts.accelerator import Session
from edgex_inference.contracts.errors import SetupError
from edgex_inference.engine.batching import Answer, Item
from edgex_inference.engine.crew import Crew


class Recipient(Protocol):
    """Who takes a crew's reports, on the loop."""

    def crew_opened(self, crew: Crew, session: Session) -> None: ...
    def crew_refused(self, crew: Crew, error: SetupError) -> None: ...
    def crew_answered(
        self, crew: Crew, items: Sequence[Item], answers: Sequence[Answer], seconds: float
    ) -> None: ...
    def crew_left(self, crew: Crew) -> None: ...


@dataclass(frozen=True, slots=True)
class Post:
    """Carries a crew's reports from its threads onto the loop, one hand-off for a whole run."""

    lane: Recipient
    loop: asyncio.AbstractEventLoop

    def opened(self, crew: Crew, session: Session) -> None:
        self._post(self.lane.crew_opened, crew, session)

    def refused(self, crew: Crew, error: SetupError) -> None:
        self._post(self.lane.crew_refused, crew, error)

    def answered(self, crew: Crew, items: Sequence[Item], answers: Sequence[Answer], seconds: float) -> None:
        self._post(self.lane.crew_answered, crew, items, answers, seconds)

    def left(self, crew: Crew) -> None:
        self._post(self.lane.crew_left, crew)

    def _post(self, report: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(report, *arguments)
