"""Which layers make a binding: the profile's block, side-cars over it, a device's overrides, Writable over all."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from edgex_inference.bindings.files import Files, SideCar
from edgex_inference.bindings.profiles import Block
from edgex_inference.config.places import Node, suggest
from edgex_inference.contracts.errors import Problem

_GLOB = frozenset("*?[")
_NAMED = ("model", "accelerator")
"""Maps that speak about what their `name` names: another name replaces the whole map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The layers of one binding, lowest first, and what is wrong with how they lie on one another."""

    name: str
    resource: str
    blocks: tuple[Block, ...]
    flaws: tuple[Problem, ...] = ()

    def over(self, block: Block, *flaws: Problem) -> "Stack":
        """This stack with one more layer."""
        return replace(self, blocks=(*self.blocks, block), flaws=(*self.flaws, *flaws))

    @property
    def all_flaws(self) -> tuple[Problem, ...]:
        """Its own flaws and those of its layers."""
        return (*self.flaws, *(flaw for block in self.blocks for flaw in block.flaws))

    def merged(self) -> Node:
        """The effective block."""
        node = self.blocks[0].node
        for block in self.blocks[1:]:
            node = _lay(node, block.node)
        return node


def _lay(under: Node, over: Node) -> Node:
    for key in _NAMED:
        mine, theirs = under.find(key, "name"), over.find(key, "name")
        if mine is not None and theirs is not None and mine.value != theirs.value:
            entries = {name: entry for name, entry in under.entries.items() if name != key}
            under = replace(under, value=entries)
    return under.merged(over)


def stacks(
    files: Files, profile: str, device: str | None = None, *, also: SideCar | None = None
) -> dict[str, Stack]:
    """The bindings of a profile, or of one of its devices; `also` counts a side-car whose device glob is unmet."""
    found = _profile_stacks(files, profile)
    for side_car in files.sidecars:
        if not fnmatchcase(profile, side_car.profile):
            continue
        if side_car is also or _meets(side_car, device):
            for block in side_car.blocks:
                found[block.name] = _with_side_car(found.get(block.name), block, side_car, files, profile)
    entry = files.devices.get(device) if device is not None else None
    if entry is not None and entry.profile in ("", profile):
        for name, block in entry.overrides.items():
            if name in found:
                found[name] = found[name].over(block)
    for name, block in files.writable.items():
        if name in found:
            found[name] = found[name].over(block)
    return found


def _meets(side_car: SideCar, device: str | None) -> bool:
    return side_car.device == "*" or (device is not None and fnmatchcase(device, side_car.device))


def _profile_stacks(files: Files, profile: str) -> dict[str, Stack]:
    found: dict[str, Stack] = {}
    known = files.profiles.get(profile)
    for block in known.blocks if known is not None else ():
        first = found.get(block.name)
        if first is None:
            found[block.name] = Stack(name=block.name, resource=block.resource, blocks=(block,))
            continue
        line = first.blocks[0].node.place.line
        message = f"a second binding named {block.name} in profile {profile}; the first is in line {line}"
        flaw = block.node.place.problem(block.name, message)
        found[block.name] = replace(first, flaws=(*first.flaws, flaw))
    return found


def _with_side_car(under: Stack | None, block: Block, side_car: SideCar, files: Files, profile: str) -> Stack:
    if under is None:
        known = files.profiles.get(profile)
        names = known.resources if known is not None else None
        resource, flaws = target(block, side_car, profile, names)
        return Stack(name=block.name, resource=resource, blocks=(block,), flaws=flaws)
    if side_car.resource and not fnmatchcase(under.resource, side_car.resource):
        message = (
            f"binding {block.name} of profile {profile} sits on resource {under.resource}, "
            f"match.resource says {side_car.resource}"
        )
        return under.over(block, block.node.place.problem(block.name, message))
    return under.over(block)


def target(
    block: Block, side_car: SideCar, profile: str, resources: Mapping[str, object] | None
) -> tuple[str, tuple[Problem, ...]]:
    """The resource that a side-car's own binding sits on, or why there is not exactly one."""
    pattern = side_car.resource
    if not pattern:
        return "", _no_resource(block) if "inputs" not in block.node.entries else ()
    if resources is None:
        if not _GLOB & set(pattern):
            return pattern, ()
        message = (
            f"match.resource {pattern} is a glob, and profile {profile} is not among these files: name one"
        )
        return pattern, (block.node.place.problem(block.name, message),)
    found = [name for name in resources if fnmatchcase(name, pattern)]
    if len(found) == 1:
        return found[0], ()
    hint = suggest(pattern, resources) or f"; it has {', '.join(resources) or 'none'}"
    message = f"match.resource {pattern} matches no resource of profile {profile}{hint}"
    if found:
        message = f"match.resource {pattern} matches several resources ({', '.join(found)}): name one"
    return "", (block.node.place.problem(block.name, message),)


def _no_resource(block: Block) -> tuple[Problem, ...]:
    message = "names no resource to read: say it in match.resource or in inputs"
    return (block.node.place.problem(block.name, message),)
