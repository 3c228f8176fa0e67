"""An order in which each node can be computed, and the circles in which nodes read their own earlier frames."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.importers.kaldi.descriptor import Node, references, switches
from edgex_inference.importers.kaldi.network import Circle, Computed, Network, reads


def ordered(network: Network) -> Network:
    """Only nodes that an output needs, each after what it reads; raises ModelRejected for circles that cannot begin."""
    groups = _Groups(network)
    for name, fed in network.outputs.items():
        for reference in references(fed):
            groups.visit(reference.name, f"output-node {name!r}")
    order, circles = list[str](), dict[str, Circle]()
    for group in groups.found:
        if len(group) > 1 or any(one.name == group[0] for one in reads(network.nodes[group[0]])):
            circle = _circle(network, group)
            circles |= dict.fromkeys(circle.names, circle)
            order += circle.names
        else:
            order += group
    return replace(network, nodes={name: network.nodes[name] for name in order}, circles=circles)


@dataclass(slots=True)
class _Groups:
    """Strongly connected nodes (Tarjan's way, without recursion), each group after those that it reads."""

    network: Network
    found: list[list[str]] = field(default_factory=list)
    _number: dict[str, int] = field(default_factory=dict)
    _lowest: dict[str, int] = field(default_factory=dict)
    _waiting: dict[str, None] = field(default_factory=dict)

    def visit(self, start: str, reader: str) -> None:
        open_ = list[tuple[str, Iterator[str]]]()
        if start not in self._number:
            open_.append(self._entered(start, reader))
        while open_:
            name, rest = open_[-1]
            following = next(rest, None)
            if following is None:
                open_.pop()
                self._left(name)
                if open_:
                    above = open_[-1][0]
                    self._lowest[above] = min(self._lowest[above], self._lowest[name])
            elif following not in self._number:
                open_.append(self._entered(following, f"node {name!r}"))
            elif following in self._waiting:
                self._lowest[name] = min(self._lowest[name], self._number[following])

    def _entered(self, name: str, reader: str) -> tuple[str, Iterator[str]]:
        node = self.network.nodes.get(name)
        if node is None:
            raise ModelRejected(self.network.path, f"{reader} reads {name!r}, which is no node")
        self._number[name] = self._lowest[name] = len(self._number)
        self._waiting[name] = None
        return name, iter([one.name for one in reads(node)])

    def _left(self, name: str) -> None:
        """Closes the group that began with this node."""
        if self._lowest[name] < self._number[name]:
            return
        group = list[str]()
        while not group or group[-1] != name:
            group.append(self._waiting.popitem()[0])
        self.found.append(group[::-1])


def _circle(network: Network, group: Sequence[str]) -> Circle:
    """The group as it is computed frame by frame; raises ModelRejected for one that cannot be."""
    members = frozenset(group)
    within = {
        name: [one for one in reads(network.nodes[name]) if isinstance(one, Node) and one.name in members]
        for name in group
    }
    shifts = {one.offset for read in within.values() for one in read if one.offset}
    if min(shifts, default=0) < 0 < max(shifts, default=0):
        reason = "read both earlier and later frames of each other, which no order of the frames can give"
        raise ModelRejected(network.path, f"nodes {_named(group)} {reason}")
    for name, read in within.items():
        node = network.nodes[name]
        counts = isinstance(node, Computed) and switches(node.fed)
        if counts or any(one.every > 1 for one in read):
            reason = "depends on itself, and counts frames (Round, Switch), which cannot be brought over"
            raise ModelRejected(network.path, f"node {name!r} {reason}")
        bare = next((one for one in read if one.offset and not one.optional), None)
        if bare is not None:
            reason = (
                f"reads {bare.name!r}, which depends on it, {bare.offset} frames away and without IfDefined"
            )
            raise ModelRejected(
                network.path, f"node {name!r} {reason}: its first frame could never be computed"
            )
    same = {name: [one.name for one in read if not one.offset] for name, read in within.items()}
    return Circle(_same_frame(network, same), math.gcd(*shifts), max(shifts, default=0) > 0)


def _same_frame(network: Network, same: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Each node after those of the same frame that it reads; without recursion."""
    order = dict[str, None]()
    for start in same:
        within, open_ = dict[str, None](), list[tuple[str, Iterator[str]]]()
        if start not in order:
            within[start] = None
            open_.append((start, iter(same[start])))
        while open_:
            name, rest = open_[-1]
            following = next(rest, None)
            if following is None:
                open_.pop()
                order[name] = within.pop(name)
            elif following in within:
                circle = [*list(within)[list(within).index(following) :], following]
                reason = "need each other within the same frame, which nothing can compute"
                raise ModelRejected(network.path, f"nodes {_named(circle)} {reason}")
            elif following not in order:
                within[following] = None
                open_.append((following, iter(same[following])))
    return tuple(order)


def _named(names: Sequence[str]) -> str:
    shown = [*names[:6], "…", names[-1]] if len(names) > 8 else names
    return " ← ".join(map(repr, shown)).replace("'…'", "…")
