"""Decisions: raise, clear and how many in a row; and where the thresholds come from."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.contracts.bindings import Decide
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.models import Build, ModelCard, Score, Task
from edgex_inference.contracts.results import Anomaly, Detections, Raw
from edgex_inference.contracts.tensors import Datatype
from edgex_inference.postprocess.decide import DecideState, Resolved, resolve, step, value_of
from edgex_inference.postprocess.prospect import Promised, Prospect

ANY = Prospect(
    tensors={
        "level": Promised(datatype=Datatype.INT8, size=1),
        "pair": Promised(datatype=Datatype.FP32, size=2),
        "word": Promised(datatype=Datatype.BYTES, size=1),
    },
    labels=("a", "b"),
)


def run(values: list[float | None], **said: float) -> str:
    """The states after each value, `#` true and `.` false."""
    raise_at = said.pop("raise_at", 10.0)
    clear_below = said.pop("clear_below", raise_at)
    counts = {key: int(count) for key, count in said.items()}
    rule = Resolved(value="score", raise_at=raise_at, clear_below=clear_below, **counts)
    state, text = DecideState(), ""
    for value in values:
        state, active = step(state, value, rule)
        assert active is state.active
        text += "#" if active else "."
    return text


def test_at_the_threshold_it_is_true_below_it_false() -> None:
    assert run([9.9, 10, 11, 9.9, 10]) == ".##.#"


def test_hysteresis() -> None:
    assert run([9, 10, 9, 8, 7.9, 9, 10], clear_below=8) == ".###..#"


def test_rows() -> None:
    assert run([10, 10, 9, 10, 10, 10, 9], raise_after=3) == ".....#."
    assert run([10, 9, 9, 10, 9, 9, 9], clear_after=3) == "######."


def test_between_clear_and_raise_a_row_ends() -> None:
    assert run([10, 9, 10, 10], raise_after=2, clear_below=8) == "...#"
    assert run([10, 7, 9, 7, 7], clear_after=2, clear_below=8) == "####."


@pytest.mark.parametrize("gap", [math.nan, None])
def test_no_number_leaves_everything_as_it_was(gap: float | None) -> None:
    assert run([10, gap, 10, gap, 9, gap, 9], raise_after=2, clear_after=2) == "..####."


def test_infinities_are_numbers() -> None:
    assert run([math.inf, -math.inf]) == "#."


@given(
    st.lists(st.integers(0, 20)), st.integers(1, 4), st.integers(1, 4), st.integers(5, 15), st.integers(0, 5)
)
def test_every_change_has_its_row(
    values: list[float], raise_after: int, clear_after: int, raise_at: int, gap: int
) -> None:
    clear = raise_at - gap
    states = run(
        values, raise_at=raise_at, clear_below=clear, raise_after=raise_after, clear_after=clear_after
    )
    before = "."
    for index, now in enumerate(states):
        rising = values[max(0, index + 1 - raise_after) : index + 1]
        falling = values[max(0, index + 1 - clear_after) : index + 1]
        if now != before:
            row, count = (rising, raise_after) if now == "#" else (falling, clear_after)
            assert len(row) == count
            assert all(value >= raise_at if now == "#" else value < clear for value in row)
        before = now


@given(st.lists(st.integers(0, 20)))
def test_without_rows_the_state_is_the_last_crossing(values: list[float]) -> None:
    expected, active = "", False
    for value in values:
        active = value >= 10 or (active and value >= 8)
        expected += "#" if active else "."
    assert run(values, clear_below=8) == expected


def card(task: Task, score: Score | None = None, decoder: str | None = None) -> ModelCard:
    build = Build(path=Path("m.onnx"), format=ONNX, decoder=decoder)
    return ModelCard(name="pump", version="1", task=task, folder=Path("."), builds=(build,), score=score)


def test_defaults() -> None:
    limited = card(Task.ANOMALY, Score(limit=30))
    assert resolve(None, limited, ANY) == Resolved(value="score", raise_at=30, clear_below=30)
    assert resolve(Decide(clear_below=20, raise_after=3), limited, ANY) == Resolved(
        value="score", raise_at=30, clear_below=20, raise_after=3
    )
    assert resolve(Decide(raise_at=1), limited, ANY) == Resolved(value="score", raise_at=1, clear_below=1)
    for task, value in (
        (Task.DETECTION, "count"),
        (Task.CLASSIFICATION, "score"),
        (Task.REGRESSION, "value"),
    ):
        assert resolve(Decide(raise_at=1), card(task), ANY).value == value


def test_an_isolation_forest_has_a_border() -> None:
    assert resolve(None, card(Task.ANOMALY, decoder="isolation-forest"), ANY).raise_at == 0


def test_unknown_below_needs_no_raise_unless_the_state_is_wanted() -> None:
    only = Decide(unknown_below=0.5)
    found = resolve(only, card(Task.CLASSIFICATION), ANY)
    assert (found.raise_at, found.unknown_below) == (None, 0.5)
    assert step(DecideState(), 0.9, found) == (DecideState(), False)
    with pytest.raises(ModelRejected, match=r"decide\.raise: is missing"):
        resolve(only, card(Task.CLASSIFICATION), ANY, state=True)


@pytest.mark.parametrize(
    ("decide", "task", "text"),
    [
        (None, Task.DETECTION, "decide.raise: is missing"),
        (None, Task.RAW, "decide.value: is missing"),
        (Decide(value="label", raise_at=1), Task.CLASSIFICATION, "decide.value: 'label' is no number"),
        (Decide(value="scor", raise_at=1), Task.ANOMALY, "decide.value: 'scor' is no number"),
        (Decide(raise_at=1, clear_below=2), Task.ANOMALY, "decide.clear: 2 is above decide.raise 1"),
        (Decide(value="contributions", raise_at=1), Task.ANOMALY, "is no number that task anomaly gives"),
        (Decide(value="pair", raise_at=1), Task.RAW, "decide.value: 'pair' is no number that task raw gives"),
        (Decide(value="pair.2", raise_at=1), Task.RAW, "decide.value: pair has 2 numbers"),
        (Decide(value="word", raise_at=1), Task.RAW, "decide.value: 'word' is no number"),
        (Decide(value="levl", raise_at=1), Task.RAW, "did you mean level"),
    ],
)
def test_refused(decide: Decide | None, task: Task, text: str) -> None:
    with pytest.raises(ModelRejected, match=text):
        resolve(decide, card(task), ANY)


def test_what_is_decided_on() -> None:
    found = Detections(
        boxes=np.zeros((2, 4), np.float32),
        scores=np.array([0.5, 0.25], np.float32),
        classes=np.array([0, 1]),
        labels=("a", "b"),
        width=1,
        height=1,
    )
    for value, expected in (("count", 2.0), ("count.b", 1.0), ("maxScore", 0.5), ("present", 1.0)):
        rule = resolve(Decide(value=value, raise_at=1), card(Task.DETECTION), ANY)
        assert value_of(found, rule) == expected
    raw = resolve(Decide(value="level", raise_at=1), card(Task.RAW), ANY)
    assert value_of(Raw(tensors={"level": np.array([7], np.int8)}), raw) == 7.0
    assert value_of(Raw(tensors={}), raw) is None
    score = Resolved(value="score", raise_at=1, clear_below=1)
    assert value_of(Anomaly(score=2.0), score) == 2.0
