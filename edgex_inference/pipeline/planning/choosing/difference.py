"""How far answers are apart: a result from the golden one, and tensors of two accelerators from each other."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgex_inference.contracts.errors import EdgexInferenceError
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import Build, ModelCard
from edgex_inference.contracts.results import Result
from edgex_inference.contracts.tensors import Array, Tensors
from edgex_inference.engine.lane import Lane
from edgex_inference.pipeline.planning import golden
from edgex_inference.postprocess import values

_AGREED = {"f32": 1e-3, "f16": 1e-2}
_SMALLEST = 1e-3
"""What smaller numbers are compared with: the numbers inside a network are larger, and so is what rounding leaves."""
_LOOSE = 5e-2
"""How far tensors may be apart by the precision that was asked for, as a share of the largest number."""


async def from_golden(lane: Lane, card: ModelCard, build: Build, *, max_pixels: int) -> float | None:
    """The largest difference from the golden answers; None where there is none, or one cannot be compared."""
    found = []
    for one in card.golden:
        try:
            result = await golden.answer(lane, card, build, one.input, max_pixels=max_pixels)
            found.append(largest(result, json.loads(one.expect.read_bytes())))
        except (EdgexInferenceError, OSError, ValueError, LookupError, TypeError):
            return None  # the check has said why
    return max(found, default=None)


def apart(ours: Tensors, theirs: Tensors) -> float:
    """The largest difference of two accelerators' tensors as a share of the largest number; infinite for others."""
    if ours.keys() != theirs.keys():
        return math.inf
    return max((_of_arrays(ours[name], theirs[name]) for name in theirs), default=0.0)


def agree(difference: float, precision: str) -> bool:
    """Whether tensors of so much difference count as the same, in the precision that was asked for."""
    return difference <= _AGREED.get(precision, _LOOSE)


def _of_arrays(ours: Array, theirs: Array) -> float:
    if ours.shape != theirs.shape or ours.dtype.kind not in "fiub" or theirs.dtype.kind not in "fiub":
        return 0.0 if np.array_equal(ours, theirs) else math.inf
    one, other = ours.astype(np.float64), theirs.astype(np.float64)
    if not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return math.inf
    finite = np.isfinite(other)
    if not finite.any():
        return 0.0
    scale = max(float(np.abs(other[finite]).max()), _SMALLEST)
    return float(np.abs(one[finite] - other[finite]).max()) / scale


def largest(result: Result, expected: Mapping[str, Any]) -> float:
    """The largest difference from the expected values; infinite where a word or a number of things differs."""
    found = [0.0]
    for value, want in expected.items():
        have = values.evaluate(result, value, ValueType.OBJECT if isinstance(want, Mapping) else None)
        if isinstance(want, Mapping) and "items" in want and isinstance(have, Mapping):
            found.append(_of_boxes(have["items"], want["items"]))
        else:
            found.append(_of(have, want))
    return max(found)


def _of_boxes(have: Sequence[Mapping[str, Any]], want: Sequence[Mapping[str, Any]]) -> float:
    if len(have) != len(want):
        return math.inf
    left, worst = list(have), 0.0
    for expected in want:
        near = min(
            left, key=lambda one: (one["label"] != expected["label"], _of(one["box"], expected["box"]))
        )
        left.remove(near)
        worst = max(worst, _of(near["box"], expected["box"]), _of(near["score"], expected["score"]))
        worst = max(worst, _of(near["label"], expected["label"]))
    return worst


def _of(have: Any, want: Any) -> float:
    if isinstance(want, list | tuple):
        if not isinstance(have, list | tuple) or len(have) != len(want):
            return math.inf
        return max((_of(one, other) for one, other in zip(have, want, strict=True)), default=0.0)
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (have, want))
    if numbers:
        return float(abs(have - want) / max(1.0, abs(want)))
    return 0.0 if have == want else math.inf
