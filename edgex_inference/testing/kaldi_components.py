"""nnet3's components as Kaldi writes them (synthetic): of single frames, with formulas in numpy, and of several."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgex_inference.testing.kaldi_models import KaldiNet, KaldiPart


def random(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(sum(shape) + seed).standard_normal(shape).astype(np.float32)


def softmax(x: Any) -> Any:
    powers = np.exp(x - x.max())
    return powers / powers.sum()


W, B, V = random(5, 6), random(5), random(6)
SMALL, BLOCK = random(2, 3), random(4, 3)
POSITIVE = np.abs(random(6)) + 0.5
NATURAL: Sequence[tuple[str, Any]] = (
    ("LearningRateFactor", 0.5),
    ("MaxChange", 0.75),
    ("LearningRate", 0.001),
)
ACTIVATION: Sequence[tuple[str, Any]] = (
    ("Dim", 6), ("ValueAvg", random(6)), ("DerivAvg", np.zeros(0, np.float32)), ("Count", 3.5),
    ("OderivRms", random(6)), ("OderivCount", 0.0), ("NumDimsSelfRepaired", 0.0), ("NumDimsProcessed", 12.0),
)  # fmt: skip


def affine(x: Any) -> Any:
    return W @ x + B


def batch_norm(x: Any) -> Any:
    return 0.5 * (x - np.tile(V[:3], 2)) / np.sqrt(np.tile(POSITIVE[:3], 2) + 1e-3)


def normalized(x: Any) -> Any:
    parts = []
    for block in x.reshape(2, 3):
        root = np.sqrt(np.mean(block**2))
        parts += [block * 0.5 / root, [np.log(root)]]
    return np.concatenate(parts)


def grid(x: Any) -> Any:
    """3 × 2 (x, y) with one z: filters of 2 × 1, moved by 1."""
    picture = x.reshape(3, 2, 1)
    return np.concatenate(
        [SMALL[:, :2] @ picture[i : i + 2, j].reshape(-1) + B[:2] for i in range(2) for j in range(2)]
    )


NNET3: Sequence[tuple[str, Sequence[tuple[str, Any]], Callable[[Any], Any]]] = (
    ("AffineComponent", (*NATURAL, ("LinearParams", W), ("BiasParams", B)), affine),
    ("FixedAffineComponent", (("LinearParams", W.astype(np.float64)), ("BiasParams", B)), affine),
    ("NaturalGradientAffineComponent", (*NATURAL, ("LinearParams", W), ("BiasParams", B), ("RankIn", 20),
     ("RankOut", 80), ("UpdatePeriod", 4), ("NumSamplesHistory", 2000.0), ("Alpha", 4.0)), affine),
    ("LinearComponent", (*NATURAL, ("Params", W), ("OrthonormalConstraint", -1.0), ("UseNaturalGradient", True),
     ("RankInOut", 20), ("", 80), ("Alpha", 4.0), ("NumSamplesHistory", 2000.0), ("UpdatePeriod", 4)), lambda x: W @ x),
    ("BlockAffineComponent", (*NATURAL, ("NumBlocks", 2), ("LinearParams", BLOCK), ("BiasParams", B[:4])),
     lambda x: np.concatenate((BLOCK[:2] @ x[:3], BLOCK[2:] @ x[3:])) + B[:4]),
    ("RepeatedAffineComponent", (*NATURAL, ("NumRepeats", 2), ("LinearParams", SMALL), ("BiasParams", B[:2])),
     lambda x: np.concatenate((SMALL @ x[:3] + B[:2], SMALL @ x[3:] + B[:2]))),
    ("RectifiedLinearComponent", ACTIVATION, lambda x: np.maximum(x, 0)),
    ("SigmoidComponent", ACTIVATION, lambda x: 1 / (1 + np.exp(-x))),
    ("TanhComponent", ACTIVATION, np.tanh),
    ("SoftmaxComponent", ACTIVATION, softmax),
    ("LogSoftmaxComponent", ACTIVATION, lambda x: np.log(softmax(x))),
    ("BatchNormComponent", (("Dim", 6), ("BlockDim", 3), ("Epsilon", 0.001), ("TargetRms", 0.5), ("TestMode", False),
     ("Count", 10.0), ("StatsMean", V[:3]), ("StatsVar", POSITIVE[:3])), batch_norm),
    ("NormalizeComponent", (("InputDim", 6), ("BlockDim", 3), ("TargetRms", 0.5), ("AddLogStddev", True)), normalized),
    ("PnormComponent", (("InputDim", 6), ("OutputDim", 3)), lambda x: np.sqrt((x.reshape(3, 2) ** 2).sum(1))),
    ("FixedScaleComponent", (("Scales", V),), lambda x: V * x),
    ("FixedBiasComponent", (("Bias", V),), lambda x: V + x),
    ("PerElementScaleComponent", (*NATURAL, ("Params", V)), lambda x: V * x),
    ("PerElementOffsetComponent", (*NATURAL, ("Offsets", V[:3]), ("Dim", 6), ("UseNaturalGradient", True)),
     lambda x: x + np.tile(V[:3], 2)),
    ("ScaleAndOffsetComponent", (*NATURAL, ("Dim", 6), ("Scales", np.array([2, -1e-6, 1], np.float32)),
     ("Offsets", V[:3]), ("UseNaturalGradient", True), ("Rank", 20)),
     lambda x: x * np.tile([2, -1e-4, 1], 2) + np.tile(V[:3], 2)),
    ("SumGroupComponent", (("Sizes", [1, 3, 2]),), lambda x: np.array([x[0], x[1:4].sum(), x[4:].sum()])),
    ("SumBlockComponent", (("InputDim", 6), ("OutputDim", 2), ("Scale", 0.5)), lambda x: 0.5 * x.reshape(3, 2).sum(0)),
    ("ElementwiseProductComponent", (("InputDim", 6), ("OutputDim", 3)), lambda x: x[:3] * x[3:]),
    ("PermuteComponent", (("ColumnMap", [2, 0, 1, 5, 3, 4]),), lambda x: x[[2, 0, 1, 5, 3, 4]]),
    ("ConstantFunctionComponent", (("LearningRateFactor", 0.5), ("LearningRate", 0.001), ("InputDim", 6), ("Output", B),
     ("IsUpdatable", True), ("UseNaturalGradient", True)), lambda x: B),
    ("NoOpComponent", (("Dim", 6), ("BackpropScale", 1.0)), lambda x: x),
    ("DropoutComponent", (("Dim", 6), ("DropoutProportion", 0.25), ("DropoutPerFrame", False), ("TestMode", True)),
     lambda x: 0.75 * x),
    ("ConvolutionComponent", (*NATURAL, ("InputXDim", 3), ("InputYDim", 2), ("InputZDim", 1), ("FiltXDim", 2),
     ("FiltYDim", 1), ("FiltXStep", 1), ("FiltYStep", 1), ("InputVectorization", 1), ("FilterParams", SMALL[:, :2]),
     ("BiasParams", B[:2]), ("IsGradient", False)), grid),
    ("MaxpoolingComponent", (("InputXDim", 3), ("InputYDim", 2), ("InputZDim", 1), ("PoolXSize", 2), ("PoolYSize", 1),
     ("PoolZSize", 1), ("PoolXStep", 1), ("PoolYStep", 1), ("PoolZStep", 1)),
     lambda x: np.maximum(x[:4], x[2:])),
)  # fmt: skip

PRECONDITIONER: Sequence[tuple[str, Any]] = (
    ("RankIn", 20), ("RankOut", 80), ("UpdatePeriod", 4), ("NumSamplesHistory", 2000.0), ("Alpha", 4.0),
)  # fmt: skip
"""Of a NaturalGradientAffineComponent, for training."""
PAIRS = [(t, h) for t in (-2, 0, 2) for h in (-1, 0, 1)]
"""Of frames and heights that `heights` looks at."""


def with_ivector(weights: Any, bias: Any) -> KaldiNet:
    """An affine map of two frames of 5 columns and an iVector of 3, within an acoustic model."""
    parts = [KaldiPart("FixedAffineComponent", (("LinearParams", weights), ("BiasParams", bias)), "lda")]
    lines = [
        "input-node name=ivector dim=3",
        "input-node name=input dim=5",
        "component-node name=lda component=lda input=Append(Offset(input, -1), input, ReplaceIndex(ivector, t, 0))",
        "output-node name=output input=lda",
    ]
    return KaldiNet("nnet3", parts, lines, within_model=True)


def heights(stride: int, weights: Any, bias: Any) -> KaldiNet:
    """A TimeHeightConvolutionComponent over 4 heights of 2 filters, giving 3 for each `stride`-th."""
    model = (
        ("Model", None), ("ConvolutionModel", None), ("NumFiltersIn", 2), ("NumFiltersOut", 3), ("HeightIn", 4),
        ("HeightOut", 4 // stride), ("HeightSubsampleOut", stride), ("Offsets", PAIRS), ("RequiredTimeOffsets", [0]),
        ("/ConvolutionModel", None), ("LinearParams", weights), ("BiasParams", bias), ("MaxMemoryMb", 200.0),
        ("UseNaturalGradient", True), ("NumMinibatchesHistory", 4.0), ("AlphaInOut", 4.0), ("", 4.0),
        ("RankInOut", 20), ("", 80),
    )  # fmt: skip
    part = KaldiPart("TimeHeightConvolutionComponent", (*NATURAL, *model), "conv")
    lines = [
        "input-node name=input dim=8",
        "component-node name=c component=conv input=input",
        "output-node name=output input=c",
    ]
    return KaldiNet("nnet3", [part], lines)


HEADS, KEYS, VALUES, BEFORE, BEHIND, APART = 2, 3, 2, 2, 1, 2
"""Of `attention`: frames that are seen before and behind, and how far they are apart."""
SIDES = 3
"""Frames of context that the networks around components of several frames have."""


def attention(required: int, *, context: bool) -> KaldiNet:
    """Heads that see some frames, `required` of those before; beside them frames that ask for more context."""
    seen = BEFORE + 1 + BEHIND
    dim = HEADS * (2 * KEYS + VALUES + seen)
    items = (
        ("NumHeads", HEADS), ("KeyDim", KEYS), ("ValueDim", VALUES), ("NumLeftInputs", BEFORE),
        ("NumRightInputs", BEHIND), ("TimeStride", APART), ("NumLeftInputsRequired", required),
        ("NumRightInputsRequired", 0), ("OutputContext", context), ("KeyScale", 0.5), ("StatsCount", 0.0),
        ("EntropyStats", np.zeros(0, np.float32)), ("PosteriorStats", np.zeros((0, 0), np.float32)),
    )  # fmt: skip
    lines = [
        f"input-node name=input dim={dim}",
        "component-node name=a component=attention input=input",
        f"output-node name=output input=Append(a, Offset(input, {-SIDES}), Offset(input, {SIDES}))",
    ]
    return KaldiNet("nnet3", [KaldiPart("RestrictedAttentionComponent", items, "attention")], lines)


def attended(frame: Callable[[int], Any], t: int, *, context: bool) -> Any:
    """What the heads of `attention` give in a frame, where `frame` gives zeros for those that are not there."""
    found = []
    for head in range(HEADS):
        first = frame(t).size // HEADS * head
        around = [frame(t + at * APART)[first:] for at in range(-BEFORE, BEHIND + 1)]
        query = frame(t)[first + KEYS + VALUES :]
        scores = [0.5 * query[:KEYS] @ one[:KEYS] for one in around]
        share = softmax(np.array(scores) + query[KEYS : KEYS + len(around)])
        found += [
            share @ np.stack([one[KEYS : KEYS + VALUES] for one in around]),
            *([share] if context else []),
        ]
    return np.concatenate(found)


def surrounded(net: KaldiNet) -> KaldiNet:
    """A network whose only layer is `c`, beside a frame before it and one behind it."""
    sides = f"Append(c, Offset(input, {-SIDES}), Offset(input, {SIDES}))"
    return replace(net, lines=[*net.lines[:-1], f"output-node name=output input={sides}"])


def constants() -> KaldiNet:
    """A component that reads nothing, beside the input."""
    items = (*NATURAL, ("Output", V), ("IsUpdatable", True), ("UseNaturalGradient", True))
    lines = [
        "input-node name=input dim=6",
        "component-node name=a component=constant input=input",
        "output-node name=output input=Append(a, input)",
    ]
    return KaldiNet("nnet3", [KaldiPart("ConstantComponent", items, "constant")], lines)


def x_vector(weights: Any, bias: Any) -> KaldiNet:
    """Mean and deviation of 6 columns over an utterance, and an affine map of both."""
    extract = (("InputDim", 6), ("InputPeriod", 1), ("OutputPeriod", 1), ("IncludeVarinance", True))
    pool = (("InputDim", 13), ("InputPeriod", 1), ("LeftContext", 0), ("RightContext", 10000),
            ("NumLogCountFeatures", 0), ("OutputStddevs", True), ("VarianceFloor", 1e-10))  # fmt: skip
    parts = [
        KaldiPart("StatisticsExtractionComponent", extract, "extract"),
        KaldiPart("StatisticsPoolingComponent", pool, "pool"),
        KaldiPart("NaturalGradientAffineComponent",
                  (*NATURAL, ("LinearParams", weights), ("BiasParams", bias), *PRECONDITIONER), "affine"),
    ]  # fmt: skip
    lines = [
        "input-node name=input dim=6",
        "component-node name=e component=extract input=Offset(input, 2)",
        "component-node name=p component=pool input=Round(e, 1)",
        "component-node name=a component=affine input=Round(p, 1)",
        "output-node name=output input=a",
    ]
    return KaldiNet("nnet3", parts, lines)
