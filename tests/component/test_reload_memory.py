"""Reloading again and again leaves nothing behind: no thread, no session, no memory."""

import asyncio
import ctypes
import gc
import importlib.util
import logging
import os
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from edgex_inference import service as room
from edgex_inference.contracts.events import ValueType
from edgex_inference.edgex.values import format_value
from edgex_inference.engine.catalog import Catalog

RELOADS = 200
WARM = 20
SIZE = 4 << 20
"""Bytes of a real model."""

M_MMAP_THRESHOLD = -3

REAL_RELOADS = int(os.environ.get("EDGEX_INFERENCE_RELOADS", "40"))
"""Of real models; the whole number is 200."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK", 0.002)


@pytest.fixture(autouse=True)
def returned() -> None:
    """What is freed goes back at once: glibc keeps up to 64 MiB for each thread that has allocated much, trimmed or
    not, and which reload comes upon which thread's is chance."""
    with suppress(AttributeError):  # another libc
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 128 << 10)


def resident() -> int:
    """Bytes of this process in memory, without what was freed and is kept for the next allocation."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def reload(stage: Any, make: Any, run: Any, number: int) -> None:
    """One change of the profile, one of the model's card, each taken up, with an event through each."""
    journey = run.journey
    outputs = {"Y": {"value": "y.0", "type": "Float64"}, "Big": {"value": "state"}}
    block = make.binding(outputs=outputs, decide={"value": "y.0", "raise": number + 1})
    stage.profile("pump", X=("Float32", {"Twice": block}))
    if number % 2:
        card = stage.folder / "models" / "double" / "1" / "model.yaml"
        card.write_text(card.read_text() + f"# {number}\n")
    await stage.until(lambda: run.journey is not journey)
    await stage.send(make.event("p", X=number))
    await stage.until(
        lambda: bool(stage.results()) and stage.results()[-1].values["Y"] == text(2 * number + 1)
    )
    stage.heard.clear()


def ours(names: set[str]) -> set[str]:
    """Without the loop's own pool, which grows up to its size."""
    return {name for name in names if not name.startswith("asyncio_")}


def text(number: int) -> str:
    return format_value(float(number), ValueType.FLOAT64)


def table(path: Path, scale: int) -> None:
    """y = scale · x, looked up: 4 MiB that no runtime folds."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    from edgex_inference.testing import onnx_models

    numbers = np.arange(SIZE // 4, dtype=np.float32) * scale
    nodes = [
        helper.make_node("Cast", ["x"], ["at"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "at"], ["y"]),
    ]
    spec = (TensorProto.FLOAT, (1, 1))
    onnx_models.save(path, nodes, {"x": spec}, {"y": spec}, [numpy_helper.from_array(numbers, "table")])


async def test_two_hundred_reloads_leave_memory_flat(
    stage: Any, make: Any, threads: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strings = stage.simple()
    async with stage.running() as service:
        caplog.set_level(
            logging.WARNING, logger="edgex_inference"
        )  # else pytest keeps every line that is said
        (run,) = service.router.runs
        for number in range(WARM):
            await reload(stage, make, run, number)
        gc.collect()
        tracemalloc.start()
        before, working, objects = resident(), len(ours(threads())), len(gc.get_objects())
        for number in range(WARM, RELOADS):
            await reload(stage, make, run, number)
        await stage.until(lambda: strings.loads - strings.closes == 1)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert grown < 250_000, "bytes of Python objects that 180 reloads left behind"
        assert len(gc.get_objects()) - objects < 1_000
        assert resident() - before < 12 << 20
        await stage.until(lambda: len(ours(threads())) <= working)
        assert len(service.engine.fleet.lanes) == 1
        assert [one.binding.name for one in service.router.runs] == ["Twice"]


@pytest.mark.parametrize("accelerator", ["onnxruntime", "openvino"])
async def test_real_models_that_are_replaced_leave_memory_flat(
    accelerator: str, stage: Any, make: Any, threads: Any
) -> None:
    """A model of 4 MiB each time; what one reload left behind would show."""
    if importlib.util.find_spec(accelerator) is None and os.environ.get("EDGEX_INFERENCE_STRICT") != "1":
        pytest.skip(f'{accelerator} is missing: pip install "edgex-inference[{accelerator}]"')
    stage.catalog = Catalog()
    file = stage.folder / "models" / "double" / "1" / "model.onnx"
    inputs = {"x": {"kind": "vector", "shape": [1, 1]}}
    stage.model(card={"files": [{"path": "model.onnx"}], "inputs": inputs})
    stage.profile("pump", X=("Float32", {"Twice": make.binding(accelerator=accelerator)}))

    def write(scale: int) -> None:
        beside = stage.folder / "next.onnx"  # in the model's folder it would count as a change of its own
        table(beside, scale)
        beside.rename(file)

    async def one(scale: int) -> None:
        journey = run.journey
        await asyncio.to_thread(write, scale)
        await stage.until(lambda: run.journey is not journey)
        await stage.send(make.event("p", X=1))
        await stage.until(lambda: bool(stage.results()) and stage.results()[-1].values["Y"] == text(scale))
        stage.heard.clear()

    write(2)
    async with stage.running() as service:
        (run,) = service.router.runs
        for number in range(10):
            await one(3 + number)
        gc.collect()
        before, working = resident(), len(ours(threads()))
        for number in range(REAL_RELOADS):
            await one(20 + number)
        await stage.until(lambda: len(service.engine.fleet.lanes) == 1)
        await stage.until(lambda: len(ours(threads())) <= working)
        gc.collect()
        grown = resident() - before
        print(f"{accelerator}: {REAL_RELOADS} reloads: {grown / (1 << 20):+.1f} MiB resident")
        assert grown < SIZE * REAL_RELOADS / 4, "less than a part of what was loaded"
