"""A binding, its model card and one accelerator candidate become a frozen Plan, or a sentence that says why not."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from edgex_inference.bindings.book import Book
from edgex_inference.contracts.bindings import AcceleratorChoice, Binding, Resource
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected, ProfileError, SetupError
from edgex_inference.contracts.models import Build, InputCard, ModelCard, Task
from edgex_inference.engine.catalog import Candidate, Catalog
from edgex_inference.engine.fleet import Fleet, build_for
from edgex_inference.engine.lane import Lane
from edgex_inference.engine.store import Store
from edgex_inference.pipeline.planning import golden
from edgex_inference.pipeline.planning.choosing.contest import Chooser, lined_up
from edgex_inference.pipeline.planning.choosing.finding import Choice, placed
from edgex_inference.pipeline.planning.choosing.records import Records
from edgex_inference.pipeline.planning.findings import Findings
from edgex_inference.pipeline.planning.inspect import inspect
from edgex_inference.pipeline.publishing.outputs import Column, column, in_order
from edgex_inference.pipeline.publishing.policy import Policy
from edgex_inference.postprocess import decide, table
from edgex_inference.postprocess.prospect import Prospect
from edgex_inference.preprocess import build as preprocess


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What plans are drawn from: installed accelerators, the model store, loaded sessions, what `auto` found out."""

    catalog: Catalog
    store: Store
    fleet: Fleet
    max_pixels: int = 64_000_000
    records: Records = field(default_factory=Records)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All decisions for one binding on one accelerator candidate; a sample finishes on the plan that prepared it.

    `accelerator` is as published (`onnxruntime:CPU`), `passed_over` says why each earlier candidate does not answer.
    `reserve` has the lanes of those whose device is lost: they are kept, so that they come back. `choice` is what
    `auto` went by, where it had one.
    """

    binding: Binding
    card: ModelCard
    build: Build
    accelerator: str
    lane: Lane
    preprocess: preprocess.Preprocess
    interpret: table.Reader
    columns: tuple[Column, ...]
    policy: Policy
    decide: decide.Resolved | None
    tags: Mapping[str, str]
    passed_over: tuple[str, ...] = ()
    reserve: tuple[Lane, ...] = ()
    absent: bool = False
    """an earlier candidate is not on this machine; lost ones do not count"""
    choice: Choice | None = None

    @property
    def standing(self) -> str:
        """Who answers, and why the candidates before it do not; the reason of status `running`."""
        return "; ".join((f"{self.accelerator} answers", *self.passed_over))

    @property
    def trouble(self) -> str:
        """Why nobody answers at the moment; empty when all is well."""
        return f"{self.accelerator} is lost: {self.lane.reason}" if self.lane.lost else ""


def _unheard(_said: str) -> None:
    """Nobody wants to know how far it is."""


async def draw(
    binding: Binding,
    engine: Engine,
    book: Book,
    card: ModelCard | None = None,
    *,
    told: Callable[[str], None] = _unheard,
) -> Plan:
    """Loads the model on the first candidate that will have it; raises SetupError when none does.

    A candidate whose device is lost at the moment is passed over and kept in reserve. `card` is that of the version
    wanted, where it is not the newest of the store. `told` hears what takes long.

    What a person can mend in the block or in the card comes as ProfileError, all of it with its place.
    """
    if binding.model is None:
        raise ModelRejected(binding.name, "the binding names no model")
    card = card or engine.store.find(binding.model.name, binding.model.version)
    inspect(binding, card, book, engine.catalog, engine.store)
    search = _Search(binding=binding, card=card, engine=engine, book=book, told=told)
    try:
        return await search.first()
    except BaseException:
        await search.give_up()
        raise


async def release(plan: Plan, engine: Engine) -> None:
    """Gives the plan's sessions back; each is closed when no other plan uses it."""
    for lane in (plan.lane, *plan.reserve):
        await engine.fleet.release(lane)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """The way down a binding's candidates: who was passed over and why, and whose device is only lost."""

    binding: Binding
    card: ModelCard
    engine: Engine
    book: Book
    told: Callable[[str], None]
    passed: list[SetupError] = field(default_factory=list)
    reserve: list[Lane] = field(default_factory=list)

    async def first(self) -> Plan:
        """The plan on the first candidate that will have the model."""
        for choice in self.binding.accelerator:
            try:
                plan = await self._by(choice)
            except AcceleratorUnavailable as error:
                self.passed.append(error)
                plan = None
            if plan is not None:
                return plan
            if self.binding.fallback == "never":
                break
        raise _none_left(self.binding, self.card, self.passed)

    async def _by(self, choice: AcceleratorChoice) -> Plan | None:
        """The plan on the first candidate that one entry of the list comes to."""
        engine = self.engine
        chooser = Chooser(
            catalog=engine.catalog,
            fleet=engine.fleet,
            records=engine.records,
            max_pixels=engine.max_pixels,
            told=self.told,
        )
        async with lined_up(choice, self.card, chooser) as lineup:
            for candidate in lineup.candidates:
                plan = await self._on(candidate, choice)
                if plan is not None:
                    return self._noted(plan, lineup.choice)
        return None

    async def give_up(self) -> None:
        for lane in self.reserve:
            await self.engine.fleet.release(lane)

    async def _on(self, candidate: Candidate, choice: AcceleratorChoice) -> Plan | None:
        findings = Findings(self.book, self.binding, self.card, _index(self.card, candidate, choice))
        try:
            lane, build = await self._checked(candidate, choice)
            drawing = _Drawing(
                binding=self.binding, card=self.card, build=build, lane=lane, engine=self.engine
            )
            return await _draw_on(candidate, drawing, self.book.resources(self.binding.profile), findings)
        except SetupError as error:
            self.passed.append(findings.placed(error))
            return None

    async def _checked(self, candidate: Candidate, choice: AcceleratorChoice) -> tuple[Lane, Build]:
        """A session that gave the right answers to the card's own golden samples."""
        lane, build = await self.engine.fleet.acquire(candidate, choice, self.card)
        try:
            if not lane.lost:
                await self._whole(candidate, lane)
                most = self.engine.max_pixels
                await golden.check(lane, self.card, build, max_pixels=most)
                lane.proof = partial(golden.prove, card=self.card, build=build, max_pixels=most)
        except BaseException as error:
            if not (lane.lost and isinstance(error, ModelRejected)):
                await self.engine.fleet.release(lane)
                raise
        if lane.lost:
            self.reserve.append(lane)
            raise AcceleratorUnavailable(str(candidate), f"is lost: {lane.reason}")
        return lane, build

    async def _whole(self, candidate: Candidate, lane: Lane) -> None:
        """With `fallback: never` no part of the graph may run elsewhere; raises ModelRejected where one would."""
        if self.binding.fallback != "never":
            return
        placement = lane.session.traits.placement
        if await asyncio.to_thread(self.engine.catalog.elsewhere, candidate, placement):
            reason = (
                f"{candidate} would run it so: {placed(placement)}; `never` allows no other device: say warn"
            )
            raise ModelRejected(self.card.name, reason, block=("fallback",))

    def _noted(self, plan: Plan, choice: Choice | None) -> Plan:
        """The plan with the reasons why earlier candidates were passed over."""
        passed = tuple(error.brief for error in self.passed)
        absent = sum(isinstance(error, AcceleratorUnavailable) for error in self.passed) > len(self.reserve)
        absent |= choice is not None and not choice.complete
        return replace(plan, passed_over=passed, reserve=tuple(self.reserve), absent=absent, choice=choice)


def _index(card: ModelCard, candidate: Candidate, choice: AcceleratorChoice) -> int:
    """Which file of the model this candidate reads."""
    build = build_for(candidate.accelerator, card.builds, choice.precision or card.precision)
    return card.builds.index(build) if build is not None else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawing:
    """What a plan is made from once the model is loaded."""

    binding: Binding
    card: ModelCard
    build: Build
    lane: Lane
    engine: Engine

    @property
    def batched(self) -> bool:
        return golden.has_batch_axis(self.lane.session, self.build)

    @property
    def labels(self) -> tuple[str, ...] | str | None:
        return self.binding.model.labels if self.binding.model is not None else None

    @property
    def stated(self) -> Sequence[InputCard]:
        """The inputs as the card itself describes them."""
        return next((one.inputs for one in self.card.builds if one.path == self.build.path), ())

    def interpret(self) -> table.Reader:
        """Tensors to results."""
        outputs, settings = self.lane.session.outputs, self.binding.postprocess
        return table.build(self.card, self.build, outputs, settings=settings, labels=self.labels)

    def prepare(self, resources: Mapping[str, Resource]) -> preprocess.Preprocess:
        """Events to samples."""
        found = preprocess.build(
            self.binding,
            self.build.inputs,
            self.lane.session.inputs,
            resources,
            batched=self.batched,
            max_pixels=self.engine.max_pixels,
            keep_numbers=self.card.task is Task.ANOMALY,
        )
        found.check_bytes(self.binding, self.stated)
        return found

    def prospect(self) -> Prospect:
        """What results will hold."""
        outputs = self.lane.session.outputs
        return table.prospect(self.card, self.build, outputs, labels=self.labels, batched=self.batched)

    def decide(self, prospect: Prospect) -> decide.Resolved | None:
        """The thresholds, where a state is wanted."""
        state = any(output.value == "state" for output in self.binding.outputs)
        if not state and self.binding.decide is None:
            return None
        return decide.resolve(self.binding.decide, self.card, prospect, state=state)


async def _draw_on(
    candidate: Candidate, drawing: _Drawing, resources: Mapping[str, Resource], findings: Findings
) -> Plan:
    try:
        return _drawn(candidate, drawing, resources, findings)
    except BaseException:
        await drawing.engine.fleet.release(drawing.lane)
        raise


def _drawn(
    candidate: Candidate, drawing: _Drawing, resources: Mapping[str, Resource], findings: Findings
) -> Plan:
    binding, card, name = drawing.binding, drawing.card, str(candidate)
    interpret = findings.attempt(drawing.interpret)
    prepare = findings.attempt(lambda: drawing.prepare(resources))
    prospect = findings.attempt(drawing.prospect)
    found: list[Column | None] = []
    decision = None
    if prospect is not None:
        promised = prospect
        found = [
            findings.attempt(partial(column, binding, output, card.task, promised))
            for output in binding.outputs
        ]
        decision = findings.attempt(lambda: drawing.decide(promised))
    findings.settle()
    assert interpret is not None
    assert prepare is not None
    settled = in_order(one for one in found if one is not None)
    return Plan(
        binding=binding,
        card=card,
        build=drawing.build,
        accelerator=name,
        lane=drawing.lane,
        preprocess=prepare,
        interpret=interpret,
        columns=settled,
        policy=Policy.of(binding.publish, {column.name: column.type for column in settled}),
        decide=decision,
        tags={"model": card.name, "modelVersion": card.version, "accelerator": name},
    )


def _none_left(binding: Binding, card: ModelCard, passed: Sequence[SetupError]) -> SetupError:
    """Why nobody answers: mistakes first, since no other machine would help; then what this machine lacks."""
    located = [problem for error in passed if isinstance(error, ProfileError) for problem in error.problems]
    if located:
        return ProfileError(tuple(dict.fromkeys(located)))
    if len(passed) == 1:
        return passed[0]
    wanted = ", ".join(str(choice) for choice in binding.accelerator)
    reasons = "; ".join(dict.fromkeys(str(error) for error in passed)) or "no candidate"
    if any(isinstance(error, ModelRejected) for error in passed):
        return ModelRejected(card.name, f"none of {wanted} can run it: {reasons}")
    return AcceleratorUnavailable(wanted, f"none of them can run it: {reasons}")
