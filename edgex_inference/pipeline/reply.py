"""What became of one event in one binding, for somebody who waits for it."""

import asyncio
from dataclasses import dataclass, replace
from typing import Literal

from edgex_inference.contracts.events import Event

Fate = Literal["result", "dropped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`reason` is the word that a drop or a failure is counted under, `message` says it in a sentence.

    A result's `event` is None when no output has a value; `published` False: the publish policy held it back, or
    the bus is away and nothing keeps it.
    """

    fate: Fate
    reason: str = ""
    message: str = ""
    event: Event | None = None
    published: bool = False


_SURPRISE = Outcome(
    fate="failed", reason="unexpected", message="a defect of ours: the service's log has it at ERROR"
)


class Reply:
    """One binding's answer: told from any thread while it is worked on, over on the loop."""

    __slots__ = ("_outcome", "_over")

    def __init__(self) -> None:
        self._outcome: Outcome | None = None
        self._over = asyncio.Event()

    def tell(self, outcome: Outcome) -> None:
        """What has become of it; the first word counts."""
        self._outcome = self._outcome or outcome

    def sent(self) -> None:
        """The result is on the bus."""
        if self._outcome is not None:
            self._outcome = replace(self._outcome, published=True)

    def end(self) -> None:
        """No more will become of it."""
        self._over.set()

    async def wait(self) -> Outcome:
        """The outcome, once it is over."""
        await self._over.wait()
        return self._outcome or _SURPRISE
