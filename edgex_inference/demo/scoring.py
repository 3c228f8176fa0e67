"""What the demo's results are worth: compares them with the truth, by the origin of the event they answer."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from edgex_inference.demo.devices import BearingTruth, PartTruth

Truth = TypeVar("Truth")

PROMISED_SHARE = 0.95
PROMISED_SECONDS = 3.0
ONE_PART = 4
"""Pictures in which a single part that is mistaken is usually seen before it has passed."""

_MOST_OPEN = 1000


def count_name(label: str) -> str:
    """The reading that says how many parts of a label were found."""
    return f"{label.capitalize()}Count"


@dataclass(slots=True)
class Open(Generic[Truth]):
    """Truths that wait for their result, oldest first; `given_up` had to make room."""

    truths: "OrderedDict[int, Truth]" = field(default_factory=OrderedDict)
    given_up: int = 0

    def add(self, origin: int, truth: Truth) -> None:
        """Waits for the result with this origin."""
        self.truths[origin] = truth
        if len(self.truths) > _MOST_OPEN:
            self.truths.popitem(last=False)
            self.given_up += 1

    def take(self, origin: int) -> Truth | None:
        """The truth of a result; None for a repeated or unknown one."""
        return self.truths.pop(origin, None)

    def __len__(self) -> int:
        return len(self.truths) + self.given_up


@dataclass(slots=True)
class PartScore:
    """Pictures sent, answered, and answered with every count right."""

    labels: tuple[str, ...]
    sent: int = 0
    answered: int = 0
    right: int = 0
    open: Open[PartTruth] = field(default_factory=Open)

    def expect(self, origin: int, truth: PartTruth) -> None:
        """A picture is on its way."""
        self.sent += 1
        self.open.add(origin, truth)

    def hear(self, origin: int, readings: Mapping[str, object]) -> str:
        """Judges a result; returns what is wrong with it, nothing when it is right or answers no open picture."""
        truth = self.open.take(origin)
        if truth is None:
            return ""
        self.answered += 1
        wrong = [
            f"{count_name(label)} {readings.get(count_name(label))} for {truth.counts.get(label, 0)}"
            for label in self.labels
            if readings.get(count_name(label)) != truth.counts.get(label, 0)
        ]
        total = sum(truth.counts.values())
        if not wrong and readings.get("PartCount") != total:
            wrong.append(f"PartCount {readings.get('PartCount')} for {total}")
        self.right += not wrong
        return ", ".join(wrong)

    @property
    def broken(self) -> str:
        """How the promise was broken, nothing when it was kept; one part in doubt is always forgiven."""
        if not self.answered:
            return "no picture was answered"
        wrong = self.answered - self.right
        if wrong > max(ONE_PART, (1 - PROMISED_SHARE) * self.answered):
            return f"the counts of {wrong} of {self.answered} pictures were wrong"
        return ""


@dataclass(slots=True)
class FaultScore:
    """Bursts sent and answered; when the fault began and was found, alarms raised without one. Times in ns."""

    sent: int = 0
    answered: int = 0
    false_alarms: int = 0
    began: int | None = None
    found: int | None = None
    latest: int = 0
    open: Open[BearingTruth] = field(default_factory=Open)
    _alarm: bool = False

    def expect(self, origin: int, truth: BearingTruth) -> None:
        """A burst is on its way."""
        self.sent += 1
        self.latest = max(self.latest, origin)
        if truth.faulty and self.began is None:
            self.began = truth.since
        self.open.add(origin, truth)

    def hear(self, origin: int, readings: Mapping[str, object], now: int) -> str:
        """Judges a result that arrived at `now`; returns `found` or `false alarm` when that is news."""
        truth = self.open.take(origin)
        if truth is None:
            return ""
        self.answered += 1
        before, self._alarm = self._alarm, readings.get("IsAnomaly") is True
        if not self._alarm or before:
            return ""
        if not truth.faulty:
            self.false_alarms += 1
            return "false alarm"
        if self.found is None:
            self.found = now
            return "found"
        return ""

    @property
    def delay(self) -> float | None:
        """Seconds from the fault's beginning to the alarm's arrival; None before."""
        if self.found is None or self.began is None:
            return None
        return (self.found - self.began) / 1e9

    @property
    def broken(self) -> str:
        """How the promise was broken, nothing when it was kept."""
        if not self.answered:
            return "no burst was answered"
        if self.false_alarms:
            return f"{_times(self.false_alarms)} the alarm was raised without a fault"
        if self.delay is not None and self.delay > PROMISED_SECONDS:
            return f"the fault was found after {self.delay:.1f} s"
        if self.delay is None and self.began is not None and self._had_time(self.began):
            return "the fault was not found"
        return ""

    def _had_time(self, began: int) -> bool:
        return (self.latest - began) / 1e9 > PROMISED_SECONDS


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
