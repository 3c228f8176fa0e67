"""Compiling beside the loop: in threads of our own, with a deadline, and with words on the way."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from edgex_inference.contracts.errors import AcceleratorUnavailable

log = logging.getLogger(__name__)

Made = TypeVar("Made")


@dataclass(slots=True, eq=False)
class Step:
    """What is compiled, how far it is and since when (monotonic); written by its thread, read by anybody."""

    name: str
    since: float = field(default_factory=time.monotonic)
    fraction: float | None = None
    what: str = ""

    def progress(self, fraction: float | None, what: str) -> None:
        self.fraction, self.what = fraction, what

    def __str__(self) -> str:
        far = f", {self.fraction:.0%}" if self.fraction is not None else ""
        doing = f": {self.what}" if self.what else ""
        return f"compiling {self.name} for {time.monotonic() - self.since:.0f} s{doing}{far}"


class Forge:
    """What is being compiled now. All methods belong to the loop.

    `deadline` and `each`, the time between two words of a long step, in seconds.
    """

    def __init__(self, *, deadline: float, each: float = 15.0) -> None:
        self._deadline, self._each = deadline, each
        self._steps: list[Step] = []

    @property
    def busy(self) -> Sequence[str]:
        """What is compiled and how far it is, in words."""
        return [str(step) for step in self._steps]

    async def work(self, name: str, work: Callable[[Callable[[float | None, str], None]], Made]) -> Made:
        """Runs `work(progress)` in a thread; raises what it raises, or AcceleratorUnavailable past the deadline.

        The thread of one that is given up goes on: what it makes is there for the next who asks.
        """
        step = Step(name)
        future = _threaded(lambda: work(step.progress), f"compiling {name}")
        self._steps.append(step)
        try:
            ends = time.monotonic() + self._deadline
            while not future.done():
                left = ends - time.monotonic()
                if left <= 0:
                    reason = f"compiling did not end within {self._deadline:g} s; it goes on, ask again later"
                    raise AcceleratorUnavailable(name, reason)
                done, _ = await asyncio.wait((future,), timeout=min(self._each, left))
                if not done:
                    log.info("%s", step)
            return future.result()
        finally:
            self._steps.remove(step)
            future.cancel()


def _threaded(work: Callable[[], Made], name: str) -> asyncio.Future[Made]:
    """A daemon thread's result: those of an executor are joined at exit, and would hold the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Made] = loop.create_future()

    def settle(report: Callable[[], None]) -> None:
        if not future.done():
            report()

    def run() -> None:
        try:
            made = work()
        except BaseException as error:  # noqa: BLE001 - it is for who waits
            report = _report(future.set_exception, error)
        else:
            report = _report(future.set_result, made)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, report)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


_T = TypeVar("_T")


def _report(setter: Callable[[_T], None], value: _T) -> Callable[[], None]:
    return lambda: setter(value)
