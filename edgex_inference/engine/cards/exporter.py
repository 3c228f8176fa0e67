"""What an exporter left in a file's metadata: names of classes, and of Ultralytics' models how they are read."""

import ast
import json

from edgex_inference.contracts.accelerator import Session
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.models import ModelCard, Task

_LABEL_KEYS = ("names", "labels", "classes", "class_names")
_LONGEST = 1 << 20
_TASKS = {"detect": Task.DETECTION, "classify": Task.CLASSIFICATION}
_BOX, _OBJECTNESS, _END_TO_END = 4, 1, 6


def labels(session: Session) -> tuple[str, ...] | None:
    """Names of classes in the file: a dict `{0: 'person', …}`, a list, or words with commas."""
    for key in _LABEL_KEYS:
        text = session.metadata.get(key, "").strip()
        if not text or len(text) > _LONGEST:
            continue
        found = _names(_parsed(text))
        if found:
            return found
    return None


def task(session: Session) -> Task | None:
    """What Ultralytics' exporter says the model is for; None for other files, and for tasks that are not built."""
    if "stride" not in session.metadata or labels(session) is None:
        return None
    if "task" not in session.metadata:
        return Task.DETECTION
    return _TASKS.get(session.metadata["task"])


def decoder(card: ModelCard, session: Session, names: tuple[str, ...] | None) -> str | None:
    """The decoder of a file that Ultralytics exported, told by its first output; None for all others.

    Such a file says `names`, `stride` and, but for YOLOv5's own exporter, `task`. `detect`: rows of 6 numbers are
    `yolov10`, columns of 4 + classes `yolov8`; without a task rows of 5 + classes are `yolov5`; `classify` is
    softmaxed already. Raises ModelRejected where the file is for another task than the card.
    """
    metadata = session.metadata
    if names is None or "stride" not in metadata or not session.outputs:
        return None
    if "task" in metadata and card.task is not Task.RAW:
        meant = _TASKS.get(metadata["task"])
        if meant is not None and card.task is not meant:
            reason = f"the card says {card.task}, the file says {metadata['task']}"
            raise ModelRejected(card.name, reason, card=("task",))
    shape = session.outputs[0].shape
    if card.task is Task.CLASSIFICATION:
        return "softmax" if metadata.get("task") == "classify" else None
    if card.task is not Task.DETECTION or len(shape) != 3:
        return None
    if "task" not in metadata:
        return "yolov5" if shape[2] == _BOX + _OBJECTNESS + len(names) else None
    if metadata["task"] != "detect":
        return None
    if shape[2] == _END_TO_END:
        return "yolov10"
    return "yolov8" if _BOX + len(names) == shape[1] else None


def size(session: Session) -> tuple[int, int] | None:
    """Width and height that Ultralytics' exporter meant for a file whose input leaves them open."""
    found = _parsed(session.metadata.get("imgsz", "").strip() or "0")
    if not isinstance(found, list | tuple) or len(found) != 2 or not all(type(one) is int for one in found):
        return None
    height, width = found
    return (width, height) if 0 < width <= 16384 and 0 < height <= 16384 else None


def _parsed(text: str) -> object:
    if text[0] not in "{[(":
        return [part.strip() for part in text.split(",")]
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return None


def _names(found: object) -> tuple[str, ...] | None:
    if isinstance(found, dict):
        numbered = {int(key): value for key, value in found.items() if str(key).isdecimal()}
        if sorted(numbered) != list(range(len(found))):
            return None
        found = [numbered[index] for index in range(len(numbered))]
    if isinstance(found, list | tuple) and all(isinstance(name, str) for name in found):
        return tuple(found)
    return None
