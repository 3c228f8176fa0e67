"""Finding out what a loaded model really does with axis 0: declared shapes lie.

Some exporters declare `[None, 1]` and return 16 rows for one. Plug-ins hand their run function to `probe`; what comes
back is the batch length that was seen to work and the output specs that were seen to be true.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgex_inference.contracts.accelerator import Batch
from edgex_inference.contracts.errors import EdgexInferenceError
from edgex_inference.contracts.tensors import Array, Datatype, Tensors, TensorSpec

Run = Callable[[Tensors], Tensors]
MOST_ELEMENTS = 8_000_000
SLOW = 2.0
"""Models with more input elements or a slower run (seconds) are not probed further; they run one by one."""

_OPEN_PICTURE, _OPEN_EXTENT = 64, 8
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What was seen: the batch lengths that gave the answers of single runs, and the outputs as they are."""

    batch: Batch
    outputs: tuple[TensorSpec, ...]


def probe(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], run: Run) -> Probed:
    """Runs the model a few times on random finite numbers; never raises, unproven is `none`."""
    declared = tuple(outputs)
    if not inputs or any(spec.datatype is Datatype.BYTES for spec in inputs):
        return Probed(batch=Batch(), outputs=declared)
    elements = sum(int(np.prod(_extents(spec, 1), dtype=np.int64)) for spec in inputs)
    if elements > MOST_ELEMENTS:
        return Probed(batch=Batch(), outputs=declared)
    rng = np.random.default_rng(0)
    try:
        started = time.perf_counter()
        feed = sample(inputs, rng)
        answer = run(feed)
        if time.perf_counter() - started > SLOW:
            return Probed(batch=Batch(), outputs=_seen(declared, answer, settled=False))
        batch = _batch(inputs, feed, answer, run, rng)
    except EdgexInferenceError:
        return Probed(batch=Batch(), outputs=declared)
    settled = batch.kind != "none" and not any(None in spec.shape[1:] for spec in inputs)
    return Probed(batch=batch, outputs=_seen(declared, answer, settled=settled))


def declared_batch(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Batch:
    """The batch of a model of fixed shapes that is not tried out: the rows that all its tensors have."""
    rows = {spec.shape[0] for spec in (*inputs, *outputs) if spec.shape}
    most = rows.pop() if len(rows) == 1 else None
    return Batch(kind="fixed", most=most) if most is not None and most > 1 else Batch()


def sample(inputs: Sequence[TensorSpec], rng: np.random.Generator) -> dict[str, Array]:
    """One sample of random finite numbers that fits the specs; open extents get a small size."""
    return {spec.name: _random(spec.datatype, _extents(spec, 1), rng) for spec in inputs}


def _extents(spec: TensorSpec, rows: int) -> tuple[int, ...]:
    small = _OPEN_PICTURE if len(spec.shape) >= 4 else _OPEN_EXTENT
    rest = tuple(small if extent is None else extent for extent in spec.shape[1:])
    head = tuple(rows if extent is None else extent for extent in spec.shape[:1])
    return head + rest


def _random(datatype: Datatype, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    if datatype is Datatype.BYTES:
        return np.full(shape, "0", dtype=object)
    dtype = datatype.numpy
    if dtype.kind == "f":
        return rng.uniform(0.05, 0.95, shape).astype(dtype)
    most = 256 if datatype is Datatype.UINT8 else 128 if datatype is Datatype.INT8 else 2
    return rng.integers(0, most, shape).astype(dtype)


def _batch(
    inputs: Sequence[TensorSpec], feed: dict[str, Array], answer: Tensors, run: Run, rng: np.random.Generator
) -> Batch:
    if any(not spec.shape for spec in inputs):
        return Batch()
    heads = {spec.shape[0] for spec in inputs}
    if len(heads) != 1:
        return Batch()
    head = heads.pop()
    if head is None:
        return Batch(kind="any") if _pairs_up(inputs, feed, answer, run, rng) else Batch()
    if head > 1 and _rows_apart(inputs, feed, answer, run, rng):
        return Batch(kind="fixed", most=head)
    return Batch()


def _pairs_up(
    inputs: Sequence[TensorSpec], first: dict[str, Array], answer: Tensors, run: Run, rng: np.random.Generator
) -> bool:
    """Whether a batch of two gives the answers of two single runs."""
    second = sample(inputs, rng)
    both = run({name: np.concatenate((first[name], second[name])) for name in first})
    other = run(second)
    return all(
        _is_rows(answer[name], 1)
        and _is_rows(both[name], 2)
        and _same(both[name][:1], answer[name])
        and _same(both[name][1:], other[name])
        for name in answer
    )


def _rows_apart(
    inputs: Sequence[TensorSpec], feed: dict[str, Array], answer: Tensors, run: Run, rng: np.random.Generator
) -> bool:
    """Whether changing the first or the last row leaves the other rows of every output alone."""
    rows = len(next(iter(feed.values())))
    if not all(_is_rows(array, rows) for array in answer.values()):
        return False
    fresh = sample(inputs, rng)
    for changed, kept in ((0, slice(1, None)), (rows - 1, slice(0, -1))):
        altered = {name: array.copy() for name, array in feed.items()}
        for name, array in altered.items():
            array[changed] = fresh[name][changed]
        again = run(altered)
        if not all(_is_rows(again[n], rows) and _same(again[n][kept], answer[n][kept]) for n in answer):
            return False
    return True


def _is_rows(array: Array, rows: int) -> bool:
    return array.ndim > 0 and array.shape[0] == rows


def _same(left: Array, right: Array) -> bool:
    if left.shape != right.shape:
        return False
    if left.dtype == object:
        return all(_alike(a, b) for a, b in zip(left.flat, right.flat, strict=True))
    if left.dtype.kind != "f":
        return bool(np.array_equal(left, right))
    finite = np.abs(right[np.isfinite(right)])
    scale = float(finite.max()) if finite.size else 0.0
    return bool(np.allclose(left, right, rtol=_TOLERANCE, atol=_TOLERANCE * scale + 1e-7, equal_nan=True))


def _alike(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_alike(left[key], right[key]) for key in left)
    if isinstance(left, float) and isinstance(right, float):
        return bool(np.isclose(left, right, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True))
    return bool(np.array_equal(left, right))


def _seen(declared: tuple[TensorSpec, ...], answer: Tensors, *, settled: bool) -> tuple[TensorSpec, ...]:
    return tuple(_corrected(spec, answer[spec.name].shape, settled) for spec in declared)


def _corrected(spec: TensorSpec, seen: tuple[int, ...], settled: bool) -> TensorSpec:
    """What one answer tells of a shape; of a rank that the file lacks, extents only where others have them too."""
    if len(spec.shape) != len(seen):
        shape: tuple[int | None, ...] = (None, *seen[1:]) if settled and seen else (None,) * len(seen)
    else:
        shape = tuple(want if want == have else None for want, have in zip(spec.shape, seen, strict=True))
    return replace(spec, shape=shape)
