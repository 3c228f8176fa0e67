"""Components of nnet1 and nnet2 as Kaldi writes them (synthetic), with formulas in numpy, and networks of several."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgex_inference.testing.kaldi_components import BLOCK, POSITIVE, B, V, W, affine, random, softmax
from edgex_inference.testing.kaldi_models import Items, KaldiNet, KaldiPart

CELLS = 4
"""Of nnet1's memories here."""
Row = tuple[str, Items, Callable[[Any], Any]]
"""A component, what its file holds, its formula."""
_RATE: Items = (("LearningRate", 0.125),)
_AFFINE: Items = (*_RATE, ("LinearParams", W), ("BiasParams", B))
_BLOCKS: Items = (*_RATE, ("NumBlocks", 2), ("LinearParams", BLOCK), ("BiasParams", B[:4]))
_SUMS: Items = (
    ("Dim", 6),
    ("ValueSum", random(6).astype(np.float64)),
    ("DerivSum", np.zeros(0)),
    ("Count", 3.5),
)
_FILTERS = random(2, 4)


def _blocks(x: Any) -> Any:
    return np.concatenate((BLOCK[:2] @ x[:3], BLOCK[2:] @ x[3:])) + B[:4]


def _floored(x: Any) -> Any:
    return np.maximum(softmax(x), 1e-20)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _patches(order: Callable[[int], Any]) -> Callable[[Any], Any]:
    """Two patches of two columns of each of two frames of three; `order` has the columns of a patch."""
    return lambda x: np.concatenate([_FILTERS @ x[order(patch)] + B[:2] for patch in (0, 1)])


def _conv(*more: tuple[str, Any]) -> Items:
    patch = (("PatchDim", 2), ("PatchStep", 1), ("PatchStride", 3))
    return (*_RATE, *patch, *more, ("FilterParams", _FILTERS), ("BiasParams", B[:2]), ("IsGradient", False))


_WAVES = np.array([[3**-0.5] * 3, [2**-0.5, 0, -(2**-0.5)], [6**-0.5, -(1.5**-0.5), 6**-0.5]], np.float32)
"""Of three columns."""


def _dct(kept: int, *, reorder: bool) -> Items:
    return (("Dim", 6), ("DctDim", 3), ("Reorder", reorder), ("DctKeepDim", kept))


NNET2: Sequence[Row] = (
    ("AffineComponent", (*_AFFINE, ("IsGradient", False)), affine),
    ("AffineComponentPreconditioned", (*_AFFINE, ("Alpha", 4.0), ("MaxChange", 10.0)), affine),
    ("AffineComponentPreconditionedOnline", (*_AFFINE, ("RankIn", 20), ("RankOut", 80), ("UpdatePeriod", 4),
     ("NumSamplesHistory", 2000.0), ("Alpha", 4.0), ("MaxChangePerSample", 0.075)), affine),
    ("BlockAffineComponent", _BLOCKS, _blocks),
    ("BlockAffineComponentPreconditioned", (*_BLOCKS, ("Alpha", 4.0), ("IsGradient", False)), _blocks),
    ("FixedAffineComponent", (("LinearParams", W), ("BiasParams", B)), affine),
    ("FixedLinearComponent", (("CuMatrix", W),), lambda x: W @ x),
    ("FixedScaleComponent", (("Scales", V),), lambda x: V * x),
    ("FixedBiasComponent", (("Bias", V),), lambda x: V + x),
    ("SigmoidComponent", _SUMS, _sigmoid),
    ("TanhComponent", _SUMS, np.tanh),
    ("RectifiedLinearComponent", _SUMS, lambda x: np.maximum(x, 0)),
    ("SoftmaxComponent", _SUMS, _floored),
    ("LogSoftmaxComponent", _SUMS, lambda x: np.log(_floored(x))),
    ("SoftHingeComponent", _SUMS, lambda x: np.logaddexp(0, x)),
    ("NormalizeComponent", _SUMS, lambda x: x / np.sqrt(np.mean(x**2))),
    ("MaxoutComponent", (("InputDim", 6), ("OutputDim", 3)), lambda x: x.reshape(3, 2).max(1)),
    ("PnormComponent", (("InputDim", 6), ("OutputDim", 2), ("P", 3.0)),
     lambda x: (np.abs(x.reshape(2, 3)) ** 3).sum(1) ** (1 / 3)),
    ("PowerComponent", (("InputDim", 6), ("OutputDim", 6), ("Power", 1.5)), lambda x: np.abs(x) ** 1.5),
    ("ScaleComponent", (("Dim", 6), ("Scale", 0.25)), lambda x: 0.25 * x),
    ("SumGroupComponent", (("Sizes", [1, 3, 2]),), lambda x: np.array([x[0], x[1:4].sum(), x[4:].sum()])),
    ("PermuteComponent", (("Reorder", [2, 0, 1, 5, 3, 4]),), lambda x: x[[1, 2, 0, 4, 5, 3]]),
    ("MaxpoolingComponent", (("InputDim", 6), ("OutputDim", 3), ("PoolSize", 2), ("PoolStride", 3)),
     lambda x: np.maximum(x[:3], x[3:])),
    ("Convolutional1dComponent", _conv(("AppendedConv", False)), _patches(lambda p: [p, p + 1, p + 3, p + 4])),
    ("DctComponent", _dct(2, reorder=False), lambda x: np.concatenate((_WAVES[:2] @ x[:3], _WAVES[:2] @ x[3:]))),
    ("DropoutComponent", (("Dim", 6), ("DropoutScale", 0.0), ("DropoutProportion", 0.0)), lambda x: x),
    ("AdditiveNoiseComponent", (("Dim", 6), ("Stddev", 0.0)), lambda x: x),
)  # fmt: skip
"""Each is fed 6 columns. The last two Kaldi applies outside of training too, unless they are set to nothing."""
APPENDED = KaldiPart("Convolutional1dComponent", _conv(("AppendedConv", True)))
appended = _patches(lambda p: [2 * p, 2 * p + 2, 2 * p + 1, 2 * p + 3])

INTERLACED = KaldiPart("DctComponent", _dct(3, reorder=True))


def interlaced(x: Any) -> Any:
    """Of the columns at even places, and of those at odd ones."""
    return np.stack((_WAVES @ x[::2], _WAVES @ x[1::2]), 1).reshape(-1)


_LEARNS: Items = (("LearnRateCoef", 1.0),)
_POOL: Items = (("PoolSize", 2), ("PoolStep", 1), ("PoolStride", 2))
NNET1: Sequence[Row] = (
    ("AffineTransform", (*_LEARNS, ("BiasLearnRateCoef", 1.0), ("MaxNorm", 0.0), ("", W), ("", B)), affine),
    ("LinearTransform", (*_LEARNS, ("", W)), lambda x: W @ x),
    ("AddShift", (*_LEARNS, ("", V)), lambda x: x + V),
    ("Rescale", (*_LEARNS, ("", V)), lambda x: x * V),
    ("Softmax", (), softmax),
    ("HiddenSoftmax", (), softmax),
    ("BlockSoftmax", (("", [2, 4]),), lambda x: np.concatenate((softmax(x[:2]), softmax(x[2:])))),
    ("Sigmoid", (), _sigmoid),
    ("Tanh", (), np.tanh),
    ("ParametricRelu", (("AlphaLearnRateCoef", 1.0), ("BetaLearnRateCoef", 1.0), ("", POSITIVE), ("", V)),
     lambda x: np.where(x > 0, x * POSITIVE, x * V)),
    ("Dropout", (("DropoutRate", 0.5),), lambda x: x),
    ("FramePoolingComponent", (("FeatureDim", 2), *_LEARNS, ("Normalize", False), ("FrameOffset", [1, 0]),
     ("FrameWeight", V[:2]), ("", V[1:4])),
     lambda x: np.concatenate((V[0] * x[2:4] + V[1] * x[4:], V[1] * x[:2] + V[2] * x[2:4] + V[3] * x[4:]))),
    ("LengthNormComponent", (), lambda x: x / np.linalg.norm(x)),
    ("Copy", (("", [3, 1, 6]),), lambda x: x[[2, 0, 5]]),
    ("ConvolutionalComponent", (("PatchDim", 2), ("PatchStep", 1), ("PatchStride", 3), *_LEARNS,
     ("BiasLearnRateCoef", 1.0), ("MaxNorm", 0.0), ("Filters", _FILTERS), ("Bias", B[:2])),
     _patches(lambda p: [p, p + 1, p + 3, p + 4])),
    ("MaxPoolingComponent", _POOL, lambda x: np.concatenate((np.maximum(x[:2], x[2:4]), np.maximum(x[2:4], x[4:])))),
    ("AveragePoolingComponent", _POOL, lambda x: np.concatenate(((x[:2] + x[2:4]) / 2, (x[2:4] + x[4:]) / 2))),
)  # fmt: skip
"""Each is fed 6 columns."""


def alone(generation: str, row: Row) -> KaldiNet:
    """A component of nnet1 alone, or one of nnet2 behind a scale by `V`."""
    kind, items, compute = row
    if generation == "nnet2":
        return KaldiNet("nnet2", [KaldiPart("FixedScaleComponent", (("Scales", V),)), KaldiPart(kind, items)])
    return KaldiNet("nnet1", [KaldiPart(kind, items)], dims={0: (len(compute(V)), 6)})


@dataclass(frozen=True)
class Projected:
    """The weights of one direction of nnet1's LstmProjected, fed 10 columns, giving 2."""

    inputs: Any
    past: Any
    bias: Any
    peepholes: Any
    projection: Any

    @classmethod
    def random(cls, seed: int) -> "Projected":
        def some(*shape: int) -> Any:
            return np.float32(0.6) * random(*shape, seed=seed)

        return cls(some(4 * CELLS, 10), some(4 * CELLS, 2), some(4 * CELLS), some(3, CELLS), some(2, CELLS))

    def items(self) -> Items:
        arrays = (self.inputs, self.past, self.bias, *self.peepholes, self.projection)
        return [("", one) for one in arrays]

    def run(self, frames: Sequence[Any], clip: float) -> Sequence[Any]:
        state, answer, found = np.zeros(CELLS), np.zeros(2), []
        for x in frames:
            new, into, forget, out = (self.inputs @ x + self.past @ answer + self.bias).reshape(4, CELLS)
            into, forget = (
                _sigmoid(into + self.peepholes[0] * state),
                _sigmoid(forget + self.peepholes[1] * state),
            )
            state = np.clip(np.tanh(new) * into + state * forget, -clip, clip)
            answer = self.projection @ (np.tanh(state) * _sigmoid(out + self.peepholes[2] * state))
            found.append(answer)
        return found


FORE, BACK, CLIP = Projected.random(1), Projected.random(2), 0.3
"""The clip of the state is narrow enough to be met."""
PLAIN = tuple(np.float32(0.6) * random(*shape) for shape in ((2, 10), (2, 2), (2,)))
"""Of RecurrentComponent: for the input, for its last answer, the bias."""
REMEMBERING = (
    "LstmProjected",
    "LstmProjectedStreams",
    "BlstmProjected",
    "BlstmProjectedStreams",
    "RecurrentComponent",
)


def remembering(kind: str) -> KaldiNet:
    """One of these between two Splices, fed 5 columns."""
    both = kind.startswith("Blstm")
    items: Items = [
        ("CellDim", CELLS), ("LearnRateCoef", 1.0), ("BiasLearnRateCoef", 1.0), ("CellClip", CLIP), ("DiffClip", 1.0),
        ("CellDiffClip", 0.0), ("GradClip", 5.0), *FORE.items(), *(BACK.items() if both else []),
    ]  # fmt: skip
    if kind == "RecurrentComponent":
        items = [("GradClip", 5.0), ("DiffClip", 1.0), ("LearnRateCoef", 1.0), ("BiasLearnRateCoef", 1.0),
                 *(("", one) for one in PLAIN)]  # fmt: skip
    wide = 4 if both else 2
    parts = [
        KaldiPart("Splice", (("", [-1, 1]),)),
        KaldiPart(kind, items),
        KaldiPart("Splice", (("", [-2, 0]),)),
    ]
    return KaldiNet("nnet1", parts, dims={0: (10, 5), 1: (wide, 10), 2: (2 * wide, wide)})


def spliced() -> KaldiNet:
    """nnet1's, twice: the second repeats what the first layer gave at the ends, not the features."""
    parts = [
        KaldiPart("Splice", (("", [-1, 0, 2]),)),
        KaldiPart("Tanh"),
        KaldiPart("Splice", (("", [-2, 0]),)),
    ]
    return KaldiNet("nnet1", parts, dims={0: (18, 6), 1: (18, 18), 2: (36, 18)})


def beside() -> KaldiNet:
    """nnet1's networks within a component: one that sees other frames, one that averages an utterance."""
    affine_: Items = (
        *_LEARNS,
        ("BiasLearnRateCoef", 1.0),
        ("MaxNorm", 0.0),
        ("", random(3, 4)),
        ("", random(3)),
    )
    frames = KaldiNet("nnet1", [KaldiPart("Splice", (("", [-1, 2]),)), KaldiPart("AffineTransform", affine_)],
                      dims={0: (4, 2), 1: (3, 4)})  # fmt: skip
    averages: Items = (("GradientBoost", 100.0), ("Shrinkage", 2.0), ("OnlySumming", False))
    mean = KaldiNet("nnet1", [KaldiPart("Tanh"), KaldiPart("SimpleSentenceAveragingComponent", averages)],
                    dims={0: (4, 4), 1: (4, 4)})  # fmt: skip
    items: Items = (("NestedNnetCount", 2), ("NestedNnet", 1), ("", frames), ("NestedNnet", 2), ("", mean),
                    ("/ParallelComponent", None))  # fmt: skip
    parts = [KaldiPart("ParallelComponent", items), KaldiPart("Splice", (("", [0, 1]),))]
    return KaldiNet("nnet1", parts, dims={0: (7, 6), 1: (14, 7)})


def beside_answer(x: Any) -> Any:
    """Of an utterance [frames, 6]."""
    last = len(x) - 1
    held = [np.concatenate((x[max(t - 1, 0), :2], x[min(t + 2, last), :2])) for t in range(len(x))]
    mean = np.tanh(x[:, 2:]).sum(0) / (len(x) + 2)
    rows = [np.concatenate((random(3, 4) @ one + random(3), mean)) for one in held]
    return np.stack([np.concatenate((rows[t], rows[min(t + 1, last)])) for t in range(len(x))])


def deep() -> KaldiNet:
    """nnet1's usual transform of features, and layers of sigmoids below a softmax."""

    def layer(outputs: int, inputs: int) -> KaldiPart:
        return KaldiPart("AffineTransform", (*_LEARNS, ("BiasLearnRateCoef", 1.0), ("MaxNorm", 0.0),
                                             ("", random(outputs, inputs)), ("", random(outputs))))  # fmt: skip

    parts = [
        KaldiPart("Splice", (("", [-2, -1, 0, 1, 2]),)),
        KaldiPart("AddShift", (*_LEARNS, ("", random(15)))), KaldiPart("Rescale", (*_LEARNS, ("", random(15, seed=1)))),
        layer(8, 15), KaldiPart("Sigmoid"), layer(8, 8), KaldiPart("Sigmoid"), layer(5, 8), KaldiPart("Softmax"),
    ]  # fmt: skip
    widths = (15, 15, 15, 8, 8, 8, 8, 5, 5)
    return KaldiNet("nnet1", parts, dims=dict(enumerate(zip(widths, (3, *widths), strict=False))))


def _never(dim: int) -> Items:
    """Of an activation of nnet2 that was never trained."""
    return (("Dim", dim), ("ValueSum", np.zeros(0)), ("DerivSum", np.zeros(0)), ("Count", 0.0))


SPLICED = random(4, 14), random(4)
"""Weights and biases of `constant`."""


def constant() -> KaldiNet:
    """nnet2's layers of frames, the last two columns standing once; the second splice says its frames as of old."""
    first = (("InputDim", 6), ("Context", [-2, 0, 1]), ("ConstComponentDim", 2))
    second = (("InputDim", 4), ("LeftContext", 1), ("RightContext", 0), ("ConstComponentDim", 0))
    weights: Items = (*_RATE, ("LinearParams", SPLICED[0]), ("BiasParams", SPLICED[1]), ("IsGradient", False))
    parts = [
        KaldiPart("SpliceComponent", first), KaldiPart("AffineComponent", weights),
        KaldiPart("SpliceComponent", second), KaldiPart("NormalizeComponent", _never(8)),
    ]  # fmt: skip
    return KaldiNet("nnet2", parts)


def largest() -> KaldiNet:
    """nnet2's SpliceMaxComponent over frames that are not neighbors."""
    return KaldiNet("nnet2", [KaldiPart("SpliceMaxComponent", (("Dim", 6), ("Context", [-1, 0, 2])))])


def pnorm() -> KaldiNet:
    """nnet2's usual layers: frames, a fixed transform, p-norms, normalized, a softmax whose classes are summed."""

    def layer(outputs: int, inputs: int) -> KaldiPart:
        return KaldiPart("AffineComponentPreconditionedOnline", (
            *_RATE, ("LinearParams", random(outputs, inputs)), ("BiasParams", random(outputs)), ("RankIn", 20),
            ("RankOut", 80), ("UpdatePeriod", 4), ("NumSamplesHistory", 2000.0), ("Alpha", 4.0),
            ("MaxChangePerSample", 0.075)))  # fmt: skip

    narrow: Items = (("InputDim", 12), ("OutputDim", 4), ("P", 2.0))
    parts = [
        KaldiPart("SpliceComponent", (("InputDim", 4), ("Context", [-4, -1, 0, 1, 3]), ("ConstComponentDim", 0))),
        KaldiPart("FixedAffineComponent", (("LinearParams", random(9, 20)), ("BiasParams", random(9)))),
        layer(12, 9), KaldiPart("PnormComponent", narrow), KaldiPart("NormalizeComponent", _never(4)),
        KaldiPart("SpliceComponent", (("InputDim", 4), ("Context", [-3, 0, 2]), ("ConstComponentDim", 0))),
        layer(12, 12), KaldiPart("PnormComponent", narrow), KaldiPart("NormalizeComponent", _never(4)),
        layer(7, 4), KaldiPart("FixedScaleComponent", (("Scales", POSITIVE[[0, 1, 2, 3, 4, 5, 0]]),)),
        KaldiPart("SoftmaxComponent", _never(7)), KaldiPart("SumGroupComponent", (("Sizes", [2, 1, 4]),)),
    ]  # fmt: skip
    return KaldiNet("nnet2", parts)


OLDER: Mapping[str, tuple[KaldiNet, int]] = {
    **{f"nnet1 {row[0]}": (alone("nnet1", row), 6) for row in NNET1},
    **{f"nnet2 {row[0]}": (alone("nnet2", row), 6) for row in NNET2},
    **{f"nnet1 {kind}": (remembering(kind), 5) for kind in REMEMBERING},
    "nnet1, spliced twice": (spliced(), 6),
    "nnet1, networks side by side": (beside(), 6),
    "nnet1, layers of sigmoids": (deep(), 3),
    "nnet2 DctComponent, interlaced": (KaldiNet("nnet2", [INTERLACED]), 6),
    "nnet2 Convolutional1dComponent, appended": (KaldiNet("nnet2", [APPENDED]), 6),
    "nnet2 SpliceMaxComponent": (largest(), 6),
    "nnet2, spliced once what holds for all": (constant(), 6),
    "nnet2, layers of p-norms": (pnorm(), 4),
}
"""What Kaldi itself was asked for, by name, and how many columns each is fed."""
LENGTHS = (9, 1, 4)
"""Frames of the utterances that it was fed."""


def utterance(name: str, frames: int) -> Any:
    """[frames, columns], what a network of OLDER was fed: numbers of all sizes, the second frame beyond what functions
    tell apart; columns that are the same throughout where that is promised."""
    dim = OLDER[name][1]
    found = random(frames, dim, seed=3) * np.float32(2) ** np.arange(-3, 5)[:dim].astype(np.float32)
    found[1:2] *= 32
    if name.endswith("holds for all"):
        found[:, -2:] = found[0, -2:]
    return found
