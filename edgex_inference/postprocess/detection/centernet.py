"""CenterNet: objects are the local maxima of a heatmap, their extents and fine positions lie beside it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgex_inference.contracts.results import Detections, Sample
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.postprocess.activation import logistic, way
from edgex_inference.postprocess.detection.boxes import Floats, Indices, corners
from edgex_inference.postprocess.detection.rows import SHARES_END
from edgex_inference.postprocess.detection.selection import Candidates, Selection
from edgex_inference.postprocess.wiring import Interpreter, ModelOutput, Wiring, without_batch

ROLES = ("centers", "sizes", "offsets")
_AROUND = np.mgrid[:3, :3].reshape(2, 9, 1)  # rows and columns of a cell's neighbors, in a padded grid


@dataclass(frozen=True, slots=True, kw_only=True)
class CenterNet:
    """Centers [1, classes, rows, columns], raw or in 0..1; sizes [1, 2, rows, columns] in shares of the model's
    picture, in its pixels, or in cells as the original has them; offsets [1, 2, rows, columns] in cells, from the
    cell's upper left corner. `extent` is the picture in cells, `picture` in pixels; `unit` None: cells if any size is
    above 2, else shares."""

    centers: ModelOutput
    way: Callable[[Floats], str]
    sizes: ModelOutput
    offsets: ModelOutput
    unit: str | None
    extent: tuple[float, float] | None
    picture: tuple[int, int] | None
    selection: Selection

    def __call__(self, tensors: Tensors, sample: Sample) -> Detections:
        """Raises InferenceFailed where the outputs are not grids of one size."""
        heat = self._grid(self.centers, tensors)
        sizes, offsets = self._grid(self.sizes, tensors), self._grid(self.offsets, tensors)
        for output, grid in ((self.sizes, sizes), (self.offsets, offsets)):
            if grid.shape != (2, *heat.shape[1:]):
                raise output.nonsense(
                    f"shape {grid.shape}, expected {(2, *heat.shape[1:])} beside the centers"
                )
        (classes, rows, columns), scores = self._centers(heat)
        width, height = self.extent or (heat.shape[2], heat.shape[1])
        wide, high = self._whole(sizes, (width, height))
        found = Candidates(
            boxes=corners(
                (columns + offsets[0, rows, columns]) / np.float32(width),
                (rows + offsets[1, rows, columns]) / np.float32(height),
                sizes[0, rows, columns] / np.float32(wide),
                sizes[1, rows, columns] / np.float32(high),
            ),
            scores=scores,
            classes=classes,
        )
        return self.selection.detections(found, len(heat), sample)

    def _centers(self, heat: Floats) -> tuple[tuple[Indices, Indices, Indices], Floats]:
        """The maxima that reach the threshold, and their scores; only those are put through the logistic function."""
        threshold = self.selection.threshold
        if self.way(heat) == "none":
            found = peaks(heat, threshold)
            return found, heat[found]
        found = peaks(heat, np.log(threshold / (1 - threshold)))
        return found, logistic(heat[found])

    def _whole(self, sizes: Floats, cells: tuple[float, float]) -> tuple[float, float]:
        """What the whole picture measures in the unit of the sizes."""
        unit = self.unit or ("cells" if sizes.max(initial=0) > SHARES_END else "shares")
        if unit == "pixels":
            assert self.picture is not None
            return self.picture
        return cells if unit == "cells" else (1, 1)

    def _grid(self, output: ModelOutput, tensors: Tensors) -> Floats:
        grid = output.numbers(tensors)
        grid = without_batch(grid) if grid.ndim == 4 else grid
        if grid.ndim != 3 or not grid.size:
            raise output.nonsense(f"shape {grid.shape}, expected [channels, rows, columns]")
        return grid


def make(wiring: Wiring) -> Interpreter:
    """Raises ModelRejected for a missing role, wrong labels, a stride that does not fit, or a unit that cannot be."""
    centers, sizes, offsets = (wiring.need(role) for role in ROLES)
    wiring.check_classes(centers.axis(-3, 4))
    image = wiring.image()
    unit = sizes.choice("coordinates", ("shares", "cells", "pixels"))
    if unit == "pixels" and (image is None or image.size is None):
        raise wiring.rejected("sizes in pixels need a picture input with size: [width, height]", "inputs")
    return CenterNet(
        centers=centers,
        way=way(centers, "sigmoid"),
        sizes=sizes,
        offsets=offsets,
        unit=unit,
        extent=_extent(wiring, centers),
        picture=image.size if image is not None else None,
        selection=Selection.of(wiring),
    )


def _extent(wiring: Wiring, centers: ModelOutput) -> tuple[float, float] | None:
    """The picture measured in cells, which is no whole number where the picture is no multiple of the stride."""
    stride, image = centers.parameter("stride", float), wiring.image()
    if stride is None or image is None or image.size is None:
        return None
    if not 0 < stride < math.inf:
        raise wiring.rejected(f"{stride:g} is not above 0", "outputs", centers.name, "stride")
    width, height = image.size[0] / stride, image.size[1] / stride
    for axis, cells, side in ((-1, width, "wide"), (-2, height, "high")):
        declared = centers.axis(axis, 4)
        if declared is not None and declared not in (math.floor(cells), math.ceil(cells)):
            reason = f"the grid is {declared} cells {side}, but input and stride make {cells:g}"
            raise wiring.rejected(reason, "outputs", centers.name, "stride")
    return width, height


def peaks(heat: Floats, threshold: np.float32) -> tuple[Indices, Indices, Indices]:
    """Class, row and column of every cell that reaches the threshold and no neighbor of its 3 x 3 exceeds."""
    classes, rows, columns = np.nonzero(heat >= threshold)
    if not len(classes):
        return classes, rows, columns
    padded = np.full((len(heat), heat.shape[1] + 2, heat.shape[2] + 2), -np.inf, dtype=np.float32)
    padded[:, 1:-1, 1:-1] = heat
    here = heat[classes, rows, columns]
    around = padded[classes, rows + _AROUND[0], columns + _AROUND[1]]
    keep = ~(around > here).any(axis=0)
    return classes[keep], rows[keep], columns[keep]
