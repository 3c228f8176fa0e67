"""pipeline.policy: when a result goes out."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edgex_inference.contracts.bindings import Publish
from edgex_inference.contracts.events import Reading, ValueType
from edgex_inference.pipeline.publishing.policy import Outgoing, Policy, PublishState

TYPES = {"Label": ValueType.STRING, "Score": ValueType.FLOAT32, "More": ValueType.OBJECT}


def out(label: str | None = "ok", score: str = "1e+00", more: object = None, origin: int = 1) -> Outgoing:
    readings = {"Score": Reading(value_type="Float32", value=score)}
    if label is not None:
        readings["Label"] = Reading(value_type="String", value=label)
    if more is not None:
        readings["More"] = Reading(value_type="Object", object_value=more)
    return Outgoing(readings=readings, origin=origin, correlation_id="c")


def policy(publish: Publish, types: dict[str, ValueType] | None = None) -> Policy:
    return Policy.of(publish, TYPES if types is None else types)


def test_always() -> None:
    always, state = policy(Publish()), PublishState()
    for number in range(3):
        result = out(origin=number)
        state, due = always.offer(state, result, 5.0)
        assert due is result
        assert state == PublishState(last=result, last_at=5.0)
    assert always.due_at(state) is None


@pytest.mark.parametrize(
    ("types", "compared"),
    [
        (TYPES, ("Label",)),
        ({"Score": ValueType.FLOAT32, "More": ValueType.OBJECT}, ("Score", "More")),
        ({"A": ValueType.BOOL, "B": ValueType.UINT16, "C": ValueType.STRING_ARRAY, "D": ValueType.FLOAT64_ARRAY},
         ("A", "B", "C")),
        ({"A": ValueType.FLOAT32_ARRAY}, ("A",)),
    ],
)  # fmt: skip
def test_discrete_outputs_decide_and_others_where_there_is_none(
    types: dict[str, ValueType], compared: tuple[str, ...]
) -> None:
    assert policy(Publish(when="change"), types).compared == compared


def test_change() -> None:
    change, state = policy(Publish(when="change")), PublishState()
    said = []
    for result in (
        out(),
        out(score="2e+00"),
        out("bad"),
        out("bad", more={"a": 1}),
        out(None),
        out(None),
        out(),
    ):
        state, due = change.offer(state, result, 0.0)
        said.append(due is not None)
    assert said == [True, False, True, False, True, False, True], "an output that is left out is a change too"


def test_change_of_floats_and_objects_where_there_is_nothing_else() -> None:
    change = policy(Publish(when="change"), {"Score": ValueType.FLOAT32, "More": ValueType.OBJECT})
    state, _ = change.offer(PublishState(), out(more={"a": 1}), 0.0)
    assert change.offer(state, out(more={"a": 1}), 1.0)[1] is None
    assert change.offer(state, out(more={"a": 2}), 1.0)[1] is not None
    assert change.offer(state, out(score="3e+00", more={"a": 1}), 1.0)[1] is not None


def test_what_never_arrived_is_a_change_again() -> None:
    change = policy(Publish(when="change"))
    state, _ = change.offer(PublishState(), out(), 0.0)
    state, due = change.offer(replace(state, arrived=False), out(), 1.0)
    assert due is not None
    assert state.arrived


@pytest.mark.parametrize("when", ["always", "change", "interval"])
def test_min_interval_holds_the_newest(when: str) -> None:
    slow, state = policy(Publish(when=when, min_interval=10.0)), PublishState()
    first, second, third = out("a"), out("b"), out("c")
    state, due = slow.offer(state, first, 0.0)
    assert due is first
    state, due = slow.offer(state, second, 4.0)
    assert due is None
    state, due = slow.offer(state, third, 9.9)
    assert due is None
    assert slow.due_at(state) == 10.0
    assert slow.tick(state, 9.99) == (state, None)
    state, due = slow.tick(state, 10.0)
    assert due is third
    assert state == PublishState(last=third, last_at=10.0)
    assert slow.due_at(state) is None
    assert slow.offer(state, first, 20.0)[1] is first


def test_a_change_that_is_taken_back_in_time_is_none() -> None:
    slow = policy(Publish(when="change", min_interval=10.0))
    state, _ = slow.offer(PublishState(), out("a"), 0.0)
    state, _ = slow.offer(state, out("b"), 1.0)
    state, due = slow.offer(state, out("a"), 2.0)
    assert (state.pending, due) == (None, None)


def test_interval_without_a_length_is_a_second() -> None:
    state, _ = policy(Publish(when="interval")).offer(PublishState(), out(), 0.0)
    state, due = policy(Publish(when="interval")).offer(state, out(), 0.5)
    assert due is None
    assert policy(Publish(when="interval")).due_at(state) == 1.0


def test_keep_alive_repeats_the_last() -> None:
    alive = policy(Publish(when="change", keep_alive=60.0))
    assert alive.due_at(PublishState()) is None, "there is nothing to repeat"
    first = out()
    state, _ = alive.offer(PublishState(), first, 0.0)
    state, _ = alive.offer(state, out(score="5e+00"), 30.0)
    assert alive.due_at(state) == 60.0, "what was suppressed does not count"
    state, due = alive.tick(state, 61.0)
    assert due is first
    assert alive.due_at(state) == 121.0


@given(
    st.sampled_from(["always", "change", "interval"]),
    st.sampled_from([0.0, 1.0, 3.0]),
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 2)), min_size=1, max_size=40),
)
def test_never_more_often_than_asked_and_the_newest_in_the_end(
    when: str, interval: float, steps: list[tuple[str, float]]
) -> None:
    tried = policy(Publish(when=when, min_interval=interval))
    state, now, times, last = PublishState(), 0.0, [], None
    for label, pause in steps:
        now += pause
        state, due = tried.tick(state, now)
        times += [now] if due is not None else []
        state, due = tried.offer(state, out(label), now)
        times += [now] if due is not None else []
        last = label
    at = tried.due_at(state)
    if at is not None:
        state, due = tried.tick(state, at)
        times.append(at)
    least = interval or (1.0 if when == "interval" else 0.0)
    assert all(later - earlier >= least - 1e-9 for earlier, later in itertools.pairwise(times))
    assert state.last is not None
    assert state.last.readings["Label"].value == last
