"""`model check`: the card, and its golden samples on every accelerator and inference device of this machine."""

import json
import math
import statistics
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgex_inference.contracts.accelerator import Batch
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import EdgexInferenceError, InferenceError, ModelRejected, SetupError
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import Build, ImageInput, ModelCard
from edgex_inference.contracts.probing import sample
from edgex_inference.contracts.results import Result
from edgex_inference.contracts.tensors import TensorSpec
from edgex_inference.engine.catalog import AUTO, Candidate
from edgex_inference.engine.lane import Lane
from edgex_inference.pipeline.planning import golden
from edgex_inference.pipeline.planning.plan import Engine
from edgex_inference.postprocess import values

_RUNS, _LONGEST = 50, 2.0
"""Runs that are timed, and the seconds after which no other one starts."""
_PATIENCE = 60.0
"""Seconds for one run: the reference evaluator may take many for what others do in one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one inference device does with the model; `reason` says why not, `p50` is in seconds.

    `difference` is the largest one between the golden answers and the device's: absolute, relative above 1.
    """

    accelerator: str
    reason: str = ""
    wrong: bool = False
    difference: float | None = None
    p50: float | None = None
    batch: str = ""


async def findings(card: ModelCard, engine: Engine) -> AsyncIterator[Finding]:
    """One finding for each inference device whose accelerator reads a file of the model.

    Raises AcceleratorUnavailable where no accelerator here does.
    """
    formats = [build.format for build in card.builds]
    readers = [one for one in engine.catalog.entries() if not one.formats or set(one.formats) & set(formats)]
    if not readers:
        engine.catalog.candidates(AcceleratorChoice(name=AUTO), formats)
    for entry in readers:
        if not entry.devices:
            yield Finding(accelerator=entry.name, reason=entry.reason or "no device here")
        for device in entry.devices:
            choice = AcceleratorChoice(name=entry.name, device=device)
            try:
                (candidate,) = engine.catalog.candidates(choice, formats)
                yield await _finding(candidate, choice, card, engine)
            except SetupError as error:
                yield Finding(accelerator=str(choice), reason=str(error))


async def _finding(
    candidate: Candidate, choice: AcceleratorChoice, card: ModelCard, engine: Engine
) -> Finding:
    lane, build = await engine.fleet.acquire(candidate, choice, card)
    try:
        reason = ""
        try:
            await golden.check(lane, card, build, max_pixels=engine.max_pixels)
        except ModelRejected as error:
            reason = error.reason
        worst, wrong = await difference(lane, card, build, engine), bool(reason)
        p50: float | None = None
        try:
            p50 = await _latency(lane, build)
        except InferenceError as error:
            reason = reason or f"no time: {error}"
        return Finding(
            accelerator=str(candidate),
            reason=reason,
            wrong=wrong,
            difference=worst,
            p50=p50,
            batch=batch(lane.session.traits.batch),
        )
    finally:
        await engine.fleet.release(lane)


async def difference(lane: Lane, card: ModelCard, build: Build, engine: Engine) -> float | None:
    """The largest difference from the golden answers; None without samples, or where one cannot be asked."""
    found = []
    for one in card.golden:
        try:
            result = await golden.answer(lane, card, build, one.input, max_pixels=engine.max_pixels)
            found.append(largest(result, json.loads(one.expect.read_bytes())))
        except (EdgexInferenceError, OSError, ValueError, LookupError, TypeError):
            return None  # the check has said why
    return max(found, default=None)


async def _latency(lane: Lane, build: Build) -> float:
    """The middle of some runs on random numbers, through the lane as the service runs them, however long one takes.

    Pictures are as large as the card says. Raises InferenceError when a run fails.
    """
    specs = [_sized(spec, build) for spec in lane.session.inputs]
    tensors = sample(specs, np.random.default_rng(0))
    taken: list[float] = []
    await lane.infer(tensors, timeout=_PATIENCE)
    ends = time.perf_counter() + _LONGEST
    while len(taken) < _RUNS and (not taken or time.perf_counter() < ends):
        started = time.perf_counter()
        await lane.infer(tensors, timeout=_PATIENCE)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _sized(spec: TensorSpec, build: Build) -> TensorSpec:
    """The input with the size of the card's picture where the file leaves it open."""
    entry = next((one for one in build.inputs if one.tensor == spec.name), None)
    if not isinstance(entry, ImageInput) or entry.size is None or len(spec.shape) != 4:
        return spec
    width, height = entry.size
    batch, channels = spec.shape[0], spec.shape[1 if entry.layout == "NCHW" else 3]
    shape = (batch, channels, height, width) if entry.layout == "NCHW" else (batch, height, width, channels)
    return replace(spec, shape=shape)


def batch(known: Batch) -> str:
    """Batchability in words."""
    return {
        "none": "one by one",
        "any": "any number",
        "fixed": f"exactly {known.most}",
        "range": f"up to {known.most}",
    }[known.kind]


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


def table(found: Sequence[Finding]) -> str:
    """The findings as aligned columns, what is wrong on a line of its own."""
    rows = [("ACCELERATOR", "ANSWERS", "DIFFERENCE", "P50", "BATCH")]
    rows += [_row(one) for one in found]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row, one in zip(rows, [None, *found], strict=True):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if one is not None and one.reason:
            lines.append(f"  {one.reason}")
    return "\n".join(lines)


def _row(one: Finding) -> tuple[str, str, str, str, str]:
    answers = "wrong" if one.wrong else "not run" if one.reason and not one.batch else "right"
    if answers == "right" and one.difference is None:
        answers = "unproven"
    return (
        one.accelerator,
        answers,
        "-" if one.difference is None else f"{one.difference:.1e}",
        "-" if one.p50 is None else f"{one.p50 * 1e3:.2f} ms",
        one.batch or "-",
    )
