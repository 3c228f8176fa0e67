"""Pictures of 640×480 and a detector for them: real ones where they are at hand, else the project's own."""

import io
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import simplejpeg
import yaml
from PIL import Image

SIZE = (640, 480)
_RFB = Path("models") / "face-rfb320" / "version-RFB-320.onnx"
_CARD = {
    "schema": 1,
    "name": "face-rfb320",
    "version": "1",
    "task": "detection",
    "files": [{"path": "model.onnx", "format": "onnx"}],
    "inputs": {
        "image": {
            "tensor": "input",
            "kind": "image",
            "layout": "NCHW",
            "color": "rgb",
            "size": [320, 240],
            "fit": "stretch",
            "range": [0, 255],
            "mean": [127, 127, 127],
            "std": [128, 128, 128],
        }
    },
    "outputs": {"scores": {"role": "scores", "background": 0}, "boxes": {"role": "boxes", "form": "corners"}},
    "decoder": "rfb",
    "labels": ["face"],
    "postprocess": {"scoreThreshold": 0.7, "nmsIou": 0.5},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A model whose input is one RGB picture of 320×240 as NCHW; x = pixel · gain + bias."""

    name: str
    path: Path
    card: dict[str, object]
    tensor: str
    gain: float
    bias: float


def testdata() -> Path | None:
    """The folder of real models and pictures, where it is named."""
    folder = os.environ.get("EDGEX_INFERENCE_TESTDATA")
    return Path(folder) if folder else None


def detector() -> Detector:
    """RFB-320 where it is at hand, else the part detector of the demo."""
    data = testdata()
    if data is not None:
        return Detector(
            name="RFB-320", path=data / _RFB, card=_CARD, tensor="input", gain=1 / 128, bias=-127 / 128
        )
    folder = Path(str(files("edgex_inference"))) / "demo" / "models" / "part-detect" / "2026.11"
    card = yaml.safe_load((folder / "model.yaml").read_text())
    card["files"] = [{"path": "model.onnx", "format": "onnx"}]
    card.pop("golden")
    gain = 1 / 255 / 0.25
    return Detector(
        name="our part detector (RFB-320 is not at hand)",
        path=folder / "part-detect.onnx",
        card=card,
        tensor="image",
        gain=gain,
        bias=-0.4 / 0.25,
    )


def pictures() -> list[bytes]:
    """JPEGs of 640×480, each with other content."""
    data = testdata()
    sources = sorted((data / "images").glob("*.jpg")) if data is not None else []
    if not sources:
        folder = (
            Path(str(files("edgex_inference"))) / "demo" / "models" / "part-detect" / "2026.11" / "golden"
        )
        sources = sorted(folder.glob("*.jpg"))
    found = []
    for path in sources:
        with Image.open(path) as image:
            if image.size == SIZE:
                found.append(path.read_bytes())
                continue
            pixels = np.asarray(image.convert("RGB").resize(SIZE, Image.Resampling.BICUBIC))
        found.append(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=90))
    assert all(Image.open(io.BytesIO(one)).size == SIZE for one in found)
    return found
