"""Every layer that can be brought over, and the way around those that cannot."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgex_inference.importers.caffe.layers import (
    activation,
    arithmetic,
    convolution,
    detection,
    normalization,
    pooling,
    shaping,
)
from edgex_inference.importers.caffe.step import Step, Value


@dataclass(frozen=True, slots=True)
class Known:
    """A layer's function and, for the reference, what of it is brought over; `tops` replaces the names of its tops."""

    make: Callable[[Step], Sequence[Value]]
    note: str = ""
    tops: tuple[str, ...] = ()


LAYERS: Mapping[str, Known] = {
    "AbsVal": Known(activation.plain("Abs")),
    "ArgMax": Known(arithmetic.arg_max, "with or without `axis`; places are float32, as Caffe gives them"),
    "Axpy": Known(arithmetic.axpy, "of the SENet fork"),
    "BNLL": Known(activation.plain("Softplus")),
    "BatchNorm": Known(normalization.batch_norm, "measured in training; with NVIDIA's `scale_bias` too"),
    "Bias": Known(normalization.bias, "learned, or a second blob"),
    "Clip": Known(activation.clip),
    "Concat": Known(shaping.concat, "any axis but the batch, which makes it fixed"),
    "Convolution": Known(
        convolution.convolution, "1 to 3 spatial axes, groups, dilation, rectangular kernels"
    ),
    "ConvolutionDepthwise": Known(convolution.depthwise, "a fork's"),
    "Crop": Known(shaping.crop),
    "Deconvolution": Known(convolution.deconvolution, "as Convolution"),
    "DepthwiseConvolution": Known(convolution.depthwise, "a fork's"),
    "DetectionOutput": Known(
        detection.detection_output,
        "becomes boxes `NAME_boxes` and scores `NAME_scores` (decoder `ssd`), before suppression",
        ("_boxes", "_scores"),
    ),
    "Dropout": Known(shaping.dropout, "nothing when testing, but for a fork's `scale_train: false`"),
    "ELU": Known(activation.elu),
    "Eltwise": Known(arithmetic.eltwise, "PROD, SUM with coefficients, MAX"),
    "Exp": Known(activation.exp),
    "Flatten": Known(shaping.flatten),
    "InnerProduct": Known(convolution.inner_product, "any `axis`, `transpose`"),
    "Interp": Known(shaping.interp, "DeepLab's, without pad"),
    "LRN": Known(normalization.lrn, "across channels and within"),
    "Log": Known(activation.log),
    "MVN": Known(normalization.mvn),
    "Normalize": Known(normalization.normalize, "SSD's"),
    "PReLU": Known(activation.prelu),
    "Parameter": Known(shaping.parameter),
    "Permute": Known(shaping.permute, "SSD's"),
    "Pooling": Known(pooling.pooling, "MAX and AVE, global, rounded up or down; no second top"),
    "Power": Known(activation.power),
    "PriorBox": Known(detection.prior_box, "becomes a constant"),
    "ReLU": Known(activation.relu, "with `negative_slope`"),
    "ReLU6": Known(activation.relu6, "a fork's"),
    "Reduction": Known(arithmetic.reduction, "from axis 0 it makes the batch fixed"),
    "Reshape": Known(shaping.reshape, "an extent in front that means the batch stays open"),
    "Scale": Known(normalization.scale, "learned, or a second blob"),
    "ShuffleChannel": Known(shaping.shuffle_channel, "ShuffleNet's"),
    "Sigmoid": Known(activation.plain("Sigmoid")),
    "Silence": Known(shaping.nothing),
    "Slice": Known(shaping.slice_),
    "Softmax": Known(activation.softmax),
    "Split": Known(shaping.same),
    "Swish": Known(activation.swish),
    "TanH": Known(activation.plain("Tanh")),
    "Threshold": Known(activation.threshold),
    "Tile": Known(shaping.tile),
    "Upsample": Known(shaping.upsample, "nearest by `scale`; no mask"),
}

WITHOUT_EFFECT = frozenset(
    ("engine", "force_nd_im2col", "stable_prod_grad", "moving_average_fraction", "dropout_ratio", "save_output_param",
     "pad", "pad_h", "pad_w", "kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w",
     "ceil_mode", "round_mode", "visualize", "visualize_threshold")
)  # fmt: skip
"""Keys that a layer may carry and its function need not ask for: of training, of drawing, of a global pooling."""

_TRAINING = "this is the net for training: use the one for deployment, or take the layer out of the prototxt"
_DETECTOR = "split the net before it, convert the first part, and let a detection decoder do the rest"
_RECURRENT = "train the network again in a framework that exports ONNX"
WAYS_AROUND: Mapping[str, str] = {
    **dict.fromkeys(
        ("Accuracy", "ContrastiveLoss", "Data", "DummyData", "EuclideanLoss", "HDF5Data", "HDF5Output", "HingeLoss",
         "ImageData", "InfogainLoss", "MemoryData", "MultiBoxLoss", "MultinomialLogisticLoss", "AnnotatedData",
         "SigmoidCrossEntropyLoss", "SoftmaxWithLoss", "SmoothL1Loss", "WindowData", "SOFTMAX_LOSS", "DATA",
         "ACCURACY", "HDF5_DATA", "IMAGE_DATA", "MEMORY_DATA"),
        _TRAINING,
    ),
    **dict.fromkeys(("Proposal", "ROIPooling", "PSROIPooling", "Region", "YoloDetectionOutput"), _DETECTOR),
    **dict.fromkeys(("LSTM", "RNN", "Recurrent", "Embed"), _RECURRENT),
    "Python": "its code is no part of the file: replace it in the prototxt by a layer that is known",
}  # fmt: skip
ELSE = "replace it in the prototxt by layers that are known, or split the net there"
