"""Trying a trained auto-encoder on spindles that training never saw, and choosing golden samples."""

import json
import math
from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

import jax
import numpy as np
from numpy.typing import NDArray

from edgex_inference.demo.spindle import BURSTS_PER_SECOND, RATE, SAMPLES, Burst, Spindle
from edgex_inference.demo.training.cards import SPINDLE_AE, GoldenSample, Trained
from edgex_inference.demo.training.graph import difference
from edgex_inference.demo.training.spindle_network import Weights, answers, export

_VALIDATION, _TEST = range(20_000, 20_030), range(30_000, 30_030)
_HEALTHY = 60 * BURSTS_PER_SECOND
_RESERVE = 1.5  # the limit as a multiple of the worst healthy score of the validation spindles
_FAULT_AT = 10.0
_RAISE_AFTER = 2  # bursts over the limit that make an alarm

Tensors: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]


def finish(weights: Weights) -> Trained:
    """Sets the limit on validation spindles, prints false alarms and delays on others, adds golden samples."""
    run = jax.jit(partial(answers, weights))

    def scores(bursts: Sequence[Burst]) -> NDArray[np.float32]:
        reconstruction, target = run(*_tensors(bursts))
        return np.asarray(((reconstruction - target) ** 2).mean(1))

    worst = max(float(scores(_bursts(Spindle(seed, None), _HEALTHY)).max()) for seed in _VALIDATION)
    limit = math.ceil(10 * _RESERVE * worst) / 10
    healthy = [scores(_bursts(Spindle(seed, None), _HEALTHY)) for seed in _TEST]
    alarms = sum(_alarm(run_of_scores, limit) is not None for run_of_scores in healthy)
    delays = []
    for seed in _TEST:
        at = _alarm(scores(_bursts(Spindle(seed, _FAULT_AT), 20 * BURSTS_PER_SECOND)), limit)
        delays.append(math.inf if at is None else at / BURSTS_PER_SECOND + SAMPLES / RATE - _FAULT_AT)
    print(
        f"  limit {limit}; worst healthy score {worst:.3f} in validation, {max(s.max() for s in healthy):.3f} unseen"
    )
    print(
        f"  {alarms} false alarms in {len(healthy)} healthy minutes; faults found within {max(delays):.2f} s",
        flush=True,
    )
    model = export(weights)
    accel, temperature = _tensors(_bursts(Spindle(_TEST[0]), 4))
    expected = run(accel, temperature)
    return Trained(
        name="spindle-ae",
        model=model,
        card=SPINDLE_AE,
        facts={
            "limit": limit,
            "difference": difference(model, {"accel": accel, "temperature": temperature}, expected),
        },
        tolerance="{score: 0.02}",
        golden=tuple(
            _golden(name, burst, float(scores([burst])[0]))
            for name, burst in (
                ("healthy", Spindle(_TEST[0]).burst(20)),
                ("faulty", Spindle(_TEST[1]).burst(44)),
            )
        ),
    )


def _bursts(spindle: Spindle, count: int) -> list[Burst]:
    return [spindle.burst(index) for index in range(count)]


def _tensors(bursts: Sequence[Burst]) -> Tensors:
    accel = np.stack([burst.acceleration for burst in bursts])
    return accel, np.array([[burst.temperature] for burst in bursts], dtype=np.float32)


def _alarm(scores: NDArray[np.float32], limit: float) -> int | None:
    """The first burst with which the alarm is raised."""
    over = scores >= limit
    for index in range(_RAISE_AFTER - 1, len(over)):
        if over[index - _RAISE_AFTER + 1 : index + 1].all():
            return index
    return None


def _golden(name: str, burst: Burst, score: float) -> GoldenSample:
    numbers = [[round(float(value), 5) for value in axis] for axis in burst.acceleration]
    content = {"accel": numbers, "temperature": [round(burst.temperature, 3)]}
    return GoldenSample(
        name=f"{name}.json", content=json.dumps(content).encode() + b"\n", expect={"score": round(score, 4)}
    )
