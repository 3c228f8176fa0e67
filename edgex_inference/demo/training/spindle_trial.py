"""Trying a trained auto-encoder on spindles that training never saw, and choosing golden samples."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import jax
import numpy as np
from numpy.typing import NDArray

from edgex_inference.demo.training.cards import SPINDLE_AE, GoldenSample, Trained
from edgex_inference.demo.training.graph import difference
from edgex_inference.demo.training.spindle_network import Weights, answers, export
from edgex_inference.demo.world.spindle import BURSTS_PER_SECOND, RATE, SAMPLES, Burst, Spindle

_VALIDATION, _TEST = range(20_000, 20_030), range(30_000, 30_030)
_HEALTHY = 60 * BURSTS_PER_SECOND
_RESERVE = 1.5  # the limit as a multiple of the worst healthy score of the validation spindles
_FAULT_AT = 10.0
_RAISE_AFTER = 2  # bursts over the limit that make an alarm

Run: TypeAlias = Callable[[NDArray[np.float32], NDArray[np.float32]], tuple[jax.Array, jax.Array]]
Tensors: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]


def finish(weights: Weights) -> Trained:
    """Sets the limit by validation, prints what unseen spindles show, adds golden samples."""
    run = jax.jit(partial(answers, weights))
    validation = [_scores(run, _bursts(Spindle(seed, None), _HEALTHY)) for seed in _VALIDATION]
    worst = max(float(scores.max()) for scores in validation)
    limit = math.ceil(10 * _RESERVE * worst) / 10
    print(f"  limit {limit}; worst healthy score of validation spindles {worst:.3f}")
    _report(run, limit)
    model = export(weights)
    accel, temperature = _tensors(_bursts(Spindle(_TEST[0]), 4))
    distance = difference(model, {"accel": accel, "temperature": temperature}, run(accel, temperature))
    healthy, faulty = Spindle(_TEST[0]).burst(20), Spindle(_TEST[1]).burst(44)
    return Trained(
        name="spindle-ae",
        model=model,
        card=SPINDLE_AE,
        facts={"limit": limit, "difference": distance},
        tolerance="{score: 0.02}",
        golden=(_golden("healthy", healthy, run), _golden("faulty", faulty, run)),
    )


def _report(run: Run, limit: float) -> None:
    """Prints false alarms in healthy minutes and the delays with which faults are found."""
    healthy = [_scores(run, _bursts(Spindle(seed, None), _HEALTHY)) for seed in _TEST]
    alarms = sum(_alarm(scores, limit) is not None for scores in healthy)
    delays = []
    for seed in _TEST:
        at = _alarm(_scores(run, _bursts(Spindle(seed, _FAULT_AT), 20 * BURSTS_PER_SECOND)), limit)
        delays.append(math.inf if at is None else at / BURSTS_PER_SECOND + SAMPLES / RATE - _FAULT_AT)
    print(f"  unseen: worst healthy score {max(s.max() for s in healthy):.3f}, ", end="")
    print(
        f"{alarms} false alarms in {len(healthy)} minutes, faults found within {max(delays):.2f} s",
        flush=True,
    )


def _scores(run: Run, bursts: Sequence[Burst]) -> NDArray[np.float32]:
    reconstruction, target = run(*_tensors(bursts))
    return np.asarray(((reconstruction - target) ** 2).mean(1))


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


def _golden(name: str, burst: Burst, run: Run) -> GoldenSample:
    rounded = replace(
        burst, acceleration=burst.acceleration.round(5), temperature=round(burst.temperature, 3)
    )
    numbers = [[round(float(value), 5) for value in axis] for axis in rounded.acceleration]
    content = json.dumps({"accel": numbers, "temperature": [rounded.temperature]}) + "\n"
    score = float(_scores(run, [rounded])[0])
    return GoldenSample(name=f"{name}.json", content=content.encode(), expect={"score": round(score, 4)})
