"""Scores against made-up truth, and what the audience, the summary and the views make of them."""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console

from edgex_inference.contracts.errors import SetupError
from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.demo.audience import Audience
from edgex_inference.demo.board import Board, Panel
from edgex_inference.demo.devices import CAMERA, SPINDLE, BearingTruth, PartTruth, Shot
from edgex_inference.demo.picture import render
from edgex_inference.demo.scoring import FaultScore, PartScore
from edgex_inference.demo.summary import summarize
from edgex_inference.demo.view import LineView, save_picture
from edgex_inference.edgex import topics, values, wire
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.edgex.ids import new_id

SECOND = 10**9
START = 1_795_418_138 * SECOND
COUNTS = {"PartCount": 3, "BoltCount": 2, "NutCount": 0, "WasherCount": 1, "DefectCount": 0}
LABELS = ("bolt", "nut", "washer", "defect")
TYPES = {bool: ValueType.BOOL, int: ValueType.UINT16, float: ValueType.FLOAT32, str: ValueType.STRING}
LISTEN = "mosquitto_sub -h localhost -p 1883 -t 'edgex/events/device/app-inference/#' -v"


class Clock:
    """Nanoseconds that stand still until they are set."""

    now = START

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def audience(clock: Clock) -> Audience:
    board = Board(
        title="demo",
        listen=LISTEN,
        panels=(
            Panel(binding="PartInspection", device=CAMERA.device),
            Panel(binding="SpindleHealth", device=SPINDLE.device),
        ),
        started=START,
    )
    return Audience(board=board, parts=PartScore(labels=LABELS), fault=FaultScore(), clock=clock)


def published(
    binding: str, readings: Mapping[str, object], origin: int = START, *, major: str = "4"
) -> Message:
    """A result as the service publishes it."""
    names = {"device": "somewhere", "profile": "some-inference", "origin": origin}
    found: list[Reading] = [
        values.reading(name, value, TYPES.get(type(value), ValueType.OBJECT), **names)  # type: ignore[arg-type]
        for name, value in readings.items()
    ]
    event = Event(
        api_version="v3",
        id=new_id(),
        device_name="somewhere",
        profile_name="some-inference",
        source_name=binding,
        origin=origin,
        readings=tuple(found),
        tags={"model": "m", "modelVersion": "1", "accelerator": "fake:CPU"},
    )
    dialect = Dialect(major=major)  # type: ignore[arg-type]
    topic = topics.event_topic(
        dialect, service="app-inference", profile="some-inference", device="somewhere", source=binding
    )
    return wire.encode(event, topic=topic, correlation_id="c", dialect=dialect)


def shot(truth: PartTruth | BearingTruth, origin: int = START) -> Shot:
    return Shot(origin=origin, message=Message("t", b""), readings=4, truth=truth)


def burst(seconds: float, fault_at: float = 10.0) -> Shot:
    """A burst `seconds` after the start, truthfully faulty from `fault_at` on."""
    origin = START + round(seconds * SECOND)
    return shot(
        BearingTruth(faulty=seconds > fault_at, since=START + round(fault_at * SECOND)), origin=origin
    )


def spin(audience: Audience, clock: Clock, alarms: Mapping[float, bool], fault_at: float = 10.0) -> None:
    """Sends bursts at these seconds; each is answered 10 ms later."""
    for seconds, alarm in alarms.items():
        sent = burst(seconds, fault_at)
        audience.expect(sent)
        clock.now = sent.origin + SECOND // 100
        readings = {"IsAnomaly": alarm, "AnomalyScore": 9.0 if alarm else 0.3}
        audience.hear(published("SpindleHealth", readings, sent.origin))


def test_a_picture_is_right_when_every_count_is() -> None:
    score = PartScore(labels=LABELS)
    score.expect(1, PartTruth(counts={"bolt": 2, "washer": 1}))
    assert score.hear(1, COUNTS) == ""
    assert (score.sent, score.answered, score.right) == (1, 1, 1)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"BoltCount": 1}, "BoltCount 1 for 2"),
        ({"BoltCount": 1, "DefectCount": 1}, "BoltCount 1 for 2, DefectCount 1 for 0"),
        ({"PartCount": 4}, "PartCount 4 for 3"),
        ({"NutCount": None}, "NutCount None for 0"),
    ],
)
def test_a_picture_is_wrong_when_one_count_is(changed: Mapping[str, object], said: str) -> None:
    score = PartScore(labels=LABELS)
    score.expect(1, PartTruth(counts={"bolt": 2, "washer": 1}))
    assert score.hear(1, {**COUNTS, **changed}) == said
    assert (score.answered, score.right) == (1, 0)


def test_results_of_unknown_or_answered_pictures_count_for_nothing() -> None:
    score = PartScore(labels=LABELS)
    score.expect(1, PartTruth(counts={"bolt": 2, "washer": 1}))
    for origin in (2, 1, 1):
        score.hear(origin, COUNTS)
    assert (score.sent, score.answered, score.right) == (1, 1, 1)


def test_pictures_in_flight_are_not_wrong() -> None:
    score = PartScore(labels=LABELS)
    for origin in range(40):
        score.expect(origin, PartTruth(counts={"bolt": 2, "washer": 1}))
    for origin in range(38):
        score.hear(origin, COUNTS)
    assert (score.sent, score.answered, score.right) == (40, 38, 38)
    assert score.broken == ""


@pytest.mark.parametrize(
    ("answered", "right", "kept"),
    [(0, 0, False), (5, 1, True), (5, 0, False), (20, 15, False), (100, 95, True), (100, 94, False)],
)
def test_the_promise_of_counts_forgives_one_part(answered: int, right: int, kept: bool) -> None:
    score = PartScore(labels=LABELS, sent=answered, answered=answered, right=right)
    assert (score.broken == "") is kept


def test_unanswered_pictures_do_not_pile_up() -> None:
    score = PartScore(labels=LABELS)
    for origin in range(5000):
        score.expect(origin, PartTruth(counts={}))
    assert len(score.open.truths) <= 1000
    assert score.sent == 5000


def test_the_delay_runs_from_the_fault_to_the_alarm_s_arrival(audience: Audience, clock: Clock) -> None:
    spin(audience, clock, {9.75: False, 10.0: False, 10.25: False, 10.5: True, 10.75: True})
    assert audience.fault.delay == pytest.approx(0.51)
    assert audience.fault.broken == ""
    assert audience.board.alarm
    said = [entry.text for entry in audience.board.entries]
    assert said == [
        "the bearing begins to fail (the service is not told)",
        "ALARM: IsAnomaly true, 0.5 s after the fault began (AnomalyScore 9.00)",
    ]


def test_an_alarm_without_a_fault_is_false(audience: Audience, clock: Clock) -> None:
    spin(audience, clock, {1.0: False, 1.25: True, 1.5: True, 1.75: False, 2.0: True})
    assert audience.fault.false_alarms == 2
    assert audience.fault.found is None
    assert audience.fault.broken == "2 times the alarm was raised without a fault"
    assert any("false alarm" in entry.text for entry in audience.board.entries)


@pytest.mark.parametrize(
    ("last", "alarm", "broken"),
    [
        (12.9, False, ""),
        (13.5, False, "the fault was not found"),
        (13.5, True, "the fault was found after 3.5 s"),
    ],
)
def test_a_fault_must_be_found_in_time(
    audience: Audience, clock: Clock, last: float, alarm: bool, broken: str
) -> None:
    spin(audience, clock, {9.0: False, 10.5: False, last: alarm})
    assert audience.fault.broken == broken


def test_the_audience_reads_both_majors_and_echoes_what_went_out(audience: Audience) -> None:
    heard: list[bytes] = []
    audience.echo = heard.append
    for major in ("3", "4"):
        audience.hear(published("PartInspection", COUNTS, major=major))
    for line in heard:
        assert b"\n" not in line
        assert json.loads(line)["event"]["sourceName"] == "PartInspection"
        assert b": " not in line.replace(b'": "', b"")
    assert len(heard) == 2
    assert audience.board.panels[0].results == 2


def test_the_audience_survives_what_is_no_event(audience: Audience) -> None:
    audience.hear(Message("edgex/events/device/app-inference/x", b"\xff\x00"))
    assert "unreadable" in audience.board.entries[-1].text


def test_a_status_event_is_no_result(audience: Audience) -> None:
    status = {"InferenceStatus": "degraded", "InferenceReason": "the device is lost"}
    audience.hear(published("SpindleHealth", status))
    panel = audience.board.panels[1]
    assert (panel.status, panel.reason, panel.results) == ("degraded", "the device is lost", 0)
    assert audience.board.entries[-1].tone == "bad"


def test_the_summary_tells_and_judges(audience: Audience, clock: Clock) -> None:
    audience.expect(shot(PartTruth(counts={"bolt": 2, "washer": 1})))
    clock.now = START + SECOND // 50
    audience.hear(published("PartInspection", COUNTS))
    spin(audience, clock, {9.75: False, 10.25: False, 10.5: True})
    told = summarize(audience, 11.0, {"PartInspection": "2 overtaken"})
    text = "\n".join(told.lines)
    assert told.broken == []
    assert "16 readings in (4 events), 4 results out" in text
    assert "1 of 1 pictures answered, all counts right in 1 (100.0 %)" in text
    assert "3 of 3 bursts answered, no false alarm, fault found in 0.5 s" in text
    assert "2 overtaken" in text
    assert "fake:CPU" in text


def test_a_demo_that_inferred_nothing_broke_its_promise(audience: Audience) -> None:
    told = summarize(audience, 5.0, {})
    assert told.broken == ["no picture was answered", "no burst was answered"]


def test_a_binding_that_ends_degraded_breaks_the_promise(audience: Audience, clock: Clock) -> None:
    audience.hear(published("SpindleHealth", {"InferenceStatus": "degraded", "InferenceReason": "why"}))
    assert "SpindleHealth is degraded: why" in summarize(audience, 5.0, {}).broken


def test_rates_follow_the_last_seconds() -> None:
    panel = Panel(binding="b", device="d")
    for index in range(100):
        panel.hear({}, {}, START, START + index * SECOND // 5)
    now = START + 99 * SECOND // 5
    assert panel.rate(now) == pytest.approx(5.0)
    assert panel.rate(now + 60 * SECOND) == 0.0


def drawn(board: Board, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=False)
    with console.capture() as captured:
        console.print(render(board, width, height, START + 12 * SECOND))
    return captured.get().splitlines()


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (80, 20), (75, 24), (60, 15), (40, 12)])
@pytest.mark.parametrize("filled", [False, True])
def test_the_view_fits_its_terminal(
    audience: Audience, clock: Clock, size: tuple[int, int], filled: bool
) -> None:
    items = [{"label": label, "score": 0.9, "box": [0.1, 0.0, 1.0, 1.0]} for label in (*LABELS, "new")]
    if filled:
        detections = {"image": {"width": 1, "height": 1}, "items": items}
        audience.hear(published("PartInspection", {**COUNTS, "TopScore": 0.9, "Detections": detections}))
        spin(audience, clock, {index / 4: index > 90 for index in range(100)})
        for _ in range(100):
            audience.board.log("something long " * 20, clock.now)
    lines = drawn(audience.board, *size)
    assert max(map(len, lines)) <= size[0]
    assert len(lines) <= size[1]
    text = "".join(line.rstrip("│ ") for line in lines)
    assert "Ctrl-C stops" in text
    assert "mosquitto_sub -h localhost -p 1883" in text
    if filled:
        assert "IsAnomaly" in text
        assert "PartCount 3" in text
        assert "fake:CPU" in text


def test_an_alarm_is_seen_at_once(audience: Audience, clock: Clock) -> None:
    spin(audience, clock, {10.25: False})
    assert "ALARM" not in "\n".join(drawn(audience.board, 80, 24))
    spin(audience, clock, {10.5: True})
    assert "ALARM" in drawn(audience.board, 80, 24)[3]


def test_lines_tell_every_event_once(audience: Audience, clock: Clock) -> None:
    stream = io.StringIO()
    view = LineView(audience.board, stream)
    view.open()
    spin(audience, clock, {10.25: False, 10.5: True})
    for _ in range(3):
        view.refresh()
    view.close()
    said = stream.getvalue()
    assert LISTEN in said.splitlines()
    assert said.count("ALARM: IsAnomaly true") == 1


def test_the_picture_asks_no_server(audience: Audience, clock: Clock, tmp_path: Path) -> None:
    spin(audience, clock, {10.25: False, 10.5: True})
    save_picture(audience.board, tmp_path / "view.svg")
    picture = (tmp_path / "view.svg").read_text()
    assert "AnomalyScore" in picture
    assert "url(http" not in picture
    assert "@font-face" not in picture


def test_a_picture_that_cannot_be_written_is_a_sentence(audience: Audience, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"--svg .*nowhere/view.svg: No such file"):
        save_picture(audience.board, tmp_path / "nowhere" / "view.svg")
