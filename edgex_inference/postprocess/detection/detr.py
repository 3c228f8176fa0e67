"""DETR and its like: a fixed number of queries, each with class scores and a box; no suppression is needed."""

from collections.abc import Callable
from dataclasses import dataclass

from edgex_inference.contracts.results import Detections, Sample
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.postprocess.activation import activation, logistic, softmax
from edgex_inference.postprocess.detection.boxes import Floats
from edgex_inference.postprocess.detection.rows import Coordinates, Rows, flat, pair
from edgex_inference.postprocess.detection.selection import Candidates, Selection
from edgex_inference.postprocess.wiring import Interpreter, ModelOutput, Wiring, without_class

ROLES = ("scores", "boxes", "rows")
_BOX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Detr:
    """Scores [1, queries, classes] and boxes [1, queries, 4]; or both as rows [1, queries, 4 + classes].

    `background` is the class that is no object, -1 the last one where the labels leave it over.
    """

    read: Callable[[Tensors], tuple[Floats, Floats]]
    scores: ModelOutput
    background: int | None
    fits: Callable[[int], bool]
    coordinates: Coordinates
    selection: Selection

    def __call__(self, tensors: Tensors, sample: Sample) -> Detections:
        """Raises InferenceFailed where the two do not belong together."""
        boxes, scores = self.read(tensors)
        background = self._background(scores.shape[1])
        scores = activation(self.scores, logistic if background is None else softmax)(scores)
        if background is not None:
            scores = without_class(scores, background)
        rows, classes, reached = self.selection.chosen(scores)
        found = Candidates(
            boxes=self.coordinates.corners(boxes[rows], boxes), scores=reached, classes=classes
        )
        return self.selection.detections(found, scores.shape[1], sample)

    def _background(self, classes: int) -> int | None:
        """The class to leave out of so many: the one that is said, else the last where the labels are one fewer."""
        if self.background is not None:
            if not self.background < classes > 1:
                raise self.scores.nonsense(f"{classes} classes, and background is {self.background}")
            return self.background
        return classes - 1 if classes > 1 and not self.fits(classes) and self.fits(classes - 1) else None


def make(wiring: Wiring) -> Interpreter:
    """Raises ModelRejected for a missing role, or labels that are not as many as the classes."""
    only = wiring.find("rows") or (wiring.outputs[0] if len(wiring.outputs) == 1 else None)
    if only is not None:
        rows = Rows.of(wiring, only, _BOX, 1)
        scores = boxes = only
        read = _split(rows)
    else:
        scores, boxes = pair(wiring)
        read = _together(scores, boxes)
    classes = None if only is not None else scores.axis(-1, 3)
    background = wiring.check_background(scores, classes)
    if classes is not None and (background is not None or not wiring.fits(classes)):
        wiring.check_classes(classes - 1)
    return Detr(
        read=read,
        scores=scores,
        background=background,
        fits=wiring.fits,
        coordinates=Coordinates.of(wiring, boxes, form="centers"),
        selection=Selection.of(wiring, done=True),
    )


def _split(rows: Rows) -> Callable[[Tensors], tuple[Floats, Floats]]:
    def read(tensors: Tensors) -> tuple[Floats, Floats]:
        table = rows.read(tensors)
        return table[:, :_BOX], table[:, _BOX:]

    return read


def _together(scores: ModelOutput, boxes: ModelOutput) -> Callable[[Tensors], tuple[Floats, Floats]]:
    def read(tensors: Tensors) -> tuple[Floats, Floats]:
        places, shares = flat(boxes, tensors), flat(scores, tensors)
        if places.shape[1] != _BOX or not places.size:
            raise boxes.nonsense(f"shape {places.shape}, expected four numbers for each query")
        if len(shares) != len(places) or not shares.size:
            raise scores.nonsense(f"shape {shares.shape}, expected scores for each of {len(places)} queries")
        return places, shares

    return read
