"""A circle of nnet3's nodes, each of which reads what others gave some frames before, as one Scan."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from edgex_inference.importers.graph import Graph
from edgex_inference.importers.kaldi.components.recurrent import cells
from edgex_inference.importers.kaldi.descriptor import Node, Once
from edgex_inference.importers.kaldi.feeding import Look, Value
from edgex_inference.importers.kaldi.files import Component
from edgex_inference.importers.kaldi.items import Malformed, Scalar
from edgex_inference.importers.kaldi.network import Circle, Columns, Computed, Network, reads
from edgex_inference.importers.kaldi.scanning import Named, Way, scan
from edgex_inference.importers.kaldi.spans import Span

_MOST_ROUNDS, _MOST_STRIDE = 64, 1024
"""How far a circle may look back at itself: a limit of ours, so that a short file cannot ask for endless states."""
_MOST_NUMBERS = 1 << 24
"""Numbers in all states of a circle together."""

_WITHIN: Span = (0, 0)
"""Of values of one round: time is not counted there."""
Make = Callable[[str, Computed | Columns, Span, Look], Value]
"""Makes a node of a network, wherever in the graph."""


@dataclass(slots=True)
class Turning:
    """One circle on its way into the graph.

    `outer` shows other nodes, `make` computes one of these, `read` are those that others read.
    """

    graph: Graph
    network: Network
    circle: Circle
    span: Span
    outer: Look
    make: Make
    read: AbstractSet[str]
    _members: AbstractSet[str] = frozenset()
    _scanned: dict[Node | Once, Value] = field(default_factory=dict)
    _slots: dict[tuple[str, int], int] = field(default_factory=dict)
    """A node and how many rounds ago it was, and the number of the state that holds it."""

    def values(self) -> Mapping[str, Value]:
        """Those of its nodes that others read, over the circle's span; raises Malformed."""
        self._members = frozenset(self.circle.names)
        shown = [name for name in self.circle.names if name in self.read]
        for name in self.circle.names:
            for one in reads(self.network.nodes[name]):
                if isinstance(one, Once) or not self._inside(one):
                    self._scanned.setdefault(one, self.outer(one, self.span))
        widths = self._states()
        outside = {
            one: value for one, value in self._scanned.items() if value.name not in self.graph.constants
        }
        frames = {one: value for one, value in outside.items() if not value.once}
        same = {one: value for one, value in outside.items() if value.once}
        way = Way(self.circle.stride, self.circle.backward, [(one.name, one.dim) for one in same.values()])
        read = [*frames, *same]
        found = scan(
            self.graph,
            [(value.name, value.dim) for value in frames.values()],
            widths,
            lambda held, seen: self._round(held, dict(zip(read, seen, strict=True))),
            way,
        )
        return {name: Value(value, dim, self.span) for name, (value, dim) in zip(shown, found, strict=True)}

    def _inside(self, one: Node) -> bool:
        return one.name in self._members

    def _states(self) -> Sequence[int]:
        """How many columns each state has: of every node that is read later all rounds up to the farthest."""
        farthest = dict[str, int]()
        for name in self.circle.names:
            for one in reads(self.network.nodes[name]):
                if isinstance(one, Node) and self._inside(one) and one.offset:
                    rounds = abs(one.offset) // self.circle.stride
                    if rounds > _MOST_ROUNDS or self.circle.stride > _MOST_STRIDE:
                        raise Malformed(f"read {one.name!r} {one.offset} frames away, which is too far")
                    farthest[one.name] = max(farthest.get(one.name, 0), rounds)
        widths = list[int]()
        for name, rounds in farthest.items():
            for ago in range(1, rounds + 1):
                self._slots[name, ago] = len(widths)
                widths.append(self._width(name))
        if sum(widths) * self.circle.stride > _MOST_NUMBERS:
            raise Malformed(f"remember {sum(widths) * self.circle.stride} numbers, which is too much")
        return widths

    def _width(self, name: str) -> int:
        node = self.network.nodes[name]
        if isinstance(node, Columns):
            return node.dim
        if isinstance(node, Computed):
            return _declared(node.component)
        raise Malformed(f"node {name!r} is no node of a circle")

    def _round(
        self, held: Sequence[str], seen: Mapping[Node | Once, str]
    ) -> tuple[Sequence[str], Sequence[Named]]:
        made = dict[str, Value]()

        def look(one: Node | Once, span: Span) -> Value:
            if isinstance(one, Once) or not self._inside(one):
                value = self._scanned[one]
                return Value(seen.get(one, value.name), value.dim, _WITHIN, value.once)
            if one.offset:
                slot = self._slots[one.name, abs(one.offset) // self.circle.stride]
                return Value(held[slot], self._width(one.name), _WITHIN)
            return made[one.name]

        for name in self.circle.names:
            node = self.network.nodes[name]
            assert isinstance(node, Computed | Columns)
            made[name] = self.make(name, node, _WITHIN, look)
        following = list[str]()
        for (name, ago), slot in self._slots.items():
            if made[name].dim != self._width(name):
                raise Malformed(
                    f"node {name!r} has {made[name].dim} columns where {self._width(name)} are said"
                )
            following.append(made[name].name if ago == 1 else held[slot - 1])
        return following, [
            (made[name].name, made[name].dim) for name in self.circle.names if name in self.read
        ]


def _declared(component: Component) -> int:
    """How many columns a component makes, before it is made; raises Malformed where it does not say."""
    own = cells(component)
    if own:
        return own
    for token in ("OutputDim", "Dim"):
        if token in component:
            return component.integer(token)
    for token in ("LinearParams", "Params", "Scales", "Bias"):
        if token in component:
            found = component.item(token)
            if not isinstance(found, Scalar):
                return int(found.shape[0])
    if "InputDim" in component:
        return component.integer("InputDim")
    raise Malformed(f"component {component.name!r} ({component.kind}) does not say how many columns it makes")
