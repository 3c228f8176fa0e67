"""Golden samples: known inputs whose answers every session must give before it may answer anybody."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgex_inference.contracts.accelerator import Session
from edgex_inference.contracts.bindings import Binding, InputReading
from edgex_inference.contracts.errors import EdgexInferenceError, InferenceError, ModelRejected, SetupError
from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.contracts.models import (
    Build,
    Golden,
    ImageInput,
    InputCard,
    ModelCard,
    NumbersInput,
    Task,
)
from edgex_inference.contracts.results import Result, Sample
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.engine.lane import Lane
from edgex_inference.postprocess import table, values
from edgex_inference.postprocess.wiring import Interpreter
from edgex_inference.preprocess import build as preprocess

_ORIGIN = 1
_TIMEOUT = 30.0
"""Seconds for a golden sample; the first runs on an accelerator may compile kernels."""

_TOLERANCE = {"score": 0.01, "box": 0.01}
"""Where the card states none: absolute for boxes and shares, relative for numbers above 1."""


async def check(lane: Lane, card: ModelCard, build: Build, *, max_pixels: int) -> None:
    """Runs every golden sample of the card; raises ModelRejected with the first difference."""
    for sample in card.golden:
        _judge(card, sample, await answer(lane, card, build, sample.input, max_pixels=max_pixels))


def prove(session: Session, card: ModelCard, build: Build, *, max_pixels: int) -> None:
    """As `check`, on a session that no lane trusts yet; blocks, and belongs into the thread that loaded it."""
    for sample in card.golden:
        question = _ask(session, card, build, sample.input, max_pixels)
        try:
            result = question.read(session.infer(question.sample.tensors, timeout=_TIMEOUT))
        except ModelRejected:
            raise
        except EdgexInferenceError as error:
            raise ModelRejected(card.name, f"golden sample {sample.input.name}: {error}") from error
        _judge(card, sample, result)


def is_verdict(error: ModelRejected) -> bool:
    """Whether an answer was wrong; else none could be had, or the sample cannot be asked."""
    return error.__cause__ is None


def may_pass(error: ModelRejected) -> bool:
    """Whether the same question may have its answer another time: a run failed, or a file could not be read."""
    return isinstance(error.__cause__, InferenceError | OSError)


def samples(lane: Lane, card: ModelCard, build: Build, *, max_pixels: int) -> Sequence[Tensors]:
    """The golden samples as the session takes them; raises ModelRejected."""
    return [_ask(lane.session, card, build, one.input, max_pixels).sample.tensors for one in card.golden]


def _judge(card: ModelCard, sample: Golden, result: Result) -> None:
    try:
        difference = compare(result, _expected(card, sample), {**_TOLERANCE, **sample.tolerance})
    except ModelRejected:
        raise
    except (SetupError, LookupError, TypeError, ValueError) as error:
        reason = f"golden sample {sample.expect.name} cannot be compared: {error}"
        raise ModelRejected(card.name, reason) from error
    if difference:
        raise ModelRejected(card.name, f"golden sample {sample.input.name}: {difference}")


async def answer(lane: Lane, card: ModelCard, build: Build, file: Path, *, max_pixels: int) -> Result:
    """What the model says of a file: a picture, or a JSON object of input name → numbers."""
    question = _ask(lane.session, card, build, file, max_pixels)
    try:
        (tensors,) = await lane.infer_many([question.sample.tensors], timeout=_TIMEOUT)
        if isinstance(tensors, EdgexInferenceError):
            raise tensors
        return question.read(tensors)
    except ModelRejected:
        raise
    except EdgexInferenceError as error:
        raise ModelRejected(card.name, f"golden sample {file.name}: {error}") from error


def tensors_of(session: Session, card: ModelCard, build: Build, file: Path, *, max_pixels: int) -> Tensors:
    """What the model is given for a file that is written as a golden sample's input; raises ModelRejected."""
    return _ask(session, card, build, file, max_pixels).sample.tensors


@dataclass(frozen=True, slots=True)
class _Question:
    """A file made ready for a session, and how its answer is read."""

    sample: Sample
    interpret: Interpreter

    def read(self, tensors: Tensors) -> Result:
        return self.interpret(tensors, self.sample)


def _ask(session: Session, card: ModelCard, build: Build, file: Path, max_pixels: int) -> _Question:
    event, inputs = _event(card, build.inputs, file)
    binding = Binding(
        profile=card.name, resource=inputs[0], name=card.name, model=None, outputs=(),
        inputs=tuple(InputReading(resource=name) for name in inputs),
    )  # fmt: skip
    try:
        prepare = preprocess.build(
            binding, build.inputs, session.inputs, {}, batched=has_batch_axis(session, build),
            max_pixels=max_pixels, keep_numbers=card.task is Task.ANOMALY,
        )  # fmt: skip
        sample = prepare(event)
        interpret = table.build(card, build, session.outputs, settings=card.postprocess, labels=card.labels)
    except ModelRejected:
        raise
    except EdgexInferenceError as error:
        raise ModelRejected(card.name, f"golden sample {file.name}: {error}") from error
    return _Question(sample, interpret)


def has_batch_axis(session: Session, build: Build) -> bool:
    """Whether axis 0 of the session's inputs is a batch axis, if only of length 1."""
    if session.traits.batch.kind != "none":
        return True
    shapes = {spec.name: spec.shape for spec in session.inputs}
    said = [entry.shape for entry in build.inputs if isinstance(entry, NumbersInput)]
    if any(shape is not None and shape in shapes.values() for shape in said):
        return False
    return all(len(shape) > 1 and shape[0] in (1, None) for shape in shapes.values())


def compare(result: Result, expected: Mapping[str, Any], tolerance: Mapping[str, float]) -> str:
    """The first difference between a result and the expected values as a sentence; empty when there is none."""
    for value, want in expected.items():
        have = values.evaluate(result, value, ValueType.OBJECT if isinstance(want, Mapping) else None)
        if isinstance(want, Mapping) and "items" in want and isinstance(have, Mapping):
            difference = _boxes(have["items"], want["items"], tolerance)
        else:
            difference = _differs(value, have, want, tolerance.get(value, tolerance["score"]))
        if difference:
            return difference
    return ""


def _expected(card: ModelCard, sample: Golden) -> Mapping[str, Any]:
    try:
        expected = json.loads(sample.expect.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelRejected(card.name, f"golden sample {sample.expect.name}: {error}") from error
    if not isinstance(expected, dict):
        raise ModelRejected(card.name, f"golden sample {sample.expect.name}: an object of values is expected")
    if not expected:
        raise ModelRejected(card.name, f"golden sample {sample.expect.name}: names no value to be compared")
    return expected


def _boxes(
    have: Sequence[Mapping[str, Any]], want: Sequence[Mapping[str, Any]], tolerance: Mapping[str, float]
) -> str:
    if len(have) != len(want):
        return f"{len(have)} detections instead of {len(want)}"
    left = list(have)
    for expected in want:
        near = min(left, key=lambda item: (item["label"] != expected["label"], _distance(item, expected)))
        left.remove(near)
        if near["label"] != expected["label"]:
            return f"no {expected['label']} at {expected['box']}"
        if _distance(near, expected) > tolerance["box"]:
            return f"{expected['label']} at {near['box']} instead of {expected['box']}"
        if abs(near["score"] - expected["score"]) > tolerance["score"]:
            return f"{expected['label']} with score {near['score']} instead of {expected['score']}"
    return ""


def _distance(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    return max(abs(float(a) - float(b)) for a, b in zip(one["box"], other["box"], strict=True))


def _differs(value: str, have: Any, want: Any, tolerance: float) -> str:
    if isinstance(want, list) and not isinstance(have, list):
        return f"{value} is {have} instead of a list"
    pairs = list(zip(have, want, strict=False)) if isinstance(want, list) else [(have, want)]
    if isinstance(want, list) and len(have) != len(want):
        return f"{value} has {len(have)} entries instead of {len(want)}"
    for got, expected in pairs:
        if isinstance(expected, int | float) and isinstance(got, float):
            near = math.isclose(got, expected, abs_tol=tolerance * max(1.0, abs(expected)))
        else:
            near = got == expected
        if not near:
            return f"{value} is {got} instead of {expected} (tolerance {tolerance})"
    return ""


def _event(card: ModelCard, inputs: Sequence[InputCard], file: Path) -> tuple[Event, tuple[str, ...]]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelRejected(card.name, f"golden sample {file.name}: {error}") from error
    if any(isinstance(entry, ImageInput) for entry in inputs):
        readings = [Reading(resource_name="picture", value_type=ValueType.BINARY, binary_value=content)]
    else:
        readings = _numbers(card, inputs, file, content)
    event = Event(
        api_version="v3", id="", device_name="golden", profile_name=card.name, source_name=file.name,
        origin=_ORIGIN, readings=tuple(readings),
    )  # fmt: skip
    return event, tuple(reading.resource_name for reading in readings)


def _numbers(card: ModelCard, inputs: Sequence[InputCard], file: Path, content: bytes) -> list[Reading]:
    try:
        given = json.loads(content)
    except ValueError as error:
        raise ModelRejected(card.name, f"golden sample {file.name}: no JSON: {error}") from error
    if not isinstance(given, dict):
        reason = f"golden sample {file.name}: an object is expected, each input's name with its numbers"
        raise ModelRejected(card.name, reason)
    readings: list[Reading] = []
    for entry in inputs:
        try:
            readings += _of_input(entry, given.get(entry.name))
        except (ValueError, TypeError) as error:
            reason = f"golden sample {file.name}: input {entry.name}: {_wanted(entry)}"
            raise ModelRejected(card.name, reason) from error
    return readings


def _of_input(entry: InputCard, numbers: Any) -> list[Reading]:
    names = getattr(entry, "names", ()) or (entry.name,)
    rows = numbers if len(names) > 1 else [numbers]
    return [_reading(name, row) for name, row in zip(names, rows, strict=True)]


def _wanted(entry: InputCard) -> str:
    names = getattr(entry, "names", ())
    many = (
        f"a list of {len(names)}, one for each of {', '.join(names)}" if len(names) > 1 else "a list of them"
    )
    return f"numbers are expected, {many}"


def _reading(name: str, row: Any) -> Reading:
    if not isinstance(row, list):
        return Reading(resource_name=name, value_type=ValueType.FLOAT64, value=repr(float(row)))
    text = "[" + ", ".join(repr(float(x)) for x in _flat(row)) + "]"
    return Reading(resource_name=name, value_type=ValueType.FLOAT64_ARRAY, value=text)


def _flat(row: Any) -> list[Any]:
    if isinstance(row, list):
        return [x for part in row for x in _flat(part)]
    return [row]
