"""Models that select themselves: their answer is a list of detections."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgex_inference.config.places import listed
from edgex_inference.contracts.results import Detections, Sample
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.postprocess.activation import are_shares
from edgex_inference.postprocess.detection.boxes import Floats, Indices
from edgex_inference.postprocess.detection.rows import Coordinates, check_row, flat
from edgex_inference.postprocess.detection.selection import Candidates, Selection
from edgex_inference.postprocess.wiring import Interpreter, ModelOutput, Wiring

ROLES = ("boxes", "classes", "scores", "count", "detections")
END_TO_END_ROLES = ("rows",)
_HINTS = (
    ("boxes", "box"),
    ("scores", "score", "conf"),
    ("classes", "class", "label"),
    ("count", "num", "count"),
)
_USUAL = (("boxes", "classes", "scores", "count"), ("scores", "boxes", "count", "classes"))
"""Orders of unnamed outputs: TensorFlow 1's and TensorFlow 2's conversions to TFLite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """From the four tensors' rows to detections; `background` is the number of a class that is none."""

    output: ModelOutput
    background: int | None
    coordinates: Coordinates
    selection: Selection
    labels: tuple[str, ...] | None

    def detections(self, boxes: Floats, classes: Floats, scores: Floats, sample: Sample) -> Detections:
        """Raises InferenceFailed for a class without a label."""
        if not are_shares(scores):
            raise self.output.nonsense("scores are not in 0..1: is it another output that has them?")
        rows = np.flatnonzero((scores >= self.selection.threshold) & np.isfinite(classes))
        kinds = np.rint(classes[rows]).astype(np.int64)
        if self.background is not None:
            real = kinds != self.background
            rows, kinds = rows[real], kinds[real]
            kinds = kinds - (kinds > self.background)
        found = Candidates(
            boxes=self.coordinates.corners(boxes[rows], boxes), scores=scores[rows], classes=kinds
        )
        return self.selection.detections(found, self._count(kinds), sample)

    def _count(self, kinds: Indices) -> int:
        low, high = (int(kinds.min()), int(kinds.max())) if len(kinds) else (0, 0)
        most = len(self.labels) if self.labels is not None else 1 << 16
        if low < 0 or high >= most:
            hint = "; if the model counts from 1, say background: 0" if high == most else ""
            raise self.output.nonsense(f"class {low if low < 0 else high} is none of {most} labels{hint}")
        return most if self.labels is not None else high + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Boxes [1, n, 4], classes and scores [1, n], and how many rows count, if the model says."""

    boxes: ModelOutput
    classes: ModelOutput
    scores: ModelOutput
    count: ModelOutput | None
    finished: Finished

    def __call__(self, tensors: Tensors, sample: Sample) -> Detections:
        """Raises InferenceFailed where the outputs do not belong together."""
        boxes = self.boxes.numbers(tensors)
        if not boxes.ndim or boxes.shape[-1] != 4:
            raise self.boxes.nonsense(f"shape {boxes.shape}, expected four numbers for each box")
        boxes = boxes.reshape(-1, 4)
        classes, scores = self.classes.numbers(tensors), self.scores.numbers(tensors)
        for output, numbers in ((self.classes, classes), (self.scores, scores)):
            if numbers.size != len(boxes):
                raise output.nonsense(
                    f"shape {numbers.shape}, expected one number for each of {len(boxes)} boxes"
                )
        valid = self._valid(tensors, len(boxes))
        return self.finished.detections(
            boxes[:valid], classes.reshape(-1)[:valid], scores.reshape(-1)[:valid], sample
        )

    def _valid(self, tensors: Tensors, rows: int) -> int:
        if self.count is None:
            return rows
        count = self.count.numbers(tensors)
        if count.size != 1 or not np.isfinite(count).all():
            raise self.count.nonsense(f"shape {count.shape}, expected how many boxes there are")
        return min(max(int(count.reshape(-1)[0]), 0), rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTable:
    """One output of rows: `columns` are where box, class and score stand in rows of each length."""

    output: ModelOutput
    columns: dict[int, tuple[int, int, int]]
    finished: Finished

    def __call__(self, tensors: Tensors, sample: Sample) -> Detections:
        """Raises InferenceFailed for rows of another length."""
        rows = flat(self.output, tensors)
        if rows.shape[1] not in self.columns:
            lengths = listed(map(str, self.columns))
            raise self.output.nonsense(f"shape {rows.shape}, expected rows of {lengths} numbers")
        box, kind, score = self.columns[rows.shape[1]]
        return self.finished.detections(rows[:, box : box + 4], rows[:, kind], rows[:, score], sample)


def builtin_nms(wiring: Wiring) -> Interpreter:
    """Boxes, classes, scores and their count as TensorFlow models with suppression give them; or `detections`, rows
    of seven as Caffe and OpenVINO write them.

    Raises ModelRejected where it is not clear which output is which.
    """
    whole = wiring.find("detections")
    if whole is None and len(wiring.outputs) == 1:
        whole = wiring.outputs[0]
    if whole is not None:
        check_row(wiring, whole, 7)
        return OneTable(output=whole, columns={7: (3, 1, 2)}, finished=_finished(wiring, whole, whole, "xy"))
    found = _told_apart(wiring)
    check_row(wiring, found["boxes"], 4)
    return Tables(
        boxes=found["boxes"],
        classes=found["classes"],
        scores=found["scores"],
        count=found.get("count"),
        finished=_finished(wiring, found["boxes"], found["classes"], "yx"),
    )


def end_to_end(wiring: Wiring) -> Interpreter:
    """Rows [1, n, 6] of corners, score and class, or of 7 with the sample's index first, class and score."""
    rows = wiring.pick("rows")
    check_row(wiring, rows, 6, 7)
    return OneTable(
        output=rows, columns={6: (0, 5, 4), 7: (1, 5, 6)}, finished=_finished(wiring, rows, rows, "xy")
    )


def _finished(wiring: Wiring, boxes: ModelOutput, classes: ModelOutput, order: str) -> Finished:
    return Finished(
        output=classes,
        background=wiring.check_background(classes, None),
        coordinates=Coordinates.of(wiring, boxes, form="corners", order="yx" if order == "yx" else "xy"),
        selection=Selection.of(wiring, done=True),
        labels=wiring.labels,
    )


def _told_apart(wiring: Wiring) -> dict[str, ModelOutput]:
    """The outputs by role; else by their names; else by the usual orders."""
    if any(output.role for output in wiring.outputs):
        found = {output.role: output for output in wiring.outputs if output.role}
        return {role: found.get(role) or wiring.need(role) for role in ("boxes", "classes", "scores")} | (
            {"count": found["count"]} if "count" in found else {}
        )
    for found in (_by_names(wiring.outputs), *(_by_order(wiring.outputs, order) for order in _USUAL)):
        if {"boxes", "classes", "scores"} <= set(found):
            return found
    names = listed((output.name for output in wiring.outputs), last="and")
    raise wiring.rejected(f"which of {names} has what? Give them role: {listed(ROLES[:4])}", "outputs")


def _by_names(outputs: Sequence[ModelOutput]) -> dict[str, ModelOutput]:
    found: dict[str, ModelOutput] = {}
    for role, *hints in _HINTS:
        fitting = [one for one in outputs if any(hint in one.spec.name.lower() for hint in hints)]
        if len(fitting) == 1:
            found[role] = fitting[0]
    return found if len({id(output) for output in found.values()}) == len(found) else {}


def _by_order(outputs: Sequence[ModelOutput], order: Sequence[str]) -> dict[str, ModelOutput]:
    if len(outputs) != len(order):
        return {}
    found = dict(zip(order, outputs, strict=True))
    fours = [role for role, output in found.items() if len(output.spec.shape) == 3]
    return found if fours == ["boxes"] and len(found["count"].spec.shape) <= 1 else {}
