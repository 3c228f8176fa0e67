"""Single-shot detectors: class scores and a box for each anchor, the RFB family among them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgex_inference.contracts.models import Priors
from edgex_inference.contracts.results import Detections, Sample
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.postprocess.activation import activation, logistic, softmax
from edgex_inference.postprocess.detection.boxes import Floats
from edgex_inference.postprocess.detection.rows import Coordinates, pair
from edgex_inference.postprocess.detection.selection import Candidates, Selection
from edgex_inference.postprocess.wiring import Interpreter, ModelOutput, Wiring, without_class

ROLES = ("scores", "boxes", "offsets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssd:
    """Scores [1, n, classes]; boxes [1, n, 4] as they are, or as offsets from n anchors [n, 4]."""

    scores: ModelOutput
    boxes: ModelOutput
    activate: Callable[[Floats], Floats]
    background: int | None
    anchors: Floats | None
    variances: tuple[float, float]
    coordinates: Coordinates
    selection: Selection

    def __call__(self, tensors: Tensors, sample: Sample) -> Detections:
        """Raises InferenceFailed where the two outputs do not belong together."""
        boxes, scores = self._rows(tensors)
        scores = self.activate(scores)
        if self.background is not None:
            scores = without_class(scores, self.background)
        rows, classes, reached = self.selection.chosen(scores)
        found = Candidates(boxes=self._corners(boxes, rows), scores=reached, classes=classes)
        return self.selection.detections(found, scores.shape[1], sample)

    def _corners(self, boxes: Floats, rows: np.ndarray) -> Floats:
        chosen = boxes[rows]
        if self.anchors is None:
            return self.coordinates.corners(chosen, boxes)
        if self.coordinates.turned:
            chosen = chosen[:, (1, 0, 3, 2)]
        return decode(chosen, self.anchors[rows], self.variances)

    def _rows(self, tensors: Tensors) -> tuple[Floats, Floats]:
        boxes, scores = self.boxes.numbers(tensors), self.scores.numbers(tensors)
        if not boxes.ndim or boxes.shape[-1] != 4 or not boxes.size:
            raise self.boxes.nonsense(f"shape {boxes.shape}, expected four numbers for each box")
        boxes = boxes.reshape(-1, 4)
        if self.anchors is not None and len(boxes) != len(self.anchors):
            raise self.boxes.nonsense(f"{len(boxes)} boxes, but the card's priors make {len(self.anchors)}")
        if not scores.size or scores.size % len(boxes):
            raise self.scores.nonsense(
                f"shape {scores.shape} is not a row of scores for each of {len(boxes)} boxes"
            )
        scores = scores.reshape(len(boxes), -1)
        if self.background is not None and not self.background < scores.shape[1] > 1:
            raise self.scores.nonsense(f"{scores.shape[1]} classes, and background is {self.background}")
        return boxes, scores


def ssd(wiring: Wiring) -> Interpreter:
    """Scores and a box for each anchor; scores not in 0..1 are softmaxed beside a background class, else, and with
    TensorFlow's `order: yx`, each put through the logistic function."""
    return _make(wiring, raw=None, form="offsets" if wiring.card.priors else "corners")


def rfb(wiring: Wiring) -> Interpreter:
    """As `ssd`, with scores that are probabilities already."""
    return _make(wiring, raw=lambda scores: scores, form="corners")


def _make(wiring: Wiring, *, raw: Callable[[Floats], Floats] | None, form: str) -> Interpreter:
    """Raises ModelRejected for a missing role, priors that are needed and absent, or wrong counts."""
    scores, boxes = pair(wiring)
    coordinates = Coordinates.of(wiring, boxes, form="corners", other=("offsets",))
    form = "offsets" if boxes.role == "offsets" else boxes.parameter("form", str) or form
    classes = scores.axis(-1, 3)
    background = wiring.check_background(scores, classes)
    wiring.check_classes(classes if classes is None or background is None else classes - 1)
    said_priors = wiring.card.priors
    return Ssd(
        scores=scores,
        boxes=boxes,
        activate=activation(
            scores, raw or (logistic if background is None or coordinates.turned else softmax)
        ),
        background=background,
        anchors=_anchors(wiring, boxes) if form == "offsets" else None,
        variances=said_priors.variances if said_priors else (0.1, 0.2),
        coordinates=coordinates,
        selection=Selection.of(wiring, several=True),
    )


def _anchors(wiring: Wiring, boxes: ModelOutput) -> Floats:
    said, image = wiring.card.priors, wiring.image()
    if said is None:
        reason = "is missing: boxes given as offsets need priors: {steps, sizes, variances}"
        raise wiring.rejected(reason, "priors")
    if image is None or image.size is None:
        raise wiring.rejected("priors need a picture input with size: [width, height]", "inputs")
    made, declared = priors(said, image.size), boxes.axis(-2, 3)
    if declared is not None and declared != len(made):
        raise wiring.rejected(f"they make {len(made)} boxes, but {boxes.name} has {declared}", "priors")
    return made


def priors(said: Priors, size: tuple[int, int]) -> Floats:
    """[n, 4] as center x, center y, width, height in 0..1, in the order of the network's rows.

    For each step a grid over the picture, row by row; in each cell every size of the step. Centers divide by the
    number of cells, not by the picture, which differ where the picture is no multiple of the step.
    """
    width, height = size
    parts = []
    for step, sizes in zip(said.steps, said.sizes, strict=True):
        columns, rows = math.ceil(width / step), math.ceil(height / step)
        y, x, which = np.meshgrid(
            (np.arange(rows) + 0.5) / rows,
            (np.arange(columns) + 0.5) / columns,
            np.arange(len(sizes)),
            indexing="ij",
        )
        extents = pairs(sizes)[which] / (width, height)
        parts.append(np.concatenate((np.stack((x, y), axis=-1), extents), axis=-1).reshape(-1, 4))
    made = np.concatenate(parts)
    return (np.clip(made, 0, 1) if said.clip else made).astype(np.float32)


def pairs(sizes: tuple[float | tuple[float, float], ...]) -> Floats:
    """[n, 2]: width and height of each anchor of one step."""
    both = [size if isinstance(size, tuple) else (size, size) for size in sizes]
    return np.array(both, dtype=np.float32).reshape(-1, 2)


def decode(offsets: Floats, at: Floats, variances: tuple[float, float]) -> Floats:
    """Corners from offsets and their anchors, both [n, 4]."""
    place, extent = np.float32(variances[0]), np.float32(variances[1])
    center = offsets[:, :2] * place * at[:, 2:] + at[:, :2]
    half = np.exp(offsets[:, 2:] * extent) * at[:, 2:] / 2
    return np.concatenate((center - half, center + half), axis=1)
