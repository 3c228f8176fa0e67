"""Every component that can be brought over, for each generation, and the way around others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from edgex_inference.importers.kaldi.components import (
    attention,
    elements,
    groups,
    linear,
    recurrent,
    statistics,
    time,
)
from edgex_inference.importers.kaldi.files import Component
from edgex_inference.importers.kaldi.spans import Some, Span
from edgex_inference.importers.kaldi.step import Made, Step


@dataclass(frozen=True, slots=True)
class Known:
    """A component's function, how far it looks in time, and for the reference what of it is brought over."""

    make: Callable[[Step], Made]
    note: str = ""
    reach: Callable[[Component], Span] | None = None
    some: Callable[[Component], Some] | None = None
    """For one that takes those frames within its reach that there are."""
    pools: Callable[[Component], bool] | None = None
    """Whether it makes one frame of all."""
    whole: bool = False
    """Whether each of its frames depends on all before it, or behind it."""
    offsets: Callable[[Component], Sequence[int]] | None = None
    """The frames of its reach that it looks at, where it can do so in steps."""


_SAME = Known(elements.same, "nothing outside of training")
_PLAIN = {
    "SigmoidComponent": Known(elements.plain("Sigmoid")),
    "TanhComponent": Known(elements.plain("Tanh")),
    "RectifiedLinearComponent": Known(elements.plain("Relu")),
    "SoftmaxComponent": Known(elements.floored_softmax),
    "NormalizeComponent": Known(elements.normalize, "in blocks, with `AddLogStddev`"),
    "AffineComponent": Known(linear.affine),
    "FixedAffineComponent": Known(linear.affine),
    "BlockAffineComponent": Known(linear.block_affine),
    "FixedScaleComponent": Known(elements.scale("Scales")),
    "FixedBiasComponent": Known(elements.offset("Bias")),
    "SumGroupComponent": Known(groups.sum_group),
    "PermuteComponent": Known(groups.permute),
    "PnormComponent": Known(groups.pnorm),
    "MaxpoolingComponent": Known(linear.max_pooling),
}

_LSTM = Known(recurrent.lstm_projected, "from the first frame to the last; `CellClip`", whole=True)
_BLSTM = Known(recurrent.blstm_projected, "over the frames of a run, both ways; `CellClip`", whole=True)
NNET1: Mapping[str, Known] = {
    "AddShift": Known(elements.add_shift),
    "AffineTransform": Known(linear.affine_transform),
    "AveragePoolingComponent": Known(partial(linear.pooling_1d, "ReduceMean")),
    "BlockSoftmax": Known(elements.block_softmax),
    "BlstmProjected": _BLSTM,
    "BlstmProjectedStreams": _BLSTM,
    "ConvolutionalComponent": Known(linear.convolution_1d),
    "Copy": Known(groups.copy),
    "Dropout": _SAME,
    "FramePoolingComponent": Known(linear.frame_pooling),
    "HiddenSoftmax": Known(elements.softmax),
    "LengthNormComponent": Known(elements.length_norm),
    "LinearTransform": Known(linear.linear_transform),
    "LstmProjected": _LSTM,
    "LstmProjectedStreams": _LSTM,
    "MaxPoolingComponent": Known(partial(linear.pooling_1d, "ReduceMax")),
    "ParallelComponent": Known(elements.same, "networks side by side"),
    "ParametricRelu": Known(elements.parametric_relu),
    "RecurrentComponent": Known(recurrent.recurrent, "from the first frame to the last", whole=True),
    "Rescale": Known(elements.rescale),
    "SimpleSentenceAveragingComponent": Known(statistics.averaged, "over the frames of a run", whole=True),
    "Sigmoid": Known(elements.plain("Sigmoid")),
    "Softmax": Known(elements.softmax),
    "Splice": Known(time.splice, "the ends are held at each Splice, as Kaldi does it", time.splice_reach),
    "Tanh": Known(elements.plain("Tanh")),
}
NNET2: Mapping[str, Known] = {
    **_PLAIN,
    "AdditiveNoiseComponent": _SAME,
    "AffineComponentPreconditioned": Known(linear.affine),
    "AffineComponentPreconditionedOnline": Known(linear.affine),
    "BlockAffineComponentPreconditioned": Known(linear.block_affine),
    "Convolutional1dComponent": Known(linear.convolution_1d, "with `AppendedConv`"),
    "DctComponent": Known(linear.dct),
    "DropoutComponent": _SAME,
    "FixedLinearComponent": Known(linear.linear),
    "LogSoftmaxComponent": Known(elements.floored_log_softmax),
    "MaxoutComponent": Known(groups.maxout),
    "PowerComponent": Known(elements.power),
    "ScaleComponent": Known(elements.one_scale),
    "SoftHingeComponent": Known(elements.plain("Softplus")),
    "SpliceComponent": Known(time.splice, "with `ConstComponentDim`", time.splice_reach),
    "SpliceMaxComponent": Known(time.splice_max, "", time.splice_reach),
}
NNET3: Mapping[str, Known] = {
    **_PLAIN,
    "BackpropTruncationComponent": Known(elements.one_scale, "its `Scale`"),
    "BatchNormComponent": Known(elements.batch_norm, "by what training measured"),
    "ClipGradientComponent": _SAME,
    "ConstantComponent": Known(recurrent.constant, "reads nothing"),
    "ConstantFunctionComponent": Known(elements.constant),
    "ConvolutionComponent": Known(linear.convolution),
    "DropoutComponent": Known(elements.dropout, "in its test mode"),
    "DropoutMaskComponent": Known(recurrent.dropout_mask, "in its test mode"),
    "ElementwiseProductComponent": Known(groups.blocks("ReduceProd")),
    "GeneralDropoutComponent": _SAME,
    "GruNonlinearityComponent": Known(recurrent.gru, "with a projection and without"),
    "LinearComponent": Known(linear.linear),
    "LogSoftmaxComponent": Known(elements.log_softmax),
    "LstmNonlinearityComponent": Known(recurrent.lstm, "with `UseDropout` and without"),
    "NaturalGradientAffineComponent": Known(linear.affine),
    "NaturalGradientPerElementScaleComponent": Known(elements.scale("Params")),
    "NaturalGradientRepeatedAffineComponent": Known(linear.repeated_affine),
    "NoOpComponent": _SAME,
    "OutputGruNonlinearityComponent": Known(recurrent.output_gru),
    "PerElementOffsetComponent": Known(elements.offset("Offsets")),
    "PerElementScaleComponent": Known(elements.scale("Params")),
    "RestrictedAttentionComponent": Known(
        attention.attention,
        "frames that are not required and not there are zeros",
        attention.attention_reach,
        attention.attention_requires,
    ),
    "RepeatedAffineComponent": Known(linear.repeated_affine),
    "ScaleAndOffsetComponent": Known(elements.scale_and_offset),
    "SpecAugmentTimeMaskComponent": _SAME,
    statistics.EXTRACTION: Known(
        statistics.statistics, "in periods", statistics.gathered_reach, statistics.gathers
    ),
    statistics.POOLING: Known(
        statistics.statistics_pooling,
        "over a window around each frame, or over the whole utterance (`RightContext` from 1000)",
        statistics.pooled_reach,
        statistics.pools,
        statistics.pools_all,
    ),
    "SumBlockComponent": Known(groups.blocks("ReduceSum")),
    "TdnnComponent": Known(time.tdnn, "", time.tdnn_reach, offsets=time.tdnn_offsets),
    "TimeHeightConvolutionComponent": Known(
        time.time_height,
        "frames that are not required and not there are zeros",
        time.grid_reach,
        time.grid_requires,
    ),
}
GENERATIONS: Mapping[str, Mapping[str, Known]] = {"nnet1": NNET1, "nnet2": NNET2, "nnet3": NNET3}

ELSE = "train without it, or split the network there and convert the part before it"
