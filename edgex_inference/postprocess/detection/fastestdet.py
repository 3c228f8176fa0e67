"""FastestDet: one grid whose cells hold objectness, a box and class shares."""

from dataclasses import dataclass

import numpy as np

from edgex_inference.contracts.results import Detections, Sample
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.postprocess.detection.boxes import Floats, Indices, corners
from edgex_inference.postprocess.detection.selection import Candidates, Selection
from edgex_inference.postprocess.wiring import Interpreter, ModelOutput, Wiring, without_batch

ROLES = ("grid",)
_BEFORE_CLASSES = 5  # objectness and the four numbers of a box


@dataclass(frozen=True, slots=True, kw_only=True)
class FastestDet:
    """A grid [1, 5 + classes, rows, columns]; objectness and class shares are activated, the box is raw."""

    grid: ModelOutput
    selection: Selection

    def __call__(self, tensors: Tensors, sample: Sample) -> Detections:
        """Raises InferenceFailed for an answer that is no such grid."""
        grid = without_batch(self.grid.numbers(tensors))
        if grid.ndim != 3 or len(grid) <= _BEFORE_CLASSES or not grid.size:
            raise self.grid.nonsense(f"shape {grid.shape}, expected [5 + classes, rows, columns]")
        shares = grid[_BEFORE_CLASSES:]
        scores = grid[0] ** 0.6 * shares.max(axis=0) ** 0.4
        rows, columns = np.nonzero(scores >= self.selection.threshold)
        cells = grid[:, rows, columns]
        found = Candidates(
            boxes=decode(cells[1:5], rows, columns, (grid.shape[2], grid.shape[1])),
            scores=scores[rows, columns],
            classes=cells[_BEFORE_CLASSES:].argmax(axis=0),
        )
        return self.selection.detections(found, len(shares), sample)


def make(wiring: Wiring) -> Interpreter:
    """Raises ModelRejected for labels that are not as many as the grid's classes."""
    grid = wiring.pick("grid")
    channels = grid.axis(-3, 4)
    if channels is not None and channels <= _BEFORE_CLASSES:
        reason = f"{grid.spec} is no grid of FastestDet: 5 + classes channels"
        raise wiring.rejected(reason, "outputs", grid.name)
    wiring.check_classes(channels - _BEFORE_CLASSES if channels is not None else None)
    return FastestDet(grid=grid, selection=Selection.of(wiring))


def decode(raw: Floats, rows: Indices, columns: Indices, size: tuple[int, int]) -> Floats:
    """Corners [n, 4] from raw boxes [4, n] in these cells of a grid of `size` (columns, rows)."""
    x = (np.tanh(raw[0]) + columns) / size[0]
    y = (np.tanh(raw[1]) + rows) / size[1]
    width, height = 1 / (1 + np.exp(-raw[2:4]))
    return corners(x, y, width, height)
