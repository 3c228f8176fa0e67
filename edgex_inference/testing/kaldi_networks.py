"""nnet3's networks that remember, as Kaldi's scripts lay them out (synthetic), each node with its formula in numpy."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgex_inference.testing.kaldi_components import (
    NATURAL,
    NNET3,
    PAIRS,
    PRECONDITIONER,
    attention,
    constants,
    heights,
    surrounded,
    with_ivector,
    x_vector,
)
from edgex_inference.testing.kaldi_models import KaldiNet, KaldiPart
from edgex_inference.testing.kaldi_statistics import STATISTICS

CELLS = 4
"""Of every memory here."""


def random(*shape: int, seed: int = 0) -> Any:
    return (0.6 * np.random.default_rng(sum(shape) + seed).standard_normal(shape)).astype(np.float32)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


@dataclass(frozen=True)
class Ref:
    """Another node, `offset` frames later; `maybe` is Kaldi's IfDefined, `width` what is put where it is not."""

    name: str
    offset: int = 0
    maybe: int = 0

    def __str__(self) -> str:
        found = f"Offset({self.name}, {self.offset})" if self.offset else self.name
        return f"IfDefined({found})" if self.maybe else found


@dataclass(frozen=True)
class Spec:
    """A node: the component that it is, or the columns that it takes; what it reads; what it computes."""

    name: str
    reads: Sequence[Ref]
    compute: Callable[[Any], Any]
    part: KaldiPart | None = None
    columns: tuple[int, int] = (0, 0)

    def line(self) -> str:
        """As a file of Kaldi says it."""
        if self.part is None:
            first, end = self.columns
            return f"dim-range-node name={self.name} input-node={self.reads[0]} dim-offset={first} dim={end - first}"
        fed = (
            f"Append({', '.join(map(str, self.reads))})"
            if len(self.reads) > 1
            else str((*self.reads, self.name)[0])
        )
        return f"component-node name={self.name} component={self.part.name} input={fed}"


def affine(name: str, outputs: int, inputs: int, *reads: Ref) -> Spec:
    weights, bias = random(outputs, inputs, seed=len(name)), random(outputs, seed=len(name))
    items = (*NATURAL, ("LinearParams", weights), ("BiasParams", bias), *PRECONDITIONER)
    part = KaldiPart("NaturalGradientAffineComponent", items, f"{name}.affine")
    return Spec(name, reads, lambda x: weights @ x + bias, part)


def taken(name: str, source: str, first: int, end: int) -> Spec:
    return Spec(name, [Ref(source)], lambda x: x[first:end], columns=(first, end))


def truncated(name: str, dim: int, scale: float, *reads: Ref) -> Spec:
    items = [("Dim", dim), ("Scale", scale), ("ClippingThreshold", 30.0), ("ZeroingThreshold", 15.0),
             ("ZeroingInterval", 20), ("RecurrenceInterval", 3), ("NumElementsClipped", 0.0),
             ("NumElementsZeroed", 0.0), ("NumElementsProcessed", 1.0), ("NumZeroingBoundaries", 0.0)]  # fmt: skip
    part = KaldiPart("BackpropTruncationComponent", items, f"{name}.trunc")
    return Spec(name, reads, lambda x: scale * x, part)


def lstm_cell(weights: Any, *, dropout: bool) -> Callable[[Any], Any]:
    def compute(x: Any) -> Any:
        gates, scales = x[: 5 * CELLS].reshape(5, CELLS), x[5 * CELLS :] if dropout else np.ones(3)
        into, forget = sigmoid(gates[0] + weights[0] * gates[4]), sigmoid(gates[1] + weights[1] * gates[4])
        state = forget * scales[1] * gates[4] + into * scales[0] * np.tanh(gates[2])
        return np.concatenate((state, sigmoid(gates[3] + weights[2] * state) * scales[2] * np.tanh(state)))

    return compute


def fast_lstm(name: str, delay: int, fed: Ref, dim: int, *, dropout: bool) -> Sequence[Spec]:
    """As Kaldi's scripts write fast-lstmp-layer: a projection, half of which is fed again."""
    weights = random(3, CELLS, seed=len(name))
    items = [*NATURAL, ("Params", weights), ("ValueAvg", random(5, CELLS)), ("DerivAvg", random(5, CELLS)),
             ("SelfRepairConfig", random(10)), ("SelfRepairProb", random(5)),
             *([("UseDropout", True)] if dropout else []), ("Count", 3.0)]  # fmt: skip
    mask = KaldiPart("DropoutMaskComponent",
                     [("OutputDim", 3), ("DropoutProportion", 0.25), ("TestMode", True)], f"{name}.m")  # fmt: skip
    reads = [Ref(f"{name}.all"), Ref(f"{name}.c_trunc", delay, CELLS)]
    return [
        affine(f"{name}.all", 4 * CELLS, dim + 2, fed, Ref(f"{name}.r_trunc", delay, 2)),
        *([Spec(f"{name}.mask", [], lambda _: np.full(3, 0.75), mask)] if dropout else []),
        Spec(f"{name}.cell", [*reads, *([Ref(f"{name}.mask")] if dropout else [])],
             lstm_cell(weights, dropout=dropout), KaldiPart("LstmNonlinearityComponent", items, f"{name}.nonlin")),
        taken(f"{name}.c", f"{name}.cell", 0, CELLS),
        taken(f"{name}.m", f"{name}.cell", CELLS, 2 * CELLS),
        affine(f"{name}.rp", 4, CELLS, Ref(f"{name}.m")),
        taken(f"{name}.r", f"{name}.rp", 0, 2),
        truncated(f"{name}.trunc", CELLS + 2, 0.9, Ref(f"{name}.c"), Ref(f"{name}.r")),
        taken(f"{name}.c_trunc", f"{name}.trunc", 0, CELLS),
        taken(f"{name}.r_trunc", f"{name}.trunc", CELLS, CELLS + 2),
    ]  # fmt: skip


def simple(name: str, kind: str, dim: int, compute: Callable[[Any], Any], *reads: Ref) -> Spec:
    none = np.zeros(0, np.float32)
    items: list[tuple[str, Any]] = [
        ("Dim", dim),
        ("ValueAvg", none),
        ("DerivAvg", none),
        ("Count", 0.0),
        ("OderivRms", none),
        ("OderivCount", 0.0),
        ("NumDimsSelfRepaired", 0.0),
        ("NumDimsProcessed", 0.0),
    ]
    if kind == "NoOpComponent":
        items = [("Dim", dim), ("BackpropScale", 1.0)]
    if kind == "ElementwiseProductComponent":
        items = [("InputDim", 2 * dim), ("OutputDim", dim)]
    return Spec(name, reads, compute, KaldiPart(kind, items, f"{name}.{kind}"))


def product(name: str, *reads: Ref) -> Spec:
    return simple(name, "ElementwiseProductComponent", CELLS, lambda x: x[:CELLS] * x[CELLS:], *reads)


def gru_items(weights: Any, *more: tuple[str, Any]) -> Sequence[tuple[str, Any]]:
    return [*NATURAL, ("CellDim", CELLS), *more, ("w_h", weights), ("ValueAvg", random(CELLS)),
            ("DerivAvg", random(CELLS)), ("SelfRepairTotal", 0.0), ("Count", 1.0), ("SelfRepairThreshold", 0.2),
            ("SelfRepairScale", 1e-5), ("Alpha", 4.0)]  # fmt: skip


def _between(delay: int, *, dropout: bool) -> Sequence[Spec]:
    """An LSTM between layers that ask for context: its state begins where that does."""
    return [
        affine("tdnn", 6, 15, Ref("input", -1), Ref("input"), Ref("input", 2)),
        *fast_lstm("lstm", delay, Ref("tdnn"), 6, dropout=dropout),
        affine("out", 3, 8, Ref("lstm.rp", -2), Ref("lstm.rp", 1)),
    ]


def _both_directions() -> Sequence[Spec]:
    """And a second layer above them."""
    return [
        *fast_lstm("fore", -3, Ref("input"), 5, dropout=False),
        *fast_lstm("back", 3, Ref("input"), 5, dropout=False),
        affine("both", 5, 8, Ref("fore.rp"), Ref("back.rp")),
        *fast_lstm("second", -2, Ref("both"), 5, dropout=True),
        affine("out", 3, 4, Ref("second.rp")),
    ]


def _plain_lstm() -> Sequence[Spec]:
    """lstm-layer, without peepholes: every gate is a node, c and r are read one frame ago."""
    past = Ref("r", -1, CELLS)
    return [
        *(affine(f"{gate}1", CELLS, 5 + CELLS, Ref("input", 1), past) for gate in ("in", "forg", "outg", "g")),
        *(simple(f"{gate}_t", "SigmoidComponent", CELLS, sigmoid, Ref(f"{gate}1")) for gate in ("in", "forg", "outg")),
        simple("g_t", "TanhComponent", CELLS, np.tanh, Ref("g1")),
        product("c1", Ref("forg_t"), Ref("c", -1, CELLS)),
        product("c2", Ref("in_t"), Ref("g_t")),
        simple("c12", "NoOpComponent", 2 * CELLS, lambda x: x, Ref("c1"), Ref("c2")),
        Spec("c", [Ref("c12")], lambda x: x[:CELLS] + x[CELLS:],
             KaldiPart("SumBlockComponent", [("InputDim", 2 * CELLS), ("OutputDim", CELLS), ("Scale", 1.0)], "sum")),
        simple("h", "TanhComponent", CELLS, np.tanh, Ref("c")),
        product("m", Ref("outg_t"), Ref("h")),
        truncated("r", CELLS, 1.0, Ref("m")),
        affine("out", 3, 2 * CELLS, Ref("r"), Ref("m", 1)),
    ]  # fmt: skip


def _gru(narrow: int) -> Sequence[Spec]:
    """With a projection of its past, and without one."""
    weights = random(CELLS, narrow)

    def compute(x: Any) -> Any:
        keep, reset, part, last = np.split(x[: 3 * CELLS + narrow], np.cumsum([CELLS, narrow, CELLS]))
        h = np.tanh(part + weights @ (reset * x[-narrow:]))
        return np.concatenate((h, (1 - keep) * h + keep * last))

    items = [*gru_items(weights, ("RecurrentDim", narrow)), ("RankInOut", 20), ("", 80), ("UpdatePeriod", 4)]
    past = Ref("s", -3, narrow)
    carried = [Ref("y", -3, CELLS)] if narrow < CELLS else []
    return [
        affine("z1", CELLS, 5 + narrow, Ref("input"), past),
        simple("z", "SigmoidComponent", CELLS, sigmoid, Ref("z1")),
        affine("r1", narrow, 5 + narrow, Ref("input"), past),
        simple("r", "SigmoidComponent", narrow, sigmoid, Ref("r1")),
        affine("part", CELLS, 5, Ref("input")),
        Spec("cell", [Ref("z"), Ref("r"), Ref("part"), *carried, past], compute,
             KaldiPart("GruNonlinearityComponent", items, "nonlin")),
        taken("y", "cell", CELLS, 2 * CELLS),
        affine("s1", narrow, CELLS, Ref("y")) if narrow < CELLS else simple("s1", "NoOpComponent", CELLS,
                                                                           lambda x: x, Ref("y")),
        truncated("s", narrow, 0.8, Ref("s1")),
        affine("out", 3, CELLS, Ref("y")),
    ]  # fmt: skip


def _output_gru() -> Sequence[Spec]:
    weights = random(CELLS)

    def compute(x: Any) -> Any:
        keep, part, last = x.reshape(3, CELLS)
        h = np.tanh(part + weights * last)
        return np.concatenate((h, (1 - keep) * h + keep * last))

    items = [*gru_items(weights), ("Rank", 8), ("UpdatePeriod", 4)]
    return [
        affine("z1", CELLS, 5 + CELLS, Ref("input"), Ref("y", -1, CELLS)),
        simple("z", "SigmoidComponent", CELLS, sigmoid, Ref("z1")),
        affine("part", CELLS, 5, Ref("input")),
        Spec("cell", [Ref("z"), Ref("part"), Ref("y", -1, CELLS)], compute,
             KaldiPart("OutputGruNonlinearityComponent", items, "nonlin")),
        taken("y", "cell", CELLS, 2 * CELLS),
        affine("out", 3, CELLS, Ref("y")),
    ]  # fmt: skip


def _two_distances() -> Sequence[Spec]:
    """Two distances in one circle, and IfDefined outside of it: zeros where Kaldi has no frame, not more context."""
    return [
        affine("wide", 4, 10, Ref("input", -1), Ref("input", 1)),
        affine("a", 3, 5 + 6, Ref("input"), Ref("b", -1, 3), Ref("b", -3, 3)),
        simple("b", "TanhComponent", 3, np.tanh, Ref("a")),
        affine("out", 3, 3 + 8, Ref("b"), Ref("wide"), Ref("wide", -2, 4)),
    ]


NETWORKS: Mapping[str, tuple[Sequence[Spec], tuple[int, int]]] = {
    **{
        f"LSTM {delay}{' with dropout' if dropout else ''}": (_between(delay, dropout=dropout), (3, 3))
        for delay in (-3, -1, 2)
        for dropout in (True, False)
    },
    "LSTM both ways": (_both_directions(), (0, 0)),
    "LSTM of plain components": (_plain_lstm(), (0, 2)),
    "GRU": (_gru(CELLS), (0, 0)),
    "GRU with a projection": (_gru(2), (0, 0)),
    "OPGRU": (_output_gru(), (0, 0)),
    "two distances": (_two_distances(), (1, 1)),
}
"""Of 5 columns, with a node `out`; and the context that each has."""


def written(specs: Sequence[Spec]) -> KaldiNet:
    """The network with the input `input` and the output `output`, which is the node `out`."""
    lines = [
        "input-node name=input dim=5",
        *(one.line() for one in specs),
        "output-node name=output input=out",
    ]
    return KaldiNet("nnet3", [one.part for one in specs if one.part], lines)


def evaluated(specs: Sequence[Spec], data: Any, context: tuple[int, int]) -> Callable[[str, int], Any]:
    """A node's frame, None where it needs one that is not there; the ends of the data are held over the context."""
    nodes = {one.name: one for one in specs}

    @functools.cache
    def value(name: str, t: int) -> Any:
        if name == "input":
            there = -context[0] <= t < len(data) + context[1]
            return data[min(max(t, 0), len(data) - 1)].astype(np.float64) if there else None
        parts = []
        for one in nodes[name].reads:
            found = value(one.name, t + one.offset)
            if found is None and not one.maybe:
                return None
            parts.append(np.zeros(one.maybe) if found is None else found)
        return nodes[name].compute(np.concatenate(parts) if parts else None)

    return value


def components() -> KaldiNet:
    """All components that work frame by frame, side by side over an input of 6 columns."""
    parts = [KaldiPart(kind, items, kind) for kind, items, _ in NNET3]
    lines = ["input-node name=input dim=6"]
    lines += [f"component-node name=n{at} component={part.kind} input=input" for at, part in enumerate(parts)]
    fed = ", ".join(f"n{at}" for at in range(len(parts)))
    return KaldiNet("nnet3", parts, [*lines, f"output-node name=output input=Append({fed})"])


def remembering_ivector() -> KaldiNet:
    """A plain recurrent layer that reads an iVector of 2 columns in each frame."""
    past = affine("a", 3, 10, Ref("input"), Ref("ivector"), Ref("t", -1, 3))
    again = simple("t", "TanhComponent", 3, np.tanh, Ref("a"))
    lines = [
        "input-node name=ivector dim=2",
        "input-node name=input dim=5",
        "output-node name=output input=t",
    ]
    lines += [past.line().replace("ivector", "ReplaceIndex(ivector, t, 0)"), again.line()]
    return KaldiNet("nnet3", [one.part for one in (past, again) if one.part], lines)


def counting() -> KaldiNet:
    """What is read depends on the number of the frame: each third, each fourth, one of two in turn."""
    node = affine("a", 4, 10, Ref("input", -1), Ref("third"))
    lines = ["input-node name=input dim=5", node.line().replace("third", "Round(input, 3)")]
    parts = "Switch(a, Offset(a, 1)), Round(Offset(a, -2), 4), Offset(Round(a, 2), 1), IfDefined(Round(a, 5))"
    lines.append(f"output-node name=output input=Append({parts}, Offset(Switch(a, Offset(a, -1), a), 2))")
    return KaldiNet("nnet3", [node.part] if node.part else [], lines)


def chain() -> KaldiNet:
    """Layers as of a chain model: the upper ones look at each third frame, and there is what bypasses them."""

    def tdnn(name: str, outputs: int, inputs: int, *frames: int) -> KaldiPart:
        weights = random(outputs, inputs * len(frames), seed=len(name))
        return KaldiPart("TdnnComponent", (
            *NATURAL, ("TimeOffsets", list(frames)), ("LinearParams", weights), ("BiasParams", random(outputs)),
            ("OrthonormalConstraint", 0.0), ("UseNaturalGradient", True), ("NumSamplesHistory", 2000.0),
            ("AlphaInOut", 4.0), ("", 4.0), ("RankInOut", 20), ("", 80)), name)  # fmt: skip

    parts = [
        tdnn("t1", 6, 5, -1, 0, 1), tdnn("t2", 6, 6, -1, 1), tdnn("t3.in", 4, 6, -3, 0), tdnn("t3.out", 6, 4, 0, 3),
        tdnn("t4.in", 4, 6, -3, 0), tdnn("t4.out", 6, 4, 0, 3), tdnn("last", 3, 12, 0),
        *(one.part for one in (simple(f"r{at}", "RectifiedLinearComponent", 6, lambda x: x) for at in (1, 2, 3, 4))
          if one.part),
    ]  # fmt: skip
    fed = {
        "t1": "input", "r1": "t1", "t2": "r1", "r2": "t2", "t3.in": "r2", "t3.out": "t3.in", "r3": "t3.out",
        "n3": "Sum(Scale(0.66, r2), r3)", "t4.in": "n3", "t4.out": "t4.in", "r4": "t4.out",
        "last": "Append(Sum(Scale(0.66, n3), r4), Offset(r3, -3))",
    }  # fmt: skip
    parts.append(KaldiPart("NoOpComponent", [("Dim", 6), ("BackpropScale", 1.0)], "n3"))
    kinds = {one.name: one.name for one in parts} | {
        f"r{at}": f"r{at}.RectifiedLinearComponent" for at in (1, 2, 3, 4)
    }
    lines = ["input-node name=input dim=5"]
    lines += [
        f"component-node name={name} component={kinds[name]} input={read}" for name, read in fed.items()
    ]
    return KaldiNet("nnet3", parts, [*lines, "output-node name=output input=last"])


OTHERS: Mapping[str, KaldiNet] = {
    "components": components(),
    "iVector": with_ivector(random(4, 13), random(4)),
    "iVector that a memory reads": remembering_ivector(),
    "convolution over time and height": heights(2, random(3, 2 * len(PAIRS)), random(3)),
    "convolution beside more context": surrounded(heights(1, random(3, 2 * len(PAIRS)), random(3))),
    "attention": attention(1, context=True),
    "attention that needs no other frame": attention(0, context=False),
    "constants": constants(),
    "counted frames": counting(),
    "x-vector": x_vector(random(4, 12), random(4)),
    **{name: one.net() for name, one in STATISTICS.items()},
    "chain": chain(),
}
"""Those that remember nothing, or have more than one input."""
