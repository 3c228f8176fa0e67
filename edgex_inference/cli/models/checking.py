"""`model check`: the card, and its golden samples on every accelerator and inference device of this machine."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from edgex_inference.contracts.accelerator import Format
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import AcceleratorUnavailable, SetupError
from edgex_inference.contracts.models import ModelCard
from edgex_inference.engine.catalog import AUTO, Candidate, Entry
from edgex_inference.pipeline.planning.choosing.finding import Finding, ranked
from edgex_inference.pipeline.planning.choosing.measuring import Judge, Subject
from edgex_inference.pipeline.planning.plan import Engine

_LONGEST = 1.0
"""Seconds for each of the two times of an inference device."""


async def findings(
    card: ModelCard, engine: Engine, named: Sequence[str], told: Callable[[str], None]
) -> AsyncIterator[Finding]:
    """One finding for each inference device that is `named`, or whose accelerator reads a file of the model.

    Raises AcceleratorUnavailable where none is named and no accelerator here reads one.
    """
    formats = [build.format for build in card.builds]
    readers = () if named else _readers(engine, formats)
    first = automatic(card, engine)
    choices = [_choice(one) for one in _spelled(named, first)] if named else _choices(readers, first)
    judge = Judge(max_pixels=engine.max_pixels, longest=_LONGEST)
    for choice in choices:
        told(f"checking {choice}")
        try:
            (candidate,) = engine.catalog.candidates(choice, formats)
            yield await _finding(candidate, choice, card, engine, judge)
        except SetupError as error:
            away = isinstance(error, AcceleratorUnavailable)
            yield Finding(accelerator=str(choice), reason=str(error), away=away)
    for entry in readers:
        if not entry.devices:
            yield Finding(accelerator=entry.name, reason=entry.reason or "no device here", away=True)


def _readers(engine: Engine, formats: Sequence[Format]) -> Sequence[Entry]:
    found = [one for one in engine.catalog.entries() if not one.formats or set(one.formats) & set(formats)]
    if not found:
        engine.catalog.candidates(AcceleratorChoice(name=AUTO), formats)
    return found


def _spelled(named: Sequence[str], first: Sequence[str]) -> Sequence[str]:
    """What the command line names, `auto` spelled out, nothing twice."""
    return list(dict.fromkeys(one for name in named for one in (first if name == AUTO else (name,))))


def _choice(name: str) -> AcceleratorChoice:
    accelerator, _, device = name.partition(":")
    return AcceleratorChoice(name=accelerator, device=device or None)


def in_order(found: Sequence[Finding], first: Sequence[str]) -> Sequence[Finding]:
    """Those of `auto` first, the best ones before; then the others likewise."""
    ours = [one for one in found if one.accelerator in first]
    return [*ranked(ours), *ranked([one for one in found if one.accelerator not in first])]


def fails(found: Sequence[Finding], *, named: bool) -> bool:
    """Whether the model is not fit for what was asked: nobody ran it, or somebody answers otherwise.

    What was `named` must be here, take the model, and run all of it.
    """
    strict = named and any(not one.ran or one.reason or one.elsewhere for one in found)
    return strict or not any(one.ran and not one.reason for one in found) or any(one.wrong for one in found)


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
        found = await judge.look(subject)
        return replace(found, elsewhere=engine.catalog.elsewhere(candidate, found.placement))
    finally:
        await engine.fleet.release(lane)
