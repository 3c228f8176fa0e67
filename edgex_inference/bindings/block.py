"""One inference block to one Binding: the whole vocabulary, every mistake at once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from edgex_inference.bindings import later as not_built
from edgex_inference.bindings import parts
from edgex_inference.bindings.later import Later
from edgex_inference.bindings.outputs import Asked, check_decide, read_outputs
from edgex_inference.bindings.sources import sources
from edgex_inference.config.places import Node, spell, suggest
from edgex_inference.config.reader import Cursor, Reader
from edgex_inference.contracts.bindings import Binding, InputReading, ModelChoice, Resource
from edgex_inference.contracts.errors import Problem
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import SETTINGS, Task, serves

SCHEMA = 1
_NAME = re.compile(r"[A-Za-z0-9_-]+")
STEP_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class _Say(Protocol):
    def __call__(self, message: str, *, severity: str = "error") -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a block sits; `resources` None: the profile's file is not here, so names cannot be checked."""

    profile: str
    resource: str
    resources: Mapping[str, Resource] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a block's model once its card was read; the labels are those that hold, None: nobody says."""

    task: Task
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What came out of a block: the binding, or None when one of the problems is an error."""

    name: str
    scope: Scope
    node: Node
    binding: Binding | None
    problems: tuple[Problem, ...]
    model: ModelChoice | None = None
    """the model that a block names which is no binding for other reasons"""

    @property
    def reason(self) -> str:
        """Why there is no binding, in one line."""
        errors = [problem for problem in self.problems if problem.severity == "error"]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        return f"{errors[0]}{more}" if errors else ""

    def recheck(self, facts: Facts) -> Sequence[Problem]:
        """What is wrong once the model is known, without what was said before."""
        again = read_block(self.name, self.node, self.scope, facts=facts)
        return [problem for problem in again.problems if problem not in self.problems]


def read_block(
    name: str, node: Node, scope: Scope, flaws: tuple[Problem, ...] = (), facts: Facts | None = None
) -> Draft:
    """Reads one block; `flaws` are problems of its text that make it unusable. Never raises.

    With `facts` everything that depends on the task and the labels is checked, whether the block says them or not.
    """
    problems = list(flaws)
    cursor = Cursor(node=node, place=node.place, steps=(name,), problems=problems)
    _check_name(cursor, name)
    reader = cursor.reader()
    binding = binding_in(name, reader, scope, facts) if reader is not None else None
    model = binding.model if binding is not None else None
    if any(problem.severity == "error" for problem in problems):
        binding = None
    return Draft(name=name, scope=scope, node=node, binding=binding, problems=tuple(problems), model=model)


def _check_name(cursor: Cursor, name: str) -> None:
    if not name.strip():
        cursor.say("a binding needs a name: it becomes the sourceName of its events")
    elif not _NAME.fullmatch(name):
        cursor.say(
            f"{name!r} is a binding name that EdgeX before 3.1 refuses: stay within A-Z a-z 0-9 _ -",
            severity="warning",
        )


def binding_in(name: str, reader: Reader, scope: Scope, facts: Facts | None = None) -> Binding:
    """The binding as far as it can be read; every mistake goes to the reader's problems."""
    later = Later()
    schema = reader.at("schema").integer()
    if schema not in (None, SCHEMA):
        reader.at("schema").say(f"schema {schema} is not known to this release: it reads schema {SCHEMA}")
    enabled = reader.at("enabled").boolean()
    not_built.check(reader, later)
    asked = _models(reader, later, facts)
    readings = parts.inputs(reader.at("inputs"), later)
    _check_inputs(reader, readings, scope)
    decide = parts.decide(reader.at("decide"))
    poll, trigger = sources(
        reader, later, frozenset(scope.resources) if scope.resources is not None else None
    )
    binding = Binding(
        profile=scope.profile,
        resource=scope.resource,
        name=name,
        model=asked.model,
        outputs=read_outputs(reader.need("outputs"), reader, asked, later),
        enabled=enabled is not False,
        inputs=readings,
        poll=poll,
        trigger=trigger,
        roi=parts.roi(reader.at("roi")),
        normalize=parts.normalize(reader.at("normalize")),
        accelerator=parts.accelerators(reader.at("accelerator"), later),
        fallback=parts.fallback(reader.at("fallback")),
        postprocess=parts.postprocess(reader.at("postprocess"), later),
        decide=decide,
        publish=parts.publish(reader.at("publish")),
        limits=parts.limits(reader.at("limits")),
        origins={spell(steps): leaf.place.source.origin for steps, leaf in reader.node.leaves()},
        unsupported=tuple(later.keys),
    )
    check_decide(reader.at("decide").reader() if decide is not None else None, decide, asked)
    _check_postprocess(reader, asked)
    reader.close()
    return binding


def _models(reader: Reader, later: Later, facts: Facts | None) -> Asked:
    has_model, has_steps = "model" in reader.keys, "steps" in reader.keys
    if has_model and has_steps:
        reader.say_key("steps", "model and steps exclude each other: remove one")
    elif not has_model and not has_steps:
        reader.lack("model", "needs a model, such as model: {name: person-detect}, or steps")
    chosen = parts.model(reader.at("model"), later)
    steps = reader.at("steps")
    if not steps.given:
        return Asked(model=_completed(reader, chosen, facts))
    later.note_key(reader, "steps")
    return Asked(model=None, steps=_steps(steps, later))


def _completed(reader: Reader, chosen: ModelChoice | None, facts: Facts | None) -> ModelChoice | None:
    if chosen is None or facts is None:
        return chosen
    said = reader.at("model").reader()
    if chosen.task not in (None, facts.task) and said is not None:
        said.at("task").say(f"the card of {chosen.name} says task {facts.task}: change it, or leave it out")
    return replace(chosen, task=facts.task, labels=facts.labels)


def _steps(cursor: Cursor, later: Later) -> dict[str, Task | None]:
    """The task of each step by its id; None where the step does not say it."""
    tasks: dict[str, Task | None] = {}
    items = cursor.items()
    if items == []:
        cursor.say("must not be empty")
    for item in items or ():
        if reader := item.reader():
            _step(reader, tasks, later)
    return tasks


def _step(reader: Reader, tasks: dict[str, Task | None], later: Later) -> None:
    name = reader.need("id").text()
    if name is not None and not STEP_ID.fullmatch(name):
        reader.at("id").say(f"{name!r} must be a letter, then letters, digits, _ or -")
    elif name in tasks:
        reader.at("id").say(f"two steps have the id {name!r}")
    source = reader.at("from").text()
    if source is not None and source.partition(".")[0] not in tasks:
        known = ", ".join(f"{one}.crops" for one in tasks) or "no step is before this one"
        reader.at("from").say(f"{source!r} names no earlier step{suggest(source, tasks)}; known: {known}")
    parts.roi(reader.at("roi"))
    chosen = parts.model(reader.need("model"), later)
    parts.postprocess(reader.at("postprocess"), later)
    reader.close()
    if name is not None:
        tasks[name] = chosen.task if chosen is not None else None


def _check_inputs(reader: Reader, readings: tuple[InputReading, ...], scope: Scope) -> None:
    """Resources exist in the profile and are of types that can become a tensor, if only of texts."""
    if scope.resources is None:
        if not scope.resource and not readings:
            reader.say("names no resource to read: say it in match.resource or in inputs")
        return
    if not readings:
        own = scope.resources.get(scope.resource)
        if own is not None and "stream" not in reader.keys:
            _check_type(reader.at("inputs").say, own, pointer=False)
        return
    for item in reader.at("inputs").items() or ():
        node = item.node.child("resource") if item.node is not None else None
        if node is None or not isinstance(node.value, str) or item.node is None:
            continue
        at = Cursor(node=node, place=node.place, steps=(*item.steps, "resource"), problems=item.problems)
        resource = scope.resources.get(node.value)
        if resource is None:
            hint = suggest(node.value, scope.resources) or f"; it has {', '.join(scope.resources) or 'none'}"
            at.say(f"{node.value!r} is no resource of profile {scope.profile}{hint}")
        else:
            _check_type(at.say, resource, pointer=item.node.child("field") is not None)


def _check_type(say: _Say, resource: Resource, *, pointer: bool) -> None:
    if resource.value_type == ValueType.OBJECT_ARRAY:
        say(f"resource {resource.name} is an ObjectArray, which cannot become numbers, texts or a picture")
    elif resource.value_type == ValueType.OBJECT and not pointer:
        message = (
            f"resource {resource.name} is an Object: the model's names must be its fields, or name the number in it "
            "by inputs[].field"
        )
        say(message, severity="warning")
    elif pointer and resource.value_type and resource.value_type != ValueType.OBJECT:
        say(f"field reads into an Object, and resource {resource.name} is {resource.value_type}")


def _check_postprocess(reader: Reader, asked: Asked) -> None:
    """Settings serve the task, and classes to keep are labels of the model, as far as those are known."""
    known = asked.model.labels if asked.model is not None else None
    said = reader.at("postprocess").reader()
    if said is None:
        return
    wrong = {problem.path for problem in said.problems}
    for key in said.keys if asked.task is not None else ():
        useless = key in SETTINGS and asked.task is not None and not serves(key, asked.task)
        if useless and said.at(key).path not in wrong:
            said.say_key(key, f"does nothing for task {asked.task}: remove it")
    if not isinstance(known, tuple) or asked.task not in (None, Task.DETECTION):
        return
    for item in said.at("classes").items() or ():
        value = item.plain()
        if isinstance(value, str) and value not in known:
            item.say(f"{value!r} is not one of the labels{suggest(value, known)}")
