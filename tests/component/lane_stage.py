"""A lane over one model of the shipped fake, and what the tests of lanes put through it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from edgex_inference.contracts.accelerator import LoadRequest
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


@asynccontextmanager
async def opened(folder: Path, settings: LaneSettings = QUICK, **keys: object) -> AsyncIterator[Rig]:
    """The lane from its opening to its close; nothing hangs in it any more then."""
    made = Rig(write_model(folder / "model.fake", **keys), settings)
    await made.lane.open()
    try:
        yield made
    finally:
        made.strings.release.set()
        await made.lane.close()


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
