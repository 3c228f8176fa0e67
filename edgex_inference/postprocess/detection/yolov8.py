"""YOLOv8 and what is built like it (v9, 11, 12): a column for each anchor point, without objectness."""

from dataclasses import dataclass

from edgex_inference.contracts.results import Detections, Sample
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.postprocess.detection.rows import Coordinates, Rows
from edgex_inference.postprocess.detection.selection import Candidates, Selection
from edgex_inference.postprocess.wiring import Interpreter, Wiring

ROLES = ("rows",)
_BOX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Yolov8:
    """[1, 4 + classes, n] or [1, n, 4 + classes]: center, extent, and a probability for each class."""

    rows: Rows
    coordinates: Coordinates
    selection: Selection

    def __call__(self, tensors: Tensors, sample: Sample) -> Detections:
        """Raises InferenceFailed for an answer that is no such table."""
        rows = self.rows.read(tensors)
        boxes, scores = rows[:, :_BOX], rows[:, _BOX:]
        at, classes, reached = self.selection.chosen(scores)
        found = Candidates(boxes=self.coordinates.corners(boxes[at], boxes), scores=reached, classes=classes)
        return self.selection.detections(found, scores.shape[1], sample)


def make(wiring: Wiring) -> Interpreter:
    """Raises ModelRejected for labels that are not as many as the classes."""
    output = wiring.pick("rows")
    return Yolov8(
        rows=Rows.of(wiring, output, _BOX, 0),
        coordinates=Coordinates.of(wiring, output, form="centers"),
        selection=Selection.of(wiring),
    )
