"""A binding, its model card and one accelerator candidate become a frozen Plan, or a sentence that says why not."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgex_inference.contracts.bindings import AcceleratorChoice, Binding, Resource
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected, SetupError
from edgex_inference.contracts.models import Build, ModelCard, Task
from edgex_inference.engine.catalog import Candidate, Catalog
from edgex_inference.engine.fleet import Fleet
from edgex_inference.engine.lane import Lane
from edgex_inference.engine.store import Store
from edgex_inference.pipeline.planning import golden
from edgex_inference.pipeline.publishing.outputs import Column, columns
from edgex_inference.pipeline.publishing.policy import Policy
from edgex_inference.postprocess import decide, table
from edgex_inference.postprocess.wiring import Interpreter
from edgex_inference.preprocess import build as preprocess

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What plans are drawn from: installed accelerators, the model store, loaded sessions."""

    catalog: Catalog
    store: Store
    fleet: Fleet
    max_pixels: int = 64_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All decisions for one binding on one accelerator candidate; a sample finishes on the plan that prepared it.

    `accelerator` is as published (`onnxruntime:CPU`), `passed_over` says why each earlier candidate does not answer.
    """

    binding: Binding
    card: ModelCard
    accelerator: str
    lane: Lane
    preprocess: preprocess.Preprocess
    interpret: Interpreter
    columns: tuple[Column, ...]
    policy: Policy
    decide: decide.Resolved | None
    tags: Mapping[str, str]
    passed_over: tuple[str, ...] = ()

    @property
    def standing(self) -> str:
        """Who answers, and why the candidates before it do not; the reason of status `running`."""
        return "; ".join((f"{self.accelerator} answers", *self.passed_over))


async def draw(binding: Binding, engine: Engine, resources: Mapping[str, Resource]) -> Plan:
    """Loads the model on the first candidate that will have it; raises SetupError when none does."""
    if binding.model is None:
        raise ModelRejected(binding.name, "the binding names no model")
    card = engine.store.find(binding.model.name, binding.model.version)
    _check_task(binding, card)
    formats = tuple(build.format for build in card.builds)
    passed: list[SetupError] = []
    for choice in binding.accelerator:
        try:
            candidates = engine.catalog.candidates(choice, formats)
        except SetupError as error:
            passed.append(error)
            candidates = ()
        for candidate in candidates:
            try:
                lane, build = await _checked(candidate, choice, card, engine)
                plan = await _draw_on(candidate, binding, card, build, lane, engine, resources)
            except SetupError as error:
                passed.append(error)
            else:
                return _noted(plan, passed)
        if binding.fallback == "never" and passed:
            break
    raise _none_left(binding, passed)


async def release(plan: Plan, engine: Engine) -> None:
    """Gives the plan's session back; it is closed when no other plan uses it."""
    await engine.fleet.release(plan.lane)


def _check_task(binding: Binding, card: ModelCard) -> None:
    wanted = binding.model.task if binding.model is not None else None
    if wanted is not None and wanted != card.task:
        raise ModelRejected(
            card.name, f"its card says task {card.task}, the binding says {wanted}: change model.task"
        )


async def _checked(
    candidate: Candidate, choice: AcceleratorChoice, card: ModelCard, engine: Engine
) -> tuple[Lane, Build]:
    """A session that gave the right answers to the card's own golden samples."""
    lane, build = await engine.fleet.acquire(candidate, choice, card)
    try:
        await golden.check(lane, card, build, max_pixels=engine.max_pixels)
    except BaseException:
        await engine.fleet.release(lane)
        raise
    return lane, build


async def _draw_on(
    candidate: Candidate,
    binding: Binding,
    card: ModelCard,
    build: Build,
    lane: Lane,
    engine: Engine,
    resources: Mapping[str, Resource],
) -> Plan:
    try:
        own = binding.model.labels if binding.model is not None else None
        interpret = table.build(card, build, lane.session.outputs, settings=binding.postprocess, labels=own)
        prepare = preprocess.build(
            binding,
            build.inputs,
            lane.session.inputs,
            resources,
            batched=golden.has_batch_axis(lane, build),
            max_pixels=engine.max_pixels,
            keep_numbers=card.task is Task.ANOMALY,
        )
        settled = columns(binding, card.task, table.tensors(card, build, lane.session.outputs))
        wants_state = any(output.value == "state" for output in binding.outputs)
        decision = None
        if wants_state or binding.decide is not None:
            decision = decide.resolve(binding.decide, card.task, card, state=wants_state)
    except BaseException:
        await engine.fleet.release(lane)
        raise
    name = str(candidate)
    return Plan(
        binding=binding,
        card=card,
        accelerator=name,
        lane=lane,
        preprocess=prepare,
        interpret=interpret,
        columns=settled,
        policy=Policy.of(binding.publish, {column.name: column.type for column in settled}),
        decide=decision,
        tags={"model": card.name, "modelVersion": card.version, "accelerator": name},
    )


def _noted(plan: Plan, passed: Sequence[SetupError]) -> Plan:
    """The plan with the reasons why earlier candidates were passed over, said once in the log."""
    if not passed:
        return plan
    level = logging.INFO if plan.binding.fallback == "allow" else logging.WARNING
    for error in passed:
        log.log(level, "binding %s: %s; falling back to %s", plan.binding.name, error, plan.accelerator)
    return replace(plan, passed_over=tuple(str(error) for error in passed))


def _none_left(binding: Binding, passed: Sequence[SetupError]) -> SetupError:
    if len(passed) == 1:
        return passed[0]
    wanted = ", ".join(str(choice) for choice in binding.accelerator)
    reasons = "; ".join(dict.fromkeys(str(error) for error in passed)) or "no candidate"
    return AcceleratorUnavailable(wanted, f"none of them can run it: {reasons}")
