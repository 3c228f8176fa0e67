"""The values of a result that outputs name: plain Python types that JSON can carry; None is a value that is missing."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from edgex_inference.contracts.errors import SetupError
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.outputs import parameter
from edgex_inference.contracts.results import (
    Anomaly,
    Classification,
    Detections,
    Embedding,
    Raw,
    Regression,
    Result,
    Segmentation,
)
from edgex_inference.contracts.tensors import Array
from edgex_inference.postprocess.wiring import Floats

Evaluator: TypeAlias = Callable[[Any], object]

_cached = lru_cache(maxsize=1024)

_DECIMALS = 5
"""Of boxes and scores in Objects: a hundredth of a pixel in the largest pictures, in few characters."""


def evaluate(result: Result, value: str, kind: ValueType | None = None) -> object:
    """One value of a result: bool, int, float, str, list of one of these, or dict; None: this result lacks it.

    Of no detections `count` is 0, `maxScore` 0.0, `present` False, `labels` empty. Numbers that are not finite stay
    as they are, but not inside dicts, from which they are left out. `kind` Object makes `contributions` a dict by
    channel. Raises SetupError for a value that such a result does not have.
    """
    return compiled(type(result), value, kind)(result)


def compiled(result: type[Result], value: str, kind: ValueType | None = None) -> Evaluator:
    """The function from a result of this type to the value; raises SetupError."""
    found = _FORMS[result](value, kind)
    if found is None:
        raise SetupError(f"value {value!r}: no such value in a result of type {result.__name__}")
    return found


@_cached
def _classification(value: str, kind: ValueType | None) -> Evaluator | None:
    word, rest = parameter(value)
    if word == "top" and rest:
        return lambda result: _best(result, int(rest))
    return _CLASSIFICATION.get(value)


def _named(result: Classification, index: int) -> str:
    return result.labels[index] if result.labels else str(index)


def _best(result: Classification, count: int) -> list[str]:
    order = np.argsort(-result.scores, kind="stable")[:count]
    return [_named(result, index) for index in order.tolist()]


@_cached
def _detection(value: str, kind: ValueType | None) -> Evaluator | None:
    word, rest = parameter(value)
    if word == "count" and rest:
        return lambda result: sum(result.labels[index] == rest for index in result.classes.tolist())
    return _DETECTION.get(value)


def _present_labels(result: Detections) -> list[str]:
    """Each label once, in the model's order: a list that changes only when what is there changes."""
    return list(dict.fromkeys(result.labels[index] for index in sorted(set(result.classes.tolist()))))


def _objects(result: Detections) -> dict[str, object]:
    rows = zip(_rounded(result.boxes), _rounded(result.scores), result.classes.tolist(), strict=True)
    items = [{"label": result.labels[index], "score": score, "box": box} for box, score, index in rows]
    return {"image": {"width": result.width, "height": result.height}, "items": items}


@_cached
def _anomaly(value: str, kind: ValueType | None) -> Evaluator | None:
    if value == "score":
        return lambda result: float(result.score)
    if value == "contributions":
        return _by_channel if kind is ValueType.OBJECT else _contributions
    return None


def _contributions(result: Anomaly) -> list[float] | None:
    return None if result.contributions is None else _list(result.contributions)


def _by_channel(result: Anomaly) -> dict[str, float] | None:
    shares = result.contributions
    if shares is None:
        return None
    names = result.channels or tuple(map(str, range(len(shares))))
    finite = np.isfinite(shares).tolist()
    pairs = zip(names, _rounded(shares), finite, strict=True)
    return {name: share for name, share, fit in pairs if fit} or None


@_cached
def _regression(value: str, kind: ValueType | None) -> Evaluator | None:
    word, rest = parameter(value)
    if value == "values":
        return lambda result: _list(result.values)
    if word == "value" and (value == "value" or (rest.isascii() and rest.isdecimal())):
        return lambda result: _element(result.values, int(rest or "0"))
    return None


@_cached
def _segmentation(value: str, kind: ValueType | None) -> Evaluator | None:
    word, rest = parameter(value)
    if word == "share" and rest:
        return lambda result: _share(result, rest)
    return (lambda result: float(result.area)) if value == "area" else None


def _share(result: Segmentation, label: str) -> float:
    """0 for a class that the picture lacks, as of models whose classes nobody counted."""
    return float(result.shares[result.labels.index(label)]) if label in result.labels else 0.0


@_cached
def _embedding(value: str, kind: ValueType | None) -> Evaluator | None:
    return (lambda result: _list(result.vector)) if value == "vector" else None


@_cached
def _raw(value: str, kind: ValueType | None) -> Evaluator | None:
    name, index = _indexed(value)

    def evaluate_raw(result: Raw) -> object:
        whole = result.tensors.get(value)
        if whole is not None:
            if kind is None or kind.is_array:
                return _list(whole)
            return _element(whole, 0) if whole.size == 1 else None
        found = result.tensors.get(name)
        return None if found is None or index is None else _element(found, index)

    return evaluate_raw


def _indexed(value: str) -> tuple[str, int | None]:
    name, dot, index = value.rpartition(".")
    return (name, int(index)) if dot and index.isascii() and index.isdecimal() else (value, None)


def _element(numbers: Array, index: int) -> object:
    return _plain(numbers.reshape(-1).item(index)) if index < numbers.size else None


def _list(numbers: Array) -> list[Any]:
    if numbers.dtype.kind in "OSU":
        return [_plain(entry) for entry in numbers.reshape(-1).tolist()]
    found: list[Any] = numbers.reshape(-1).tolist()
    return found


def _plain(entry: object) -> object:
    return entry.decode("utf-8", "replace") if isinstance(entry, bytes) else entry


def _rounded(numbers: Floats) -> list[Any]:
    rounded: list[Any] = np.round(numbers.astype(np.float64), _DECIMALS).tolist()
    return rounded


_CLASSIFICATION: dict[str, Callable[[Classification], object]] = {
    "label": lambda result: _named(result, int(result.scores.argmax())),
    "score": lambda result: float(result.scores.max()),
    "index": lambda result: int(result.scores.argmax()),
    "scores": lambda result: _list(result.scores),
}
_DETECTION: dict[str, Callable[[Detections], object]] = {
    "count": lambda result: len(result.scores),
    "labels": _present_labels,
    "maxScore": lambda result: float(result.scores[0]) if len(result.scores) else 0.0,
    "present": lambda result: len(result.scores) > 0,
    "detections": _objects,
}
_FORMS: dict[type, Callable[[str, ValueType | None], Evaluator | None]] = {
    Classification: _classification,
    Detections: _detection,
    Anomaly: _anomaly,
    Regression: _regression,
    Segmentation: _segmentation,
    Embedding: _embedding,
    Raw: _raw,
}
