"""What a lane adds to a session, what a process of its own costs, and models that share the processor.

All side by side within one run. `together`: runs that begin at the same time on lanes of their own, against the sum
of what each takes alone.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median

import numpy as np

from edgex_inference.contracts.accelerator import ONNX, Accelerator, LoadRequest, Session
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.engine.isolated import session as isolated
from edgex_inference.engine.lane import Lane
from tests.bench.effort import Effort
from tests.bench.material import VALUES, auto_encoder
from tests.bench.pictures import detector
from tests.bench.rows import Goal, Row, interleaved, ratio

_ADDED = Goal(most=80)
_NO_SLOWER = Goal(least=1.0)
_SHARED = Goal(least=0.9)
_SLICE = 0.05
"""Seconds of one measurement of runs that share the processor."""


def rows(effort: Effort, folder: Path) -> Sequence[Row]:
    """The lane, the worker process, several models at once."""
    mlp, seen = auto_encoder(folder / "models"), detector()
    dice = np.random.default_rng(0)
    vector = dice.random((1, VALUES), np.float32)
    many, picture = np.repeat(vector, 64, axis=0), dice.random((1, 3, 240, 320), np.float32)
    with ExitStack() as stack:
        small = _loaded(stack, "onnxruntime", mlp)
        apart = _loaded(stack, "onnxruntime", mlp, process=True)
        large = _loaded(stack, "onnxruntime", seen.path)
        far = _loaded(stack, "onnxruntime", seen.path, process=True)
        other = _loaded(stack, "openvino", seen.path)
        name, entry = small.inputs[0].name, large.inputs[0].name
        return [
            *asyncio.run(_lane(effort, mlp, small, {name: vector})),
            *_isolation(effort, "MLP 16-32-16, batch 1", small, apart, {name: vector}),
            *_isolation(effort, "MLP 16-32-16, batch 64", small, apart, {name: many}),
            *_isolation(effort, f"{seen.name}, batch 1", large, far, {entry: picture}),
            _together(
                effort,
                "two models on ONNX Runtime",
                _NO_SLOWER,
                (partial(large.infer, {entry: picture}), partial(small.infer, {name: many})),
            ),
            _together(
                effort,
                "ONNX Runtime and OpenVINO",
                _SHARED,
                (
                    partial(large.infer, {entry: picture}),
                    partial(other.infer, {other.inputs[0].name: picture}),
                ),
            ),
        ]


def _loaded(stack: ExitStack, name: str, path: Path, *, process: bool = False) -> Session:
    plugin: Accelerator = import_module(f"accelerators.{name}").PLUGIN
    request = LoadRequest(path=path, format=ONNX, options=plugin.options())
    assert plugin.load is not None
    session = isolated.load(f"accelerators.{name}:PLUGIN", name, request) if process else plugin.load(request)
    stack.callback(session.close)
    return session


async def _lane(effort: Effort, path: Path, session: Session, given: Tensors) -> Sequence[Row]:
    """One run after the other, so that nothing waits: the hand-off to the lane's thread and back."""
    plugin: Accelerator = import_module("accelerators.onnxruntime").PLUGIN
    load = plugin.load
    assert load is not None
    lane = Lane("bench", lambda: load(LoadRequest(path=path, format=ONNX, options=plugin.options())))
    await lane.open()
    added = []
    try:
        for _ in range(effort.of(4000, 20)):
            began = time.perf_counter()
            session.infer(given)
            middle = time.perf_counter()
            await lane.infer(given)
            added.append((time.perf_counter() - middle) - (middle - began))
    finally:
        await lane.close()
    value = median(added) * 1e6
    return [Row(name="an idle lane adds to a run, p50", value=value, unit="µs", goal=_ADDED)]


def _isolation(effort: Effort, what: str, inside: Session, apart: Session, given: Tensors) -> Sequence[Row]:
    near, far = interleaved(effort.of(400, 5), _clocked(inside, given), _clocked(apart, given))
    added = median(b - a for a, b in zip(near, far, strict=True)) * 1e6
    return [
        Row(name=f"isolation: process, {what}: adds to a run, p50", value=added, unit="µs"),
        Row(name=f"isolation: process, {what}: time in the service ÷ in the worker", value=ratio(near, far)),
    ]


def _clocked(session: Session, given: Tensors) -> Callable[[], float]:
    def measure() -> float:
        began = time.perf_counter()
        session.infer(given)
        return time.perf_counter() - began

    return measure


def _together(
    effort: Effort, what: str, goal: Goal, works: tuple[Callable[[], object], Callable[[], object]]
) -> Row:
    """The sum of both alone ÷ the time of both at once, for the same numbers of runs."""
    amounts = [max(1, int(_SLICE / _seconds(work, 1))) for work in works]
    with ThreadPoolExecutor(len(works)) as pool:

        def alone() -> float:
            return sum(_seconds(work, amount) for work, amount in zip(works, amounts, strict=True))

        def at_once() -> float:
            began = time.perf_counter()
            for done in [pool.submit(_seconds, *one) for one in zip(works, amounts, strict=True)]:
                done.result()
            return time.perf_counter() - began

        sliced, shared = interleaved(effort.of(60, 3), alone, at_once)
    return Row(name=f"{what}: one after the other ÷ at once", value=ratio(sliced, shared), goal=goal)


def _seconds(work: Callable[[], object], amount: int) -> float:
    began = time.perf_counter()
    for _ in range(amount):
        work()
    return time.perf_counter() - began
