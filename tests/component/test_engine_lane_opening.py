"""Lanes that open late, never, or again."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgex_inference.contracts.accelerator import LoadRequest, Session
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeviceLost,
    ModelRejected,
    RunHung,
)
from edgex_inference.engine.lane import Lane
from edgex_inference.engine.terms import LaneSettings
from edgex_inference.testing.fake_accelerator import FAKE, control, load, write_model

QUICK = LaneSettings(backoff=0.01, backoff_most=0.02)
X = {"x": np.zeros((1, 4), np.float32)}


async def until(true: Callable[[], bool]) -> None:
    """Lets the loop turn until something holds that other threads bring about."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.002)


async def test_close_before_open_is_legal(tmp_path: Path) -> None:
    lane = Lane("never", lambda: load(LoadRequest(path=tmp_path / "none", format=FAKE)))
    await lane.close()
    assert lane.state == "closed"


async def test_before_it_is_open_it_says_so(tmp_path: Path) -> None:
    lane = Lane("early", lambda: load(LoadRequest(path=tmp_path / "none", format=FAKE)))
    with pytest.raises(DeviceLost, match=r"^early: not open$"):
        await lane.infer(X)


async def test_a_model_that_cannot_load_says_why(tmp_path: Path) -> None:
    lane = Lane("bad", lambda: load(LoadRequest(path=tmp_path / "none", format=FAKE)))
    with pytest.raises(ModelRejected):
        await lane.open()
    assert lane.state == "closed"


async def test_loading_has_a_deadline(tmp_path: Path) -> None:
    never = threading.Event()

    def hang() -> Session:
        never.wait(30)
        return load(LoadRequest(path=write_model(tmp_path / "late.fake"), format=FAKE))

    lane = Lane("slow", hang, settings=LaneSettings(load_timeout=0.05))
    with pytest.raises(AcceleratorUnavailable, match=r"0\.05 s"):
        await lane.open()
    never.set()
    strings = control(tmp_path / "late.fake")
    await until(lambda: strings.closes == 1)


async def test_changes_are_told(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.fake")
    told: list[str] = []
    lane = Lane("told", lambda: load(LoadRequest(path=path, format=FAKE)), settings=QUICK)
    lane.watchers.add(lambda changed: told.append(changed.state))
    await lane.open()
    control(path).script.append("lose")
    with pytest.raises(DeviceLost):
        await lane.infer(X)
    await until(lambda: lane.state == "ready")
    await lane.close()
    assert told == ["ready", "lost", "ready", "closed"]


async def test_a_plugin_that_wants_to_end_the_process_only_fails(tmp_path: Path) -> None:
    def leave() -> Session:
        raise SystemExit("goodbye")

    with pytest.raises(AcceleratorUnavailable, match="SystemExit: goodbye"):
        await Lane("rude", leave).open()


_HUNG = """
import asyncio, sys
from pathlib import Path
import numpy as np
from edgex_inference.contracts.accelerator import LoadRequest
from edgex_inference.contracts.errors import DeadlineExceeded
from edgex_inference.engine.lane import Lane
from edgex_inference.testing.fake_accelerator import FAKE, load, write_model

async def main():
    path = write_model(Path(sys.argv[1]), script=["ok", "hang"])
    lane = Lane("hung", lambda: load(LoadRequest(path=path, format=FAKE)))
    await lane.open()
    try:
        await lane.infer({"x": np.zeros((1, 4), np.float32)}, timeout=0.05)
    except DeadlineExceeded:
        print("deadline")
    await lane.close()

asyncio.run(main())
"""


def test_a_hung_run_does_not_keep_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-c", _HUNG, str(tmp_path / "hung.fake")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert (done.returncode, done.stdout) == (0, "deadline\n"), done.stderr


async def test_what_waits_for_a_session_that_is_refused_hears_why_once_the_device_counts_as_lost(
    tmp_path: Path,
) -> None:
    """Not before: who has somebody else to ask knows then that it should."""
    path = write_model(tmp_path / "model.fake", parallel=1, batch="none", delay=0.01)
    gate, states = threading.Event(), list[str]()

    def opened() -> Session:
        gate.wait(20)
        return load(LoadRequest(path=path, format=FAKE))

    lane = Lane("refused", opened, settings=QUICK)
    gate.set()
    await lane.open()
    gate.clear()
    strings = control(path)

    async def wait() -> BaseException:
        try:
            await lane.infer(X, timeout=20)
        except DeviceLost as error:
            states.append(lane.state)
            return error
        raise AssertionError("it was answered")

    strings.script.append("hang")
    strings.refuse = AcceleratorUnavailable("refused", "somebody else has it")
    hung = asyncio.create_task(lane.infer(X, timeout=1))
    waiting = [asyncio.create_task(wait()) for _ in range(5)]
    with pytest.raises(RunHung):
        await hung
    gate.set()
    errors = await asyncio.gather(*waiting)
    assert {str(error) for error in errors} == {"accelerator 'refused': somebody else has it"}
    assert set(states) == {"lost"}
    strings.release.set()
    await lane.close()
