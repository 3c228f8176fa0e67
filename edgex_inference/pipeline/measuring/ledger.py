"""What all runs have counted, by profile and binding: also the variants of devices, also runs that are no more."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgex_inference.pipeline.measure import Measures
from edgex_inference.pipeline.running.run import Run

Key = tuple[str, str]
"""Profile and binding."""

OTHERS: Key = ("others", "others")
_MOST = 500
"""Keys that are told apart; made-up profile names on the bus must not make ever more series."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The runs of a binding that are at work, and what those before them have counted."""

    runs: tuple[Run, ...]
    past: Measures

    def total(self) -> Measures:
        """All of it together; safe in any thread."""
        if len(self.runs) == 1 and not self.past.events.total():
            return self.runs[0].measures
        summed = Measures()
        for measures in (self.past, *(run.measures for run in self.runs)):
            summed.take_in(measures)
        return summed


class Ledger:
    """Keeps totals that never fall, whatever becomes of the runs."""

    def __init__(self) -> None:
        self._past: dict[Key, Measures] = {}
        self._runs: dict[Run, Key] = {}

    def enter(self, run: Run) -> None:
        """A run that begins."""
        key = (run.binding.profile, run.binding.name)
        if key not in self._past and len(self._past) >= _MOST:
            key = OTHERS
        self._past.setdefault(key, Measures())
        self._runs[run] = key

    def leave(self, run: Run) -> None:
        """A run that has ended: what it counted stays."""
        key = self._runs.pop(run, None)
        if key is not None:
            self._past[key].take_in(run.measures)

    def entries(self) -> Mapping[Key, Entry]:
        """By profile and binding."""
        at_work: dict[Key, list[Run]] = {key: [] for key in self._past}
        for run, key in self._runs.items():
            at_work[key].append(run)
        return {key: Entry(tuple(runs), self._past[key]) for key, runs in at_work.items()}
