"""What every detector shares: from candidates in the model's picture to detections in the source picture."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgex_inference.config.places import suggest
from edgex_inference.contracts.models import Postprocess
from edgex_inference.contracts.results import Detections, Geometry, Sample
from edgex_inference.postprocess.detection.boxes import (
    Floats,
    Indices,
    areas,
    soften,
    suppress,
    to_source,
)
from edgex_inference.postprocess.wiring import Wiring

DEFAULT_THRESHOLD = 0.5
DEFAULT_IOU = 0.5
MOST_CANDIDATES = 2000
"""Of more candidates than this the best are judged: it bounds the work where a threshold lets everything through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What a head proposes: `boxes` [n, 4] in 0..1 of the model's picture, `scores` and `classes` [n]."""

    boxes: Floats
    scores: Floats
    classes: Indices


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """How overlapping boxes are told to be one object: hard above `iou`, soft with `sigma`, neither: not at all."""

    iou: float | None
    sigma: float | None
    agnostic: bool

    @classmethod
    def of(cls, settings: Postprocess, *, done: bool) -> "Suppression":
        """`done`: the model gives each object once, so only what the settings ask for is done."""
        unsaid = None if done else DEFAULT_IOU
        return cls(
            iou=unsaid if settings.nms_iou is None else settings.nms_iou,
            sigma=settings.soft_nms,
            agnostic=bool(settings.class_agnostic),
        )

    def survivors(
        self, found: Candidates, threshold: float, most: int | None = None
    ) -> tuple[Indices, Floats]:
        """Which of the candidates stay, best first, and their scores; no more than `most` are needed."""
        rivals = np.zeros_like(found.classes) if self.agnostic else found.classes
        if self.sigma is not None:
            return soften(found.boxes, found.scores, rivals, self.sigma, threshold, most)
        if self.iou is None:
            return np.arange(len(found.scores)), found.scores
        stay = suppress(found.boxes, rivals, self.iou)
        return stay, found.scores[stay]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The settings that turn candidates into detections."""

    threshold: np.float32
    suppression: Suppression
    several: bool
    wanted: frozenset[str] | None
    min_area: float
    top: int | None
    names: Callable[[int], tuple[str, ...]]
    whole: Geometry

    @classmethod
    def of(cls, wiring: Wiring, *, done: bool = False, several: bool = False) -> "Selection":
        """`done`: the head suppressed already; `several`: unless the settings say, a box may have several classes.

        Raises ModelRejected for a class that no label names.
        """
        settings, labels, image = wiring.settings, wiring.labels, wiring.image()
        for name in settings.classes or ():
            if labels is not None and name not in labels:
                key = ("postprocess", "classes")
                raise wiring.rejected(f"{name!r} is no label{suggest(name, labels)}", *key, block=key)
        width, height = (image.size if image else None) or (0, 0)
        return cls(
            threshold=np.float32(
                DEFAULT_THRESHOLD if settings.score_threshold is None else settings.score_threshold
            ),
            suppression=Suppression.of(settings, done=done),
            several=several if settings.multi_label is None else settings.multi_label,
            wanted=frozenset(settings.classes) if settings.classes is not None else None,
            min_area=settings.min_area or 0.0,
            top=settings.top,
            names=wiring.names,
            whole=Geometry(width=width, height=height),
        )

    def chosen(self, scores: Floats) -> tuple[Indices, Indices, Floats]:
        """Rows, classes and scores of those that reach the threshold; `scores` [n, classes], one of each row unless
        it may have several."""
        if self.several or scores.shape[1] == 1:
            rows, classes = np.nonzero(scores >= self.threshold)
        else:
            rows = np.flatnonzero(scores.max(axis=1) >= self.threshold)
            classes = scores[rows].argmax(axis=1)
        return rows, classes, scores[rows, classes]

    def detections(self, found: Candidates, classes: int, sample: Sample) -> Detections:
        """Detections, best first; candidates that are not finite or lie outside the picture are left out."""
        labels, geometry = self.names(classes), sample.geometry or self.whole
        found = self._sound(found, labels)
        boxes = to_source(found.boxes, geometry)
        there = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        found = Candidates(boxes=boxes[there], scores=found.scores[there], classes=found.classes[there])
        most = self.top if self.min_area <= 0 else None
        stay, scores = self.suppression.survivors(found, float(self.threshold), most)
        if self.min_area > 0:
            large = areas(found.boxes[stay]) >= self.min_area
            stay, scores = stay[large], scores[large]
        stay, scores = stay[: self.top], scores[: self.top]
        return Detections(
            boxes=found.boxes[stay],
            scores=scores,
            classes=found.classes[stay],
            labels=labels,
            width=geometry.width,
            height=geometry.height,
        )

    def _sound(self, found: Candidates, labels: tuple[str, ...]) -> Candidates:
        usable = np.isfinite(found.scores) & np.isfinite(found.boxes).all(axis=1)
        if self.wanted is not None:
            wanted = np.array([label in self.wanted for label in labels], dtype=np.bool_)
            usable &= wanted[found.classes]
        usable_at = np.flatnonzero(usable)
        best = usable_at[np.argsort(-found.scores[usable_at], kind="stable")][:MOST_CANDIDATES]
        return Candidates(boxes=found.boxes[best], scores=found.scores[best], classes=found.classes[best])
