"""The nodes of a Kaldi network, whatever its generation, and what each reads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.importers.kaldi import descriptor as descriptors
from edgex_inference.importers.kaldi.descriptor import Append, Descriptor, Node, Once, references
from edgex_inference.importers.kaldi.files import Component, KaldiFile
from edgex_inference.importers.kaldi.items import Malformed

UNFED = frozenset({"DropoutMaskComponent", "ConstantComponent"})
"""Components that read nothing; the files name an input all the same, often themselves."""


@dataclass(frozen=True, slots=True)
class Input:
    dim: int


@dataclass(frozen=True, slots=True)
class Computed:
    """A component over what it is fed."""

    component: Component
    fed: Descriptor


@dataclass(frozen=True, slots=True)
class Columns:
    """Some columns of another node."""

    source: str
    first: int
    dim: int


AnyNode = Input | Computed | Columns


@dataclass(frozen=True, slots=True)
class Circle:
    """Nodes that read each other's earlier frames, or later ones; each after those of the same frame that it reads.

    Frames are read that are multiples of `stride` away, so that many can be computed at once.
    """

    names: tuple[str, ...]
    stride: int
    backward: bool


@dataclass(frozen=True, slots=True)
class Network:
    """`nodes` in order: each after those that it reads; `outputs` by name; `once` are inputs of one frame.

    `circles` has those nodes that are recurrent; they stand beside each other in the order.
    """

    path: Path
    generation: str
    nodes: Mapping[str, AnyNode]
    outputs: Mapping[str, Descriptor]
    once: frozenset[str]
    circles: Mapping[str, Circle] = field(default_factory=dict)


def chain(file: KaldiFile, dim: int) -> Network:
    """nnet1 and nnet2: every component is fed by the one before it; raises ModelRejected, see _linked."""
    nodes: dict[str, AnyNode] = {"input": Input(dim)}
    try:
        last = _linked(nodes, file.components, "input")
    except Malformed as error:
        raise ModelRejected(file.path, str(error)) from None
    return Network(file.path, file.generation, nodes, {"output": Node(last)}, frozenset())


def _linked(nodes: dict[str, AnyNode], components: Sequence[Component], last: str) -> str:
    """Adds components, the first fed by a node, and gives the last of them; networks within share the columns."""
    for component in components:
        fed: Descriptor = Node(last)
        if component.within:
            ends, at = list[Descriptor](), 0
            for number, network in enumerate(component.within, 1):
                name = f"{component.name}.{number}"
                width = network[0].fed if network else 0
                if width < 1:
                    raise Malformed(f"network {name} within it is fed no columns")
                nodes[name] = Columns(last, at, width)
                ends.append(Node(_linked(nodes, network, name)))
                at += width
            if at != component.fed:
                raise Malformed(
                    f"component {component.name!r} has networks for {at} columns and is fed {component.fed}"
                )
            fed = Append(tuple(ends))
        nodes[component.name] = Computed(component, fed)
        last = component.name
    return last


def wired(file: KaldiFile) -> Network:
    """nnet3: as its lines say, not in order yet; raises ModelRejected for lines that say nothing."""
    components = {one.name: one for one in file.components}
    nodes: dict[str, AnyNode] = {}
    outputs: dict[str, Descriptor] = {}
    for line in file.lines:
        kind, _, rest = line.partition(" ")
        said = _settings(rest)
        name = said.get("name", "")
        try:
            if kind == "output-node":
                outputs[name] = descriptors.parse(said.get("input", ""))
            elif kind in ("input-node", "component-node", "dim-range-node"):
                if not name or name in nodes:
                    raise Malformed("has no name" if not name else "is there twice")
                nodes[name] = _node(kind, said, components)
            elif kind not in ("component", ""):
                raise Malformed("is no line of a network")
        except Malformed as error:
            raise ModelRejected(file.path, f"node {name!r} ({kind[:40]}) {error}") from None
    if not outputs:
        raise ModelRejected(file.path, "has no output-node")
    return Network(file.path, file.generation, nodes, outputs, _fed_once(file.path, nodes, outputs))


def _settings(text: str) -> dict[str, str]:
    """`key=value` pairs; a value with brackets may hold blanks."""
    found, at = dict[str, str](), 0
    while at < len(text):
        equals = text.find("=", at)
        if equals < 0:
            break
        key, depth, end = text[at:equals].strip(), 0, equals + 1
        while end < len(text) and (depth or not text[end].isspace()):
            depth += (text[end] == "(") - (text[end] == ")")
            end += 1
        found[key] = text[equals + 1 : end]
        at = end
    return found


def _node(kind: str, said: Mapping[str, str], components: Mapping[str, Component]) -> AnyNode:
    if kind == "input-node":
        return Input(_count(said, "dim"))
    if kind == "dim-range-node":
        return Columns(said.get("input-node", ""), _count(said, "dim-offset", 0), _count(said, "dim"))
    component = components.get(said.get("component", ""))
    if component is None:
        raise Malformed(f"names component {said.get('component', '')!r}, which the file does not hold")
    return Computed(component, descriptors.parse(said.get("input", "")))


def _count(said: Mapping[str, str], key: str, least: int = 1) -> int:
    text = said.get(key, "")
    if not text.isdecimal() or len(text) > 7 or int(text) < least:
        raise Malformed(f"has {key}={text[:20]!r}")
    return int(text)


def reads(node: AnyNode) -> Iterator[Node | Once]:
    """What a node reads."""
    if isinstance(node, Computed):
        if node.component.kind in UNFED:
            return
        yield from references(node.fed)
    elif isinstance(node, Columns):
        yield Node(node.source)


def _fed_once(path: Path, nodes: Mapping[str, AnyNode], outputs: Mapping[str, Descriptor]) -> frozenset[str]:
    """The inputs that are read by ReplaceIndex; raises ModelRejected for one that is read frame by frame too."""
    read = [one for node in nodes.values() for one in reads(node)]
    read += [one for fed in outputs.values() for one in references(fed)]
    once = {one.name for one in read if isinstance(one, Once)}
    each = {one.name for one in read if isinstance(one, Node)}
    for name in sorted(once):
        if not isinstance(nodes.get(name), Input) or name in each:
            raise ModelRejected(
                path, f"node {name!r} is read at one time (ReplaceIndex) and is no input of its own"
            )
    return frozenset(once)
