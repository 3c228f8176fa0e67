"""Writing a trained model into a model store: the graph, its card and its golden samples."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

VERSION = "2026.11"

PART_DETECT = """\
schema: 1
name: part-detect
version: "{version}"
task: detection
license: Apache-2.0
description: Finds bolts, nuts and washers on the demo's conveyor; a cracked or chipped part is a defect.
files:
  - {{path: part-detect.onnx, format: onnx, sha256: "{sha256}"}}
inputs:
  image: {{kind: image, layout: NCHW, color: rgb, size: [320, 240], fit: letterbox, resize: bilinear, decode: reduced,
          range: [0, 1], mean: [0.4, 0.4, 0.4], std: [0.25, 0.25, 0.25]}}
outputs:
  heatmap: {{role: centers, stride: 8}}   # scores in 0..1; a center is a maximum among its 3x3 cells
  extent: {{role: sizes}}                 # width and height as shares (0..1) of the input's
  shift: {{role: offsets}}                # column and row of the center within its cell, in cells
decoder: centernet
labels: [bolt, nut, washer, defect]
postprocess: {{scoreThreshold: {threshold}, nmsIou: 0.5}}
golden:
{golden}
parity: {{source: "trained by edgex_inference.demo.training", difference: {difference:.1e}}}
"""

SPINDLE_AE = """\
schema: 1
name: spindle-ae
version: "{version}"
task: anomaly
license: Apache-2.0
description: Tells a faulty bearing of the demo's spindle by its acceleration (g, 3200 Hz) and temperature (°C).
files:
  - {{path: spindle-ae.onnx, format: onnx, sha256: "{sha256}"}}
inputs:
  accel: {{kind: tensor, shape: [3, 512], names: [AccelX, AccelY, AccelZ], dtype: float32}}
  temperature: {{kind: vector, names: [Temperature]}}
outputs:
  reconstruction: {{role: reconstruction}}
  target: {{role: target}}                # log power of 16 bands of each axis and the temperature, normalized
decoder: reconstruction
score: {{metric: mse, direction: higherIsWorse, limit: {limit}}}
golden:
{golden}
parity: {{source: "trained by edgex_inference.demo.training", difference: {difference:.1e}}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenSample:
    """An input (file name and bytes) with the output values that the model must give for it."""

    name: str
    content: bytes
    expect: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model that is ready to be written; `facts` fill the placeholders of the card's text."""

    name: str
    model: onnx.ModelProto
    card: str
    facts: Mapping[str, float]
    tolerance: str
    golden: tuple[GoldenSample, ...]


def write(trained: Trained, store: Path) -> Path:
    """Writes `<store>/<name>/<version>/` and returns it."""
    folder = store / trained.name / VERSION
    (folder / "golden").mkdir(parents=True, exist_ok=True)
    content = trained.model.SerializeToString(deterministic=True)
    (folder / f"{trained.name}.onnx").write_bytes(content)
    lines = []
    for sample in trained.golden:
        expect = f"golden/{Path(sample.name).stem}{'.expect' if sample.name.endswith('.json') else ''}.json"
        (folder / "golden" / sample.name).write_bytes(sample.content)
        (folder / expect).write_text(json.dumps(sample.expect, indent=1) + "\n", encoding="utf-8")
        lines.append(f"  - {{input: golden/{sample.name}, expect: {expect}, tolerance: {trained.tolerance}}}")
    card = trained.card.format(
        version=VERSION,
        sha256=hashlib.sha256(content).hexdigest(),
        golden="\n".join(lines),
        **trained.facts,
    )
    (folder / "model.yaml").write_text(card, encoding="utf-8")
    return folder
