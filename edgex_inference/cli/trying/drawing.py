"""The picture of an event with what the model found drawn into it."""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgex_inference.contracts.errors import SetupError
from edgex_inference.contracts.events import Event, Reading
from edgex_inference.contracts.results import (
    Anomaly,
    Classification,
    Detections,
    Embedding,
    Raw,
    Regression,
    Result,
    Segmentation,
)
from edgex_inference.postprocess.values import evaluate
from edgex_inference.preprocess import raw

if TYPE_CHECKING:
    from PIL.Image import Image

_COLORS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000")
_PILLOW = 'annotated pictures need Pillow: pip install "edgex-inference[images]"'


def check() -> None:
    """Raises SetupError where the library that draws is not installed."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise SetupError(f"--save: {_PILLOW}") from None


def parted(name: str) -> tuple[Path, str]:
    """The file of an input, and `-60` for the number of a frame or a line in it."""
    found = re.fullmatch(r"(.*?)(?:[#:]([0-9]+))?", name, re.DOTALL)
    assert found is not None
    return Path(found[1]), f"-{found[2]}" if found[2] else ""


def save(event: Event, result: Result, path: Path) -> bool:
    """Writes the event's picture with the result drawn into it; False when the event has no picture."""
    reading = next((one for one in event.readings if one.binary_value), None)
    picture = _picture(reading) if reading is not None else None
    if picture is None:
        return False
    annotate(picture, result)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=92)
    return True


def _picture(reading: Reading) -> "Image | None":
    from PIL import Image, ImageOps

    assert reading.binary_value is not None
    declared = raw.declared("", reading.media_type)
    if declared.shape is not None and len(declared.shape) == 3 and declared.shape[2] == 3:
        pixels = np.frombuffer(reading.binary_value, np.uint8).reshape(declared.shape)
        return Image.fromarray(np.ascontiguousarray(pixels[..., ::-1] if declared.color == "bgr" else pixels))
    try:
        with Image.open(io.BytesIO(reading.binary_value)) as found:
            return ImageOps.exif_transpose(found).convert("RGB")
    except (OSError, ValueError):
        return None


def annotate(picture: "Image", result: Result) -> None:
    """Draws boxes with label and score, or the answer of other tasks in the corner."""
    from PIL import ImageDraw, ImageFont

    draw: Any = ImageDraw.Draw(picture)
    size = max(12, min(picture.size) // 32)
    font = ImageFont.load_default(size)
    width = max(2, min(picture.size) // 200)
    if not isinstance(result, Detections):
        _write(draw, font, (width, width), said(result), "#202020")
        return
    for box, score, index in zip(result.boxes, result.scores, result.classes.tolist(), strict=True):
        color = _COLORS[index % len(_COLORS)]
        x0, y0, x1, y1 = (
            float(one) * extent for one, extent in zip(box, (*picture.size, *picture.size), strict=True)
        )
        draw.rectangle((x0, y0, max(x0, x1), max(y0, y1)), outline=color, width=width)
        above = max(0.0, y0 - size - 2 * width)
        _write(draw, font, (max(0.0, x0), above), f"{result.labels[index]} {score:.2f}", color)


def said(result: Result) -> str:
    """A result in a few words."""
    match result:
        case Classification():
            return f"{evaluate(result, 'label')} {evaluate(result, 'score'):.2f}"
        case Detections():
            return f"{len(result.scores)} found"
        case Anomaly():
            return f"score {result.score:.4g}"
        case Regression():
            return ", ".join(f"{value:.4g}" for value in result.values[:8].tolist())
        case Segmentation():
            return ", ".join(
                f"{label} {share:.2f}"
                for label, share in zip(result.labels, result.shares.tolist(), strict=False)
                if share
            )
        case Embedding():
            return f"vector of {len(result.vector)}"
        case Raw():
            return ", ".join(f"{name} {list(array.shape)}" for name, array in result.tensors.items())


def _write(draw: Any, font: Any, at: tuple[float, float], text: str, color: str) -> None:
    left, top, right, bottom = draw.textbbox(at, text, font=font)
    draw.rectangle((left - 2, top - 2, right + 2, bottom + 2), fill=color)
    draw.text(at, text, fill="white", font=font)
