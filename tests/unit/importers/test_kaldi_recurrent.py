"""Networks that remember (synthetic), against numpy that follows Kaldi's rules: node by node, frame by frame."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx.reference
import onnxruntime
import pytest

from edgex_inference.importers.kaldi import convert
from edgex_inference.testing.kaldi_models import KaldiNet, KaldiPart

NATURAL: Sequence[tuple[str, Any]] = (
    ("LearningRateFactor", 0.5), ("MaxChange", 0.75), ("LearningRate", 0.001),
)  # fmt: skip
CELLS = 4


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
        if self.part is None:
            first, end = self.columns
            return f"dim-range-node name={self.name} input-node={self.reads[0]} dim-offset={first} dim={end - first}"
        fed = f"Append({', '.join(map(str, self.reads))})" if len(self.reads) > 1 else str((*self.reads, self.name)[0])
        return f"component-node name={self.name} component={self.part.name} input={fed}"


def affine(name: str, outputs: int, inputs: int, *reads: Ref) -> Spec:
    weights, bias = random(outputs, inputs, seed=len(name)), random(outputs, seed=len(name))
    part = KaldiPart("NaturalGradientAffineComponent",
                     (*NATURAL, ("LinearParams", weights), ("BiasParams", bias), ("RankIn", 20), ("RankOut", 80),
                      ("UpdatePeriod", 4), ("NumSamplesHistory", 2000.0), ("Alpha", 4.0)), f"{name}.affine")  # fmt: skip
    return Spec(name, reads, lambda x: weights @ x + bias, part)


def taken(name: str, source: str, first: int, end: int) -> Spec:
    return Spec(name, [Ref(source)], lambda x: x[first:end], columns=(first, end))


def truncated(name: str, dim: int, scale: float, *reads: Ref) -> Spec:
    items = [("Dim", dim), ("Scale", scale), ("ClippingThreshold", 30.0), ("ZeroingThreshold", 15.0),
             ("ZeroingInterval", 20), ("RecurrenceInterval", 3), ("NumElementsClipped", 0.0),
             ("NumElementsZeroed", 0.0), ("NumElementsProcessed", 1.0), ("NumZeroingBoundaries", 0.0)]  # fmt: skip
    part = KaldiPart("BackpropTruncationComponent", items, f"{name}.trunc")
    return Spec(name, reads, lambda x: scale * x, part)


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


def compared(specs: Sequence[Spec], context: tuple[int, int], path: Path, output: str = "out") -> None:
    """Text and binary, held and cut, utterances of several lengths, two at once."""
    lines = ["input-node name=input dim=5", *(one.line() for one in specs), f"output-node name=output input={output}"]
    net = KaldiNet("nnet3", [one.part for one in specs if one.part], lines)
    for binary, edges in ((True, "held"), (False, "held"), (True, "cut")):
        model = convert(net.write(path, binary=binary), edges=edges)  # type: ignore[arg-type]
        said = {pair.key: pair.value for pair in model.metadata_props}
        assert (int(said["context.left"]), int(said["context.right"]), said["recurrent"]) == (*context, "true")
        for frames in (1, 7, 12):
            data = random(2, frames + (sum(context) if edges == "cut" else 0), 5, seed=9) * 2
            for found in answers(model, {"input": data}):
                assert found.shape[:2] == (2, frames)
                for utterance, answer in zip(data, found, strict=True):
                    value = evaluated(specs, utterance, context if edges == "held" else (0, 0))
                    first = context[0] if edges == "cut" else 0
                    wanted = np.stack([value(output, first + t) for t in range(frames)])
                    np.testing.assert_allclose(answer, wanted, rtol=1e-4, atol=1e-5)


def answers(model: Any, feeds: Mapping[str, Any]) -> Sequence[Any]:
    """ONNX Runtime's, and those of ONNX's own evaluator."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    exact = onnx.reference.ReferenceEvaluator(model)
    return [session.run(["output"], dict(feeds))[0], exact.run(["output"], dict(feeds))[0]]


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


@pytest.mark.parametrize("delay", [-3, -1, 2])
@pytest.mark.parametrize("dropout", [True, False])
def test_an_lstm_between_layers_with_context(delay: int, dropout: bool, tmp_path: Path) -> None:
    """Its state begins where the context that other layers ask for does."""
    specs = [
        affine("tdnn", 6, 15, Ref("input", -1), Ref("input"), Ref("input", 2)),
        *fast_lstm("lstm", delay, Ref("tdnn"), 6, dropout=dropout),
        affine("out", 3, 8, Ref("lstm.rp", -2), Ref("lstm.rp", 1)),
    ]
    compared(specs, (3, 3), tmp_path / "final.mdl")


def test_both_directions_and_a_second_layer(tmp_path: Path) -> None:
    specs = [
        *fast_lstm("fore", -3, Ref("input"), 5, dropout=False),
        *fast_lstm("back", 3, Ref("input"), 5, dropout=False),
        affine("both", 5, 8, Ref("fore.rp"), Ref("back.rp")),
        *fast_lstm("second", -2, Ref("both"), 5, dropout=True),
        affine("out", 3, 4, Ref("second.rp")),
    ]
    compared(specs, (0, 0), tmp_path / "final.raw")


def simple(name: str, kind: str, dim: int, compute: Callable[[Any], Any], *reads: Ref) -> Spec:
    none = np.zeros(0, np.float32)
    items: list[tuple[str, Any]] = [("Dim", dim), ("ValueAvg", none), ("DerivAvg", none), ("Count", 0.0),
             ("OderivRms", none), ("OderivCount", 0.0), ("NumDimsSelfRepaired", 0.0), ("NumDimsProcessed", 0.0)]
    if kind == "NoOpComponent":
        items = [("Dim", dim), ("BackpropScale", 1.0)]
    if kind == "ElementwiseProductComponent":
        items = [("InputDim", 2 * dim), ("OutputDim", dim)]
    return Spec(name, reads, compute, KaldiPart(kind, items, f"{name}.{kind}"))


def product(name: str, *reads: Ref) -> Spec:
    return simple(name, "ElementwiseProductComponent", CELLS, lambda x: x[:CELLS] * x[CELLS:], *reads)


def test_an_lstm_of_plain_components(tmp_path: Path) -> None:
    """lstm-layer of Kaldi's scripts, without peepholes: every gate is a node, c and r are read one frame ago."""
    past = Ref("r", -1, CELLS)
    specs = [
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
    compared(specs, (0, 2), tmp_path / "final.raw")


def gru_items(weights: Any, *more: tuple[str, Any]) -> Sequence[tuple[str, Any]]:
    return [*NATURAL, ("CellDim", CELLS), *more, ("w_h", weights), ("ValueAvg", random(CELLS)),
            ("DerivAvg", random(CELLS)), ("SelfRepairTotal", 0.0), ("Count", 1.0), ("SelfRepairThreshold", 0.2),
            ("SelfRepairScale", 1e-5), ("Alpha", 4.0)]  # fmt: skip


@pytest.mark.parametrize("narrow", [2, CELLS])
def test_a_gru(narrow: int, tmp_path: Path) -> None:
    """With a projection of its past, and without one."""
    weights = random(CELLS, narrow)

    def compute(x: Any) -> Any:
        keep, reset, part, last = np.split(x[: 3 * CELLS + narrow], np.cumsum([CELLS, narrow, CELLS]))
        h = np.tanh(part + weights @ (reset * x[-narrow:]))
        return np.concatenate((h, (1 - keep) * h + keep * last))

    items = [*gru_items(weights, ("RecurrentDim", narrow)), ("RankInOut", 20), ("", 80), ("UpdatePeriod", 4)]
    past = Ref("s", -3, narrow)
    carried = [Ref("y", -3, CELLS)] if narrow < CELLS else []
    specs = [
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
    compared(specs, (0, 0), tmp_path / "final.raw")


def test_an_output_gru(tmp_path: Path) -> None:
    weights = random(CELLS)

    def compute(x: Any) -> Any:
        keep, part, last = x.reshape(3, CELLS)
        h = np.tanh(part + weights * last)
        return np.concatenate((h, (1 - keep) * h + keep * last))

    items = [*gru_items(weights), ("Rank", 8), ("UpdatePeriod", 4)]
    specs = [
        affine("z1", CELLS, 5 + CELLS, Ref("input"), Ref("y", -1, CELLS)),
        simple("z", "SigmoidComponent", CELLS, sigmoid, Ref("z1")),
        affine("part", CELLS, 5, Ref("input")),
        Spec("cell", [Ref("z"), Ref("part"), Ref("y", -1, CELLS)], compute,
             KaldiPart("OutputGruNonlinearityComponent", items, "nonlin")),
        taken("y", "cell", CELLS, 2 * CELLS),
        affine("out", 3, CELLS, Ref("y")),
    ]  # fmt: skip
    compared(specs, (0, 0), tmp_path / "final.raw")


def test_frames_one_and_three_ago(tmp_path: Path) -> None:
    """Two distances in one circle, and IfDefined outside of it: zeros where Kaldi has no frame, not more context."""
    specs = [
        affine("wide", 4, 10, Ref("input", -1), Ref("input", 1)),
        affine("a", 3, 5 + 6, Ref("input"), Ref("b", -1, 3), Ref("b", -3, 3)),
        simple("b", "TanhComponent", 3, np.tanh, Ref("a")),
        affine("out", 3, 3 + 8, Ref("b"), Ref("wide"), Ref("wide", -2, 4)),
    ]
    compared(specs, (1, 1), tmp_path / "final.raw")


@dataclass(frozen=True)
class Projected:
    """nnet1's weights of one direction."""

    inputs: Any
    past: Any
    bias: Any
    peepholes: Any
    projection: Any

    def items(self) -> Sequence[tuple[str, Any]]:
        arrays = (self.inputs, self.past, self.bias, *self.peepholes, self.projection)
        return [("", one) for one in arrays]

    def run(self, frames: Sequence[Any], clip: float) -> Sequence[Any]:
        state, answer, found = np.zeros(CELLS), np.zeros(2), []
        for x in frames:
            new, into, forget, out = (self.inputs @ x + self.past @ answer + self.bias).reshape(4, CELLS)
            into, forget = sigmoid(into + self.peepholes[0] * state), sigmoid(forget + self.peepholes[1] * state)
            state = np.clip(np.tanh(new) * into + state * forget, -clip, clip)
            answer = self.projection @ (np.tanh(state) * sigmoid(out + self.peepholes[2] * state))
            found.append(answer)
        return found


def projected(seed: int) -> Projected:
    return Projected(random(4 * CELLS, 10, seed=seed), random(4 * CELLS, 2, seed=seed), random(4 * CELLS, seed=seed),
                     random(3, CELLS, seed=seed), random(2, CELLS, seed=seed))  # fmt: skip


@pytest.mark.parametrize("kind", ["LstmProjected", "LstmProjectedStreams", "BlstmProjected", "BlstmProjectedStreams",
                                  "RecurrentComponent"])  # fmt: skip
def test_nnet1_remembers_from_the_first_frame(kind: str, tmp_path: Path) -> None:
    """Between two Splices; the clip of the state is narrow enough to be met."""
    fore, back, both = projected(1), projected(2), kind.startswith("Blstm")
    clip, wide, plain = 0.3, 4 if both else 2, (random(2, 10), random(2, 2), random(2))
    items: list[tuple[str, Any]] = [("CellDim", CELLS), ("LearnRateCoef", 1.0), ("BiasLearnRateCoef", 1.0),
                                    ("CellClip", clip), ("DiffClip", 1.0), ("CellDiffClip", 0.0), ("GradClip", 5.0)]
    items += [*fore.items(), *(back.items() if both else [])]
    if kind == "RecurrentComponent":
        items = [("GradClip", 5.0), ("DiffClip", 1.0), ("LearnRateCoef", 1.0), *(("", one) for one in plain)]
    parts = [KaldiPart("Splice", (("", [-1, 1]),)), KaldiPart(kind, items), KaldiPart("Splice", (("", [-2, 0]),))]
    net = KaldiNet("nnet1", parts, dims={0: (10, 5), 1: (wide, 10), 2: (2 * wide, wide)})

    def between(frames: Sequence[Any]) -> Sequence[Any]:
        if kind == "RecurrentComponent":
            found, answer = [], np.zeros(2)
            for x in frames:
                answer = np.tanh(plain[0] @ x + plain[1] @ answer + plain[2])
                found.append(answer)
            return found
        ahead = fore.run(frames, clip)
        behind = back.run(frames[::-1], clip)[::-1] if both else [np.zeros(0)] * len(frames)
        return [np.concatenate(pair) for pair in zip(ahead, behind, strict=True)]

    data = 3 * random(2, 9, 5, seed=4)
    for binary in (True, False):
        file = net.write(tmp_path / "final.nnet", binary=binary)
        for found in answers(convert(file), {"input": data}):
            for utterance, answer in zip(data.astype(np.float64), found, strict=True):
                x = [np.concatenate((utterance[max(t - 1, 0)], utterance[min(t + 1, 8)])) for t in range(9)]
                y = between(x)
                wanted = np.stack([np.concatenate((y[max(t - 2, 0)], y[t])) for t in range(9)])
                np.testing.assert_allclose(answer, wanted, rtol=1e-4, atol=1e-5)
        for found in answers(convert(file, edges="cut"), {"input": data}):
            x = [np.concatenate((data[0, t - 1], data[0, t + 1])) for t in range(1, 8)]
            y = between(x)
            wanted = np.stack([np.concatenate((y[t - 2], y[t])) for t in range(2, 7)])
            np.testing.assert_allclose(found[0], wanted, rtol=1e-4, atol=1e-5)
