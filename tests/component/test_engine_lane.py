"""Lanes over the shipped fake: grouping, bounds, closing."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edgex_inference.contracts.errors import (
    InferenceFailed,
    Overloaded,
    SignatureMismatch,
)
from edgex_inference.engine.terms import LaneSettings
from tests.component.lane_stage import Rig, held, is_answer, opened, until, x


@pytest.fixture
def rig(tmp_path: Path) -> Callable[..., Rig]:
    return partial(opened, tmp_path)


async def test_everybody_gets_the_own_answer(rig: Callable[..., Rig]) -> None:
    async with rig() as made:
        answers = await asyncio.gather(*(made.lane.infer(x(n)) for n in range(200)))
        assert all(is_answer(answer, n) for n, answer in enumerate(answers))


async def test_what_waits_shares_a_run(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=1) as made:
        first = await held(made)
        tasks = [asyncio.create_task(made.lane.infer(x(n, rows=1 + n % 2))) for n in range(10)]
        await until(lambda: made.lane.waiting == 11)
        made.strings.release.set()
        answers = await asyncio.gather(*tasks)
        await first
        assert all(is_answer(answer, n, 1 + n % 2) for n, answer in enumerate(answers))
        assert made.runs() == [1, 15]


async def test_other_shapes_do_not_share(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=1, shape=[None, None]) as made:
        first = await held(made)
        wide = {"x": np.zeros((1, 7), np.float32)}
        tasks = [asyncio.create_task(made.lane.infer(wide if n % 2 else x(n))) for n in range(8)]
        await until(lambda: made.lane.waiting == 9)
        made.strings.release.set()
        answers = await asyncio.gather(first, *tasks)
        assert [answer["y"].shape for answer in answers[1:]] == [
            (1, 7) if n % 2 else (1, 4) for n in range(8)
        ]
        assert made.strings.batches == [1, 4, 4], "open extents: no warm-up run"


@pytest.mark.parametrize(
    ("keys", "runs"),
    [
        ({"batch": "none", "shape": [1, 4]}, [1, 1, 1, 1, 1, 1]),
        ({"batch": "range", "most": 3}, [1, 3, 2]),
        ({"batch": "fixed", "most": 3, "shape": [3, 4]}, [3, 3, 3]),
    ],
)
async def test_traits_bound_the_batch(
    rig: Callable[..., Rig], keys: dict[str, object], runs: list[int]
) -> None:
    async with rig(parallel=1, **keys) as made:
        first = await held(made)
        tasks = [asyncio.create_task(made.lane.infer(x(n))) for n in range(5)]
        await until(lambda: made.lane.waiting == 6)
        made.strings.release.set()
        answers = await asyncio.gather(*tasks)
        await first
        assert all(is_answer(answer, n) for n, answer in enumerate(answers))
        assert made.runs() == runs


async def test_lingering_waits_for_company(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=1) as made:
        first = asyncio.create_task(made.lane.infer(x(1), linger=20))
        await asyncio.sleep(0)
        second = asyncio.create_task(made.lane.infer(x(2), linger=0))
        assert is_answer(await first, 1)
        assert is_answer(await second, 2)
        assert made.runs() == [2]


async def test_a_bad_item_fails_alone(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=1, poison=5.0) as made:
        first = await held(made)
        tasks = [asyncio.create_task(made.lane.infer(x(n))) for n in range(10)]
        await until(lambda: made.lane.waiting == 11)
        made.strings.release.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await first
        assert isinstance(outcomes[5], InferenceFailed)
        assert all(is_answer(answer, n) for n, answer in enumerate(outcomes) if n != 5)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", ["ragged"])
async def test_outputs_without_rows_switch_batching_off(
    rig: Callable[..., Rig], command: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig(parallel=1) as made:
        first = await held(made)
        made.strings.script.append(command)
        tasks = [asyncio.create_task(made.lane.infer(x(n))) for n in range(6)]
        await until(lambda: made.lane.waiting == 7)
        made.strings.release.set()
        answers = await asyncio.gather(first, *tasks)
        assert all(is_answer(answer, n) for n, answer in enumerate(answers[1:]))
        assert made.runs() == [1, 6, 1, 1, 1, 1, 1, 1]
        assert sum("batching is off" in record.message for record in caplog.records) == 1


async def test_infer_many_keeps_order_and_gives_errors_in_place(rig: Callable[..., Rig]) -> None:
    async with rig(poison=5.0) as made:
        answers = await made.lane.infer_many([x(n) for n in range(8)])
        assert isinstance(answers[5], InferenceFailed)
        assert all(is_answer(a, n) for n, a in enumerate(answers) if n != 5)  # type: ignore[arg-type]


async def test_misfits_are_message_errors(rig: Callable[..., Rig]) -> None:
    async with rig() as made:
        with pytest.raises(SignatureMismatch):
            await made.lane.infer({"x": np.zeros((1, 4))})
        assert is_answer(await made.lane.infer(x(1)), 1)


async def test_a_plugin_that_leaks_its_vendors_errors_is_contained(rig: Callable[..., Rig]) -> None:
    async with rig() as made:
        made.strings.script.append("leak")
        with pytest.raises(InferenceFailed, match="VendorError"):
            await made.lane.infer(x(1))
        assert is_answer(await made.lane.infer(x(1)), 1)


async def test_the_queue_is_bounded(rig: Callable[..., Rig]) -> None:
    async with rig(LaneSettings(queue=3), parallel=1) as made:
        first = await held(made)
        tasks = [asyncio.create_task(made.lane.infer(x(n))) for n in range(2)]
        await until(lambda: made.lane.waiting == 3)
        with pytest.raises(Overloaded):
            await made.lane.infer(x(9))
        answers = await made.lane.infer_many([x(9)])
        assert isinstance(answers[0], Overloaded)
        made.strings.release.set()
        await asyncio.gather(first, *tasks)


async def test_callers_who_give_up_leave_nothing_behind(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=1) as made:
        first = await held(made)
        tasks = [asyncio.create_task(made.lane.infer(x(n))) for n in range(3)]
        await until(lambda: made.lane.waiting == 4)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert made.lane.waiting == 1
        made.strings.release.set()
        await first
        assert is_answer(await made.lane.infer(x(1)), 1)
        assert made.runs() == [1, 1]


async def test_long_runs_use_all_threads_that_the_session_allows(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=3, batch="none") as made:
        made.strings.always = "hang"
        tasks = [asyncio.create_task(made.lane.infer(x(n), timeout=30)) for n in range(4)]
        await until(lambda: len(made.runs()) == 3)
        made.strings.always = "ok"
        made.strings.release.set()
        answers = await asyncio.gather(*tasks)
        assert all(is_answer(answer, n) for n, answer in enumerate(answers))


async def test_thread_bound_sessions_live_in_one_thread(rig: Callable[..., Rig]) -> None:
    async with rig(affinity="thread", parallel=4) as made:
        answers = await made.lane.infer_many([x(n) for n in range(50)])
        assert all(is_answer(a, n) for n, a in enumerate(answers))  # type: ignore[arg-type]
        await made.lane.close()
        assert made.strings.closes == 1


async def test_closing_drains_or_cancels(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=1) as made:
        first = await held(made)
        second = asyncio.create_task(made.lane.infer(x(2)))
        await until(lambda: made.lane.waiting == 2)
        closing = asyncio.create_task(made.lane.close(drain=20))
        await asyncio.sleep(0)
        with pytest.raises(InferenceFailed, match="closed"):
            await made.lane.infer(x(3))
        made.strings.release.set()
        await closing
        assert is_answer(await first, 99)
        assert is_answer(await second, 2)
        assert made.strings.closes == 1
        await made.lane.close()


async def test_closing_does_not_wait_for_a_hung_run(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=1) as made:
        first = await held(made)
        await made.lane.close()
        with pytest.raises(InferenceFailed, match="closed"):
            await first
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("fake:CPU")]
        assert all(thread.daemon for thread in threads)


async def test_what_it_counts(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=1) as made:
        await made.lane.infer_many([x(n) for n in range(10)])
        counted = made.lane.metrics.events.by_word()
        assert counted["rows"] == 10
        assert counted["runs"] == made.lane.metrics.runs.summary().count
