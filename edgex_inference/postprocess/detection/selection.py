"""What every detector shares: from candidates in the model's picture to detections in the source picture."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgex_inference.config.places import suggest
from edgex_inference.contracts.results import Detections, Geometry, Sample
from edgex_inference.postprocess.detection.boxes import Floats, Indices, areas, suppress, to_source
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
class Selection:
    """The settings that turn candidates into detections."""

    threshold: np.float32
    iou: float
    wanted: frozenset[str] | None
    min_area: float
    top: int | None
    names: Callable[[int], tuple[str, ...]]
    whole: Geometry

    @classmethod
    def of(cls, wiring: Wiring) -> "Selection":
        """Raises ModelRejected for a class that no label names."""
        settings, labels, image = wiring.settings, wiring.labels, wiring.image()
        for name in settings.classes or ():
            if labels is not None and name not in labels:
                key = ("postprocess", "classes")
                raise wiring.rejected(f"{name!r} is no label{suggest(name, labels)}", *key, block=key)
        width, height = (image.size if image else None) or (0, 0)
        return cls(
            threshold=np.float32(_said(settings.score_threshold, DEFAULT_THRESHOLD)),
            iou=_said(settings.nms_iou, DEFAULT_IOU),
            wanted=frozenset(settings.classes) if settings.classes is not None else None,
            min_area=settings.min_area or 0.0,
            top=settings.top,
            names=wiring.names,
            whole=Geometry(width=width, height=height),
        )

    def detections(self, found: Candidates, classes: int, sample: Sample) -> Detections:
        """Detections, best first; candidates that are not finite or lie outside the picture are left out."""
        labels, geometry = self.names(classes), sample.geometry or self.whole
        found = self._sound(found, labels)
        boxes = to_source(found.boxes, geometry)
        there = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        boxes, scores, kinds = boxes[there], found.scores[there], found.classes[there]
        stay = suppress(boxes, kinds, self.iou)
        if self.min_area > 0:
            stay = stay[areas(boxes[stay]) >= self.min_area]
        stay = stay[: self.top]
        return Detections(
            boxes=boxes[stay],
            scores=scores[stay],
            classes=kinds[stay],
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


def _said(value: float | None, default: float) -> float:
    return default if value is None else value
