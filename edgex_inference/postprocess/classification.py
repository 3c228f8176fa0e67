"""Classification: one score for each class, from tensors or from the maps that scikit-learn makes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgex_inference.contracts.errors import InferenceFailed
from edgex_inference.contracts.results import Classification, Sample
from edgex_inference.contracts.tensors import Array, Datatype, Tensors
from edgex_inference.postprocess import activation
from edgex_inference.postprocess.wiring import Floats, Interpreter, ModelOutput, Wiring, without_class

ROLES = ("scores", "label")
_WHOLE = frozenset((Datatype.INT32, Datatype.INT64))
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores as numbers for the classes in order, or as one map from class to score (ONNX's ZipMap).

    A session delivers the maps of a batch as an array of Python objects [batch]. `pair`: one score that is the
    second of two labels' makes two scores.
    """

    output: ModelOutput
    activate: Callable[[Floats], Floats]
    wiring: Wiring
    background: int | None
    pair: bool = True

    def __call__(self, tensors: Tensors, sample: Sample) -> Classification:
        """Raises InferenceFailed for an answer that is not one score for each class."""
        found = self.output.tensor(tensors)
        if found.dtype == object:
            return self._from_map(found)
        numbers = self.output.numbers(tensors)
        if not numbers.size or max(numbers.shape, default=1) != numbers.size:
            raise self.output.nonsense(f"shape {numbers.shape}, expected one number for each class")
        scores = self.activate(numbers.reshape(-1))
        if self.background is not None:
            if not self.background < len(scores) > 1:
                raise self.output.nonsense(f"{len(scores)} classes, and background is {self.background}")
            scores = without_class(scores, self.background)
        labels = self.wiring.labels
        if self.pair and len(scores) == 1 and labels is not None and len(labels) == 2:
            scores = np.array((1 - scores[0], scores[0]), dtype=np.float32)
        return Classification(
            scores=scores, labels=self.wiring.names(len(scores)) if labels is not None else ()
        )

    def _from_map(self, found: Array) -> Classification:
        scores = found.reshape(-1)[0] if found.size == 1 else None
        if not isinstance(scores, Mapping) or not scores:
            raise self.output.nonsense("expected one map from class to score")
        if all(isinstance(key, str) for key in scores):
            names = self._in_order(tuple(scores))
            order: tuple[object, ...] = names
        else:
            order = tuple(sorted(scores))
            labels = self.wiring.labels
            names = self.wiring.names(len(order)) if labels is not None else tuple(map(str, order))
        numbers = np.array([scores[key] for key in order], dtype=np.float32)
        return Classification(scores=self.activate(numbers), labels=names)

    def _in_order(self, names: tuple[str, ...]) -> tuple[str, ...]:
        labels = self.wiring.labels
        if labels is None:
            return names
        if sorted(labels) != sorted(names):
            raise self.output.nonsense(
                f"its classes are {', '.join(names)}, the labels say {', '.join(labels)}"
            )
        return labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The class alone, as its number or its label; its score is 1."""

    output: ModelOutput
    labels: tuple[str, ...]

    def __call__(self, tensors: Tensors, sample: Sample) -> Classification:
        """Raises InferenceFailed for a class that has no label."""
        found = self.output.tensor(tensors)
        if found.size != 1:
            raise self.output.nonsense(f"shape {found.shape}, expected one class")
        answer = found.reshape(-1)[0]
        if isinstance(answer, str) and answer in self.labels:
            index = self.labels.index(answer)
        elif found.dtype.kind in "iu" and 0 <= answer < len(self.labels):
            index = int(answer)
        else:
            raise self.output.nonsense(f"class {answer!r} is none of {len(self.labels)} labels")
        scores = np.zeros(len(self.labels), dtype=np.float32)
        scores[index] = 1
        return Classification(scores=scores, labels=self.labels)


def softmax(wiring: Wiring) -> Interpreter:
    """The scores are probabilities already and are taken as they are."""
    return _make(wiring, lambda scores: scores)


def logits(wiring: Wiring) -> Interpreter:
    """The scores are raw: softmax makes them probabilities, a single one becomes one by the logistic function."""
    return _make(
        wiring, lambda scores: activation.softmax(scores) if len(scores) > 1 else activation.logistic(scores)
    )


def multilabel(wiring: Wiring) -> Interpreter:
    """The scores are raw, each class stands for itself: the logistic function of each."""
    return _make(wiring, activation.logistic, pair=False)


def undeclared(wiring: Wiring) -> Interpreter:
    """No decoder in the card: scores in 0..1 whose sum is 1 are taken as they are, others are softmaxed.

    The sum may miss 1 by 0.001, and by half a step of each class where the output is quantized. One score alone
    does not show what it is, so the card must say.
    """
    output = _source(wiring)
    if output is None:
        return _make(wiring, activation.softmax)
    extents = output.spec.shape[1:] or output.spec.shape  # [1, 1000, 1, 1] has a thousand
    if extents and all(extent == 1 for extent in extents) and output.is_real:
        meanings = "softmax (it is a probability), logits or multilabel (it is raw)"
        reason = f"is missing: output {output.name} is a single score; say {meanings}"
        raise wiring.rejected(reason, "decoder")
    step = output.quantization.scale if output.quantization else 0.0

    def activate(scores: Floats) -> Floats:
        if len(scores) == 1:
            raise InferenceFailed(
                f"model {wiring.card.name!r}: a single score needs a decoder in the card: softmax or logits"
            )
        slack = _SUM_TOLERANCE + step * len(scores) / 2
        total = float(scores.sum())
        inside = scores.min() >= -_SUM_TOLERANCE and abs(total - 1) <= slack
        return scores if inside else activation.softmax(scores)

    return _make(wiring, activate)


def _make(wiring: Wiring, activate: Callable[[Floats], Floats], *, pair: bool = True) -> Interpreter:
    output = _source(wiring)
    if output is None:
        if wiring.labels is None:
            reason = "are missing: the model answers with a class alone, so they must be listed"
            raise wiring.rejected(reason, "labels")
        return Label(output=wiring.find("label") or wiring.outputs[0], labels=wiring.labels)
    declared = output.spec.shape[-1] if output.spec.shape and output.is_real else None
    background = wiring.check_background(output, declared)
    if declared is not None and declared > 1:  # a declared 1 lies often enough to be judged by the answer
        wiring.check_classes(declared if background is None else declared - 1)
    return Scores(output=output, activate=activate, wiring=wiring, background=background, pair=pair)


def _source(wiring: Wiring) -> ModelOutput | None:
    """The output with the scores; None where the class alone is all there is."""
    if found := wiring.find("scores"):
        return found
    free = [output for output in wiring.outputs if not output.role]
    if len(free) > 1 and not any(output.is_real for output in free):
        maps = [output for output in free if "prob" in output.name.lower() or "score" in output.name.lower()]
        if len(maps) == 1 and maps[0].spec.datatype is Datatype.BYTES:
            return maps[0]
    if not free or (len(free) == 1 and free[0].spec.datatype in _WHOLE and not free[0].is_real):
        return None
    return wiring.pick("scores")
