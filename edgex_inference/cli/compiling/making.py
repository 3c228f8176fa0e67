"""Compiling a model for one target after the other, and running what can run here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from edgex_inference.cli.compiling.progress import Progress
from edgex_inference.config.places import listed
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    EdgexInferenceError,
    ModelRejected,
    SetupError,
)
from edgex_inference.contracts.models import Build, ModelCard
from edgex_inference.engine.catalog import AUTO, Candidate
from edgex_inference.engine.compiling.artefacts import Artefacts, Held
from edgex_inference.engine.compiling.forge import Forge
from edgex_inference.engine.compiling.making import Progress as Told
from edgex_inference.engine.compiling.orders import order
from edgex_inference.engine.compiling.provenance import Parity
from edgex_inference.engine.fleet import Fleet
from edgex_inference.engine.store import verify
from edgex_inference.pipeline.planning import golden
from edgex_inference.pipeline.planning.choosing.difference import from_golden
from edgex_inference.pipeline.planning.plan import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one target; `error` says why there is no artefact, `reason` why it was not run, or what is wrong.

    `size` in bytes, `difference` the largest to the golden answers.
    """

    target: str
    source: str = ""
    artefact: str = ""
    size: int = 0
    seconds: float = 0.0
    made: bool = False
    difference: float | None = None
    wrong: bool = False
    reason: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """Makes artefacts of one model in the folder `into`, which has `most` MB; `again`: those too that are there."""

    engine: Engine
    card: ModelCard
    into: Path
    most: int
    again: bool = False

    async def outcome(self, choice: AcceleratorChoice) -> Outcome:
        """The artefact for a target, and how its answers compare where it can run here; raises nothing of ours."""
        target = str(choice)
        try:
            candidate, build = self._chosen(choice)
            target = str(candidate)
            held = await self._made(candidate, choice, build)
        except SetupError as error:
            return Outcome(target=target, error=error.brief)
        try:
            found = await self._run(candidate, choice, build, held)
        finally:
            held.close()
        return replace(
            found,
            target=target,
            source=build.path.name,
            artefact=str(held.artefact.path),
            size=held.said.size,
            seconds=held.said.seconds,
            made=held.fresh,
        )

    def kept(self, found: Sequence[Outcome]) -> list[Outcome]:
        """The outcomes, failed where an artefact has made room for one that came after it."""
        gone = f"gave way to the others: Inference.CacheMaxSize is {self.most} MB"
        return [
            replace(one, error=gone) if one.artefact and not Path(one.artefact).exists() else one
            for one in found
        ]

    def _chosen(self, choice: AcceleratorChoice) -> tuple[Candidate, Build]:
        """Who compiles, and the first file that it does; raises AcceleratorUnavailable or ModelRejected."""
        if choice.name == AUTO:
            raise AcceleratorUnavailable(AUTO, "is chosen at each start: name who is to compile")
        accelerator = self.engine.catalog.admitted(choice.name)
        if accelerator.compile is None:
            raise AcceleratorUnavailable(
                choice.name, "compiles nothing ahead: it takes the model's files as they are"
            )
        wanted = choice.precision or self.card.precision
        fit = [one for one in self.card.builds if one.format in accelerator.compiles]
        build = next(iter(sorted(fit, key=lambda one: (one.precision == "int8") != (wanted == "int8"))), None)
        if build is None:
            have = listed(sorted({one.format for one in self.card.builds}), last="and")
            compiles = listed(sorted(accelerator.compiles), last="and")
            raise ModelRejected(
                self.card.name, f"has files of format {have}; {choice.name} compiles {compiles}"
            )
        (candidate,) = self.engine.catalog.candidates(choice, [build.format])
        return candidate, build

    async def _made(self, candidate: Candidate, choice: AcceleratorChoice, build: Build) -> Held:
        """In a thread that is left behind when a person has had enough: no compiler can be told to stop."""
        with Progress(str(candidate)) as progress:
            return await Forge(deadline=math.inf).work(
                str(candidate), lambda _: self._got(candidate, choice, build, progress.told)
            )

    def _got(self, candidate: Candidate, choice: AcceleratorChoice, build: Build, told: Told) -> Held:
        verify(self.card, build)
        request = self.engine.fleet.request(candidate, choice, self.card, build)
        try:
            wanted = order(candidate, request, self.card, build)
        except OSError as error:
            raise ModelRejected(
                self.card.name, f"{build.path.name} cannot be read: {error.strerror}"
            ) from error
        store = Artefacts(self.into, most=self.most << 20, strict=True)
        return store.get(wanted, told, again=self.again)

    async def _run(
        self, candidate: Candidate, choice: AcceleratorChoice, build: Build, held: Held
    ) -> Outcome:
        """The answers to the golden samples, noted beside the artefact."""
        try:
            candidate.check()
        except AcceleratorUnavailable as error:
            return Outcome(target="", reason=f"not run here: {error.reason.partition('; ')[0]}")
        card, fleet = replace(self.card, builds=(build,)), Fleet(cache=self.into)
        try:
            lane, complete = await fleet.acquire(candidate, choice, card)
            reason = ""
            try:
                await golden.check(lane, card, complete, max_pixels=self.engine.max_pixels)
            except ModelRejected as error:
                reason = error.reason
            found = await from_golden(lane, card, complete, max_pixels=self.engine.max_pixels)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            held.note(Parity(difference=found, samples=len(card.golden), date=now, device=str(candidate)))
            if not card.golden:
                reason = "no golden samples: nothing is proven"
            return Outcome(target="", difference=found, wrong=bool(reason and card.golden), reason=reason)
        except EdgexInferenceError as error:
            return Outcome(target="", wrong=True, reason=f"does not run: {error}")
        finally:
            await fleet.close()


def table(found: Sequence[Outcome]) -> str:
    """The outcomes as aligned columns, reasons and places on lines of their own."""
    rows = [("TARGET", "ARTEFACT", "SIZE", "SECONDS", "DIFFERENCE"), *(_row(one) for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for row, one in zip(rows, [None, *found], strict=True):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if one is not None:
            lines += [f"  {text}" for text in (one.error, one.artefact, one.reason) if text]
    return "\n".join(lines)


def _row(one: Outcome) -> tuple[str, ...]:
    if one.error:
        return one.target, "failed", "-", "-", "-"
    if one.difference is not None:
        difference = f"{one.difference:.1e}" + (" wrong" if one.wrong else "")
    else:
        difference = (
            "wrong" if one.wrong else "not run here" if one.reason.startswith("not run") else "unproven"
        )
    made = "compiled" if one.made else "was there"
    return one.target, made, _bytes(one.size), f"{one.seconds:.1f}", difference


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
