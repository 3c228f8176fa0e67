"""Heads whose answer is a row for each proposal: where the rows lie, and how the boxes in them are written."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgex_inference.config.places import listed
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.postprocess.detection.boxes import Floats
from edgex_inference.postprocess.wiring import ModelOutput, Wiring

SHARES_END = 2.0
"""No box in shares of the picture reaches so far beyond it; of one in pixels this is nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """An output [1, n, before + classes], or turned over: `before` numbers, then a score for each class.

    `axis` is where those numbers lie if both axes could hold them: 0 turned over, 1 not.
    """

    output: ModelOutput
    before: int
    axis: Literal[0, 1]
    fits: Callable[[int], bool] | None

    @classmethod
    def of(cls, wiring: Wiring, output: ModelOutput, before: int, axis: Literal[0, 1]) -> "Rows":
        """Raises ModelRejected where the declared shape cannot be such rows, or has other classes than the labels."""
        made = cls(
            output=output, before=before, axis=axis, fits=wiring.fits if wiring.labels is not None else None
        )
        declared = output.spec.shape[-2:]
        if len(output.spec.shape) >= 2 and None not in declared:
            shape = (declared[0] or 0, declared[1] or 0)
            extent = shape[made._numbers_axis(shape)]
            if extent <= before:
                reason = f"{output.spec} has no {before} + classes in a row"
                raise wiring.rejected(reason, "outputs", output.name)
            wiring.check_classes(extent - before)
        return made

    def read(self, tensors: Tensors) -> Floats:
        """[n, before + classes]; raises InferenceFailed for anything else."""
        rows = flat(self.output, tensors)
        if self._numbers_axis(rows.shape) == 0:
            rows = rows.T
        if rows.shape[1] <= self.before or not rows.size:
            raise self.output.nonsense(
                f"shape {rows.shape}, expected {self.before} + classes for each proposal"
            )
        return rows

    def _numbers_axis(self, shape: tuple[int, ...]) -> int:
        """The axis that fits the labels; without labels the shorter one."""
        fitting = [axis for axis in (0, 1) if self._fit(shape[axis])]
        if len(fitting) == 1:
            return fitting[0]
        if self.fits is None and shape[0] != shape[1]:
            return int(shape[1] < shape[0])
        return self.axis

    def _fit(self, extent: int) -> bool:
        return self.fits is not None and extent > self.before and self.fits(extent - self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinates:
    """How four numbers are a box: corners or center and extent, x or y first, pixels of the model's picture or shares.

    `unit` None: shares unless one of them is above 2.
    """

    output: ModelOutput
    centers: bool
    turned: bool
    unit: str | None
    size: tuple[int, int] | None

    @classmethod
    def of(
        cls,
        wiring: Wiring,
        output: ModelOutput,
        *,
        form: Literal["corners", "centers"],
        order: Literal["xy", "yx"] = "xy",
        other: tuple[str, ...] = (),
    ) -> "Coordinates":
        """What the role's `form`, `order` and `coordinates` say over these defaults; raises ModelRejected.

        `other` are forms that mean something else to the head.
        """
        image, words = wiring.image(), ("corners", "centers")
        said = output.choice("form", (*words, *other))
        unit = output.choice("coordinates", ("pixels", "shares"))
        size = image.size if image is not None else None
        if unit == "pixels" and size is None:
            raise wiring.rejected("boxes in pixels need a picture input with size: [width, height]", "inputs")
        return cls(
            output=output,
            centers=(said if said in words else form) == "centers",
            turned=(output.choice("order", ("xy", "yx")) or order) == "yx",
            unit=unit,
            size=size,
        )

    def corners(self, boxes: Floats, every: Floats) -> Floats:
        """Corners in shares from the chosen boxes [n, 4]; `every` is what shows whether they are in pixels."""
        if self.turned:
            boxes = boxes[:, (1, 0, 3, 2)]
        if self.centers:
            half = boxes[:, 2:] / 2
            boxes = np.concatenate((boxes[:, :2] - half, boxes[:, :2] + half), axis=1)
        if not self._in_pixels(every):
            return boxes
        if self.size is None:
            raise self.output.nonsense("boxes in pixels, and no picture input tells how many there are")
        return in_shares(boxes, self.size)

    def _in_pixels(self, every: Floats) -> bool:
        if self.unit is not None:
            return self.unit == "pixels"
        largest = every.max(initial=0)
        if not np.isfinite(largest):
            largest = every[np.isfinite(every)].max(initial=0)
        return bool(largest > SHARES_END)


def in_shares(boxes: Floats, size: tuple[int, int]) -> Floats:
    """Boxes in pixels of a picture of this size as shares of it."""
    shares = boxes * np.array((1 / size[0], 1 / size[1]) * 2, dtype=np.float32)
    return shares.astype(np.float32, copy=False)


def flat(output: ModelOutput, tensors: Tensors) -> Floats:
    """The numbers as a matrix, without leading axes of length 1; raises InferenceFailed."""
    numbers = output.numbers(tensors)
    shape = numbers.shape
    while numbers.ndim > 2 and len(numbers) == 1:
        numbers = numbers[0]
    if numbers.ndim != 2:
        raise output.nonsense(f"shape {shape}, expected a row for each proposal")
    return numbers


def check_row(wiring: Wiring, output: ModelOutput, *lengths: int) -> None:
    """Raises ModelRejected where the declaration says rows of another length."""
    shape = output.spec.shape
    if len(shape) > 1 and shape[-1] is not None and shape[-1] not in lengths:
        wanted = listed(map(str, lengths))
        raise wiring.rejected(f"{output.spec} has no {wanted} numbers in a row", "outputs", output.name)


def pair(wiring: Wiring) -> tuple[ModelOutput, ModelOutput]:
    """The outputs with scores and with boxes; raises ModelRejected.

    By role; else boxes are the only one with four numbers in a row, or with box in its name.
    """
    scores, boxes = wiring.find("scores"), wiring.find("offsets") or wiring.find("boxes")
    free = [output for output in wiring.outputs if not output.role and output.is_real]
    if scores is None and boxes is None and len(free) == 2:
        fours = [output for output in free if output.spec.shape and output.spec.shape[-1] == 4]
        named = [output for output in free if "box" in output.spec.name.lower()]
        for told in (fours, named):
            if len(told) == 1:
                return next(output for output in free if output is not told[0]), told[0]
    if len(free) == 1:
        scores, boxes = scores or (free[0] if boxes else None), boxes or (free[0] if scores else None)
    scores, boxes = scores or wiring.need("scores"), boxes or wiring.need("boxes")
    check_row(wiring, boxes, 4)
    return scores, boxes
