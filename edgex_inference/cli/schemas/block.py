"""The schema of an inference block: recorded from its readers, plus the rules that they check by hand."""

from edgex_inference.bindings import block, outputs, parts
from edgex_inference.cli.schemas import overlay
from edgex_inference.cli.schemas.words import BLOCK
from edgex_inference.config.outline import Outline, Schema, Tracing
from edgex_inference.config.problems import Document
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import Task
from edgex_inference.contracts.outputs import BUILT_TASKS, OutputValue, legal

_WAYS = (
    """
model: {name: m, labels: [a]}
inputs: [{resource: a}]
accelerator: [x, {name: x, options: {a: 1}}]
postprocess: {pattern: a}
stream: {}
poll: {}
trigger: {}
window: {}
features: [{}]
track: {}
zones: {door: {}}
lines: {gate: {}}
snapshot: {}
outputs: {N: {value: v}}
decide: {}
publish: {}
limits: {}
""",
    "{model: {name: m, labels: coco80}, accelerator: x, window: {length: 8, stride: 8}, outputs: {}}",
    "steps: [{id: a, model: {name: m, labels: coco80}}, {id: b, model: {name: m, labels: [a]}}]\n"
    "accelerator: {name: x}\noutputs: {}\n",
)
"""Documents that lead the readers along every way where they look at a value before they ask."""

_OPEN_ZERO = r"^0*[1-9][0-9]{0,17}(ns|us|ms|s|m|h)$"


def block_schema() -> Schema:
    """What may stand under `inference.<binding>`."""
    outline = Outline()
    for text in _WAYS:
        reader = Tracing.of(Document.parse(text, "block"), outline).reader()
        assert reader is not None
        block.binding_in("any", reader, block.Scope(profile="any", resource="any"))
    schema = outline.schema()
    overlay.describe(schema, BLOCK)
    _texts(schema)
    _sizes(schema)
    _together(schema)
    schema["allOf"] += [_values(task) for task in Task if task in BUILT_TASKS]
    return schema


def _texts(schema: Schema) -> None:
    folder = {"pattern": f"^(?:{parts.FOLDER_NAME.pattern})$"}
    for path in ("model.name", "model.version", "steps[].model.name", "steps[].model.version"):
        overlay.refine(schema, path, "string", folder)
    for path in ("model.labels", "steps[].model.labels"):
        overlay.refine(schema, path, "string", {"pattern": r"^(?!/)(?!(.*/)?\.\.(/|$))[^\\]*$"})
    overlay.refine(schema, "inputs[].field", "string", {"pattern": f"^(?:{parts.POINTER.pattern})$"})
    name = parts.ACCELERATOR.pattern
    for path in ("accelerator", "accelerator[]"):
        overlay.refine(schema, path, "string", {"pattern": rf"^(?:{name})(:.*\S.*)?$"})
    for path in ("accelerator.name", "accelerator[].name"):
        overlay.refine(schema, path, "string", {"pattern": f"^(?:{name})$"})
    overlay.refine(schema, "steps[].id", "string", {"pattern": f"^(?:{block.STEP_ID.pattern})$"})
    overlay.refine(schema, "publish.topicPrefix", "string", {"pattern": r"^[^#+$* /]+(/[^#+$* /]+)*$"})
    for path in ("publish.keepAlive", "limits.maxAge", "limits.timeout"):
        overlay.refine(schema, path, "string", {"pattern": _OPEN_ZERO})
    overlay.refine(schema, "schema", "integer", {"const": block.SCHEMA})
    types = {"enum": [kind.value for kind in ValueType if kind is not ValueType.BINARY]}
    overlay.refine(schema, "outputs.*.type", "string", types)


def _sizes(schema: Schema) -> None:
    lists = ("inputs", "accelerator", "model.labels", "postprocess.classes", "steps", "steps[].model.labels")
    for path in (*lists, "steps[].postprocess.classes"):
        overlay.refine(schema, path, "array", {"minItems": 1})
    overlay.refine(
        schema,
        "outputs",
        "object",
        {"minProperties": 1, "propertyNames": {"pattern": r"\S", "not": {"enum": sorted(outputs.RESERVED)}}},
    )
    overlay.refine(schema, "inputs[].scale", "number", {"not": {"const": 0}})
    overlay.refine(schema, "normalize.std[]", "number", {"exclusiveMinimum": 0})
    overlay.refine(schema, "zones.*.polygon", "array", {"minItems": 6})


def _together(schema: Schema) -> None:
    """Keys that need or exclude one another."""
    overlay.refine(
        schema,
        "normalize",
        "object",
        {
            "dependentRequired": {"mean": ["std"], "std": ["mean"]},
            "allOf": [{"not": {"required": ["from", "mean"]}}],
        },
    )
    overlay.refine(
        schema,
        "publish",
        "object",
        {
            "allOf": [
                {
                    "if": {"properties": {"when": {"const": "interval"}}, "required": ["when"]},
                    "then": {
                        "required": ["minInterval"],
                        "properties": {"minInterval": {"pattern": _OPEN_ZERO}},
                    },
                }
            ]
        },
    )
    schema["allOf"] = [{"oneOf": [{"required": ["model"]}, {"required": ["steps"]}]}]


def _values(task: Task) -> Schema:
    """What outputs of a task can say, and which types can carry each."""
    kinds: dict[tuple[ValueType, ...], list[OutputValue]] = {}
    for value in legal(task):
        kinds.setdefault(value.types, []).append(value)
    alternatives = [
        {
            "properties": {
                "value": {"anyOf": [{"pattern": f"^(?:{value.pattern})$"} for value in values]},
                "type": {"enum": [kind.value for kind in types]},
            }
        }
        for types, values in kinds.items()
    ]
    return {
        "if": {
            "required": ["model"],
            "properties": {
                "model": {
                    "type": "object",
                    "required": ["task"],
                    "properties": {"task": {"const": task.value}},
                }
            },
        },
        "then": {
            "properties": {
                "outputs": {"additionalProperties": {"anyOf": alternatives}},
                "decide": {"properties": {"value": _numbers(task)}},
                "postprocess": overlay.serving(task),
            }
        },
    }


def _numbers(task: Task) -> Schema:
    """The values that `decide` can compare."""
    fit = [value for value in legal(task) if ValueType.FLOAT32 in value.types and not value.whole]
    return {"anyOf": [{"pattern": f"^(?:{value.pattern})$"} for value in fit]} if fit else {}
