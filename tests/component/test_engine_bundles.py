"""Bundles over the shipped fake: few runs for many samples, and each sample's own fate all the same."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from edgex_inference.contracts.accelerator import LoadRequest
from edgex_inference.contracts.errors import DeviceLost, EdgexInferenceError, RunHung
from edgex_inference.contracts.results import Stack
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.engine.batching import Answer
from edgex_inference.engine.bundles import apart, infer_bundled, infer_stacked
from edgex_inference.engine.lane import Lane
from edgex_inference.engine.terms import LaneSettings
from edgex_inference.testing.fake_accelerator import FAKE, Control, control, load, write_model

QUICK = LaneSettings(backoff=0.01, backoff_most=0.02, load_timeout=20)


@asynccontextmanager
async def opened(tmp_path: Path, **keys: object) -> AsyncIterator[tuple[Lane, Control]]:
    path = write_model(tmp_path / "model.fake", **keys)
    lane = Lane("fake:CPU model", lambda: load(LoadRequest(path=path, format=FAKE)), settings=QUICK)
    await lane.open()
    try:
        yield lane, control(path)
    finally:
        control(path).release.set()
        await lane.close()


def x(number: float, rows: int = 1, width: int = 4) -> Tensors:
    return {"x": np.full((rows, width), number, dtype=np.float32)}


def said(answer: Answer) -> tuple[int, float]:
    """Rows and number of an answer of the fake, which says 2x + 1."""
    assert not isinstance(answer, EdgexInferenceError), answer
    return len(answer["y"]), float(answer["y"][0, 0])


async def test_a_burst_is_one_run_and_each_sample_gets_its_own_rows(tmp_path: Path) -> None:
    async with opened(tmp_path) as (lane, strings):
        answers = await infer_bundled(lane, [x(1), x(2, rows=3), x(3)])
        assert [said(answer) for answer in answers] == [(1, 3.0), (3, 5.0), (1, 7.0)]
        assert strings.batches[strings.loads :] == [5]


@pytest.mark.parametrize(
    ("batch", "runs"),
    [
        ({"batch": "none"}, [1, 1, 1, 1, 1]),
        ({"batch": "range", "most": 2}, [2, 2, 1]),
        ({"batch": "fixed", "most": 4}, [4, 4]),
    ],
)
async def test_a_run_has_no_more_rows_than_the_session_takes(
    tmp_path: Path, batch: dict[str, object], runs: list[int]
) -> None:
    async with opened(tmp_path, **batch) as (lane, strings):
        answers = await infer_bundled(lane, [x(number) for number in range(5)])
        assert [said(answer) for answer in answers] == [(1, 2.0 * number + 1) for number in range(5)]
        assert strings.batches[strings.loads :] == runs


async def test_a_bad_sample_fails_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as (lane, _):
        answers = await infer_bundled(lane, [x(1), x(2, width=3), x(3), x(4)])
        assert isinstance(answers[1], EdgexInferenceError)
        assert [said(answers[at])[1] for at in (0, 2, 3)] == [3.0, 7.0, 9.0]


async def test_of_a_bundle_that_hangs_only_the_sample_to_blame_fails(tmp_path: Path) -> None:
    async with opened(tmp_path, parallel=1) as (lane, strings):
        strings.script.extend(["stall", "ok", "ok", "stall"])  # each session's first run is its warm-up
        answers = await infer_bundled(lane, [x(1), x(2), x(3)], timeout=1.5)
        assert isinstance(answers[1], RunHung)
        assert [said(answers[at])[1] for at in (0, 2)] == [3.0, 7.0]


async def test_of_a_stack_that_hangs_only_the_sample_to_blame_fails(tmp_path: Path) -> None:
    async with opened(tmp_path, parallel=1) as (lane, strings):
        strings.script.extend(["stall", "ok", "stall"])
        stack = Stack(tensors={"x": np.concatenate([x(n)["x"] for n in (1, 2, 3)])}, origins=[0, 0, 0])
        answers = await infer_stacked(lane, stack, timeout=1.5)
        assert not isinstance(answers, Mapping)
        assert isinstance(answers[0], RunHung)
        assert [said(answers[at])[1] for at in (1, 2)] == [5.0, 7.0]


async def test_a_run_that_fails_is_tried_sample_by_sample(tmp_path: Path) -> None:
    async with opened(tmp_path) as (lane, strings):
        strings.script.append("fail")
        answers = await infer_bundled(lane, [x(1), x(2)])
        assert [said(answer)[1] for answer in answers] == [3.0, 5.0]


async def test_a_lost_device_loses_all_of_them_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as (lane, strings):
        strings.script.append("lose")
        answers = await infer_bundled(lane, [x(1), x(2)])
        assert [type(answer) for answer in answers] == [DeviceLost, DeviceLost]


async def test_outputs_without_rows_make_samples_go_alone_from_then_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as (lane, strings):
        strings.script.extend(["ragged", "ragged"])
        answers = await infer_bundled(lane, [x(1), x(2)])
        assert [said(answer)[1] for answer in answers] == [3.0, 5.0]
        strings.batches.clear()
        answers = await infer_bundled(lane, [x(3), x(4)])
        assert [said(answer)[1] for answer in answers] == [7.0, 9.0]
        assert strings.batches == [1, 1]


def stack(*numbers: float, width: int = 4) -> Stack:
    rows = [[number] * width for number in numbers]
    return Stack(tensors={"x": np.array(rows, dtype=np.float32)}, origins=[0] * len(numbers))


async def test_a_stack_is_one_run_and_stays_one_array(tmp_path: Path) -> None:
    async with opened(tmp_path) as (lane, strings):
        outputs = await infer_stacked(lane, stack(1, 2, 3))
        assert isinstance(outputs, Mapping)
        assert outputs["y"][:, 0].tolist() == [3.0, 5.0, 7.0]
        assert strings.batches[strings.loads :] == [3]
        assert [said(answer) for answer in apart(outputs)] == [(1, 3.0), (1, 5.0), (1, 7.0)]


@pytest.mark.parametrize(
    ("batch", "script", "runs"),
    [
        ({"batch": "range", "most": 2}, [], [2, 1]),
        ({"batch": "none"}, [], [1, 1, 1]),
        ({}, ["fail"], [3, 3]),
        ({}, ["ragged"], [3, 3]),
    ],
    ids=["more than a run takes", "no batch", "a run fails", "rows are mixed"],
)
async def test_a_stack_that_cannot_run_as_one_is_taken_apart(
    tmp_path: Path, batch: dict[str, object], script: list[str], runs: list[int]
) -> None:
    async with opened(tmp_path, **batch) as (lane, strings):
        strings.script.extend(script)
        answers = await infer_stacked(lane, stack(1, 2, 3))
        assert not isinstance(answers, Mapping)
        assert [said(answer)[1] for answer in answers] == [3.0, 5.0, 7.0]
        assert strings.batches[strings.loads :] == runs


async def test_a_lost_device_loses_a_stack_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as (lane, strings):
        strings.script.append("lose")
        answers = await infer_stacked(lane, stack(1, 2))
        assert [type(answer) for answer in answers] == [DeviceLost, DeviceLost]
