"""A burst as few items: its samples are stacked before the lane sees them, and taken apart again afterwards.

The lane groups what waits, whoever put it there; but an item costs some 10 µs however small its tensors are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgex_inference.contracts.accelerator import Batch
from edgex_inference.contracts.errors import (
    DeadlineExceeded,
    DeviceLost,
    EdgexInferenceError,
    Overloaded,
    RunHung,
    WorkerDied,
)
from edgex_inference.contracts.results import Stack
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.engine.batching import Answer, most_rows, signature
from edgex_inference.engine.lane import Lane


@dataclass(slots=True)
class _Bundle:
    """Samples that follow each other and go as one item; `rows` of each of them."""

    samples: list[Tensors]
    rows: list[int]

    def stacked(self) -> Tensors:
        first = self.samples[0]
        if len(self.samples) == 1:
            return first
        return {name: np.concatenate([one[name] for one in self.samples]) for name in first}

    def is_lone(self, error: EdgexInferenceError) -> bool:
        """Whether nobody else had a part in its failing; the lane gives several rows no second try after a death."""
        return len(self.samples) == 1 and (self.rows == [1] or not isinstance(error, WorkerDied))

    def apart(self, outputs: Tensors) -> list[Answer] | None:
        """Each sample's rows; None when axis 0 of an output is not the rows that went in."""
        rows = sum(self.rows)
        if any(array.ndim == 0 or array.shape[0] != rows for array in outputs.values()):
            return None
        found: list[Answer] = []
        start = 0
        for count in self.rows:
            found.append({name: array[start : start + count] for name, array in outputs.items()})
            start += count
        return found


async def infer_bundled(
    lane: Lane, burst: Sequence[Tensors], *, timeout: float | None = None
) -> Sequence[Answer]:
    """As `Lane.infer_many`, for samples so small that what counts is how many items there are.

    After a bundle fails, each of its samples is tried for itself, so that a bad one fails alone.
    """
    bundles = _bundled(burst, lane.batch)
    if len(bundles) == len(burst):
        return await lane.infer_many(burst, timeout=timeout)
    answers = await lane.infer_many([bundle.stacked() for bundle in bundles], timeout=timeout)
    found: list[Answer] = []
    for bundle, answer in zip(bundles, answers, strict=True):
        apart = None if isinstance(answer, EdgexInferenceError) else bundle.apart(answer)
        if isinstance(answer, EdgexInferenceError) and (bundle.is_lone(answer) or _spares_none(answer)):
            apart = [answer] * len(bundle.samples)
        found += await _each(lane, bundle.samples, answer, timeout) if apart is None else apart
    return found


async def infer_stacked(
    lane: Lane, stack: Stack, *, timeout: float | None = None
) -> Tensors | Sequence[Answer]:
    """The outputs of all samples of a stack as one; where a run fails or mixes rows, each sample's own answer."""
    key = next(iter(stack.tensors))
    rows = len(stack.tensors[key])
    most = most_rows(lane.batch, stack.tensors, rows)
    if most < rows:
        return await infer_bundled(lane, [one.tensors for one in stack.samples()], timeout=timeout)
    (answer,) = await lane.infer_many([stack.tensors], timeout=timeout)
    if isinstance(answer, EdgexInferenceError):
        if rows == 1 or _spares_none(answer):
            return [answer] * rows
    elif all(array.ndim and array.shape[0] == rows for array in answer.values()):
        return answer
    elif rows == 1:
        return [answer]
    return await _each(lane, [one.tensors for one in stack.samples()], answer, timeout)


def _spares_none(error: EdgexInferenceError) -> bool:
    """Whether it says nothing of the samples: each would fail likewise."""
    common = isinstance(error, DeviceLost | DeadlineExceeded | Overloaded)
    return common and not isinstance(error, RunHung | WorkerDied)


async def _each(
    lane: Lane, samples: Sequence[Tensors], together: Answer, timeout: float | None
) -> list[Answer]:
    return await lane.infer_many(
        samples, timeout=timeout, suspects=isinstance(together, RunHung | WorkerDied)
    )


def apart(outputs: Tensors) -> list[Answer]:
    """The outputs of a stack, each sample's for itself."""
    rows = max((len(array) for array in outputs.values()), default=0)
    return [{name: array[at : at + 1] for name, array in outputs.items()} for at in range(rows)]


def _bundled(burst: Sequence[Tensors], batch: Batch) -> list[_Bundle]:
    """Neighbors of equal signature together, as far as a run may have so many rows."""
    bundles: list[_Bundle] = []
    last: object = None
    most = total = 0
    for tensors in burst:
        rows, key = signature(tensors)
        if bundles and key is not None and key == last and total + rows <= most:
            bundles[-1].samples.append(tensors)
            bundles[-1].rows.append(rows)
            total += rows
            continue
        bundles.append(_Bundle([tensors], [rows]))
        last, total, most = key, rows, most_rows(batch, tensors, rows)
    return bundles
