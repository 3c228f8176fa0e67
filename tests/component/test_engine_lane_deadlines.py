"""Lanes whose runs hang, are late or lose their device: deadlines, replacement, reopening."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeadlineExceeded,
    DeviceLost,
    InferenceFailed,
)
from edgex_inference.engine.terms import LaneSettings
from tests.component.lane_stage import QUICK, Rig, held, is_answer, opened, outcome, until, x

BEGUN = 0.5
"""Seconds in which a run has surely begun, on a busy machine too: before, its item only waits."""


@pytest.fixture
def rig(tmp_path: Path) -> Callable[..., Rig]:
    return partial(opened, tmp_path)


async def test_a_hung_run_is_abandoned_and_others_go_on(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=1) as made:
        made.strings.script.append("hang")
        made.strings.started.clear()
        hung = asyncio.create_task(made.lane.infer(x(1), timeout=BEGUN))
        await asyncio.to_thread(made.strings.started.wait, 20)
        others = [asyncio.create_task(made.lane.infer(x(n), timeout=20)) for n in range(5)]
        with pytest.raises(DeadlineExceeded, match=r"did not end within 0\.5 s"):
            await hung
        answers = await asyncio.gather(*others)
        assert all(is_answer(answer, n) for n, answer in enumerate(answers))
        assert made.strings.loads == 2
        assert made.lane.leaked == 1
        made.strings.release.set()
        await until(lambda: made.lane.leaked == 0)


async def test_of_a_batch_that_hangs_only_the_item_to_blame_fails(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=1) as made:
        first = await held(made)
        made.strings.script.extend(["stall", "ok", "ok", "stall"])  # each session's first run is its warm-up
        tasks = [asyncio.create_task(outcome(made.lane.infer(x(n), timeout=1.5))) for n in range(3)]
        await until(lambda: made.lane.waiting == 4)
        made.strings.release.set()
        await first
        answers = await asyncio.gather(*tasks)
        assert made.strings.batches[1:3] == [1, 3], "they shared a run"
        assert is_answer(answers[0], 0)
        assert isinstance(answers[1], DeadlineExceeded)
        assert is_answer(answers[2], 2)
        assert made.strings.loads == 3


async def test_a_hung_warm_up_is_given_up_and_another_session_opened(rig: Callable[..., Rig]) -> None:
    settings = LaneSettings(backoff=0.01, backoff_most=0.02, leaks=4, load_timeout=2)
    async with rig(settings, parallel=1) as made:
        made.strings.script.extend(["lose", "stall"])
        assert isinstance(await outcome(made.lane.infer(x(1), timeout=20)), DeviceLost)
        await until(lambda: made.strings.loads >= 3 and made.lane.state == "ready")
        assert is_answer(await made.lane.infer(x(2), timeout=20), 2)


async def test_each_item_of_a_hung_run_keeps_its_own_deadline(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=1) as made:
        first = await held(made)
        made.strings.script.append("stall")
        patient = asyncio.create_task(made.lane.infer(x(2), timeout=20))
        hasty = asyncio.create_task(made.lane.infer(x(1), timeout=BEGUN))
        await until(lambda: made.lane.waiting == 3)
        made.strings.release.set()
        await first
        assert isinstance(await outcome(hasty), DeadlineExceeded)
        assert made.runs() == [1, 2]
        assert made.strings.loads == 1, "somebody still waits for that run"
        assert not patient.done()
        await made.lane.close()
        assert isinstance(await outcome(patient), InferenceFailed)


async def test_a_hung_run_that_nobody_waits_for_is_replaced(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=1) as made:
        made.strings.script.append("hang")
        made.strings.started.clear()
        hung = asyncio.create_task(made.lane.infer(x(1), timeout=2 * BEGUN))
        await asyncio.to_thread(made.strings.started.wait, 20)
        hung.cancel()
        assert isinstance(await outcome(hung), asyncio.CancelledError)
        await until(lambda: made.strings.loads == 2)
        assert is_answer(await made.lane.infer(x(1)), 1)


async def test_closing_the_abandoned_session_ends_a_run_that_heeds_it(rig: Callable[..., Rig]) -> None:
    async with rig() as made:
        made.strings.script.append("stall")
        with pytest.raises(DeadlineExceeded):
            await made.lane.infer(x(1), timeout=BEGUN)
        await until(lambda: made.lane.leaked == 0)
        assert is_answer(await made.lane.infer(x(2)), 2)


async def test_leaks_are_capped_and_it_recovers(
    rig: Callable[..., Rig], caplog: pytest.LogCaptureFixture
) -> None:
    async with rig() as made:
        made.strings.script.extend(["hang", "ok"] * (QUICK.leaks + 1))  # a warm-up run follows each hung one
        for _ in range(QUICK.leaks + 1):
            with pytest.raises(DeadlineExceeded):
                await made.lane.infer(x(1), timeout=BEGUN)
            await until(lambda: made.lane.state != "opening")
        assert made.lane.state == "hung"
        with pytest.raises(DeviceLost, match="3 threads hang"):
            await made.lane.infer(x(1))
        loads = made.strings.loads
        made.lane._reopen()
        assert made.strings.loads == loads, "no session is opened while too many hang"
        made.strings.release.set()
        await until(lambda: made.lane.state == "ready")
        assert is_answer(await made.lane.infer(x(3)), 3)
        assert sum("works again" in record.message for record in caplog.records) == 1


async def test_waiting_items_have_a_deadline_of_their_own(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=1) as made:
        first = await held(made)
        with pytest.raises(DeadlineExceeded, match="waited"):
            await made.lane.infer(x(1), timeout=0.05)
        made.strings.release.set()
        assert is_answer(await first, 99)
        assert made.strings.loads == 1


async def test_a_lost_device_is_reopened(rig: Callable[..., Rig], caplog: pytest.LogCaptureFixture) -> None:
    async with rig() as made:
        made.strings.script.append("lose")
        made.strings.refuse = AcceleratorUnavailable("fake:CPU", "unplugged")
        with pytest.raises(DeviceLost):
            await made.lane.infer(x(1))
        assert made.lane.state == "lost"
        with pytest.raises(DeviceLost):
            await made.lane.infer(x(1))
        await until(lambda: made.strings.loads >= 3)
        made.strings.refuse = None
        await until(lambda: made.lane.state == "ready")
        assert is_answer(await made.lane.infer(x(4)), 4)
        warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
        assert len(warned) == 2, "one line each way"


async def test_a_run_needs_no_deadline_to_fail(rig: Callable[..., Rig]) -> None:
    async with rig() as made:
        made.strings.script.append("late")
        with pytest.raises(DeadlineExceeded):
            await made.lane.infer(x(1))
        assert made.strings.loads == 1
