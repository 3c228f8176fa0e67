"""One model on one inference device after the other: are its answers right, and how long do they take."""

import math
from dataclasses import dataclass, replace

from edgex_inference.contracts.errors import EdgexInferenceError, ModelRejected
from edgex_inference.contracts.models import Build, ModelCard
from edgex_inference.contracts.tensors import Tensors, misfit
from edgex_inference.engine.lane import Lane
from edgex_inference.pipeline.planning import golden
from edgex_inference.pipeline.planning.choosing import difference, timing
from edgex_inference.pipeline.planning.choosing.finding import Finding, batch

_CLOSE, _ROUNDS = 3.0, 2
"""How many times longer one may take than another before it is timed again, and how often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A session that is looked at, and the name of where it runs."""

    accelerator: str
    lane: Lane
    card: ModelCard
    build: Build
    precision: str = "f32"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Yardstick:
    """What a candidate made of made-up numbers; `build` is the file that it read."""

    accelerator: str
    build: Build
    given: Tensors
    answer: Tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A session that is a candidate still, and what was found out about it."""

    subject: Subject
    finding: Finding


class Judge:
    """Looks at sessions of one model. For want of golden samples the first that runs is the yardstick of the others.

    Each of the two times of a session takes about `longest` seconds.
    """

    def __init__(self, *, max_pixels: int, longest: float) -> None:
        self._max_pixels, self._longest = max_pixels, longest
        self._yardstick: _Yardstick | None = None

    async def look(self, subject: Subject) -> Finding:
        """What it is worth."""
        if subject.lane.lost:
            reason = f"is lost: {subject.lane.reason}"
            return Finding(accelerator=subject.accelerator, reason=reason, away=True)
        found = await self._asked(subject)
        if found.away:
            return found
        if not subject.card.golden:
            found = await self._compared(found, subject)
        return await self._timed(found, subject)

    async def duel(self, one: Rival, other: Rival) -> tuple[Finding, Finding]:
        """Their findings with the better of several times, taken in turns: what else runs here slows both alike."""
        found = [one.finding, other.finding]
        if not all(_is_close(mine, theirs) for mine, theirs in (found, found[::-1])):
            return one.finding, other.finding
        for _ in range(_ROUNDS):
            for at, subject in enumerate((one.subject, other.subject)):
                again = await self._timed(found[at], subject)
                best = min(found[at].p50 or math.inf, again.p50 or math.inf)
                most = max(found[at].throughput or 0.0, again.throughput or 0.0)
                found[at] = replace(found[at], p50=best, throughput=most)
        return found[0], found[1]

    async def _asked(self, subject: Subject) -> Finding:
        lane, card, build = subject.lane, subject.card, subject.build
        traits = lane.session.traits
        found = Finding(
            accelerator=subject.accelerator,
            batch=batch(traits.batch),
            precision=traits.precision,
            placement=dict(traits.placement),
        )
        try:
            await golden.check(lane, card, build, max_pixels=self._max_pixels)
        except ModelRejected as error:
            if golden.may_pass(error):
                return Finding(accelerator=subject.accelerator, reason=error.reason, away=True)
            found = replace(found, reason=error.reason, wrong=True)
        apart = await difference.from_golden(lane, card, build, max_pixels=self._max_pixels)
        return replace(found, difference=apart)

    async def _compared(self, found: Finding, subject: Subject) -> Finding:
        """The finding with how far made-up numbers come out as on the yardstick; nothing for another file."""
        if self._yardstick is None:
            self._yardstick = await _yardstick(subject)
            return found if self._yardstick is None else replace(found, yardstick=found.accelerator)
        known, lane = self._yardstick, subject.lane
        if subject.build.path != known.build.path or misfit(lane.session.inputs, known.given):
            return found
        try:
            answer = await lane.infer(known.given, timeout=timing.PATIENCE)
        except EdgexInferenceError as error:
            return replace(found, reason=f"no answer: {error}")
        apart = difference.apart(answer, known.answer)
        found = replace(found, difference=apart, yardstick=known.accelerator)
        if difference.agree(apart, subject.precision):
            return found
        reason = f"made-up numbers come out other than on {known.accelerator}: {apart:.1e} apart"
        return replace(found, reason=reason, wrong=True)

    async def _timed(self, found: Finding, subject: Subject) -> Finding:
        lane, build = subject.lane, subject.build
        try:
            given = golden.samples(lane, subject.card, build, max_pixels=self._max_pixels)
            given = given or [timing.made_up(lane, build)]
            middle = await timing.p50(lane, given, longest=self._longest)
            many = await timing.throughput(lane, given[0], middle, longest=self._longest)
        except EdgexInferenceError as error:
            return replace(found, reason=found.reason or f"no time: {error}{_open(subject)}")
        return replace(found, p50=middle, throughput=many)


def _open(subject: Subject) -> str:
    """What to say in the card where made-up numbers had to guess how large they should be."""
    said = {
        one.tensor
        for one in subject.build.inputs
        if getattr(one, "shape", None) or getattr(one, "size", None)
    }
    left = [spec for spec in subject.lane.session.inputs if None in spec.shape[1:] and spec.name not in said]
    if subject.card.golden or not left:
        return ""
    spec, batched = left[0], golden.has_batch_axis(subject.lane.session, subject.build)
    shape = [*spec.shape[batched:]] if batched else [spec.shape[0] or 1, *spec.shape[1:]]
    words = ", ".join("N" if one is None else str(one) for one in shape)
    return f"; the file leaves {spec} open: say inputs.{spec.name}.shape in the card, [{words}]"


def _is_close(one: Finding, other: Finding) -> bool:
    """Whether one may be as good as the other, or better, if it is timed again."""
    right = not one.wrong and not other.wrong
    return right and one.p50 is not None and other.p50 is not None and one.p50 <= other.p50 * _CLOSE


async def _yardstick(subject: Subject) -> _Yardstick | None:
    """What others are compared with; None where it takes no made-up numbers."""
    given = timing.made_up(subject.lane, subject.build)
    try:
        answer = await subject.lane.infer(given, timeout=timing.PATIENCE)
    except EdgexInferenceError:
        return None
    return _Yardstick(accelerator=subject.accelerator, build=subject.build, given=given, answer=answer)
