"""How long a loaded model takes, through its lane as the service runs it: one by one, and when many wait."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgex_inference.contracts.errors import EdgexInferenceError
from edgex_inference.contracts.models import Build, ImageInput, NumbersInput
from edgex_inference.contracts.probing import sample
from edgex_inference.contracts.tensors import Tensors, TensorSpec
from edgex_inference.engine.lane import Lane

_RUNS, _MOST_ITEMS = 50, 4096
PATIENCE = 60.0
"""Seconds for one run: the reference evaluator may take many for what others do in one."""
_BURST = 64


async def p50(lane: Lane, given: Sequence[Tensors], *, longest: float) -> float:
    """The middle of some runs in seconds; none starts after `longest` seconds. Raises what a run raises."""
    taken: list[float] = []
    await lane.infer(given[0], timeout=PATIENCE)
    ends = time.perf_counter() + longest
    while len(taken) < _RUNS and (not taken or time.perf_counter() < ends):
        started = time.perf_counter()
        await lane.infer(given[len(taken) % len(given)], timeout=PATIENCE)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


async def throughput(lane: Lane, tensors: Tensors, middle: float, *, longest: float) -> float:
    """Samples a second when many wait, for about `longest` seconds; `middle` is how long one takes (seconds)."""
    amount = max(2, min(_BURST, int(longest / max(middle, 1e-6))))
    started, count = time.perf_counter(), 0
    while True:
        for answer in await lane.infer_many([tensors] * amount, timeout=PATIENCE):
            if isinstance(answer, EdgexInferenceError):
                raise answer
        count += amount
        spent = time.perf_counter() - started
        if spent >= longest or count >= _MOST_ITEMS:
            return count / spent


def made_up(lane: Lane, build: Build) -> Tensors:
    """A sample of random numbers that the session takes; pictures are as large as the card says."""
    return sample([_sized(spec, build) for spec in lane.session.inputs], np.random.default_rng(0))


def _sized(spec: TensorSpec, build: Build) -> TensorSpec:
    """The input with the card's size of a picture, or shape of a sample, where the file leaves it open."""
    entry = next((one for one in build.inputs if one.tensor == spec.name), None)
    if isinstance(entry, NumbersInput) and entry.shape is not None and None in spec.shape:
        rows = len(spec.shape) - len(entry.shape)
        return replace(spec, shape=(*spec.shape[:rows], *entry.shape)) if rows in (0, 1) else spec
    if not isinstance(entry, ImageInput) or entry.size is None or len(spec.shape) != 4:
        return spec
    width, height = entry.size
    batch, channels = spec.shape[0], spec.shape[1 if entry.layout == "NCHW" else 3]
    shape = (batch, channels, height, width) if entry.layout == "NCHW" else (batch, height, width, channels)
    return replace(spec, shape=shape)
