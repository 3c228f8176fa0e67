"""What is amiss with the service as a whole: said once when it begins and once when it is over, shown, and counted."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from edgex_inference.pipeline.router import Router
from edgex_inference.telemetry.metrics import Counts

log = logging.getLogger(__name__)

_CALM = 10.0
"""Seconds without another case after which a condition is over."""

REFUSED, FUTURE, OUT_OF_ORDER, OVERLOAD = "refused", "future", "outOfOrder", "overload"


@dataclass(frozen=True, slots=True)
class _Sign:
    """A counter that grows while something is amiss: what is said when that begins and is over, what is shown."""

    kind: str
    total: int
    begins: str
    over: str

    def told(self, since: int) -> str:
        return f"{self.begins} ({self.total - since} so far)"


@dataclass(slots=True)
class _Course:
    """How a sign has been going: `since` is its total before it began, `last` when it grew last."""

    total: int = 0
    since: int = 0
    last: float = 0.0
    told: str = ""


class Conditions:
    """Looks at counters and at who is away; `counts` says how often each condition has begun.

    Who is away says so itself: that is only counted here.
    """

    def __init__(
        self,
        router: Router,
        outages: Mapping[str, Callable[[], bool]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = Counts()
        self.kinds = (*outages, REFUSED, FUTURE, OUT_OF_ORDER, OVERLOAD)
        self._router, self._outages, self._clock = router, outages, clock
        self._away: set[str] = set()
        self._courses: dict[tuple[str, object], _Course] = {}

    @property
    def told(self) -> tuple[str, ...]:
        """What is amiss now, for people."""
        return tuple(course.told for course in self._courses.values() if course.told)

    def look(self) -> None:
        """Compares everything with the last look."""
        away = {name for name, is_away in self._outages.items() if is_away()}
        for name in away - self._away:
            self.counts.add(name)
        self._away = away
        before, self._courses = self._courses, {}
        for key, sign in (*self._traffic(), *self._bindings()):
            course = self._courses[key] = before.get(key) or _Course()
            self._follow(sign, course)

    def _follow(self, sign: _Sign, course: _Course) -> None:
        now = self._clock()
        if sign.total > course.total:
            if not course.told:
                course.since = course.total
                self.counts.add(sign.kind)
                if (
                    sign.kind != REFUSED or self.counts.total(REFUSED) > 1
                ):  # the first time its source is named
                    log.warning("%s", sign.begins)
            course.total, course.last, course.told = sign.total, now, sign.told(course.since)
        elif course.told and now - course.last >= _CALM:
            log.info("%s; there were %d", sign.over, course.total - course.since)
            course.told = ""

    def _traffic(self) -> Iterator[tuple[tuple[str, object], _Sign]]:
        traffic = self._router.traffic
        reasons = ", ".join(traffic.invalid.by_word())
        yield (
            (REFUSED, ""),
            _Sign(
                REFUSED,
                traffic.invalid.total(),
                f"messages that cannot be read are dropped: {reasons}",
                "all messages can be read again",
            ),
        )
        seen = traffic.origins
        yield (
            (FUTURE, ""),
            _Sign(
                FUTURE,
                seen.counts.total(FUTURE),
                f"events come from the future, and are inferred as they are: {seen.latest.get(FUTURE)}",
                "no more events come from the future",
            ),
        )
        yield (
            (OUT_OF_ORDER, ""),
            _Sign(
                OUT_OF_ORDER,
                seen.counts.total(OUT_OF_ORDER),
                f"events come out of order, and are inferred as they come: {seen.latest.get(OUT_OF_ORDER)}",
                "events come in order again",
            ),
        )

    def _bindings(self) -> Iterator[tuple[tuple[str, object], _Sign]]:
        for run in self._router.runs:
            refused = run.measures.dropped.total("queueFull")
            if not refused:  # of thousands of bindings nearly all
                continue
            where = f"profile {run.binding.profile}: binding {run.binding.name}"
            yield (
                (OVERLOAD, run),
                _Sign(
                    OVERLOAD,
                    run.measures.dropped.total("queueFull"),
                    f"{where} gets more events than it can infer: some are dropped as queueFull",
                    f"{where} keeps up again",
                ),
            )
