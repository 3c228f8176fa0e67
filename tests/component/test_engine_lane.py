"""Lanes over the shipped fake: grouping, deadlines, replacement, reopening, closing."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from edgex_inference.contracts.accelerator import LoadRequest
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeadlineExceeded,
    DeviceLost,
    InferenceFailed,
    Overloaded,
    SignatureMismatch,
)
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.engine.lane import Lane
from edgex_inference.engine.terms import LaneSettings
from edgex_inference.testing.fake_accelerator import FAKE, Control, control, load, write_model

QUICK = LaneSettings(backoff=0.01, backoff_most=0.02, leaks=2, load_timeout=20)


class Rig:
    """A lane over one fake model."""

    def __init__(self, path: Path, settings: LaneSettings) -> None:
        self.path = path
        self.lane = Lane(
            "fake:CPU model", lambda: load(LoadRequest(path=path, format=FAKE)), settings=settings
        )

    @property
    def strings(self) -> Control:
        return control(self.path)

    def runs(self) -> list[int]:
        """Rows of each run so far, without the warm-up."""
        return self.strings.batches[self.strings.loads :]


@pytest.fixture
def rig(tmp_path: Path) -> Callable[..., "object"]:
    @asynccontextmanager
    async def opened(settings: LaneSettings = QUICK, **keys: object) -> AsyncIterator[Rig]:
        made = Rig(write_model(tmp_path / "model.fake", **keys), settings)
        await made.lane.open()
        try:
            yield made
        finally:
            made.strings.release.set()
            await made.lane.close()

    return opened


def x(number: float, rows: int = 1) -> Tensors:
    return {"x": np.full((rows, 4), number, dtype=np.float32)}


def is_answer(answer: Tensors, number: float, rows: int = 1) -> bool:
    return answer["y"].shape == (rows, 4) and bool(np.all(answer["y"] == 2 * number + 1))


async def held(made: Rig) -> "asyncio.Task[Tensors]":
    """A run that hangs until `release`, and has begun."""
    made.strings.script.append("hang")
    made.strings.started.clear()
    task = asyncio.create_task(made.lane.infer(x(99), timeout=30))
    await asyncio.to_thread(made.strings.started.wait, 20)
    return task


async def until(true: Callable[[], bool]) -> None:
    """Lets the loop turn until something holds that other threads bring about."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.002)


async def outcome(coming: Awaitable[Tensors]) -> Tensors | BaseException:
    return (await asyncio.gather(coming, return_exceptions=True))[0]


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


async def test_a_hung_run_is_abandoned_and_others_go_on(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=1) as made:
        made.strings.script.append("hang")
        made.strings.started.clear()
        hung = asyncio.create_task(made.lane.infer(x(1), timeout=0.1))
        await asyncio.to_thread(made.strings.started.wait, 20)
        others = [asyncio.create_task(made.lane.infer(x(n), timeout=20)) for n in range(5)]
        with pytest.raises(DeadlineExceeded, match=r"did not end within 0\.1 s"):
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
    settings = LaneSettings(backoff=0.01, backoff_most=0.02, leaks=4, load_timeout=0.5)
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
        hasty = asyncio.create_task(made.lane.infer(x(1), timeout=0.2))
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
        hung = asyncio.create_task(made.lane.infer(x(1), timeout=0.2))
        await asyncio.to_thread(made.strings.started.wait, 20)
        hung.cancel()
        assert isinstance(await outcome(hung), asyncio.CancelledError)
        await until(lambda: made.strings.loads == 2)
        assert is_answer(await made.lane.infer(x(1)), 1)


async def test_closing_the_abandoned_session_ends_a_run_that_heeds_it(rig: Callable[..., Rig]) -> None:
    async with rig() as made:
        made.strings.script.append("stall")
        with pytest.raises(DeadlineExceeded):
            await made.lane.infer(x(1), timeout=0.05)
        await until(lambda: made.lane.leaked == 0)
        assert is_answer(await made.lane.infer(x(2)), 2)


async def test_leaks_are_capped_and_it_recovers(
    rig: Callable[..., Rig], caplog: pytest.LogCaptureFixture
) -> None:
    async with rig() as made:
        made.strings.script.extend(["hang", "ok"] * (QUICK.leaks + 1))  # a warm-up run follows each hung one
        for _ in range(QUICK.leaks + 1):
            with pytest.raises(DeadlineExceeded):
                await made.lane.infer(x(1), timeout=0.05)
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
