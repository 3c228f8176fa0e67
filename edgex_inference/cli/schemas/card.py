"""The schema of a model card: recorded from its readers, plus the rules that they check by hand."""

from pathlib import Path

from edgex_inference.cli.schemas import overlay
from edgex_inference.cli.schemas.words import CARD
from edgex_inference.config.outline import Outline, Schema, Tracing
from edgex_inference.config.problems import Document
from edgex_inference.contracts.accelerator import KNOWN_FORMATS, REMOTE
from edgex_inference.contracts.models import Task
from edgex_inference.engine.cards import card
from edgex_inference.postprocess.table import DECODERS

_TENSORS = """
inputs:
  picture: {kind: image, mean: 1, std: 1, size: [1, 1], range: [0, 1]}
  pictures: {kind: image, mean: [1], std: [1]}
  vector: {kind: vector, normalize: {mean: 1, std: 1}}
  tensor: {kind: tensor, shape: [1], normalize: {mean: [1], std: [1]}}
  window: {kind: window}
outputs:
  o: {stride: 1, background: 1, form: a, input: a, order: a, coordinates: a, activation: a}
"""
_WAYS = (
    _TENSORS + "files:\n- path: a\n" + "".join(f"  {line}\n" for line in _TENSORS.splitlines()),
    "labels: coco80\nfiles: [{path: a.onnx, format: onnx}, {format: remote}]\n",
    "labels: [a]\nscore: {}\npriors: {sizes: [[1]]}\npostprocess: {}\nparity: {}\ngolden: [{}]\n",
    "priors: {sizes: [[[1, 1]]]}\n",
)
"""Documents that lead the readers along every way where they look at a value before they ask."""


_AWAY: Schema = {
    "if": {"required": ["format"], "properties": {"format": {"const": REMOTE}}},
    "then": {"properties": {"path": {"not": {}}, "sha256": {"not": {}}}},
    "else": {"required": ["path"]},
}
"""A model on another machine has no file, every other one has."""


def _serving(task: Task) -> Schema:
    """Keys that do nothing for a task are refused."""
    score: Schema = {} if task is Task.ANOMALY else {"score": {"not": {}}}
    return {
        "if": {"required": ["task"], "properties": {"task": {"const": task.value}}},
        "then": {"properties": {"postprocess": overlay.serving(task), **score}},
    }


def card_schema() -> Schema:
    """What may stand in a model.yaml."""
    outline = Outline()
    for text in _WAYS:
        reader = Tracing.of(Document.parse(text, "card"), outline).reader()
        assert reader is not None
        reader.need("schema").integer()
        card.card_in(reader, Path())
        reader.close()
    schema = outline.schema()
    overlay.describe(schema, CARD)
    overlay.refine(schema, "schema", "integer", {"const": card.SCHEMA})
    overlay.refine(schema, "decoder", "string", {"examples": list(DECODERS)})
    overlay.refine(schema, "files", "array", {"minItems": 1})
    overlay.refine(schema, "labels", "array", {"minItems": 1})
    overlay.refine(schema, "files[].sha256", "string", {"pattern": f"^(?:{card.SHA256.pattern})$"})
    names = {"pattern": f"^(?:{card.FORMAT.pattern})$", "examples": sorted(KNOWN_FORMATS)}
    overlay.refine(schema, "files[].format", "string", names)
    overlay.refine(schema, "files[]", "object", _AWAY)
    inside = {"pattern": r"^(?!/)(?!(.*/)?\.\.(/|$))"}
    for path in ("files[].path", "golden[].input", "golden[].expect"):
        overlay.refine(schema, path, "string", inside)
    for base in ("", "files[]."):
        overlay.refine(schema, f"{base}inputs.*.std", "number", {"not": {"const": 0}})
        overlay.refine(schema, f"{base}inputs.*.std[]", "number", {"not": {"const": 0}})
        scale = {"exclusiveMinimum": 0}
        for tensors in ("inputs", "outputs"):
            overlay.refine(schema, f"{base}{tensors}.*.quantization.scale", "number", scale)
    schema["allOf"] = [_serving(task) for task in Task]
    return schema
