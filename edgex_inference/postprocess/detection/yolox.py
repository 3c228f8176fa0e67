"""YOLOX: a row for each cell of three or four grids, as offsets in its cell or decoded by the model."""

import math
from dataclasses import dataclass

import numpy as np

from edgex_inference.contracts.results import Detections, Sample
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.postprocess.detection.boxes import Floats
from edgex_inference.postprocess.detection.rows import Coordinates, Rows, in_shares
from edgex_inference.postprocess.detection.selection import Candidates, Selection
from edgex_inference.postprocess.wiring import Interpreter, Wiring

ROLES = ("rows",)
_BEFORE_CLASSES = 5  # the four numbers of a box and objectness
_STRIDES = ((8, 16, 32), (8, 16, 32, 64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Yolox:
    """[1, n, 5 + classes]: center, extent, objectness and class scores, the latter two activated.

    `cells` [n, 3] are column, row and stride of each row by number of rows; `raw` None: offsets if no center lies
    further than a quarter of the picture from its corner.
    """

    rows: Rows
    coordinates: Coordinates
    selection: Selection
    size: tuple[int, int] | None
    cells: dict[int, Floats]
    raw: bool | None

    def __call__(self, tensors: Tensors, sample: Sample) -> Detections:
        """Raises InferenceFailed for an answer that is no such table."""
        rows = self.rows.read(tensors)
        boxes, objectness = rows[:, :4], rows[:, 4]
        likely = np.flatnonzero(objectness >= self.selection.threshold)
        at, classes, reached = self.selection.chosen(
            rows[likely, _BEFORE_CLASSES:] * objectness[likely, None]
        )
        at = likely[at]
        found = Candidates(boxes=self._corners(boxes, at), scores=reached, classes=classes)
        return self.selection.detections(found, rows.shape[1] - _BEFORE_CLASSES, sample)

    def _corners(self, boxes: Floats, at: np.ndarray) -> Floats:
        if not self._is_raw(boxes):
            return self.coordinates.corners(boxes[at], boxes)
        cells = self.cells.get(len(boxes))
        if cells is None or self.size is None:
            made = " or ".join(map(str, self.cells)) or "no picture input and so no"
            raise self.rows.output.nonsense(f"{len(boxes)} rows, but the strides make {made} cells")
        chosen, where = boxes[at], cells[at]
        stride = where[:, 2:]
        center, half = (chosen[:, :2] + where[:, :2]) * stride, np.exp(chosen[:, 2:]) * stride / 2
        pixels = np.concatenate((center - half, center + half), axis=1)
        return in_shares(pixels, self.size)

    def _is_raw(self, boxes: Floats) -> bool:
        if self.raw is not None:
            return self.raw
        centers = np.abs(boxes[:, :2])
        return self.size is not None and not (
            centers[np.isfinite(centers)].max(initial=0) > min(self.size) / 4
        )


def make(wiring: Wiring) -> Interpreter:
    """Raises ModelRejected for labels that are not as many as the classes."""
    output = wiring.pick("rows")
    coordinates = Coordinates.of(wiring, output, form="centers", other=("raw", "decoded"))
    form = output.parameter("form", str)
    image = wiring.image()
    size = image.size if image is not None else None
    if form == "raw" and size is None:
        raise wiring.rejected("raw rows need a picture input with size: [width, height]", "inputs")
    made = [cells(strides, size) for strides in _STRIDES] if size is not None else []
    return Yolox(
        rows=Rows.of(wiring, output, _BEFORE_CLASSES, 1),
        coordinates=coordinates,
        selection=Selection.of(wiring),
        size=size,
        cells={len(one): one for one in made},
        raw={"raw": True, "decoded": False}.get(form or ""),
    )


def cells(strides: tuple[int, ...], size: tuple[int, int]) -> Floats:
    """[n, 3]: column, row and stride of each cell, grid by grid, row by row."""
    parts = []
    for stride in strides:
        columns, rows = math.ceil(size[0] / stride), math.ceil(size[1] / stride)
        y, x = np.mgrid[:rows, :columns]
        parts.append(np.stack((x, y, np.full_like(x, stride)), axis=-1).reshape(-1, 3))
    return np.concatenate(parts).astype(np.float32)
