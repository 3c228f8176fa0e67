"""A consumer of the results, on the bus like any other: keeps the board, the scores and the printed lines."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgex_inference.contracts.errors import MessageError
from edgex_inference.contracts.events import Event
from edgex_inference.contracts.messages import Message
from edgex_inference.contracts.values import parse
from edgex_inference.demo.board import Board, Panel
from edgex_inference.demo.devices import BearingTruth, Shot
from edgex_inference.demo.scoring import FaultScore, PartScore
from edgex_inference.edgex import envelope, events

_STATUS, _REASON = "InferenceStatus", "InferenceReason"


@dataclass(slots=True, kw_only=True)
class Audience:
    """Hears messages; `echo` gets the AddEventRequest of each, as it went out."""

    board: Board
    parts: PartScore
    fault: FaultScore
    echo: Callable[[bytes], None] | None = None
    clock: Callable[[], int] = time.time_ns
    readings_sent: int = 0
    _wrong: str = ""

    def expect(self, shot: Shot) -> None:
        """A device sends this now. The truth stays here; the bus gets the message alone."""
        self.readings_sent += shot.readings
        if isinstance(shot.truth, BearingTruth):
            if shot.truth.faulty and self.fault.began is None:
                self.board.log(
                    "the bearing begins to fail (the service is not told)", shot.truth.since, "warning"
                )
            self.fault.expect(shot.origin, shot.truth)
        else:
            self.parts.expect(shot.origin, shot.truth)

    def waits(self, since: int) -> bool:
        """Whether something sent since then (ns since the epoch) is not answered yet."""
        pending = (*self.parts.open.truths, *self.fault.open.truths)
        return any(origin >= since for origin in pending)

    def hear(self, message: Message) -> None:
        """Takes one message of the inference service."""
        now = self.clock()
        try:
            read = envelope.read(message)
            event = events.read(read)
        except MessageError as error:
            self.board.log(f"unreadable message: {error}", now, "bad")
            return
        if event is None:
            return
        if self.echo is not None and isinstance(read.payload, bytes):
            self.echo(read.payload)
        panel = next((panel for panel in self.board.panels if panel.binding == event.source_name), None)
        if panel is None:
            return
        values = {reading.resource_name: parse(reading) for reading in event.readings}
        if _STATUS in values:
            self._status(panel, values, now)
        else:
            self._result(panel, event, values, now)

    def _status(self, panel: Panel, values: Mapping[str, object], now: int) -> None:
        panel.status, panel.reason = str(values[_STATUS]), str(values.get(_REASON, ""))
        tone = "good" if panel.status == "running" else "bad"
        self.board.log(f"{panel.binding} is {panel.status}: {panel.reason}", now, tone)  # type: ignore[arg-type]

    def _result(self, panel: Panel, event: Event, values: Mapping[str, object], now: int) -> None:
        before = panel.values
        panel.hear(values, event.tags or {}, event.origin, now)
        if "IsAnomaly" in values:
            self._alarm(event, values, now)
            return
        wrong = self.parts.hear(event.origin, values)
        if wrong and wrong != self._wrong:
            self.board.log(f"miscounted: {wrong}", now, "warning")
        self._wrong = wrong
        defects, earlier = values.get("DefectCount"), before.get("DefectCount", 0)
        if isinstance(defects, int) and isinstance(earlier, int) and defects > earlier and not wrong:
            self.board.log(f"a defective part comes into view: DefectCount {defects}", now)

    def _alarm(self, event: Event, values: Mapping[str, object], now: int) -> None:
        score, was = values.get("AnomalyScore"), self.board.alarm
        self.board.alarm = values["IsAnomaly"] is True
        news = self.fault.hear(event.origin, values, now)
        said = f" (AnomalyScore {score:.2f})" if isinstance(score, float) else ""
        if self.board.alarm and not was:
            found = f", {self.fault.delay:.1f} s after the fault began" if news == "found" else ""
            found = ", a false alarm" if news == "false alarm" else found
            self.board.log(f"ALARM: IsAnomaly true{found}{said}", now, "bad")
        elif was and not self.board.alarm:
            self.board.log(f"IsAnomaly false again{said}", now, "good")
