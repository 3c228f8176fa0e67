"""Keeps one connection: tries until it works, waits longer each time, says once each way how it stands."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

_FIRST_PAUSE, _LONGEST_PAUSE, _DENIED_PAUSE = 0.1, 10.0, 30.0
_STEADY = 5.0
"""Seconds after which a connection counts as good: shorter ones do not shorten the next pause."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Why there is no connection; `denied` and `setup` need a person, the text of `setup` says what to do."""

    kind: Literal["down", "denied", "setup"]
    text: str


@dataclass(frozen=True, slots=True)
class Up:
    """A connection, until `lost` resolves; `detail` goes behind the line that says it."""

    lost: "asyncio.Future[Loss]"
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How log lines name the server (`NATS server nats://host:4222`), whom it knows us as, what denial calls for."""

    place: str
    name: str
    denied: str


class Steady:
    """Runs `connect` again and again: an attempt comes back with a connection, or says why there is none."""

    def __init__(
        self, connect: Callable[[], Awaitable[Up | Loss]], words: Words, log: logging.Logger
    ) -> None:
        self._connect, self._words, self._log = connect, words, log
        self._task: asyncio.Task[None] | None = None
        self._said: set[str] = set()
        self._random = random.Random()

    def start(self) -> bool:
        """False when it runs already."""
        if self._task is not None:
            return False
        self._task = asyncio.create_task(self._run(), name=f"{self._words.place}")
        return True

    async def stop(self) -> None:
        """Idempotent; the caller ends the connection itself."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        attempt = 0
        clock = asyncio.get_running_loop().time
        while True:
            outcome, began = await self._attempt(), clock()
            if isinstance(outcome, Loss):
                loss = outcome
                self._failed(loss)
            else:
                self._log.info("%s: connected as %r%s", self._words.place, self._words.name, outcome.detail)
                self._said.clear()
                loss = await outcome.lost
                attempt = 0 if clock() - began >= _STEADY else attempt
                self._said.add(loss.kind)
                self._log.warning("%s: connection lost (%s); reconnecting", self._words.place, loss.text)
            await asyncio.sleep(pause(attempt, denied=loss.kind != "down", chance=self._random.random()))
            attempt += 1

    async def _attempt(self) -> Up | Loss:
        try:
            return await self._connect()
        except Exception as error:  # noqa: BLE001 - a connection is tried again whatever befell it
            self._log.debug("its traceback", exc_info=error)
            return Loss("setup", f"a defect of ours: {error!r}")

    def _failed(self, loss: Loss) -> None:
        if loss.kind in self._said:
            return
        self._said.add(loss.kind)
        place = self._words.place
        if loss.kind == "down":
            self._log.warning("%s: cannot connect (%s); trying until it works", place, loss.text)
        elif loss.kind == "setup":
            self._log.error("%s: %s; trying again every %d s", place, loss.text, _DENIED_PAUSE)
        else:
            self._log.error(
                "%s: refuses us (%s); check %s; trying again every %d s",
                *(place, loss.text, self._words.denied, _DENIED_PAUSE),
            )


def pause(attempt: int, *, denied: bool, chance: float) -> float:
    """Seconds before the next attempt: doubling from 0.1 to 10 with jitter; `chance` is in 0..1."""
    longest = _DENIED_PAUSE if denied else min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempt, 20))
    return longest * (0.5 + 0.5 * chance)
