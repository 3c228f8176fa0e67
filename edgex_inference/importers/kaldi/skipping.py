"""Which nodes need only the frames that come out, where a model gives each so-many-th: upper layers of chain models."""

from collections.abc import Callable, Iterator, Sequence

from edgex_inference.importers.kaldi.descriptor import Descriptor, Node, Once, references, switches
from edgex_inference.importers.kaldi.network import AnyNode, Computed, Input, Network, reads

Offsets = Callable[[Computed], Sequence[int] | None]
"""The frames that a node looks at from the one that it computes; None where it depends on others by another rule."""


def skipping(network: Network, every: int, offsets: Offsets) -> frozenset[str]:
    """The nodes that are read in multiples of `every` frames only, by outputs and by each other."""
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
