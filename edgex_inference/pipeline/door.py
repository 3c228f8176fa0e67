"""The synchronous door: an event in, and what every binding that takes it makes of it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from edgex_inference.config.places import listed
from edgex_inference.contracts.events import Event
from edgex_inference.pipeline.reply import Outcome
from edgex_inference.pipeline.router import Router


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a binding made of an event; `outcome` None: it was not through in time."""

    profile: str
    binding: str
    outcome: Outcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """All answers; where there are none `unwanted` says why."""

    answers: Sequence[Answer] = ()
    unwanted: str = ""


async def ask(router: Router, event: Event, correlation_id: str, *, timeout: float) -> Asked:
    """Offers the event as if it had come on the bus, and waits for what becomes of it, `timeout` seconds at most.

    Results are published as ever; what is not through in time goes on all the same.
    """
    asked = router.ask(event, correlation_id)
    if not asked:
        return Asked(unwanted=_unwanted(router, event))
    waiting = {run: asyncio.create_task(reply.wait()) for run, reply in asked.items()}
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            await asyncio.wait(waiting.values())
    answers = [
        Answer(
            profile=run.binding.profile,
            binding=run.binding.name,
            outcome=task.result() if task.done() else None,
        )
        for run, task in waiting.items()
    ]
    for task in waiting.values():
        task.cancel()
    return Asked(answers=answers)


def _unwanted(router: Router, event: Event) -> str:
    """Why nobody takes an event."""
    runs = router.runs_of(event.profile_name, event.device_name)
    if not runs:
        known = sorted({run.binding.profile for run in router.runs})
        hint = f"; there are bindings for {listed(known)}" if known else ": there are no bindings at all"
        return f"no binding knows profile {event.profile_name!r}{hint}"
    enabled = [run for run in runs if run.binding.enabled]
    if not enabled:
        names = listed(sorted(run.binding.name for run in runs))
        return f"every binding of profile {event.profile_name!r} is disabled: {names}"
    waiting = [run for run in enabled if run.binding.poll is None]
    if not waiting:
        names = listed(sorted(run.binding.name for run in enabled), last="and")
        return f"every binding of profile {event.profile_name!r} fetches its readings itself (poll): {names}"
    wanted = sorted({one.resource for run in waiting for one in run.binding.readings})
    given = sorted({reading.resource_name for reading in event.readings})
    return (
        f"no binding of profile {event.profile_name!r} takes readings of {listed(given)}; "
        f"they take {listed(wanted)}"
    )
