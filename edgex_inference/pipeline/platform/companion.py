"""Companion profiles: what core-metadata is told of the results that a profile's bindings publish."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgex_inference.contracts.bindings import Binding, Output
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.outputs import default_type
from edgex_inference.edgex.metadata.records import Record, name_of
from edgex_inference.edgex.topics import COMPANION_SUFFIX
from edgex_inference.pipeline.publishing.emit import REASON, STATUS
from edgex_inference.pipeline.running.run import Run

PUBLISHER = "publishedBy"
"""The attribute of a companion's resource that names the service it belongs to."""

_BINDINGS = "bindings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One reading of results; `bindings` publish it, `service` is the one that says so, "" for any."""

    name: str
    type: ValueType
    units: str = ""
    bindings: tuple[str, ...] = ()
    service: str = ""

    @property
    def record(self) -> dict[str, Any]:
        """As core-metadata has it."""
        properties = {"valueType": self.type.value, "readWrite": "R"}
        if self.units:
            properties["units"] = self.units
        made: dict[str, Any] = {"name": self.name, "isHidden": False, "properties": properties}
        if self.service:
            made["attributes"] = {PUBLISHER: self.service, _BINDINGS: list(self.bindings)}
        return made

    def same(self, record: Record) -> bool:
        """Whether a resource in core-metadata says the same; whose it is does not matter."""
        properties = record.get("properties") or {}
        return (
            str(properties.get("valueType", "")).lower() == self.type.value.lower()
            and (properties.get("units") or "") == self.units
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """What one profile's bindings publish: the resources, and for each binding those that are in its events."""

    profile: str
    resources: Mapping[str, Resource]
    commands: Mapping[str, tuple[str, ...]]

    @property
    def name(self) -> str:
        return self.profile + COMPANION_SUFFIX


def companions(runs: Iterable[Run], service: str) -> Sequence[Companion]:
    """The companions of all profiles with bindings whose models are loaded or refused, none of those still loading."""
    by_profile: dict[str, list[Run]] = {}
    for run in runs:
        by_profile.setdefault(run.binding.profile, []).append(run)
    settled = {
        name: found for name, found in by_profile.items() if all(run.settled.is_set() for run in found)
    }
    return [_companion(profile, found, service) for profile, found in settled.items()]


def _companion(profile: str, runs: Sequence[Run], service: str) -> Companion:
    status = {word: Resource(name=word, type=ValueType.STRING) for word in (STATUS, REASON)}
    resources: dict[str, Resource] = {}
    commands: dict[str, tuple[str, ...]] = {}
    for run in runs:
        found = _outputs(run)
        for name, (kind, units) in found.items():
            known = resources.get(name)
            bindings = dict.fromkeys((*(known.bindings if known is not None else ()), run.binding.name))
            resources[name] = Resource(
                name=name, type=kind, units=units, bindings=tuple(bindings), service=service
            )
        names = dict.fromkeys((*commands.get(run.binding.name, ()), *found, *status))
        commands[run.binding.name] = tuple(names)
    return Companion(profile=profile, resources=resources | status, commands=commands)


def _outputs(run: Run) -> Mapping[str, tuple[ValueType, str]]:
    """Type and units of what a run publishes; without a plan, of what its block alone tells."""
    if run.journey is not None:
        return {column.name: (column.type, column.units) for column in run.journey.plan.columns}
    told = ((output, _type(run.binding, output)) for output in run.binding.outputs)
    return {output.name: (kind, output.units) for output, kind in told if kind is not None}


def _type(binding: Binding, output: Output) -> ValueType | None:
    task = binding.model.task if binding.model is not None else None
    return output.type or (default_type(task, output.value) if task is not None else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A profile to be written, None when it is as it should be; `foreign` are resources that others have otherwise."""

    profile: Record | None
    foreign: tuple[str, ...] = ()


def fresh(companion: Companion, api: str) -> Record:
    """The whole profile as it is added."""
    return {
        "apiVersion": api,
        "name": companion.name,
        "manufacturer": "",
        "model": "",
        "description": f"What the inference bindings of profile {companion.profile} publish",
        "labels": ["inference"],
        "deviceResources": [one.record for one in companion.resources.values()],
        "deviceCommands": [_command(name, readings) for name, readings in companion.commands.items()],
    }


def merged(companion: Companion, there: Record, service: str, *, add_only: bool) -> Merged:
    """What core-metadata has, with ours in it: resources and commands of others, people's too, stay as they are.

    `add_only`: nothing of ours has changed since it was written, so only what is missing is added. Whoever else
    wrote it meanwhile is not written over: two services never take turns.
    """
    resources: dict[str, Any] = {}
    wanted, foreign = dict(companion.resources), []
    changed = False
    for record in _records(there, "deviceResources"):
        name = name_of(record)
        ours = wanted.pop(name, None)
        if ours is None:
            gone = owner(record) == service and not add_only
            changed |= gone
            resources.update({} if gone else {name: record})
        elif ours.same(record) or add_only or owner(record) != service:
            foreign += [] if ours.same(record) else [name]
            resources[name] = record
        else:
            changed = True
            resources[name] = ours.record
    resources.update((name, one.record) for name, one in wanted.items())
    commands = _commands(companion, there, resources, add_only=add_only)
    changed |= bool(wanted) or commands != {
        name_of(one): _operands(one) for one in _records(there, "deviceCommands")
    }
    if not changed:
        return Merged(profile=None, foreign=tuple(foreign))
    profile = {
        **there,
        "deviceResources": list(resources.values()),
        "deviceCommands": [_command(name, readings) for name, readings in commands.items()],
    }
    return Merged(profile=profile, foreign=tuple(foreign))


def _commands(
    companion: Companion, there: Record, resources: Mapping[str, Any], *, add_only: bool
) -> dict[str, tuple[str, ...]]:
    """Others' commands as far as their resources are there, and ours."""
    found: dict[str, tuple[str, ...]] = {}
    for record in _records(there, "deviceCommands"):
        name, operands = name_of(record), _operands(record)
        ours = companion.commands.get(name, ())
        kept = tuple(one for one in operands if one in resources)
        left = set(kept) - {STATUS, REASON}
        if ours and not add_only:
            others = [one for one in kept if one not in ours and one not in companion.resources]
            found[name] = operands if set(operands) == {*ours, *others} else (*ours, *others)
        elif ours or left:
            found[name] = kept
    for name, ours in companion.commands.items():
        found.setdefault(name, ours)
    return found


def _records(there: Record, key: str) -> Sequence[Record]:
    found = there.get(key)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def owner(record: Record) -> str:
    """The service that a companion's resource belongs to; empty where nobody says so."""
    attributes = record.get("attributes")
    return str(attributes.get(PUBLISHER, "")) if isinstance(attributes, Mapping) else ""


def _operands(command: Record) -> tuple[str, ...]:
    operations = command.get("resourceOperations")
    listed = operations if isinstance(operations, list) else []
    return tuple(str(one.get("deviceResource", "")) for one in listed if isinstance(one, Mapping))


def _command(name: str, readings: Iterable[str]) -> Record:
    operations = [{"deviceResource": reading, "defaultValue": ""} for reading in readings]
    return {"name": name, "isHidden": False, "readWrite": "R", "resourceOperations": operations}
