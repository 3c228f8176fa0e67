"""The book of bindings: which bindings an event's profile and device have, with every override applied."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from edgex_inference.bindings.block import Draft, Facts, Scope, read_block
from edgex_inference.bindings.files import Device, Files, SideCar, read
from edgex_inference.bindings.layers import Stack, stacks, target
from edgex_inference.bindings.profiles import Block
from edgex_inference.bindings.remote import NO_RECORDS, Records, lay_over
from edgex_inference.config.places import Node, Place, Source, spell, suggest
from edgex_inference.config.problems import Document
from edgex_inference.contracts.bindings import Binding, Output, Resource
from edgex_inference.contracts.errors import Problem
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.outputs import default_type

_MOST_CACHED = 65_536
WRITABLE = "Writable.InferenceBindings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A binding that cannot be used as written; `device` is empty when no device of the profile can use it."""

    profile: str
    binding: str
    resource: str
    reason: str
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What a device of a profile has: the bindings that can be used, and those that cannot."""

    bindings: tuple[Binding, ...] = ()
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A place in the text of a binding, for problems that only others can find."""

    place: Place
    path: str

    def problem(self, message: str, *, severity: str = "error") -> Problem:
        """A Problem here."""
        return self.place.problem(self.path, message, severity=severity)


class Book:
    """All bindings of a set of files. Equal layers give the same Binding object, for as long as the book lives."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._drafts: dict[tuple[object, ...], Draft] = {}
        self._matches: dict[tuple[str, str], Match] = {}
        self._homes: dict[int, Draft] = {}
        bindings: list[Binding] = []
        rejected: list[Rejected] = []
        problems = list(files.problems)
        for profile in files.profiles:
            base = self._group(profile, stacks(files, profile))
            _sort_out(base, "", bindings, rejected, problems)
        for double in files.doubles:
            for block in double.blocks:
                scope = Scope(profile=double.name, resource=block.resource, resources=double.resources)
                problems += read_block(block.name, block.node, scope, block.flaws).problems
        self._read_side_cars(rejected, problems)
        self._read_devices(rejected, problems)
        problems += self._orphans_of_writable()
        self.bindings: Sequence[Binding] = tuple(bindings)
        self.rejected: Sequence[Rejected] = tuple(dict.fromkeys(rejected))
        self.problems: Sequence[Problem] = _in_order(problems)

    def overridden(self, writable: Mapping[str, Any]) -> "Book":
        """The same files under these overrides, binding name → keys of its block; itself where nothing changes."""
        if writable == {name: block.node.plain() for name, block in self._files.writable.items()}:
            return self
        document = Document.of(writable, WRITABLE)
        blocks = {
            name: Block(name=name, node=entry.node.labelled("writable"), flaws=_no_map(name, entry.node))
            for name, entry in document.root.entries.items()
        }
        return Book(replace(self._files, writable=blocks))

    @property
    def devices(self) -> Mapping[str, Device]:
        """Devices of the devices files, by name."""
        return self._files.devices

    @property
    def profiles(self) -> Sequence[str]:
        """Names of the profiles that were read."""
        return tuple(self._files.profiles)

    @property
    def cards(self) -> Sequence[Document]:
        """Model cards among the files; reading them is the model store's business."""
        return tuple(self._files.cards)

    @property
    def writable(self) -> Mapping[str, Block]:
        """The overrides that it was given, by binding name."""
        return self._files.writable

    @property
    def documents(self) -> Mapping[Path, Document]:
        """Every file that was read."""
        return self._files.documents

    @property
    def unreadable(self) -> Sequence[Path]:
        """Files and folders that could not be opened."""
        return tuple(self._files.unreadable)

    def match(self, profile: str, device: str) -> tuple[Binding, ...]:
        """The usable bindings of a device, its overrides applied; empty for a profile that nothing names."""
        return self.look_up(profile, device).bindings

    def look_up(self, profile: str, device: str) -> Match:
        """The bindings of a device, the unusable ones with their reason."""
        found = self._matches.get((profile, device))
        if found is not None:
            return found
        bindings: list[Binding] = []
        rejected: list[Rejected] = []
        _sort_out(self._group(profile, stacks(self._files, profile, device)), device, bindings, rejected, [])
        found = Match(bindings=tuple(bindings), rejected=tuple(rejected))
        if len(self._matches) >= _MOST_CACHED:
            self._matches.clear()
        self._matches[profile, device] = found
        return found

    def resources(self, profile: str) -> Mapping[str, Resource]:
        """A profile's resources by name; empty for a profile that was not read."""
        known = self._files.profiles.get(profile)
        return known.resources if known is not None else {}

    def resource(self, profile: str, name: str) -> Resource | None:
        """One resource of a profile, or None."""
        return self.resources(profile).get(name)

    def place(self, binding: Binding, *steps: str | int, key: bool = False) -> Spot:
        """Where a key of one of this book's bindings was written; the nearest key that was, else."""
        path = spell((binding.name, *steps))
        draft = self._homes.get(id(binding))
        if draft is None:
            return Spot(place=Place(source=Source(file=binding.profile)), path=path)
        return Spot(place=draft.node.nearest(steps, key=key), path=path)

    def wrote(self, binding: Binding, *steps: str | int) -> bool:
        """Whether a key of one of this book's bindings was written."""
        draft = self._homes.get(id(binding))
        return draft is not None and draft.node.find(*steps) is not None

    def recheck(self, binding: Binding, facts: Facts) -> Sequence[Problem]:
        """What is wrong with a binding's block once its model is known; all of it, and nothing of what was said.

        A warning is that of a key or value that is not built yet.
        """
        draft = self._homes.get(id(binding))
        return draft.recheck(facts) if draft is not None else ()

    @property
    def refused(self) -> Sequence[Draft]:
        """The blocks with mistakes that name a model all the same."""
        return tuple(
            draft for draft in self._drafts.values() if draft.binding is None and draft.model is not None
        )

    def _group(self, profile: str, found: Mapping[str, Stack]) -> list[Draft]:
        known = self._files.profiles.get(profile)
        resources = known.resources if known is not None else None
        drafts = [self._draft(profile, stack, resources) for stack in found.values()]
        return _without_clashes(drafts)

    def _draft(self, profile: str, stack: Stack, resources: Mapping[str, Resource] | None) -> Draft:
        key = (profile, stack.name, *(id(block) for block in stack.blocks))
        draft = self._drafts.get(key)
        if draft is None:
            scope = Scope(profile=profile, resource=stack.resource, resources=resources)
            draft = self._drafts[key] = read_block(stack.name, stack.merged(), scope, stack.all_flaws)
            if draft.binding is not None:
                self._homes[id(draft.binding)] = draft
        return draft

    def _read_side_cars(self, rejected: list[Rejected], problems: list[Problem]) -> None:
        """Checks side-cars that only some devices meet, and those whose profile is not among the files."""
        for side_car in self._files.sidecars:
            known = [name for name in self._files.profiles if fnmatchcase(name, side_car.profile)]
            for profile in known if side_car.device != "*" else ():
                group = self._group(profile, stacks(self._files, profile, also=side_car))
                _sort_out(group, side_car.device, [], rejected, problems)
            if not known:
                self._read_alone(side_car, rejected, problems)

    def _read_alone(self, side_car: SideCar, rejected: list[Rejected], problems: list[Problem]) -> None:
        for block in side_car.blocks:
            if not {"model", "steps", "outputs"} & set(block.node.entries):
                message = (
                    f"overrides a binding of profile {side_car.profile}, which is not among these files: "
                    "whether it fits is not checked"
                )
                problems += _mistakes(block, side_car.profile)
                problems.append(block.node.place.problem(block.name, message, severity="warning"))
                continue
            resource, flaws = target(block, side_car, side_car.profile, None)
            scope = Scope(profile=side_car.profile, resource=resource)
            draft = read_block(block.name, block.node, scope, (*block.flaws, *flaws))
            _sort_out([draft], "", [], rejected, problems)

    def _read_devices(self, rejected: list[Rejected], problems: list[Problem]) -> None:
        for device in self._files.devices.values():
            apart = not device.profile or device.profile not in self._files.profiles
            for block in device.overrides.values():
                problems += _mistakes(block, device.profile) if apart else block.flaws
            if not device.profile or not device.overrides:
                continue
            found = stacks(self._files, device.profile, device.name)
            _sort_out(self._group(device.profile, found), device.name, [], rejected, problems)
            problems += [
                self._orphan(device, block, found)
                for name, block in device.overrides.items()
                if name not in found
            ]

    def _orphans_of_writable(self) -> list[Problem]:
        """Overrides of bindings that no profile among these files has; core-metadata may know one that does."""
        known = {name for profile in self._files.profiles for name in stacks(self._files, profile)}
        known |= {block.name for side_car in self._files.sidecars for block in side_car.blocks}
        return [
            block.node.place.problem(
                name, f"no profile among these has a binding {name}{suggest(name, known)}", severity="warning"
            )
            for name, block in self._files.writable.items()
            if name not in known
        ]

    def _orphan(self, device: Device, block: Block, found: Mapping[str, Stack]) -> Problem:
        severity = "error"
        message = f"device {device.name}: profile {device.profile} "
        if not found and device.profile not in self._files.profiles:
            message, severity = (
                message + "is not among these files: whether it fits is not checked",
                "warning",
            )
        else:
            hint = suggest(block.name, found) or f"; it has {', '.join(found) or 'none'}"
            message += f"has no binding {block.name}{hint}"
        return block.node.place.problem(block.name, message, severity=severity)


def load(folder: Path, before: Book | None = None, records: Records = NO_RECORDS) -> Book:
    """The book of a profiles folder and of what core-metadata holds; never raises, mistakes are in its `problems`.

    A file that could be read when `before` was made and is broken or empty now keeps its old text in force.
    """
    files = read([folder], before=before.documents if before is not None else {})
    lay_over(files, records)
    return Book(replace(files, writable=before.writable) if before is not None else files)


def _no_map(name: str, node: Node) -> tuple[Problem, ...]:
    if isinstance(node.value, Mapping):
        return ()
    return (node.place.problem(name, f"must be a map of keys of the binding's block, not {node.kind}"),)


def _mistakes(block: Block, profile: str) -> Sequence[Problem]:
    """What is wrong with an override whatever it lies on; what it leaves out may stand there."""
    found = read_block(block.name, block.node, Scope(profile=profile, resource="?"), block.flaws)
    written = [spell((block.name, *steps)) for steps, _ in block.node.leaves()]
    return [
        problem
        for problem in found.problems
        if problem in block.flaws
        or (
            any(
                problem.path == path or path.startswith((f"{problem.path}.", f"{problem.path}["))
                for path in written
            )
            and problem.path != block.name
        )
    ]


def _sort_out(
    drafts: Iterable[Draft],
    device: str,
    bindings: list[Binding],
    rejected: list[Rejected],
    problems: list[Problem],
) -> None:
    for draft in drafts:
        problems.extend(draft.problems)
        if draft.binding is not None:
            bindings.append(draft.binding)
            continue
        refusal = Rejected(
            profile=draft.scope.profile,
            binding=draft.name,
            resource=draft.scope.resource,
            reason=draft.reason,
        )
        if refusal not in rejected:
            rejected.append(replace(refusal, device=device))


def _without_clashes(drafts: Sequence[Draft]) -> list[Draft]:
    """Refuses a binding that shares an output's name with an earlier one but not its type and units."""
    seen: dict[str, tuple[str, ValueType | None, str]] = {}
    kept: list[Draft] = []
    for draft in drafts:
        clashes = [
            clash
            for output in (draft.binding.outputs if draft.binding is not None else ())
            if (clash := _clash(draft, output, seen)) is not None
        ]
        if clashes:
            draft = replace(draft, binding=None, problems=(*draft.problems, *clashes))
        kept.append(draft)
    return kept


def _clash(
    draft: Draft, output: Output, seen: dict[str, tuple[str, ValueType | None, str]]
) -> Problem | None:
    assert draft.binding is not None
    task = draft.binding.model.task if draft.binding.model is not None else None
    kind = output.type or (default_type(task, output.value) if task is not None else None)
    other, other_kind, units = seen.setdefault(output.name, (draft.name, kind, output.units))
    types_differ = kind is not None and other_kind is not None and kind != other_kind
    if other == draft.name or not (types_differ or units != output.units):
        return None
    steps = ("outputs", output.name)
    ours, theirs = (f"{k or 'default'} {u}".strip() for k, u in ((kind, output.units), (other_kind, units)))
    message = f"binding {other} publishes {output.name} too, as {theirs}; this is {ours}: equal types and units only"
    return draft.node.nearest(steps).problem(spell((draft.name, *steps)), message)


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda problem: (problem.file, problem.line, problem.column)))
