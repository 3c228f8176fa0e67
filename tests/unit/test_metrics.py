"""Counters, histograms, and how they are told: the ledger, Prometheus's text, EdgeX's switches."""

import base64
import json
import random
from types import SimpleNamespace
from typing import cast

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgex_inference.edgex import telemetry
from edgex_inference.edgex.dialect import Dialect, Major
from edgex_inference.pipeline.measure import Measures
from edgex_inference.pipeline.measuring import figures, ledger
from edgex_inference.pipeline.measuring.ledger import OTHERS, Ledger
from edgex_inference.pipeline.running.run import Run
from edgex_inference.telemetry.families import Family, Point
from edgex_inference.telemetry.metrics import Counts, Histogram, Spread
from edgex_inference.web import prometheus


def seen(*seconds: float) -> Spread:
    histogram = Histogram()
    for one in seconds:
        histogram.add(one)
    return histogram.spread()


class FakeRun:
    """A run as the ledger sees it."""

    def __init__(self, profile: str, binding: str, received: int) -> None:
        self.binding = SimpleNamespace(profile=profile, name=binding)
        self.measures = Measures()
        self.measures.events.add("received", received)


def run(profile: str = "p", binding: str = "b", *, received: int) -> Run:
    return cast(Run, FakeRun(profile, binding, received))


def test_a_spread_has_mean_deviation_and_percentiles() -> None:
    found = seen(0.001, 0.002, 0.003)
    assert (found.count, found.least, found.most) == (3, 0.001, 0.003)
    assert found.mean == pytest.approx(0.002)
    assert found.deviation == pytest.approx((2 / 3) ** 0.5 * 1e-3)
    assert 0.002 <= found.percentile(0.5) <= 0.002 * 1.19
    assert found.percentile(0.99) == 0.003


def test_of_nothing_everything_is_zero() -> None:
    found = seen()
    assert (found.count, found.mean, found.variance, found.percentile(0.99)) == (0, 0.0, 0.0, 0.0)


def test_two_histograms_together_are_as_one() -> None:
    rng = random.Random(3)
    values = [rng.lognormvariate(-6, 2) for _ in range(200)]
    whole, parts = seen(*values), Histogram()
    parts.take_in(seen(*values[:70]))
    parts.take_in(seen(*values[70:]))
    found = parts.spread()
    assert found.buckets == whole.buckets
    assert (found.count, found.least, found.most) == (whole.count, whole.least, whole.most)
    assert found.total == pytest.approx(whole.total)
    assert found.variance == pytest.approx(whole.variance)


def test_what_is_up_to_a_bound_never_falls_and_ends_with_all_but_the_slowest() -> None:
    told = seen(1e-6, 0.001, 0.5, 60.0).up_to(4)
    amounts = [amount for _, amount in told]
    assert amounts == sorted(amounts)
    assert (amounts[0], amounts[-1], len(told)) == (1, 3, 21)


# The ledger


def total(book: Ledger, key: tuple[str, str] = ("p", "b")) -> int:
    return book.entries()[key].total().events.total("received")


def test_totals_never_fall_when_a_run_goes() -> None:
    book, first, second = Ledger(), run(received=3), run(received=4)
    book.enter(first)
    assert total(book) == 3
    book.enter(second)
    assert total(book) == 7
    first.measures.stages["infer"].add(0.5)
    book.leave(first)
    book.leave(first)
    assert total(book) == 7
    second.measures.events.add("received")
    assert total(book) == 8
    assert book.entries()[("p", "b")].total().stages["infer"].spread().count == 1
    book.leave(second)
    assert total(book) == 8


def test_made_up_names_make_no_more_than_so_many_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_MOST", 2)
    book = Ledger()
    for number in range(5):
        book.enter(run(f"p{number}", received=1))
    assert set(book.entries()) == {("p0", "b"), ("p1", "b"), OTHERS}
    assert total(book, OTHERS) == 3


# Prometheus


def test_prometheus_reads_what_is_written() -> None:
    awkward = {"profile": 'a "b"\\c\nd', "binding": "ü"}
    spread = seen(0.001, 0.002, 30.0)
    text = prometheus.render(
        [
            Point(figures.EVENTS["received"], 7, awkward),
            Point(figures.EVENTS["published"], 0, awkward),
            Point(figures.EVENTS["received"], 8, {"profile": "p", "binding": "b"}),
            Point(figures.TIMES["infer"], spread, awkward),
            Point(figures.PROCESSED, 9, {"pipeline": "x"}),
        ]
    )
    found = {family.name: family for family in text_string_to_metric_families(text)}
    received = found["edgex_inference_received"]
    assert [(one.labels["profile"], one.value) for one in received.samples] == [
        (awkward["profile"], 7),
        ("p", 8),
    ]
    infer = found["edgex_inference_infer_seconds"]
    assert infer.type == "histogram"
    values = {one.name: one.value for one in infer.samples if "le" not in one.labels}
    assert values == {
        "edgex_inference_infer_seconds_count": 3,
        "edgex_inference_infer_seconds_sum": pytest.approx(30.003),
    }
    buckets = [(float(one.labels["le"]), one.value) for one in infer.samples if "le" in one.labels]
    assert buckets[-1] == (float("inf"), 3)
    assert [bound for bound, _ in buckets] == sorted({bound for bound, _ in buckets})
    assert len(found) == 3, "the SDK's names are on the bus only"


def test_every_family_has_names_that_both_sides_take() -> None:
    for family in (*figures.FAMILIES, *prometheus.OF_THE_PROCESS):
        assert family.metric or family.series
        assert family.help.endswith(".")
        if family.series and family.kind == "counter":
            assert family.series.endswith("_total")
        if family.series and family.kind == "timer":
            assert family.series.endswith("_seconds")
        text = prometheus.render([Point(family, seen(1.0) if family.kind == "timer" else 1)])
        assert bool(text) == bool(list(text_string_to_metric_families(text)))
    series = [family.series for family in figures.FAMILIES if family.series]
    assert len(series) == len(set(series))


def test_the_process_tells_what_it_uses() -> None:
    found = {point.family.series: point.value for point in prometheus.process("1.2")}
    memory, cpu = found["process_resident_memory_bytes"], found["process_cpu_seconds_total"]
    assert isinstance(memory, int)
    assert memory > 1 << 20
    assert isinstance(cpu, float)
    assert cpu > 0


# EdgeX's switches

_FAMILY = Family(metric="InferenceDropped", series="", kind="counter", help=".")


@pytest.mark.parametrize(
    ("switches", "wanted"),
    [
        ({}, False),
        ({"InferenceDropped": True}, True),
        ({"InferenceDropped": False}, False),
        ({"Inference": True}, True),
        ({"InferenceDropped-Health": True}, True),
        ({"InferenceDropped-Other": True}, False),
        ({"InferenceDroppedX": True}, False),
        ({"Inference": True, "InferenceDropped-Health": False}, False),
        ({"Inference": False, "InferenceDropped": True}, True),
        ({"": True}, False),
    ],
)
def test_a_switch_is_the_beginning_of_a_name_and_the_longest_decides(
    switches: dict[str, bool], wanted: bool
) -> None:
    assert telemetry.is_wanted(Point(_FAMILY, 1, of="Health"), switches) is wanted


def test_what_has_no_name_on_the_bus_is_not_wanted() -> None:
    assert not telemetry.is_wanted(Point(figures.MODEL, 1, of="b"), {"I": True, "-": True})


def test_overload_is_no_processing_error() -> None:
    dropped = Counts()
    dropped.add("overtaken", 5)
    dropped.add("nan", 2)
    assert figures._faults(dropped) == 2


def test_timers_are_told_in_nanoseconds_with_edgex_s_fields() -> None:
    point = Point(figures.TIMES["infer"], seen(0.001, 0.003), {"profile": "p", "binding": "b"})
    message = telemetry.encode(point, service="s", tags={"x": ""}, now=7, dialect=Dialect(major="4"))
    assert message.topic == "edgex/telemetry/s/InferenceInferTime"
    metric = json.loads(message.payload)["payload"]
    fields = {one["name"]: one["value"] for one in metric["fields"]}
    assert (fields["timer-count"], fields["timer-min"], fields["timer-max"]) == (2, 1_000_000, 3_000_000)
    assert fields["timer-mean"] == pytest.approx(2e6)
    assert fields["timer-stddev"] == pytest.approx(1e6)
    assert fields["timer-variance"] == pytest.approx(1e12)
    assert fields["timer-p99"] == 3_000_000
    assert [tag["name"] for tag in metric["tags"]] == ["service", "profile", "binding"], "no empty tags"
    assert metric["timestamp"] == 7


@pytest.mark.parametrize("major", [None, "3", "4"])
def test_a_metric_travels_as_each_release_takes_it(major: Major | None) -> None:
    point = Point(figures.CONNECTED, 1)
    message = telemetry.encode(point, service="s", tags={}, now=7, dialect=Dialect(major=major))
    payload = json.loads(message.payload)["payload"]
    assert isinstance(payload, dict) is (major == "4")
    metric = payload if isinstance(payload, dict) else json.loads(base64.b64decode(payload))
    assert metric["fields"] == [{"name": "gauge-value", "value": 1}]


def test_a_burst_of_durations_counts_as_each_alone() -> None:
    values = [random.Random(7).lognormvariate(-7, 3) for _ in range(700)]
    alone, burst, few = Histogram(), Histogram(), Histogram()
    for value in [*values, *[0.003] * 40]:
        alone.add(value)
    burst.add_all(values)
    few.add_all(values[:5])
    few.add_all(values[5:])
    for one in (burst, few):
        one.repeat(0.003, 40)
        mine, theirs = one.spread(), alone.spread()
        assert (mine.buckets, mine.count, mine.least, mine.most) == (
            theirs.buckets,
            theirs.count,
            theirs.least,
            theirs.most,
        )
        assert mine.total == pytest.approx(theirs.total)
        assert mine.squares == pytest.approx(theirs.squares)
