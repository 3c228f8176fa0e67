"""Who may run a model, the best first: with `auto` every candidate is asked and timed, once for each machine."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from edgex_inference.config.places import listed
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import AcceleratorUnavailable, SetupError
from edgex_inference.contracts.models import ModelCard
from edgex_inference.engine.catalog import AUTO, Candidate, Catalog
from edgex_inference.engine.fleet import Fleet
from edgex_inference.pipeline.planning.choosing.finding import Choice, Finding, ranked
from edgex_inference.pipeline.planning.choosing.measuring import Judge, Rival, Subject
from edgex_inference.pipeline.planning.choosing.records import Records

log = logging.getLogger(__name__)

_LONGEST = 0.3
"""Seconds for each of the two times of a candidate: what is slower is told from what is faster long before."""

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chooser:
    """What a choice is made with; `told` hears how far it is."""

    catalog: Catalog
    fleet: Fleet
    records: Records
    max_pixels: int
    told: Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineup:
    """Candidates in the order in which they are to be tried, and what `auto` found out about them."""

    candidates: Sequence[Candidate]
    choice: Choice | None = None


@asynccontextmanager
async def lined_up(wanted: AcceleratorChoice, card: ModelCard, chooser: Chooser) -> AsyncIterator[Lineup]:
    """Who may run the model; what was loaded to measure the best one stays loaded meanwhile.

    Raises AcceleratorUnavailable when nobody may.
    """
    formats = [build.format for build in card.builds]
    if wanted.name != AUTO:
        yield Lineup(candidates=chooser.catalog.candidates(wanted, formats))
        return
    candidates = await asyncio.to_thread(chooser.catalog.candidates, wanted, formats)
    if len(candidates) == 1:
        yield Lineup(candidates=candidates)
        return
    contest = _Contest(candidates=candidates, wanted=wanted, card=card, chooser=chooser)
    try:
        choice = await contest.choice()
        by_name = {str(one): one for one in candidates}
        yield Lineup(candidates=[by_name[name] for name in choice.order], choice=choice)
    finally:
        await contest.leave()


@dataclass(slots=True, kw_only=True)
class _Contest:
    candidates: Sequence[Candidate]
    wanted: AcceleratorChoice
    card: ModelCard
    chooser: Chooser
    _held: Rival | None = None
    _found: list[Finding] = field(default_factory=list)
    _judge: Judge = field(init=False)

    def __post_init__(self) -> None:
        self._judge = Judge(max_pixels=self.chooser.max_pixels, longest=_LONGEST)

    async def choice(self) -> Choice:
        """What is known of this model here, or is found out now."""
        records, told = self.chooser.records, self.chooser.told
        catalog, fleet = self.chooser.catalog, self.chooser.fleet
        fingerprint = await asyncio.to_thread(
            records.fingerprint,
            self.card,
            self.wanted,
            self.candidates,
            threads=fleet.threads,
            hardware=catalog.hardware(),
        )
        if records.measuring.locked():
            told(f"auto waits to measure {self.card.name}: another model is being measured")
        async with records.measuring:
            known = records.find(fingerprint)
            if known is not None and known.complete:
                return known
            choice = await self._measure(known)
            await asyncio.to_thread(records.keep, fingerprint, choice)
        return choice

    async def leave(self) -> None:
        """Gives the session of the best one back."""
        held, self._held = self._held, None
        if held is not None:
            await self.chooser.fleet.release(held.subject.lane)

    async def _measure(self, known: Choice | None) -> Choice:
        """Asks whoever was not asked before."""
        name = f"{self.card.name} {self.card.version}"
        left = self._left(known)
        level = logging.INFO if known is None else logging.DEBUG  # who was away is looked for now and then
        log.log(level, "model %s: auto measures %s", name, listed(list(map(str, left)), last="and"))
        for number, candidate in enumerate(left, 1):
            self.chooser.told(f"auto measures {candidate} with {name} ({number} of {len(left)})")
            await self._ask(candidate)
        by_name = {one.accelerator: one for one in self._found}
        choice = Choice(
            findings=ranked([by_name[str(one)] for one in self.candidates]),
            samples=len(self.card.golden),
            when=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
        if known is None or known.order != choice.order:
            level = logging.WARNING if any(one.wrong for one in choice.findings) else logging.INFO
            log.log(level, "model %s: %s", name, choice.sentence)
        return choice

    def _left(self, known: Choice | None) -> Sequence[Candidate]:
        """Who is to be asked: all, or who was away, after the one that they are compared with."""
        if known is None:
            return self.candidates
        before = [one for one in known.findings if not one.away and one.yardstick != one.accelerator]
        self._found += before
        names = {one.accelerator for one in before}
        away = {one.accelerator for one in known.findings if one.away}
        return sorted(
            (one for one in self.candidates if str(one) not in names), key=lambda one: str(one) in away
        )

    async def _ask(self, candidate: Candidate) -> None:
        fleet = self.chooser.fleet
        try:
            lane, build = await fleet.acquire(candidate, self.wanted, self.card)
        except SetupError as error:
            away = isinstance(error, AcceleratorUnavailable)
            self._found.append(Finding(accelerator=str(candidate), reason=error.brief, away=away))
            return
        precision = self.wanted.precision or self.card.precision or "f32"
        subject = Subject(
            accelerator=str(candidate), lane=lane, card=self.card, build=build, precision=precision
        )
        try:
            rival = Rival(subject=subject, finding=await self._judge.look(subject))
            rival = await self._compared(rival)
        except BaseException:
            await fleet.release(lane)
            raise
        self._found.append(rival.finding)
        await self._keep_better(rival)

    async def _compared(self, rival: Rival) -> Rival:
        """After a duel with the best one so far, whose finding may be another one afterwards."""
        held = self._held
        if held is None:
            return rival
        theirs, mine = await self._judge.duel(held, rival)
        self._found[self._found.index(held.finding)] = theirs
        self._held = replace(held, finding=theirs)
        return replace(rival, finding=mine)

    async def _keep_better(self, rival: Rival) -> None:
        """Gives the session back that is not the best so far; that one need not be loaded twice."""
        held = self._held
        better = held is None or ranked([held.finding, rival.finding])[0] is rival.finding
        if better:
            self._held = rival
        spare = held if better else rival
        if spare is not None:
            await self.chooser.fleet.release(spare.subject.lane)
