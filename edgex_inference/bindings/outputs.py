"""The outputs of a block: legal values for its tasks, types that can carry them, keys that they need."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgex_inference.bindings.later import Later
from edgex_inference.config.places import listed, nearest, suggest
from edgex_inference.config.reader import Cursor, Reader
from edgex_inference.contracts.bindings import Decide, ModelChoice, Output
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import Task
from edgex_inference.contracts.outputs import OutputValue, find, legal, parameter

RESERVED = frozenset({"InferenceStatus", "InferenceReason"})
"""Readings that the service publishes itself about a binding."""

DECIDE = ("value", "raise", "clear", "raiseAfter", "clearAfter", "unknownBelow")
"""The keys of `decide`."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The models that a block asks for: one, or the tasks of a cascade's steps by their ids."""

    model: ModelChoice | None
    steps: Mapping[str, Task | None] = field(default_factory=dict)

    @property
    def task(self) -> Task | None:
        """The one model's task, where the block says it."""
        return self.model.task if self.model is not None else None


def read_outputs(cursor: Cursor, block: Reader, asked: Asked, later: Later) -> tuple[Output, ...]:
    """`outputs: {NAME: {value, type, units}}`."""
    reader = cursor.reader()
    if reader is None:
        return ()
    if not reader.keys:
        reader.say("must not be empty: name at least one reading to publish")
    found = [_output(name, one, block, asked, later) for name, one in reader.each()]
    return tuple(one for one in found if one is not None)


def _output(name: str, cursor: Cursor, block: Reader, asked: Asked, later: Later) -> Output | None:
    _check_name(name, cursor)
    if cursor.node is not None and isinstance(cursor.node.value, str):
        cursor.say(f"must be a map: write {{value: {cursor.node.value}}}")
        return None
    reader = cursor.reader()
    if reader is None:
        return None
    value = reader.need("value").text()
    kind = _value_type(reader.at("type"))
    units = reader.at("units").text() or ""
    reader.close()
    if value is None:
        return None
    known = _legal_value(reader.at("value"), value, asked)
    if known is not None:
        complete = _check_needs(reader.at("value"), value, known, block, asked)
        if complete and not known.built:
            later.note_value(reader.at("value"))
        if kind is not None and kind not in known.types:
            carriers = listed(known.types)
            reader.at("type").say(f"{kind} cannot carry {value}: it takes {carriers}")
    return Output(name=name, value=value, type=kind, units=units)


def _check_name(name: str, cursor: Cursor) -> None:
    if name in RESERVED:
        cursor.say(f"{name} is published by the service itself: choose another name")
    elif not name.strip():
        cursor.say("an output needs a name: it becomes the reading's resourceName")
    elif not _NAME.fullmatch(name):
        message = f"{name!r} is a resource name that EdgeX before 3.1 refuses: stay within A-Z a-z 0-9 _ -"
        cursor.say(message, severity="warning")


def _value_type(cursor: Cursor) -> ValueType | None:
    text = cursor.text()
    if text is None:
        return None
    names = [*ValueType]
    if text not in names:
        cursor.say(f"{text!r} is no EdgeX value type{suggest(text, names) or '; known: ' + ', '.join(names)}")
        return None
    kind = ValueType(text)
    if kind is ValueType.BINARY:
        cursor.say("Binary readings are never published: core-data stores every one of them")
        return None
    return kind


def _legal_value(cursor: Cursor, value: str, asked: Asked) -> OutputValue | None:
    """The table's row for a value, or None: not legal (said), or not to be known without the model."""
    if asked.steps:
        return _step_value(cursor, value, asked)
    task = asked.task
    known = find(task, value)
    if known is None and task is not None:
        cursor.say(f"{value!r} is no value of task {task}{_nearest(value, task)}")
    return known if task is not None or (known is not None and known.whole) else None


def _step_value(cursor: Cursor, value: str, asked: Asked) -> OutputValue | None:
    whole = find(None, value)
    if whole is not None and whole.whole:
        return whole
    step, _, inner = value.partition(".")
    if step not in asked.steps:
        hint = suggest(step, asked.steps) or f"; the steps are {', '.join(asked.steps)}"
        cursor.say(f"{value!r} names no step: write <step>.<value>{hint}")
        return None
    task = asked.steps[step]
    known = find(task, inner) if task is not None else None
    if task is not None and (known is None or known.whole):
        cursor.say(f"{inner!r} is no value of step {step}, task {task}{_nearest(inner, task)}")
        return None
    return known


def _nearest(value: str, task: Task) -> str:
    forms = [known.form for known in legal(task)]
    return suggest(value, forms) or f"; it has {', '.join(forms)}"


def _check_needs(cursor: Cursor, value: str, known: OutputValue, block: Reader, asked: Asked) -> bool:
    """Whether the block has the key that a value needs; says what it lacks, and which label or place it has not."""
    complete = True
    if known.needs == "decide":
        _check_state(cursor, block, asked)
    elif known.needs and block.node.find(*known.needs.split(".")) is None and not asked.steps:
        block.lack(
            known.needs.partition(".")[0], f"{value} needs the key {known.needs} in the block", at=cursor
        )
        complete = False
    word, rest = parameter(value)
    if word in ("inZone", "crossed"):
        place = "zones" if word == "inZone" else "lines"
        node = block.node.child(place)
        if node is not None and rest not in node.entries:
            cursor.say(f"{rest!r} is none of the {place}{suggest(rest, node.entries)}")
    labels = asked.model.labels if asked.model is not None else None
    if word in ("count", "share") and rest and isinstance(labels, tuple) and rest not in labels:
        cursor.say(f"{rest!r} is not one of the labels{suggest(rest, labels)}")
    return complete


def _check_state(cursor: Cursor, block: Reader, asked: Asked) -> None:
    """`state` needs a limit: the block's own, or the one that an anomaly model's card may have."""
    said = block.node.child("decide")
    if said is not None and any(nearest(key, DECIDE) == "raise" for key in said.entries):
        return  # there, or misspelt, which is told where it stands
    if asked.task not in (None, Task.ANOMALY) or asked.steps:
        block.lack("decide", "state needs decide: {raise: <limit>} in the block", at=cursor)


def check_decide(reader: Reader | None, decide: Decide | None, asked: Asked) -> None:
    """`decide.value` is a number of the task."""
    if reader is None or decide is None or decide.value is None:
        return
    cursor = reader.at("value")
    known = _legal_value(cursor, decide.value, asked)
    if known is None or known.type is None:
        return
    if ValueType.FLOAT32 not in known.types or known.whole:
        cursor.say(f"{decide.value} is no number that can be compared with raise and clear")
    elif not known.built:
        cursor.say(f"{decide.value} is not yet supported", severity="warning")
