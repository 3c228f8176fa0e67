"""`model check`: the card, and its golden samples on every accelerator and inference device of this machine."""

from collections.abc import AsyncIterator, Sequence

from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import AcceleratorUnavailable, SetupError
from edgex_inference.contracts.models import ModelCard
from edgex_inference.engine.catalog import AUTO, Candidate, Entry
from edgex_inference.pipeline.planning.choosing.finding import Finding, ranked
from edgex_inference.pipeline.planning.choosing.measuring import Judge, Subject
from edgex_inference.pipeline.planning.plan import Engine

_LONGEST = 1.0
"""Seconds for each of the two times of an inference device."""


async def findings(card: ModelCard, engine: Engine) -> AsyncIterator[Finding]:
    """One finding for each inference device whose accelerator reads a file of the model, those of `auto` first.

    Raises AcceleratorUnavailable where no accelerator here does.
    """
    formats = [build.format for build in card.builds]
    readers = [one for one in engine.catalog.entries() if not one.formats or set(one.formats) & set(formats)]
    if not readers:
        engine.catalog.candidates(AcceleratorChoice(name=AUTO), formats)
    judge = Judge(max_pixels=engine.max_pixels, longest=_LONGEST)
    for choice in _choices(readers, automatic(card, engine)):
        try:
            (candidate,) = engine.catalog.candidates(choice, formats)
            yield await _finding(candidate, choice, card, engine, judge)
        except SetupError as error:
            away = isinstance(error, AcceleratorUnavailable)
            yield Finding(accelerator=str(choice), reason=str(error), away=away)
    for entry in readers:
        if not entry.devices:
            yield Finding(accelerator=entry.name, reason=entry.reason or "no device here", away=True)


def automatic(card: ModelCard, engine: Engine) -> Sequence[str]:
    """Whom `auto` would measure for a model."""
    try:
        found = engine.catalog.candidates(AcceleratorChoice(name=AUTO), [one.format for one in card.builds])
    except AcceleratorUnavailable:
        return ()
    return [str(one) for one in found]


def verdict(found: Sequence[Finding], names: Sequence[str]) -> str:
    """Whom `auto` would take of these, and why."""
    order = ranked([one for one in found if one.accelerator in names])
    if not order or order[0].p50 is None or order[0].wrong:
        return "auto takes none of them"
    if len(order) == 1:
        return f"auto takes {order[0].accelerator}: it has no other choice"
    return f"auto takes {order[0].accelerator}: by these times the best of the {len(order)} that it considers"


def _choices(readers: Sequence[Entry], first: Sequence[str]) -> Sequence[AcceleratorChoice]:
    found = [AcceleratorChoice(name=one.name, device=device) for one in readers for device in one.devices]
    place = {name: at for at, name in enumerate(first)}
    return sorted(found, key=lambda choice: place.get(str(choice), len(place)))


async def _finding(
    candidate: Candidate, choice: AcceleratorChoice, card: ModelCard, engine: Engine, judge: Judge
) -> Finding:
    lane, build = await engine.fleet.acquire(candidate, choice, card)
    precision = card.precision or "f32"
    subject = Subject(accelerator=str(candidate), lane=lane, card=card, build=build, precision=precision)
    try:
        return await judge.look(subject)
    finally:
        await engine.fleet.release(lane)
