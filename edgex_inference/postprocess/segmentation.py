"""Segmentation: which share of the picture each class covers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgex_inference.config.places import suggest
from edgex_inference.contracts.results import Geometry, Sample, Segmentation
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.postprocess.activation import activation, logistic, softmax, way
from edgex_inference.postprocess.wiring import Floats, Interpreter, ModelOutput, Wiring, without_batch

ROLES = ("scores", "classes")
_UNLABELED = 255
"""In class maps: a pixel that belongs to no class."""
_MOST_CLASSES = 4096
_HALF = 0.5
_ROWS = 32

Cells = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """From what each class covers to shares of the wanted ones; `background` has no share."""

    wiring: Wiring
    output: ModelOutput
    background: int | None

    def fits(self, classes: int) -> bool:
        """Whether there are labels for so many classes, the one without label among them; unknown without labels."""
        return self.wiring.labels is not None and self.wiring.fits(classes - (self.background is not None))

    def result(
        self, counts: Cells, pixels: int, any_of: Callable[[npt.NDArray[np.bool_]], int]
    ) -> Segmentation:
        """`counts` of pixels for each class; `any_of` counts the pixels that have one of the marked classes."""
        marked = np.ones(len(counts), dtype=np.bool_)
        kept = counts
        if self.background is not None:
            if not self.background < len(counts):
                raise self.output.nonsense(f"{len(counts)} classes, and background is {self.background}")
            marked[self.background] = False
            kept = np.delete(counts, self.background)
        labels = self.wiring.names(len(kept))
        wanted = self.wiring.settings.classes
        if wanted is not None:
            among = np.array([label in wanted for label in labels], dtype=np.bool_)
            marked[marked] = among
            kept = np.where(among, kept, 0)
        return Segmentation(
            shares=(kept / pixels).astype(np.float32), labels=labels, area=any_of(marked) / pixels
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Planes:
    """Scores [1, classes, rows, columns], or with the classes last, as `last` says where both could be.

    `alone`: each class for itself, above the threshold; else each pixel belongs to its best class, if that reaches
    the threshold. `way` names what `activate` does with several classes.
    """

    output: ModelOutput
    last: bool | None
    alone: bool
    threshold: float | None
    activate: Callable[[Floats], Floats]
    way: Callable[[Floats], str]
    cover: Cover

    def __call__(self, tensors: Tensors, sample: Sample) -> Segmentation:
        """Raises InferenceFailed for an answer that is no such map."""
        scores = seen(self._planes(tensors), sample.geometry)
        if len(scores) > _MOST_CLASSES:
            raise self.output.nonsense(f"{len(scores)} classes: is it another axis that has them?")
        pixels = scores.shape[1] * scores.shape[2]
        if self.alone or len(scores) == 1:
            return self._each(scores, pixels)
        best = np.concatenate(list(self._best_of(scores)))
        counts = np.bincount(best.ravel(), minlength=len(scores) + 1)[: len(scores)]
        return self.cover.result(counts, pixels, lambda marked: int(counts[marked].sum()))

    def _best_of(self, scores: Floats) -> Iterator[Cells]:
        """The class of each pixel, some rows at a time; `classes` of them where none reaches the threshold."""
        way = self.way(scores) if self.threshold is not None else "none"
        for start in range(0, scores.shape[1], _ROWS):
            block = np.ascontiguousarray(scores[:, start : start + _ROWS])
            best, highest = _best(block)
            if self.threshold is not None:
                best[~_reaches(block, highest, np.float32(self.threshold), way)] = len(block)
            yield best

    def _each(self, scores: Floats, pixels: int) -> Segmentation:
        threshold = np.float32(_HALF if self.threshold is None else self.threshold)
        there = self._activated(scores) >= threshold
        counts = there.reshape(len(there), -1).sum(axis=1)
        return self.cover.result(counts, pixels, lambda marked: int(there[marked].any(axis=0).sum()))

    def _activated(self, scores: Floats) -> Floats:
        return np.moveaxis(self.activate(np.moveaxis(scores, 0, -1)), -1, 0)

    def _planes(self, tensors: Tensors) -> Floats:
        """[classes, rows, columns], whichever way the model has them."""
        numbers = without_batch(self.output.numbers(tensors))
        if numbers.ndim == 2:
            return numbers[None]
        if numbers.ndim != 3 or not numbers.size:
            raise self.output.nonsense(f"shape {numbers.shape}, expected [classes, rows, columns]")
        first, end = (self.cover.fits(numbers.shape[axis]) for axis in (0, -1))
        last = end if first != end else numbers.shape[-1] < len(numbers)
        if first and end and self.last is not None:
            last = self.last
        return np.moveaxis(numbers, -1, 0) if last else numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMap:
    """[1, rows, columns], also with one more axis of length 1: the class of each pixel, 255 is none."""

    output: ModelOutput
    classes: int | None
    cover: Cover

    def __call__(self, tensors: Tensors, sample: Sample) -> Segmentation:
        """Raises InferenceFailed for numbers that are no classes."""
        numbers = np.squeeze(self.output.numbers(tensors))
        if numbers.ndim != 2 or not numbers.size:
            raise self.output.nonsense(f"shape {numbers.shape}, expected the class of each pixel")
        numbers = seen(numbers[None], sample.geometry)[0]
        whole = np.rint(numbers)
        if not ((whole == numbers) & (numbers >= 0) & (numbers < _MOST_CLASSES)).all():
            raise self.output.nonsense("its numbers are no classes")
        kinds = whole.astype(np.int64).ravel()
        kinds = kinds[kinds != _UNLABELED] if self.classes is None or self.classes <= _UNLABELED else kinds
        highest = int(kinds.max(initial=0))
        if self.classes is not None and highest >= self.classes:
            raise self.output.nonsense(f"class {highest} is none of {self.classes} classes")
        counts = np.bincount(kinds, minlength=self.classes or highest + 1)
        return self.cover.result(counts, numbers.size, lambda marked: int(counts[marked].sum()))


def argmax(wiring: Wiring) -> Interpreter:
    """A score for each class and pixel: a pixel belongs to the best; one class alone is a mask."""
    return _planes_of(wiring, wiring.pick("scores"), alone=False)


def mask(wiring: Wiring) -> Interpreter:
    """A score for each class and pixel, each for itself: raw ones are put through the logistic function."""
    return _planes_of(wiring, wiring.pick("scores"), alone=True)


def class_map(wiring: Wiring) -> Interpreter:
    """The class of each pixel, as a number; 255 is none."""
    output = wiring.find("classes") or wiring.find("scores")
    if output is None and len(wiring.outputs) > 1:
        raise wiring.rejected("which one has the class of each pixel? Give it role: classes", "outputs")
    return _class_map_of(wiring, output or wiring.outputs[0])


def undeclared(wiring: Wiring) -> Interpreter:
    """No decoder in the card: whole numbers are a class map, others scores of which the best counts."""
    classes = wiring.find("classes")
    if classes is None and wiring.find("scores") is None:
        free = [output for output in wiring.outputs if not output.role]
        whole = [output for output in free if not output.is_real]
        if len(whole) == len(free) == 1:
            classes = whole[0]
    return class_map(wiring) if classes is not None else argmax(wiring)


def _planes_of(wiring: Wiring, output: ModelOutput, *, alone: bool) -> Planes:
    background = wiring.check_background(output, None)
    image = wiring.image()
    _check_classes(wiring)
    return Planes(
        output=output,
        last=image.layout == "NHWC" if image is not None else None,
        alone=alone,
        threshold=wiring.settings.score_threshold,
        activate=activation(output, logistic if alone else _probabilities),
        way=way(output, "softmax"),
        cover=Cover(wiring=wiring, output=output, background=background),
    )


def _probabilities(scores: Floats) -> Floats:
    """Over classes on the last axis; one class alone is put through the logistic function."""
    return softmax(scores) if scores.shape[-1] > 1 else logistic(scores)


def _class_map_of(wiring: Wiring, output: ModelOutput) -> ClassMap:
    background = wiring.check_background(output, None)
    _check_classes(wiring)
    known = len(wiring.labels) + (background is not None) if wiring.labels is not None else None
    return ClassMap(
        output=output,
        classes=known,
        cover=Cover(wiring=wiring, output=output, background=background),
    )


def _check_classes(wiring: Wiring) -> None:
    labels = wiring.labels
    for name in wiring.settings.classes or ():
        if labels is not None and name not in labels:
            key = ("postprocess", "classes")
            raise wiring.rejected(f"{name!r} is no label{suggest(name, labels)}", *key, block=key)


def seen(planes: Floats, geometry: Geometry | None) -> Floats:
    """The part of [classes, rows, columns] that shows the source: without a letterbox's margins."""
    if geometry is None or geometry.seen == (0, 0, 1, 1):
        return planes
    x0, y0, x1, y1 = geometry.seen
    rows, columns = planes.shape[1:]
    top, left = min(round(y0 * rows), rows - 1), min(round(x0 * columns), columns - 1)
    bottom, right = max(round(y1 * rows), top + 1), max(round(x1 * columns), left + 1)
    return planes[:, top:bottom, left:right]


def _best(block: Floats) -> tuple[Cells, Floats]:
    """The class of each pixel, the first of equals, and its score; `classes` of them where a score is no number.

    Plane by plane, with a few rows at a time made contiguous: five times as fast as argmax over the planes.
    """
    best, highest = np.zeros(block.shape[1:], dtype=np.int16), block[0].copy()
    for index in range(1, len(block)):
        np.maximum(best, (block[index] > highest) * np.int16(index), out=best)
        np.maximum(highest, block[index], out=highest)
    best[np.isnan(highest)] = len(block)
    return best, highest


def _reaches(block: Floats, highest: Floats, threshold: np.float32, way: str) -> npt.NDArray[np.bool_]:
    """Whether each pixel's best score, activated, is at least the threshold.

    The best share of a softmax is 1 over the sum of all powers relative to it, so no other share is computed.
    """
    if way != "softmax":
        return (logistic(highest) if way == "sigmoid" else highest) >= threshold
    powers, power = np.zeros_like(highest), np.empty_like(highest)
    for plane in block:
        powers += np.exp(np.subtract(plane, highest, out=power), out=power)
    return powers * threshold <= 1
