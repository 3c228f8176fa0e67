"""Which frames of each node are needed, which there are, which are made; and of which every so-many-th is enough."""

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgex_inference.importers.kaldi.descriptor import Descriptor, Node, Once, references, switches
from edgex_inference.importers.kaldi.items import Malformed
from edgex_inference.importers.kaldi.network import AnyNode, Circle, Computed, Input, Network, reads

Span = tuple[int, int]
"""The first frame, counted from the first of the output, and the last, counted from the last of the output."""
_FAR = 1 << 40
ALWAYS: Span = (-_FAR, _FAR)
"""Of what does not depend on frames."""


@dataclass(frozen=True, slots=True)
class Some:
    """Of a node that takes those frames within its reach that there are.

    The last of them must not come before `least[0]`, nor the first behind `least[1]`, so that there is one; `there`
    gives the frames that the node can make of those that it can be fed.
    """

    least: Span
    there: Callable[[Span], Span]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a node looks from the frame that it computes; `whole` where it reads all frames that there are."""

    first: int = 0
    last: int = 0
    pools: bool = False
    whole: bool = False
    some: Some | None = None


Reaches = Callable[[Computed], Reach]


def needed(network: Network, reaches: Reaches) -> Mapping[str, Span]:
    """What each node must give for one frame of each output: what is optional is not asked for, as in Kaldi."""
    spans: dict[str, Span] = {}
    for descriptor in network.outputs.values():
        for one in references(descriptor):
            if isinstance(one, Node) and not one.optional:
                _widen(spans, one.name, _farthest((0, 0), one))
    for name, node in reversed(list(network.nodes.items())):
        if name in spans:
            asked = _asked(node, spans[name], reaches, least=True)
            for one in _required(node):
                _widen(spans, one.name, _farthest(asked, one))
    return spans


def available(network: Network, whole: Span, reaches: Reaches) -> Mapping[str, Span]:
    """The frames that each node can give where inputs have the span `whole`; raises Malformed, see _of_circle."""
    spans: dict[str, Span] = {}
    for name, node in network.nodes.items():
        circle = network.circles.get(name)
        if isinstance(node, Input):
            spans[name] = ALWAYS if name in network.once else whole
        elif circle is None:
            spans[name] = _there(node, spans, reaches)
        elif name == circle.names[0]:
            spans |= dict.fromkeys(circle.names, _of_circle(network, circle, spans, reaches))
    return spans


def _of_circle(network: Network, circle: Circle, known: dict[str, Span], reaches: Reaches) -> Span:
    """What all of its nodes can give; Malformed where one that is read by its past has frames beyond that."""
    spans = ChainMap[str, Span]({}, known)
    for name in circle.names:
        spans[name] = _there(network.nodes[name], spans, reaches)
    mine = [spans[name] for name in circle.names]
    found = (max(first for first, _ in mine), min(last for _, last in mine))
    if found == ALWAYS:
        raise Malformed(f"node {circle.names[0]!r} depends on nothing but itself")
    for name in circle.names:
        for one in reads(network.nodes[name]):
            past = isinstance(one, Node) and one.offset and network.circles.get(one.name) is circle
            if past and spans[one.name] != found:
                raise Malformed(f"node {one.name!r} has frames for which its circle has none")
    return found


def made(network: Network, there: Mapping[str, Span], reaches: Reaches) -> Mapping[str, Span]:
    """The frames of each node that are computed: what is asked for of what there is, of circles all."""
    spans = {name: there[name] for name in network.circles}
    for descriptor in network.outputs.values():
        for one in references(descriptor):
            _ask(spans, there, one, (0, 0))
    for name, node in reversed(list(network.nodes.items())):
        if isinstance(node, Computed) and reaches(node).whole:
            spans[name] = there[name]
        if name in spans:
            asked = _asked(node, spans[name], reaches)
            some = isinstance(node, Computed) and reaches(node).some is not None
            for one in reads(node):
                if one.name not in network.circles:
                    _ask(spans, there, one, asked, some=some)
    for name, (first, last) in spans.items():
        if first < there[name][0] or last > there[name][1]:
            raise Malformed(f"asks node {name!r} for frames that it cannot give")
    return spans


def _ask(
    spans: dict[str, Span], there: Mapping[str, Span], one: Node | Once, asked: Span, *, some: bool = False
) -> None:
    """Of optional frames, and of those of which some are enough, those that there are; the output's own are among
    them, so that none is empty."""
    name, wanted = one.name, shifted(asked, one)
    if isinstance(one, Node) and (one.optional or some):
        first, last = there[name]
        if not first <= 0 <= last:
            how = "within IfDefined" if one.optional else "for statistics"
            raise Malformed(f"reads {name!r} {how}, which needs more context than the whole network")
        wanted = (max(first, min(wanted[0], 0)), min(last, max(wanted[1], 0)))
    _widen(spans, name, wanted)


def _there(node: AnyNode, spans: Mapping[str, Span], reaches: Reaches) -> Span:
    reach = reaches(node) if isinstance(node, Computed) else Reach()
    found = fed_frames(node, spans)
    if reach.pools or found == ALWAYS:
        return ALWAYS
    if reach.some is not None:
        return reach.some.there(found)
    return found[0] - reach.first, found[1] - reach.last


def fed_frames(node: AnyNode, spans: Mapping[str, Span]) -> Span:
    """The frames of what a node is fed, where other nodes have these spans."""
    first, last = ALWAYS
    for one in _required(node):
        if one.name in spans and spans[one.name] != ALWAYS:
            enough = _unshifted(spans[one.name], one)
            first, last = max(first, enough[0]), min(last, enough[1])
    return first, last


def _required(node: AnyNode) -> Iterator[Node]:
    return (one for one in reads(node) if isinstance(one, Node) and not one.optional)


def _asked(node: AnyNode, span: Span, reaches: Reaches, *, least: bool = False) -> Span:
    """What a node asks of those that it reads, or what of that it cannot do without."""
    if not isinstance(node, Computed):
        return span
    reach = reaches(node)
    first, last = reach.some.least if least and reach.some is not None else (reach.first, reach.last)
    return (0, 0) if reach.pools else (span[0] + first, span[1] + last)


def shifted(span: Span, one: Node | Once) -> Span:
    """The frames of a node that are read for those of a span."""
    if not isinstance(one, Node):
        return span
    first, last = span[0] + one.before, span[1] + one.before
    return first // one.every * one.every + one.offset, last + one.offset


def _farthest(span: Span, one: Node) -> Span:
    """The frames that are read for those of a span, wherever its first frame stands in the count of a rounded node."""
    first, last = span[0] + one.before + one.offset, span[1] + one.before + one.offset
    return first - (one.every - 1), last


def _unshifted(span: Span, one: Node) -> Span:
    """The frames for which those of a node's span are enough."""
    first, last = span[0] - one.offset, span[1] - one.offset
    return -(-first // one.every) * one.every - one.before, last - one.before


def _widen(spans: dict[str, Span], name: str, wanted: Span) -> None:
    known = spans.get(name, wanted)
    spans[name] = (min(known[0], wanted[0]), max(known[1], wanted[1]))


Offsets = Callable[[Computed], Sequence[int] | None]
"""The frames that a node looks at from the one that it computes; None where it depends on others by another rule."""


def skipping(network: Network, every: int, offsets: Offsets) -> frozenset[str]:
    """The nodes that are read in multiples of `every` frames only, by outputs and by each other.

    Where a model gives each so-many-th frame these are the upper layers of a chain model.
    """
    found = dict[str, bool]()
    for descriptor in network.outputs.values():
        _note(found, references(descriptor), every, (0,) if not counts(descriptor) else None)
    for name, node in reversed(list(network.nodes.items())):
        looks = _looks(network, name, node, offsets) if found.get(name, False) else None
        found[name] = looks is not None
        _note(found, reads(node), every, looks)
    return frozenset(name for name, one in found.items() if one)


def _looks(network: Network, name: str, node: AnyNode, offsets: Offsets) -> Sequence[int] | None:
    if isinstance(node, Input) or name in network.circles:
        return None
    if not isinstance(node, Computed):
        return (0,)
    return None if counts(node.fed) else offsets(node)


def _note(
    found: dict[str, bool], read: Iterator[Node | Once], every: int, looks: Sequence[int] | None
) -> None:
    """That nodes are read so: in all frames where `looks` is None."""
    for one in read:
        if isinstance(one, Node):
            fits = (
                looks is not None and not one.optional and all((one.offset + at) % every == 0 for at in looks)
            )
            found[one.name] = found.get(one.name, True) and fits


def counts(descriptor: Descriptor) -> bool:
    """Whether it reads other frames of others by their number."""
    return switches(descriptor) or any(
        isinstance(one, Node) and one.every > 1 for one in references(descriptor)
    )
