"""The text of a first device profile for a model: resources that feed it, and the values that it can give."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgex_inference.cli.models.loading import pascal
from edgex_inference.contracts.accelerator import Session
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import Build, ImageInput, InputCard, ModelCard, NumbersInput, Task
from edgex_inference.contracts.outputs import BUILT_TASKS, OutputValue, legal
from edgex_inference.contracts.tensors import Datatype
from edgex_inference.postprocess import decide
from edgex_inference.postprocess.prospect import Prospect

_NUMBERS = {
    Datatype.BOOL: ValueType.BOOL,
    Datatype.INT64: ValueType.INT64,
    Datatype.INT32: ValueType.INT32,
    Datatype.FP64: ValueType.FLOAT64,
    Datatype.BYTES: ValueType.STRING,
}
_FIRST = {
    Task.CLASSIFICATION: {"Label": "label", "Score": "score"},
    Task.DETECTION: {"Count": "count", "TopScore": "maxScore", "Detections": "detections"},
    Task.ANOMALY: {"AnomalyScore": "score"},
    Task.REGRESSION: {"Value": "value"},
    Task.SEGMENTATION: {"Area": "area"},
    Task.EMBEDDING: {"Vector": "vector"},
}
"""The outputs that a binding of each task starts with: name → value."""

_DECIDED = {Task.DETECTION: "count", Task.REGRESSION: "value", Task.SEGMENTATION: "area"}
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model's card, the build that was loaded, its session, and what its results will hold."""

    card: ModelCard
    build: Build
    session: Session
    prospect: Prospect


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resource:
    name: str
    type: ValueType
    media_type: str = ""
    remark: str = ""


def write(model: Loaded, *, profile: str, resource: str, version: str = "") -> str:
    """A profile that `validate` accepts, bound to a version where one is named.

    Raises ModelRejected for a model whose results are not built yet.
    """
    card = model.card
    if card.task not in BUILT_TASKS:
        raise ModelRejected(card.name, f"task: {card.task} is not yet supported")
    resources = _resources(model, resource)
    lines = [
        f"# A first device profile for the model {card.name} {card.version}; its keys: `edgex-inference schema`.",
        "# Names of the profile and of its resources are those that your device service sends.",
        "apiVersion: v3",
        f"name: {_word(profile or f'{card.name}-device')}",
        "manufacturer: example",
        "model: example",
        "labels: [inference]",
        "description: A device whose readings a model looks at.",
        "deviceResources:",
        *_resource_lines(resources[0], _block(model, resources, version)),
    ]
    for other in resources[1:]:
        lines += _resource_lines(other, [])
    if len(resources) > 1:
        operations = [f"      - {{deviceResource: {_word(one.name)}}}" for one in resources]
        lines += [
            "deviceCommands:  # the readings of one binding come in one event",
            "  - name: Readings",
            "    isHidden: false",
            "    readWrite: R",
            "    resourceOperations:",
            *operations,
        ]
    return "\n".join(lines) + "\n"


def _resources(model: Loaded, first: str) -> list[_Resource]:
    inputs = model.build.inputs
    found = [one for entry in inputs for one in _of_input(entry, model.session, alone=len(inputs) == 1)]
    if first:
        if len(found) > 1:
            names = ", ".join(one.name for one in found)
            raise ModelRejected(
                model.card.name, f"--resource: it takes several readings by their names ({names})"
            )
        found = [
            _Resource(name=first, type=found[0].type, media_type=found[0].media_type, remark=found[0].remark)
        ]
    return found


def _of_input(entry: InputCard, session: Session, *, alone: bool) -> list[_Resource]:
    spec = next(spec for spec in session.inputs if spec.name == entry.tensor)
    if isinstance(entry, ImageInput):
        name = "Picture" if alone else entry.name
        return [
            _Resource(
                name=name, type=ValueType.BINARY, media_type="image/jpeg", remark="JPEG, PNG, WebP or BMP"
            )
        ]
    kind = _NUMBERS.get(spec.datatype, ValueType.FLOAT32)
    names = entry.names or (pascal(entry.name) if alone else entry.name,)
    single = _are_single(entry, len(names))
    remark = "" if single else f"input {entry.name}: {spec}"
    return [
        _Resource(name=name, type=kind if single else ValueType(f"{kind}Array"), remark=remark)
        for name in names
    ]


def _are_single(entry: NumbersInput, names: int) -> bool:
    """Whether each reading is one number: n names feed [n], or one feeds [1]."""
    shape = entry.shape
    return shape is not None and (shape in ((names,), ()) or (names == 1 and all(one == 1 for one in shape)))


def _resource_lines(resource: _Resource, block: Sequence[str]) -> list[str]:
    kind = f"      valueType: {resource.type}" + (f"  # {resource.remark}" if resource.remark else "")
    media = [f"      mediaType: {resource.media_type}"] if resource.media_type else []
    return [
        f"  - name: {_word(resource.name)}",
        "    isHidden: false",
        "    properties:",
        kind,
        "      readWrite: R",
        *media,
        *block,
    ]


def _block(model: Loaded, resources: Sequence[_Resource], version: str) -> list[str]:
    card = model.card
    pinned = f", version: {json.dumps(version)}" if version else ""
    newest = "" if version else "  # the highest version that is ready"
    inner = [f"model: {{name: {_word(card.name)}{pinned}, task: {card.task}}}{newest}"]
    if len(resources) > 1:
        named = ", ".join(f"{{resource: {_word(one.name)}}}" for one in resources)
        inner.insert(0, f"inputs: [{named}]")
    inner += [
        "# accelerator: [openvino, onnxruntime]  # default auto: what is here",
        "# publish: {when: change}  # default always",
        "# limits: {maxAge: 800ms}  # default: no age is too old",
    ]
    if card.task is Task.DETECTION:
        inner.append("# postprocess: {scoreThreshold: 0.6}  # default: the card's")
    inner += _outputs(model)
    return [
        "      optional:",
        "        inference:",
        f"          {pascal(card.name)}:  # the sourceName of the events that it publishes",
        *(f"            {line}" for line in inner),
    ]


def _outputs(model: Loaded) -> list[str]:
    card = model.card
    if card.task is Task.RAW:
        tensors = model.prospect.tensors
        names = [f"Output{pascal(name)}" if name[:1].isdigit() else pascal(name) for name in tensors]
        numbered = [name if names.count(name) == 1 else f"{name}{at}" for at, name in enumerate(names)]
        pairs = zip(numbered, tensors, strict=True)
        return ["outputs:", *(f"  {_word(name)}: {{value: {_word(tensor)}}}" for name, tensor in pairs)]
    first = dict(_FIRST[card.task])
    before, after = _state(model, first)
    used = set(first.values())
    rest = [one for one in legal(card.task) if one.built and not one.needs and one.form not in used]
    kinds = {one.form: one for one in legal(card.task)}
    written = [f"  {name}: {{value: {value}}}  # {_type(kinds[value])}" for name, value in first.items()]
    return [
        *before,
        "outputs:  # readings to publish, by name",
        *written,
        *after,
        *(f"  # {pascal(one.form)}: {{value: {_example(one, model)}}}  # {_type(one)}" for one in rest),
    ]


def _state(model: Loaded, first: dict[str, str]) -> tuple[list[str], list[str]]:
    """The lines of `decide`, and of the state where there is a limit for it."""
    card = model.card
    try:
        limit = decide.resolve(None, card, model.prospect, state=True).raise_at
    except ModelRejected:
        if card.task is Task.EMBEDDING:
            return [], []  # it has no number to decide on
        value = _DECIDED.get(card.task, "score")
        return (
            [
                f"# decide: {{value: {value}, raise: {0.1 if value == 'area' else 1}, raiseAfter: 2, clearAfter: 8}}"
            ],
            ["  # State: {value: state}  # Bool, needs decide"],
        )
    first["IsAnomaly"] = "state"
    remark = f"raise: the card's limit, {limit:g}" if limit is not None else "a state with hysteresis"
    return [f"decide: {{raiseAfter: 2, clearAfter: 8}}  # {remark}"], []


def _example(value: OutputValue, model: Loaded) -> str:
    labels = model.build.labels or model.card.labels
    label = labels[0] if isinstance(labels, tuple) and labels else "person"
    return _word(value.form.replace("<label>", label).replace("<k>", "3").replace("<i>", "1"))


def _type(value: OutputValue) -> str:
    return value.type.value if value.type is not None else "the tensor's type"


def _word(text: str) -> str:
    plain = (
        _PLAIN.fullmatch(text) and not text[0].isdigit() and text.lower() not in ("yes", "no", "on", "off")
    )
    return text if plain else json.dumps(text, ensure_ascii=False)
