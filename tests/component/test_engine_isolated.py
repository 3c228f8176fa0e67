"""Lanes over worker processes that crash, hang, are killed and never come up: what is answered, and what is said."""

import asyncio
import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgex_inference.contracts.accelerator import Format, LoadRequest
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeviceLost,
    EdgexInferenceError,
    InferenceFailed,
    ModelRejected,
    RunHung,
    SignatureMismatch,
    WorkerDied,
)
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.engine.isolated import lifeline
from edgex_inference.engine.isolated import session as isolated
from edgex_inference.engine.isolated.memory import Glass, Memory
from edgex_inference.engine.lane import Lane
from edgex_inference.engine.terms import LaneSettings
from edgex_inference.testing.fake_accelerator import write_model

MOODY = '''
import ctypes
import json
import os
import threading
import time
from dataclasses import replace

from edgex_inference.testing import fake_accelerator as fake


class Moody:
    """At 1000 it hangs for ever, at 2000 it takes the process down, at 3000 it is slow, at 4000 it hangs with Python's
    lock held, at 5000 it wants to exit.
    """

    def __init__(self, session, held):
        self._session, self._held = session, held
        self.__dict__.update(vars(session))

    def infer(self, tensors, *, timeout=None):
        found = {float(array.max()) for array in tensors.values() if array.dtype != object and array.size}
        if 1000.0 in found:
            threading.Event().wait()
        if 2000.0 in found:
            os.abort()
        if 3000.0 in found:
            time.sleep(0.3)
        if 4000.0 in found:
            self._held.touch()
            ctypes.PyDLL(None).sleep(3600)
        if 5000.0 in found:
            raise SystemExit(3)
        return self._session.infer(tensors, timeout=timeout)

    def close(self):
        self._session.close()


def load(request):
    says = request.path.with_suffix(".says")
    words = json.loads(says.read_text()) if says.exists() else {}
    for share in words.get("progress", ()):
        request.progress(share, "building")
    if words.get("dies"):
        os._exit(7)
    if words.get("hangs"):
        threading.Event().wait()
    with open(request.path.with_suffix(".pids"), "a") as file:
        file.write(f"{os.getpid()}\\n")
    return Moody(fake.load(request), request.path.with_suffix(".held"))


PLUGIN = replace(fake.PLUGIN, name="moody", load=load)
'''
QUICK = LaneSettings(backoff=0.01, backoff_most=0.02, leaks=2, load_timeout=30, restarts=6)


class Rig:
    """A lane over a model in a worker."""

    def __init__(self, path: Path, settings: LaneSettings) -> None:
        self.path = path
        self.request = LoadRequest(path=path, format=Format("fake"))
        self.lane = Lane("moody:CPU model", self.load, settings=settings)

    def load(self) -> isolated.Session:
        return isolated.load("moody_accelerator:PLUGIN", "moody:CPU", self.request, deadline=30)

    @property
    def pids(self) -> list[int]:
        return [int(line) for line in self.path.with_suffix(".pids").read_text().split()]


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    (tmp_path / "moody_accelerator.py").write_text(MOODY)
    monkeypatch.syspath_prepend(tmp_path)

    @asynccontextmanager
    async def opened(settings: LaneSettings = QUICK, **keys: object) -> AsyncIterator[Rig]:
        made = Rig(write_model(tmp_path / "model.fake", **keys), settings)
        await made.lane.open()
        try:
            yield made
        finally:
            await made.lane.close()
            await until(lambda: not any(alive(pid) for pid in made.pids))

    return opened


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def x(number: float, rows: int = 1, width: int = 4) -> Tensors:
    return {"x": np.full((rows, width), number, dtype=np.float32)}


def is_answer(answer: object, number: float) -> bool:
    return isinstance(answer, dict) and bool(np.all(answer["y"] == 2 * number + 1))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)


async def outcome(coming: Awaitable[Tensors]) -> Tensors | BaseException:
    return (await asyncio.gather(coming, return_exceptions=True))[0]


async def test_only_what_takes_the_worker_down_fails(
    rig: Callable[..., Rig], caplog: pytest.LogCaptureFixture
) -> None:
    async with rig() as made:
        numbers = [1.0, 2.0, 2000.0, 3.0, 4.0, 5.0]
        answers = await asyncio.gather(*(outcome(made.lane.infer(x(n), timeout=20)) for n in numbers))
        assert isinstance(answers[2], WorkerDied)
        assert str(answers[2]) == "moody:CPU: its worker process ended by SIGABRT"
        assert all(is_answer(a, n) for a, n in zip(answers, numbers, strict=True) if n != 2000)
        assert made.lane.state == "ready"
        assert "ended by SIGABRT: it is started again" in caplog.text
        assert made.lane.metrics.events.total("restarted") == len(made.pids) - 1


async def test_a_plugin_that_wants_to_exit_only_fails(rig: Callable[..., Rig]) -> None:
    async with rig(parallel=2) as made:
        with pytest.raises(InferenceFailed, match="SystemExit: 3"):
            await made.lane.infer(x(5000))
        assert is_answer(await made.lane.infer(x(1)), 1)
        assert len(made.pids) == 1


async def test_a_worker_that_is_killed_under_load_costs_no_answer(rig: Callable[..., Rig]) -> None:
    async with rig(LaneSettings(restarts=50)) as made:
        answered = 0

        async def client(lane: Lane, first: int) -> None:
            nonlocal answered
            for turn in range(150):
                number = float(first + turn)
                assert is_answer(await lane.infer(x(number), timeout=30), number), "an answer was swapped"
                answered += 1

        clients = [asyncio.create_task(client(made.lane, base * 10_000)) for base in range(1, 5)]
        for kill in range(1, 5):
            await until(lambda kill=kill: answered >= kill * 100 and made.lane.state == "ready")  # type: ignore[misc]
            os.kill(made.pids[-1], signal.SIGKILL)
            await until(lambda kill=kill: len(made.pids) > kill)  # type: ignore[misc]
        await asyncio.gather(*clients)
        assert answered == 600
        assert made.lane.metrics.events.total("restarted") == 4


async def test_a_worker_that_hangs_is_ended_and_nothing_leaks(rig: Callable[..., Rig]) -> None:
    async with rig() as made:
        hung = asyncio.create_task(outcome(made.lane.infer(x(1000), timeout=1)))
        assert isinstance(await hung, RunHung)
        assert is_answer(await made.lane.infer(x(1), timeout=20), 1)
        await until(lambda: not alive(made.pids[0]))
        await until(lambda: made.lane.leaked == 0)


async def test_too_many_deaths_are_a_lost_device_that_comes_back(rig: Callable[..., Rig]) -> None:
    async with rig(LaneSettings(backoff=0.01, backoff_most=0.02, restarts=1, steady=1000)) as made:
        answers = [await outcome(made.lane.infer(x(2000), timeout=20)) for _ in range(2)]
        assert all(isinstance(one, DeviceLost) for one in answers)
        await until(lambda: made.lane.state == "ready")
        assert made.lane.metrics.events.total("lost") >= 1
        assert is_answer(await made.lane.infer(x(1), timeout=20), 1)


async def test_what_a_worker_says_while_it_loads(rig: Callable[..., Rig], tmp_path: Path) -> None:
    (tmp_path / "model.says").write_text('{"progress": [0.25, null]}')
    said = []
    async with rig() as made:
        made.request = LoadRequest(
            path=made.path, format=Format("fake"), progress=lambda *words: said.append(words)
        )
        (await asyncio.to_thread(made.load)).close()
    assert said == [(0.25, "building"), (None, "building")]


def test_a_kernel_that_cannot_tie_processes_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    life = lifeline.Lifeline()
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    lifeline.tie(life.theirs.fileno())
    life.close()


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        ('{"dies": true}', "its worker process ended with code 7"),
        ('{"hangs": true}', "its worker process did not load the model within 1 s"),
    ],
)
def test_a_worker_that_never_comes_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, sentence: str
) -> None:
    (tmp_path / "moody_accelerator.py").write_text(MOODY)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "model.says").write_text(says)
    path = write_model(tmp_path / "model.fake")
    deadline = 1 if "hangs" in says else 60
    with pytest.raises(AcceleratorUnavailable, match=sentence):
        isolated.load(
            "moody_accelerator:PLUGIN",
            "moody:CPU",
            LoadRequest(path=path, format=Format("fake")),
            deadline=deadline,
        )


def test_errors_cross_over_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "moody_accelerator.py").write_text(MOODY)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "model.fake"
    path.write_text("garbage")
    with pytest.raises(ModelRejected, match="no fake model") as caught:
        isolated.load("moody_accelerator:PLUGIN", "moody:CPU", LoadRequest(path=path, format=Format("fake")))
    assert caught.value.model == str(path)
    with pytest.raises(AcceleratorUnavailable, match="No module named 'nobodys_accelerator'"):
        isolated.load("nobodys_accelerator:PLUGIN", "n:CPU", LoadRequest(path=path, format=Format("fake")))


def test_large_and_empty_and_object_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "moody_accelerator.py").write_text(MOODY)
    monkeypatch.syspath_prepend(tmp_path)
    path = write_model(tmp_path / "wide.fake", shape=[None, None])
    session = isolated.load(
        "moody_accelerator:PLUGIN", "m:CPU", LoadRequest(path=path, format=Format("fake"))
    )
    for rows, width in ((1, 4), (64, 70_000), (1, 1), (0, 4)):
        answer = session.infer(x(3, rows, width))["y"]
        assert answer.shape == (rows, width)
        assert np.all(answer == 7)
    session.close()
    path = write_model(tmp_path / "texts.fake", shape=[None], datatype="BYTES")
    session = isolated.load(
        "moody_accelerator:PLUGIN", "m:CPU", LoadRequest(path=path, format=Format("fake"))
    )
    texts = np.array(["ä", b"\x00\xff", ""], dtype=object)
    assert session.infer({"x": texts})["y"].tolist() == ["ä", b"\x00\xff", ""]
    with pytest.raises(SignatureMismatch, match="cannot be handed to a worker"):
        session.infer({"x": np.array([object()], dtype=object)})
    session.close()
    with pytest.raises(EdgexInferenceError, match="closed"):
        session.infer({"x": texts})


def test_a_memory_that_got_lost_ends_the_worker_and_no_old_answer_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when no descriptor is free at the moment when the other side passes one."""
    (tmp_path / "moody_accelerator.py").write_text(MOODY)
    monkeypatch.syspath_prepend(tmp_path)
    path = write_model(tmp_path / "wide.fake", shape=[None, None], parallel=1)
    session = isolated.load(
        "moody_accelerator:PLUGIN", "m:CPU", LoadRequest(path=path, format=Format("fake"))
    )
    assert np.all(session.infer(x(1))["y"] == 3)

    def lost(self: Glass, fd: int | None) -> None:
        if fd is not None:
            os.close(fd)
            raise OSError(24, "Too many open files")

    with monkeypatch.context() as short:
        short.setattr(Glass, "know", lost)
        with pytest.raises(WorkerDied, match="ended by SIGKILL"):
            session.infer(x(2, 64, 70_000))
    with pytest.raises(WorkerDied):
        session.infer(x(3))
    session.close()


def test_what_was_not_sent_is_sent_with_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "moody_accelerator.py").write_text(MOODY)
    monkeypatch.syspath_prepend(tmp_path)
    path = write_model(tmp_path / "texts.fake", shape=[None], datatype="BYTES")
    session = isolated.load(
        "moody_accelerator:PLUGIN", "m:CPU", LoadRequest(path=path, format=Format("fake"))
    )

    long = np.array(["a" * 100_000], dtype=object)
    with monkeypatch.context() as short:
        short.setattr(Memory, "told", lambda self: None)
        assert session.infer({"x": long})["y"].tolist() == long.tolist()
    assert session.infer({"x": long})["y"].tolist() == long.tolist()
    session.close()


async def test_a_worker_that_hangs_when_it_is_started_again_is_given_up(
    rig: Callable[..., Rig], tmp_path: Path
) -> None:
    patient = LaneSettings(backoff=0.01, backoff_most=0.02, load_timeout=30, restarts=6)
    async with rig(patient) as made:
        made.lane.settings = replace(patient, load_timeout=0.5)  # only now: the first start takes its time
        (tmp_path / "model.says").write_text('{"hangs": true}')
        os.kill(made.pids[0], signal.SIGKILL)
        failing = asyncio.create_task(outcome(made.lane.infer(x(1), timeout=30)))
        await until(lambda: made.lane.state == "lost")
        assert isinstance(await failing, DeviceLost)
        made.lane.settings = patient
        (tmp_path / "model.says").unlink()
        await until(lambda: made.lane.state == "ready")
        assert is_answer(await made.lane.infer(x(2), timeout=20), 2)


PARENT = """
import os, sys, threading
from pathlib import Path
import numpy as np
from edgex_inference.contracts.accelerator import Format, LoadRequest
from edgex_inference.engine.isolated import session
request = LoadRequest(path=Path(sys.argv[1]), format=Format("fake"))
held = session.load("moody_accelerator:PLUGIN", "moody:CPU", request)
number = np.full((1, 4), float(sys.argv[2]), dtype=np.float32)
if float(sys.argv[2]):
    threading.Thread(target=held.infer, args=({"x": number},), daemon=True).start()
    while not Path(sys.argv[1]).with_suffix(".held").exists():
        pass
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("number", ["0", "4000"], ids=["idle", "with Python's lock held"])
async def test_a_worker_ends_with_its_service(tmp_path: Path, number: str) -> None:
    (tmp_path / "moody_accelerator.py").write_text(MOODY)
    path = write_model(tmp_path / "model.fake")
    command = [sys.executable, "-c", PARENT, str(path), number]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, timeout=250, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (pid,) = [int(line) for line in path.with_suffix(".pids").read_text().split()]
    await until(lambda: not alive(pid))


async def test_idle_deaths_are_noticed_at_the_next_run(rig: Callable[..., Rig]) -> None:
    async with rig() as made:
        os.kill(made.pids[0], signal.SIGKILL)
        await until(lambda: not alive(made.pids[0]) or zombie(made.pids[0]))
        assert is_answer(await made.lane.infer(x(8), timeout=20), 8)
        assert len(made.pids) == 2


def zombie(pid: int) -> bool:
    """Dead, and not yet asked after by its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True
