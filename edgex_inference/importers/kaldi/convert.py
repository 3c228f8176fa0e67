"""A network, node by node, into an ONNX graph that keeps nothing between runs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.importers.graph import Ended, Graph
from edgex_inference.importers.kaldi import files
from edgex_inference.importers.kaldi.components import statistics
from edgex_inference.importers.kaldi.components.table import ELSE, GENERATIONS, Known
from edgex_inference.importers.kaldi.descriptor import Descriptor, Node, Once, references
from edgex_inference.importers.kaldi.feeding import Look, Value, columns, counted, fed, shown
from edgex_inference.importers.kaldi.files import Component, KaldiFile
from edgex_inference.importers.kaldi.items import Malformed, Scalar
from edgex_inference.importers.kaldi.network import (
    UNFED,
    Circle,
    Columns,
    Computed,
    Input,
    Network,
    chain,
    reads,
    wired,
)
from edgex_inference.importers.kaldi.order import ordered
from edgex_inference.importers.kaldi.recurrent import Turning
from edgex_inference.importers.kaldi.scanning import BATCH
from edgex_inference.importers.kaldi.spans import (
    ALWAYS,
    Reach,
    Span,
    available,
    counts,
    fed_frames,
    made,
    needed,
    shifted,
    skipping,
)
from edgex_inference.importers.kaldi.step import MOST_COLUMNS, Step

FRAMES = "frames"
_NONE_NAMED = 12
_MOST_REACH = 100_000
"""Frames of context."""
_MOST_SKIPPED = 100
Edges = Literal["held", "cut"]


def convert(path: Path, *, edges: Edges = "held", every: int = 1) -> Any:
    """The ONNX model (a ModelProto) of a Kaldi network, raw or within an acoustic model (`.mdl`), text or binary.

    Input `input` is [batch, frames, columns], the output [batch, frames, columns]. With `edges` `held` there are as
    many frames out as in, and the first and the last frame stand for what would be before and behind, as Kaldi does it
    for a whole utterance. With `cut` a frame comes out where all that it depends on went in: a window of
    `left + 1 + right` frames (metadata `context.left`, `context.right`) gives one. A network that pools an utterance
    gives one frame for all, and is always cut. An iVector is an input [batch, columns] of its own. What a recurrent
    network remembers begins as zeros at the first frame of each run. With `every` above 1 of the frames that would
    come out only the first and each so-many-th behind it do: Kaldi's frame subsampling factor.

    Raises ModelRejected, naming the file, the component and the way out; OSError for a file that cannot be read.
    """
    file = files.read(path)
    _refuse_unknown(file)
    if not file.components:
        raise ModelRejected(path, "has no components")
    try:
        network = (
            ordered(wired(file)) if file.generation == "nnet3" else chain(file, _width(file.components[0]))
        )
    except Malformed as error:
        raise ModelRejected(path, f"component {file.components[0].name!r} {error}") from None
    if every > 1 and file.generation != "nnet3":
        raise ModelRejected(
            path,
            f"is of {file.generation}, which knows no frame subsampling: say --frame-subsampling-factor 1",
        )
    if not 0 < every <= _MOST_SKIPPED:
        raise ModelRejected(path, f"has a frame subsampling factor of {every}: 1 to {_MOST_SKIPPED} can be")
    return _Importing(network, edges, every).model()


def _refuse_unknown(file: KaldiFile) -> None:
    """Raises ModelRejected naming all components that are not known, with the way around."""
    known = GENERATIONS[file.generation]
    unknown: dict[str, list[str]] = {}
    for component in _all(file.components):
        if component.kind not in known:
            unknown.setdefault(component.kind, []).append(component.name)
    if not unknown:
        return
    parts = [
        f"{kind} ({', '.join(map(repr, names[:3]))}{f' and {len(names) - 3} more' if len(names) > 3 else ''}): {ELSE}"
        for kind, names in list(unknown.items())[:_NONE_NAMED]
    ]
    more = f"; and {len(unknown) - _NONE_NAMED} kinds more" if len(unknown) > _NONE_NAMED else ""
    raise ModelRejected(
        file.path, f"has components that are not known to {file.generation}: {'; '.join(parts)}{more}"
    )


def _all(components: Iterable[Component]) -> Iterator[Component]:
    for component in components:
        yield component
        for network in component.within:
            yield from _all(network)


def _width(component: Component) -> int:
    """How many columns the first component of a chain is fed."""
    if "dims" in component.fields:
        return component.fed
    for token in ("InputDim", "Dim"):
        if token in component:
            return component.integer(token)
    if "FilterParams" in component and "PatchStride" in component:
        filters = component.array("FilterParams", 2)
        return (
            int(filters.shape[1]) // max(component.integer("PatchDim"), 1) * component.integer("PatchStride")
        )
    for token, axis in (("LinearParams", 1), ("CuMatrix", 1), ("Scales", 0), ("Bias", 0), ("Sizes", 0)):
        if token in component:
            array = component.item(token)
            blocks = component.integer("NumBlocks", 1)
            if not isinstance(array, Scalar) and array.ndim > axis:
                return int(array.sum() if token == "Sizes" else array.shape[axis] * blocks)
    raise Malformed(
        f"({component.kind}) does not say how many columns it is fed: put it behind another component"
    )


class _Importing:
    """One pass: what each node must give, then the nodes."""

    def __init__(self, network: Network, edges: Edges, every: int) -> None:
        self._network, self._every = network, every
        self._graph = Graph(network.path, network.path.stat().st_size)
        self._known = GENERATIONS[network.generation]
        self._computed = [one for one in network.nodes.values() if isinstance(one, Computed)]
        self._pooled = any(self._pools(one) for one in self._computed)
        self._held = edges == "held" and not self._pooled
        self._pads = self._held and network.generation == "nnet1"
        self._values: dict[str, Value] = {}
        self._there: Mapping[str, Span] = {}
        self._skipping = skipping(network, every, self._offsets) if every > 1 else frozenset[str]()
        self._shared = frozenset(_read_by_others(network))

    def _of(self, node: Computed) -> Known:
        return self._known[node.component.kind]

    def _pools(self, node: Computed) -> bool:
        known = self._of(node)
        with self._naming(node.component):
            return known.pools is not None and known.pools(node.component)

    def model(self) -> Any:
        """Raises ModelRejected."""
        network = self._network
        given = [name for name, node in network.nodes.items() if isinstance(node, Input)]
        each = [name for name in given if name not in network.once]
        if not each:
            raise ModelRejected(network.path, "has no input that is fed frame by frame")
        self._refuse_misread()
        whole, spans = self._spans(each)
        inputs = [self._input(name, whole) for name in given]
        for name, node in network.nodes.items():
            circle = network.circles.get(name)
            if circle is not None and name == circle.names[0]:
                self._turn(circle, spans[name])
            elif circle is None and not isinstance(node, Input):
                self._values[name] = self._node(name, node, spans[name], self._look)
        metadata = {
            "converted.from": f"kaldi {network.generation}",
            "context.left": str(-whole[0]),
            "context.right": str(whole[1]),
            "edges": "held" if self._held else "cut",
            "counted": _word(any(counts(one) for one in self._fed())),
            "pooled": _word(self._pooled),
            "every": str(self._every),
            "recurrent": _word(network.circles or any(self._of(one).whole for one in self._computed)),
        }
        return self._graph.build(inputs, self._outputs(), metadata)

    def _fed(self) -> Sequence[Descriptor]:
        return [*(one.fed for one in self._computed), *self._network.outputs.values()]

    def _refuse_misread(self) -> None:
        """Raises ModelRejected where statistics are read that Kaldi does not have."""
        reading = [(one.component, one.fed) for one in self._computed]
        for reader, descriptor in (*reading, *((None, one) for one in self._network.outputs.values())):
            for one in references(descriptor):
                node = self._network.nodes.get(one.name)
                if isinstance(one, Node) and isinstance(node, Computed):
                    with self._naming(node.component):
                        statistics.check_read(node.component, one, reader)

    def _outputs(self) -> Sequence[tuple[str, Ended]]:
        found = []
        for name, descriptor in self._network.outputs.items():
            with self._named(f"output-node {name!r}"):
                value = self._output(descriptor)
            frames = 1 if value.once else FRAMES if self._held and self._every == 1 else "frames_out"
            shown_as = name if name not in self._network.nodes else f"{name}_out"
            found.append((value.name, Ended(shown_as, (BATCH, frames, value.dim))))
        return found

    def _output(self, descriptor: Descriptor) -> Value:
        """Of an output only those frames that are to come out."""
        every = 1 if counts(descriptor) else self._every
        value = fed(self._graph, descriptor, (0, 0), partial(self._look, every=every))
        if self._every > 1 and value.once:
            raise Malformed(
                "gives one frame, of which none can be left out: say --frame-subsampling-factor 1"
            )
        return shown(self._graph, replace(value, every=every), value.span, value.span, self._every)

    def _offsets(self, node: Computed) -> Sequence[int] | None:
        """The frames that a node looks at, where it can do so in steps."""
        known = self._of(node)
        if known.offsets is not None:
            with self._naming(node.component):
                return known.offsets(node.component)
        return None if known.whole or known.reach is not None or node.component.kind in UNFED else (0,)

    def _spans(self, each: Sequence[str]) -> tuple[Span, Mapping[str, Span]]:
        """The span of the inputs that are fed frame by frame, and what each node gives."""
        asked = needed(self._network, self._reach)
        for name, (first, last) in asked.items():
            if last - first > _MOST_REACH:
                raise ModelRejected(
                    self._network.path, f"node {name!r} needs more than {_MOST_REACH} frames of context"
                )
        read = [asked[name] for name in each if name in asked]
        whole = (min(0, *(first for first, _ in read), 0), max(0, *(last for _, last in read), 0))
        try:
            self._there = available(self._network, whole, self._reach)
            return whole, made(self._network, self._there, self._reach)
        except Malformed as error:
            raise ModelRejected(self._network.path, str(error)) from None

    def _reach(self, node: Computed) -> Reach:
        known, pools = self._of(node), self._pools(node)
        if pools or known.whole or known.reach is None or self._pads:
            return Reach(pools=pools, whole=known.whole)
        with self._naming(node.component):
            some = known.some(node.component) if known.some is not None else None
            return Reach(*known.reach(node.component), some=some)

    def _input(self, name: str, whole: Span) -> Ended:
        """An input, held at its ends where the utterance is to keep its length."""
        node = self._network.nodes[name]
        dim = node.dim if isinstance(node, Input) else 0
        if not 0 < dim <= MOST_COLUMNS:
            raise ModelRejected(self._network.path, f"input {name!r} has {dim} columns")
        value = self._graph.name(name)
        if name in self._network.once:
            one = self._graph.node("Unsqueeze", (value, self._graph.shape(1)), f"{name}/Unsqueeze")
            self._values[name] = Value(one, dim, (0, 0), once=True)
            return Ended(name, (BATCH, dim))
        if self._held and whole != (0, 0):
            pads = self._graph.shape(0, -whole[0], 0, 0, whole[1], 0)
            value = self._graph.node("Pad", (value, pads), f"{name}/Pad", mode="edge")
        if self._every > 1:
            value = self._ended(value, whole)
        self._values[name] = Value(value, dim, whole)
        return Ended(name, (BATCH, FRAMES, dim))

    def _ended(self, value: str, whole: Span) -> str:
        """Without the frames behind all that the last frame of the output asks for, which Kaldi does not see either."""
        graph, shape = self._graph, self._graph.shape
        count = graph.node("Shape", (value,), "ended/Shape", start=1, end=2)
        context, every = shape(whole[1] - whole[0] + 1), shape(self._every)
        steps = graph.node("Div", (graph.node("Sub", (count, context), "ended/Sub"), every), "ended/Div")
        end = graph.node("Add", (graph.node("Mul", (steps, every), "ended/Mul"), context), "ended/Add")
        return graph.node("Slice", (value, shape(0), end, shape(1)), "ended/Slice")

    def _look(self, one: Node | Once, span: Span, every: int = 1) -> Value:
        value = self._values[one.name]
        if isinstance(one, Once):
            return value
        wanted = shifted(span, one)
        if one.every == 1:
            return shown(self._graph, value, wanted, span, every)
        return counted(self._graph, shown(self._graph, value, wanted, wanted), one, span)

    def _turn(self, circle: Circle, span: Span) -> None:
        """The nodes of a circle, all at once."""
        for name in circle.names:
            node = self._network.nodes[name]
            if isinstance(node, Computed) and not _by_frame(self._of(node), node.component):
                reason = "looks at other frames within a circle, which cannot be brought over"
                raise self._rejected(node.component, Malformed(reason))
        with self._named(f"nodes {', '.join(map(repr, circle.names[:3]))}"):
            turning = Turning(self._graph, self._network, circle, span, self._look, self._node, self._shared)
            self._values |= turning.values()

    def _node(self, name: str, node: Computed | Columns, span: Span, look: Look) -> Value:
        if isinstance(node, Columns):
            if name in self._skipping:
                look = partial(self._look, every=self._every)
            with self._named(f"node {name!r}"):
                return columns(self._graph, look(Node(node.source), span), node.first, node.dim)
        component, known, strides = node.component, self._of(node), self._strides(name, node)
        if strides[0] > 1:
            look = partial(self._look, every=strides[0])
        if component.kind in UNFED:
            with self._naming(component):
                return Value(*known.make(Step(self._graph, component, "", 0)), ALWAYS, once=True)
        reach = self._reach(node)
        with self._naming(component):
            asked = (0, 0) if reach.pools else (span[0] + reach.first, span[1] + reach.last)
            if reach.some is not None:
                there = fed_frames(node, self._there)
                asked = (max(asked[0], there[0]), min(asked[1], there[1]))
            given = fed(self._graph, node.fed, asked, look)
            step = Step(self._graph, component, given.name, given.dim, self._pads, asked, span, strides)
            if given.once and (known.whole or known.reach is not None):
                raise Malformed("looks at other frames of an input that has one")
            value, dim = known.make(step)
            if not 0 < dim <= MOST_COLUMNS:
                raise Malformed(f"makes {dim} columns")
        return Value(value, dim, span, once=given.once or reach.pools, every=strides[1])

    def _strides(self, name: str, node: Computed) -> tuple[int, int]:
        """Of how many frames a node is fed one, and of how many it makes one."""
        if name not in self._skipping:
            return 1, 1
        steps = all(at % self._every == 0 for at in self._offsets(node) or ())
        return self._every if steps else 1, self._every

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        """Malformed of within becomes a refusal that names this."""
        try:
            yield
        except Malformed as error:
            raise ModelRejected(self._network.path, f"{what} {error}") from None

    @contextmanager
    def _naming(self, component: Component) -> Iterator[None]:
        try:
            yield
        except Malformed as error:
            raise self._rejected(component, error) from None

    def _rejected(self, component: Component, error: Malformed) -> ModelRejected:
        return ModelRejected(self._network.path, f"component {component.name!r} ({component.kind}) {error}")


def _word(said: object) -> str:
    return "true" if said else "false"


def _read_by_others(network: Network) -> Iterator[str]:
    """The nodes that are read from outside of their circles."""
    for descriptor in network.outputs.values():
        yield from (one.name for one in references(descriptor))
    for name, node in network.nodes.items():
        circle = network.circles.get(name)
        yield from (one.name for one in reads(node) if network.circles.get(one.name) is not circle)


def _by_frame(known: Known, component: Component) -> bool:
    """Whether it computes each frame from that frame alone."""
    if known.whole or known.some is not None:
        return False
    return known.reach is None or (known.offsets is not None and known.reach(component) == (0, 0))
