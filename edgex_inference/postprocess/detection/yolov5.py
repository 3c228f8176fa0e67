"""YOLOv5 and what is built like it (v6, v7): objectness times class, decoded rows or raw grids with anchors."""

import math
from dataclasses import dataclass

import numpy as np

from edgex_inference.contracts.models import Priors
from edgex_inference.contracts.results import Detections, Sample
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.postprocess.activation import are_shares, logistic
from edgex_inference.postprocess.detection.boxes import Floats
from edgex_inference.postprocess.detection.rows import Coordinates, Rows, in_shares
from edgex_inference.postprocess.detection.selection import Candidates, Selection
from edgex_inference.postprocess.detection.ssd import pairs
from edgex_inference.postprocess.wiring import Interpreter, ModelOutput, Wiring, without_batch

ROLES = ("rows", "grid")
_BEFORE_CLASSES = 5  # the four numbers of a box and objectness
COCO_ANCHORS = Priors(
    steps=(8, 16, 32),
    sizes=(
        ((10, 13), (16, 30), (33, 23)),
        ((30, 61), (62, 45), (59, 119)),
        ((116, 90), (156, 198), (373, 326)),
    ),
)
"""The anchors that YOLOv5 ships with, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """[1, n, 5 + classes]: center, extent, objectness and class scores, the latter two activated."""

    rows: Rows
    coordinates: Coordinates
    selection: Selection

    def __call__(self, tensors: Tensors, sample: Sample) -> Detections:
        """Raises InferenceFailed for an answer that is no such table."""
        rows = self.rows.read(tensors)
        boxes, objectness = rows[:, :4], rows[:, 4]
        likely = np.flatnonzero(objectness >= self.selection.threshold)
        at, classes, reached = self.selection.chosen(
            rows[likely, _BEFORE_CLASSES:] * objectness[likely, None]
        )
        found = Candidates(
            boxes=self.coordinates.corners(boxes[likely[at]], boxes), scores=reached, classes=classes
        )
        return self.selection.detections(found, rows.shape[1] - _BEFORE_CLASSES, sample)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grids:
    """Several grids, each [1, anchors, rows, columns, 5 + classes] or [1, anchors · (5 + classes), rows, columns] or
    with those channels last; raw, or activated where all numbers are in 0..1. A grid's stride follows from its size.
    """

    grids: tuple[ModelOutput, ...]
    anchors: dict[int, Floats]
    size: tuple[int, int]
    selection: Selection

    def __call__(self, tensors: Tensors, sample: Sample) -> Detections:
        """Raises InferenceFailed for answers that are no such grids."""
        parts, classes = [], 0
        for grid in self.grids:
            cells, stride = self._cells(grid, tensors)
            found = cells.shape[-1] - _BEFORE_CLASSES
            if classes not in (0, found):
                raise grid.nonsense(f"{found} classes, but {self.grids[0].name} has {classes}")
            classes = found
            parts.append(self._candidates(cells, stride))
        together = Candidates(
            boxes=np.concatenate([part.boxes for part in parts]),
            scores=np.concatenate([part.scores for part in parts]),
            classes=np.concatenate([part.classes for part in parts]),
        )
        return self.selection.detections(together, classes, sample)

    def _cells(self, output: ModelOutput, tensors: Tensors) -> tuple[Floats, int]:
        """[anchors, rows, columns, 5 + classes] and the stride."""
        found = cells = without_batch(output.numbers(tensors))
        if cells.ndim == 3:
            planes = cells if self._stride(*cells.shape[1:]) else np.moveaxis(cells, -1, 0)
            anchors = len(self.anchors.get(self._stride(*planes.shape[1:]), ()))
            if anchors and not len(planes) % anchors:
                cells = planes.reshape(anchors, -1, *planes.shape[1:]).transpose(0, 2, 3, 1)
        if cells.ndim == 4 and cells.shape[-1] > _BEFORE_CLASSES:
            stride = self._stride(*cells.shape[1:3])
            if stride and len(cells) == len(self.anchors[stride]):
                return cells, stride
        known = ", ".join(f"{len(sizes)} at stride {step}" for step, sizes in self.anchors.items())
        picture = "x".join(map(str, self.size))
        expected = f"a grid of 5 + classes for each anchor ({known}) of a picture of {picture}"
        raise output.nonsense(f"shape {found.shape}, expected {expected}")

    def _stride(self, rows: int, columns: int) -> int:
        """The stride of a grid of this size, 0 where it is none of the anchors'."""
        width, height = self.size
        grids = ((math.ceil(height / step), math.ceil(width / step), step) for step in self.anchors)
        return next((step for high, wide, step in grids if (high, wide) == (rows, columns)), 0)

    def _candidates(self, cells: Floats, stride: int) -> Candidates:
        active = are_shares(cells)
        objectness = cells[..., 4] if active else logistic(cells[..., 4])
        likely = np.nonzero(objectness >= self.selection.threshold)
        chosen = cells[likely] if active else logistic(cells[likely])
        at, classes, reached = self.selection.chosen(chosen[:, _BEFORE_CLASSES:] * chosen[:, 4:5])
        anchor, row, column = (axis[at] for axis in likely)
        box = chosen[at, :4]
        center = (box[:, :2] * 2 - 0.5 + np.stack((column, row), axis=1)) * stride
        half = (box[:, 2:] * 2) ** 2 * self.anchors[stride][anchor] / 2
        pixels: Floats = np.concatenate((center - half, center + half), axis=1, dtype=np.float32)
        return Candidates(boxes=in_shares(pixels, self.size), scores=reached, classes=classes)


def make(wiring: Wiring) -> Interpreter:
    """Raises ModelRejected for labels that are not as many as the classes, or grids without anchors."""
    grids = wiring.every("grid")
    if not grids and wiring.find("rows") is None:
        free = [output for output in wiring.outputs if not output.role and output.is_real]
        tables = [output for output in free if len(output.spec.shape) <= 3]
        if len(free) > 1 and len(tables) == 1:
            return _decoded(wiring, tables[0])
        if len(free) > 1 and not tables:
            grids = tuple(free)
    return _grids(wiring, grids) if grids else _decoded(wiring, wiring.pick("rows"))


def _decoded(wiring: Wiring, output: ModelOutput) -> Decoded:
    return Decoded(
        rows=Rows.of(wiring, output, _BEFORE_CLASSES, 1),
        coordinates=Coordinates.of(wiring, output, form="centers"),
        selection=Selection.of(wiring),
    )


def _grids(wiring: Wiring, grids: tuple[ModelOutput, ...]) -> Grids:
    image, said = wiring.image(), wiring.card.priors or COCO_ANCHORS
    if image is None or image.size is None:
        raise wiring.rejected("grids need a picture input with size: [width, height]", "inputs")
    if len(grids) > len(said.steps):
        reason = f"{len(grids)} grids need as many steps with their anchors, not {len(said.steps)}"
        raise wiring.rejected(reason, "priors")
    for grid in grids:
        channels = grid.axis(-1, 5)
        wiring.check_classes(channels - _BEFORE_CLASSES if channels is not None else None)
    return Grids(
        grids=grids,
        anchors={step: pairs(sizes) for step, sizes in zip(said.steps, said.sizes, strict=True)},
        size=image.size,
        selection=Selection.of(wiring),
    )
