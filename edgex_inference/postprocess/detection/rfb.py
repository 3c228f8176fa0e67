"""The RFB family of single-shot detectors: a row of class scores and a box for each prior."""

import math
from dataclasses import dataclass

import numpy as np

from edgex_inference.contracts.models import Priors
from edgex_inference.contracts.results import Detections, Sample
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.postprocess.detection.boxes import Floats
from edgex_inference.postprocess.detection.selection import Candidates, Selection
from edgex_inference.postprocess.wiring import Interpreter, ModelOutput, Wiring, without_class

ROLES = ("scores", "boxes", "offsets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rfb:
    """Scores [1, n, classes] after softmax, boxes [1, n, 4] as corners or as offsets from n priors."""

    scores: ModelOutput
    boxes: ModelOutput
    background: int | None
    priors: Floats | None
    variances: tuple[float, float]
    selection: Selection

    def __call__(self, tensors: Tensors, sample: Sample) -> Detections:
        """Raises InferenceFailed where the two outputs do not belong together."""
        boxes, scores = self._rows(tensors)
        if self.background is not None:
            scores = without_class(scores, self.background)
        rows, classes = np.nonzero(scores >= self.selection.threshold)
        chosen = boxes[rows]
        if self.priors is not None:
            chosen = decode(chosen, self.priors[rows], self.variances)
        found = Candidates(boxes=chosen, scores=scores[rows, classes], classes=classes)
        return self.selection.detections(found, scores.shape[1], sample)

    def _rows(self, tensors: Tensors) -> tuple[Floats, Floats]:
        boxes, scores = self.boxes.numbers(tensors), self.scores.numbers(tensors)
        if not boxes.ndim or boxes.shape[-1] != 4 or not boxes.size:
            raise self.boxes.nonsense(f"shape {boxes.shape}, expected four numbers for each box")
        boxes = boxes.reshape(-1, 4)
        if self.priors is not None and len(boxes) != len(self.priors):
            raise self.boxes.nonsense(f"{len(boxes)} boxes, but the card's priors make {len(self.priors)}")
        if not scores.size or scores.size % len(boxes):
            raise self.scores.nonsense(
                f"shape {scores.shape} is not a row of scores for each of {len(boxes)} boxes"
            )
        scores = scores.reshape(len(boxes), -1)
        if self.background is not None and not self.background < scores.shape[1] > 1:
            raise self.scores.nonsense(f"{scores.shape[1]} classes, and background is {self.background}")
        return boxes, scores


def make(wiring: Wiring) -> Interpreter:
    """Raises ModelRejected for a missing role, priors that are needed and absent, or wrong counts."""
    scores = wiring.need("scores")
    boxes = wiring.find("offsets") or wiring.need("boxes")
    form = "offsets" if boxes.role == "offsets" else boxes.parameter("form", str, "corners")
    if form not in ("corners", "offsets"):
        raise wiring.rejected(f"{form!r} is not corners or offsets", "outputs", boxes.name, "form")
    background = scores.parameter("background", int)
    classes = scores.axis(-1, 3)
    if background is not None and (background < 0 or (classes is not None and background >= classes)):
        reason = f"the model has no class {background}"
        raise wiring.rejected(reason, "outputs", scores.name, "background")
    wiring.check_classes(classes if classes is None or background is None else classes - 1)
    return Rfb(
        scores=scores,
        boxes=boxes,
        background=background,
        priors=_priors(wiring, boxes) if form == "offsets" else None,
        variances=wiring.card.priors.variances if wiring.card.priors else (0.1, 0.2),
        selection=Selection.of(wiring),
    )


def _priors(wiring: Wiring, boxes: ModelOutput) -> Floats:
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
        y, x, extent = np.meshgrid(
            (np.arange(rows) + 0.5) / rows,
            (np.arange(columns) + 0.5) / columns,
            np.array(sizes, dtype=np.float64),
            indexing="ij",
        )
        parts.append(np.stack((x, y, extent / width, extent / height), axis=-1).reshape(-1, 4))
    made = np.concatenate(parts)
    return (np.clip(made, 0, 1) if said.clip else made).astype(np.float32)


def decode(offsets: Floats, at: Floats, variances: tuple[float, float]) -> Floats:
    """Corners from offsets and their priors, both [n, 4]."""
    place, extent = np.float32(variances[0]), np.float32(variances[1])
    center = offsets[:, :2] * place * at[:, 2:] + at[:, :2]
    half = np.exp(offsets[:, 2:] * extent) * at[:, 2:] / 2
    return np.concatenate((center - half, center + half), axis=1)
