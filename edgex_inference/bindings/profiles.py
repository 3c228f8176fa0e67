"""A device profile's file: its resources, and the inference blocks that sit on them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgex_inference.config.places import Node, Steps, spell, suggest
from edgex_inference.config.problems import Document
from edgex_inference.config.reader import Cursor, Reader
from edgex_inference.contracts.bindings import Resource
from edgex_inference.contracts.errors import Problem
from edgex_inference.contracts.events import ValueType

_CANONICAL = {kind.value.lower(): kind.value for kind in ValueType}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A named inference block, whole or an override; `flaws` are mistakes that make it unusable as a whole."""

    name: str
    node: Node
    resource: str = ""
    flaws: tuple[Problem, ...] = ()

    def flawed(self, *more: Problem) -> "Block":
        """The same block with more flaws."""
        return replace(self, flaws=(*self.flaws, *more))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a profile's file says that matters here."""

    name: str
    document: Document
    resources: Mapping[str, Resource]
    blocks: tuple[Block, ...]


def read_profile(
    document: Document, problems: list[Problem], claimed: set[Problem], origin: str = ""
) -> Profile:
    """Reads a profile; problems of the document that lie in a block become its flaws and are `claimed`.

    Without a name it is read all the same, so that every mistake is found, and its blocks are unusable. `origin` is
    where its settings come from in a user's words, unless it is the file.
    """
    reader = Reader(document.root, problems=problems)
    name = reader.need("name").text()
    nameless = problems[-1:] if name is None else []
    listed = reader.at("deviceResources")
    resources: dict[str, Resource] = {}
    blocks: list[Block] = []
    origin = origin or f"profile {Path(document.source.file).name}"
    for item in (listed.items() if listed.plain() is not None else None) or ():
        if one := item.reader():
            resource = _resource(one, resources)
            blocks += _blocks_on(document, item.steps, origin, resource, problems, claimed)
    blocks = [block.flawed(*nameless) for block in blocks]
    return Profile(name=name or "", document=document, resources=resources, blocks=tuple(blocks))


def _resource(reader: Reader, resources: dict[str, Resource]) -> str:
    name = reader.need("name").text()
    properties = reader.at("properties").reader()
    kind = _value_type(properties.at("valueType")) if properties is not None else ""
    if name is None:
        return ""
    if name in resources:
        reader.at("name").say(f"a second resource named {name!r}")
        return name
    texts = [properties.at(key).plain() if properties is not None else None for key in ("mediaType", "units")]
    media_type, units = (text if isinstance(text, str) else "" for text in texts)
    resources[name] = Resource(name=name, value_type=kind, media_type=media_type, units=units)
    return name


def _value_type(cursor: Cursor) -> str:
    """The canonical spelling; EdgeX takes any case."""
    text = cursor.text()
    if text is None:
        return ""
    known = _CANONICAL.get(text.lower())
    if known is None:
        cursor.say(f"{text!r} is no EdgeX value type{suggest(text, _CANONICAL.values())}")
    return known or ""


def _blocks_on(
    document: Document,
    steps: Steps,
    origin: str,
    resource: str,
    problems: list[Problem],
    claimed: set[Problem],
) -> list[Block]:
    """The blocks of one resource, from both legal places; different ones are refused, naming both."""
    places = ((*steps, "properties", "optional", "inference"), (*steps, "attributes", "inference"))
    home, other = (document.root.find(*place) for place in places)
    found = list(blocks_in(document, places[0], origin, problems, claimed))
    if other is None:
        return [replace(block, resource=resource) for block in found]
    found += [
        block
        for block in blocks_in(document, places[1], origin, problems, claimed)
        if block.name not in {one.name for one in found}
    ]
    if home is not None and home.plain() != other.plain():
        message = (
            f"differs from {spell(places[0])} in line {home.place.line}: a block stands in "
            "properties.optional or in attributes, not differently in both"
        )
        conflict = document.problem(places[1], message, key=True)
        found = [block.flawed(conflict) for block in found]
    return [replace(block, resource=resource) for block in found]


def blocks_in(
    document: Document,
    steps: Steps,
    origin: str,
    problems: list[Problem],
    claimed: set[Problem],
    *,
    texts: bool = False,
) -> tuple[Block, ...]:
    """The blocks of an `inference` map; with `texts` each may be JSON in a text, as EdgeX 2 devices have it."""
    node = document.root.find(*steps)
    if node is None:
        return ()
    if not isinstance(node.value, Mapping):
        message = f"must be a map of binding names to blocks, not {node.kind}"
        problems.append(document.problem(steps, message))
        return ()
    return tuple(_block(document, (*steps, name), origin, claimed, texts=texts) for name in node.entries)


def _block(document: Document, steps: Steps, origin: str, claimed: set[Problem], *, texts: bool) -> Block:
    name = str(steps[-1])
    node = document.root.find(*steps)
    assert node is not None
    prefix, whole = spell(steps[:-1]), spell(steps)
    inside = [
        p for p in document.problems if p.path == whole or p.path.startswith((whole + ".", whole + "["))
    ]
    claimed.update(inside)
    flaws = [replace(problem, path=problem.path[len(prefix) :].lstrip(".")) for problem in inside]
    if texts and isinstance(node.value, str):
        inner = document.nested(steps)
        flaws += [replace(p, path=f"{name}.{p.path}" if p.path else name) for p in inner.problems]
        node = inner.root
    return Block(name=name, node=node.labelled(origin), flaws=tuple(flaws))
