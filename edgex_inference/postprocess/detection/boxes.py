"""Boxes as arrays [n, 4] of x0, y0, x1, y1: overlap, suppression, and the way back to the source picture."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgex_inference.contracts.results import Geometry

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]

_BLOCK = 256  # boxes judged at once: bounds the matrices


def overlapping(left: Floats, right: Floats, iou: float) -> Marks:
    """[n, m]: whether intersection over union is above `iou`; boxes without area overlap nothing."""
    x0 = np.maximum(left[:, None, 0], right[None, :, 0])
    y0 = np.maximum(left[:, None, 1], right[None, :, 1])
    x1 = np.minimum(left[:, None, 2], right[None, :, 2])
    y1 = np.minimum(left[:, None, 3], right[None, :, 3])
    both = np.maximum(x1 - x0, 0) * np.maximum(y1 - y0, 0)
    union = areas(left)[:, None] + areas(right)[None, :] - both
    above: Marks = (both > np.float32(iou) * union) & (both > 0)
    return above


def areas(boxes: Floats) -> Floats:
    """[n]; 0 for boxes whose corners are the wrong way round."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    product: Floats = sides[:, 0] * sides[:, 1]
    return product


def suppress(boxes: Floats, classes: Indices, iou: float) -> Indices:
    """Indices, ascending, of the boxes that stay; given best first, each box loses to a better one of its class
    that overlaps it by more than `iou` and stays itself."""
    kept = np.empty(0, dtype=np.int64)
    for start in range(0, len(boxes), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(boxes)))
        if len(kept):
            beaten = _rivals(boxes, classes, kept, block, iou).any(axis=0)
            block = block[~beaten]
        rivals = _rivals(boxes, classes, block, block, iou)
        kept = np.concatenate((kept, block[_survivors(rivals)]))
    return kept


def soften(
    boxes: Floats, scores: Floats, classes: Indices, sigma: float, threshold: float, most: int | None = None
) -> tuple[Indices, Floats]:
    """Which boxes stay, best first, and their scores: Gaussian soft suppression.

    The best box is taken, every other one of its class loses by exp(-overlap² / sigma), and so on until none
    reaches the threshold, or `most` are taken.
    """
    line = _Line.of(boxes, classes)
    left = scores[line.order].astype(np.float64)
    taken, reached = list[int](), list[float]()
    while len(left) and len(taken) != most:
        best = int(left.argmax())
        if not left[best] >= threshold:
            break
        taken.append(best)
        reached.append(float(left[best]))
        left[best] = -np.inf
        near = left[line.first[best] : line.last[best]]
        if len(near) > 1:
            share = line.overlap(best)
            share *= share
            share /= -sigma
            near *= np.exp(share, out=share)
    return line.order[taken], np.array(reached, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """Boxes side by side, each class on a stretch of its own, in the order of their left edges.

    What overlaps a box then stands in one slice, from `first` to `last`, however many boxes there are; arithmetic on
    slices instead of picked rows makes floods of boxes bearable. `edges` [5, n]: x0, x1, y0, y1 and area.
    """

    order: Indices
    edges: npt.NDArray[np.float64]
    first: list[int]
    last: list[int]

    @classmethod
    def of(cls, boxes: Floats, classes: Indices) -> "_Line":
        x0, y0, x1, y1 = boxes.astype(np.float64).T
        stretch = classes * (1 + x1.max(initial=0) - x0.min(initial=0))
        order = np.argsort(x0 + stretch, kind="stable")
        x0, x1, y0, y1 = (x0 + stretch)[order], (x1 + stretch)[order], y0[order], y1[order]
        area = np.maximum(x1 - x0, 0) * np.maximum(y1 - y0, 0)
        widest = (x1 - x0).max(initial=0)
        return cls(
            order=order,
            edges=np.stack((x0, x1, y0, y1, area)),
            first=np.searchsorted(x0, x0 - widest, "left").tolist(),
            last=np.maximum(np.searchsorted(x0, x1, "left"), np.arange(len(x0)) + 1).tolist(),
        )

    def overlap(self, index: int) -> npt.NDArray[np.float64]:
        """Intersection over union of one box with each of its slice, itself among them."""
        x0, x1, y0, y1, area = self.edges[:, self.first[index] : self.last[index]]
        left, right, top, bottom, own = self.edges[:, index].tolist()
        both: npt.NDArray[np.float64] = np.minimum(x1, right)
        both -= np.maximum(x0, left)
        high = np.minimum(y1, bottom)
        high -= np.maximum(y0, top)
        np.maximum(both, 0, out=both)
        both *= np.maximum(high, 0, out=high)
        union = np.add(area, own, out=high)
        union -= both
        both /= np.maximum(union, np.finfo(np.float32).tiny, out=union)
        return both


def _rivals(boxes: Floats, classes: Indices, left: Indices, right: Indices, iou: float) -> Marks:
    same: Marks = classes[left][:, None] == classes[right][None, :]
    return same & overlapping(boxes[left], boxes[right], iou)


def _survivors(rivals: npt.NDArray[np.bool_]) -> Marks:
    beaten = np.zeros(len(rivals), dtype=np.bool_)
    worse = np.triu(rivals, 1)
    for index in np.flatnonzero(worse.any(axis=1)):
        if not beaten[index]:
            beaten |= worse[index]
    return ~beaten


def to_source(boxes: Floats, geometry: Geometry) -> Floats:
    """Boxes in 0..1 of the model's picture as boxes in 0..1 of the source.

    Clipped to what the model saw first: what it says of other places, a letterbox's margins too, is a guess.
    """
    low = np.array(geometry.seen[:2] * 2, dtype=np.float32)
    high = np.array(geometry.seen[2:] * 2, dtype=np.float32)
    scale = np.array(geometry.scale * 2, dtype=np.float32)
    shift = np.array(geometry.shift * 2, dtype=np.float32)
    mapped: Floats = np.clip(np.clip(boxes, low, high) * scale + shift, 0, 1)
    return mapped


def corners(x: Floats, y: Floats, width: Floats, height: Floats) -> Floats:
    """Boxes from centers and extents, each [n]."""
    half_width, half_height = width / 2, height / 2
    boxes = np.stack((x - half_width, y - half_height, x + half_width, y + half_height), axis=1)
    return boxes.astype(np.float32, copy=False)
