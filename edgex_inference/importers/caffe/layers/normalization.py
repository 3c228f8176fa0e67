"""Layers that shift and scale by learned or by measured numbers."""

from collections.abc import Sequence

import numpy as np

from edgex_inference.contracts.tensors import Array
from edgex_inference.importers.caffe.layers.activation import linear
from edgex_inference.importers.caffe.step import Step, Value


def batch_norm(step: Step) -> Sequence[Value]:
    """Mean and variance of training, kept with a common factor in the third array."""
    said, value = step.param("batch_norm_param"), step.only
    if not said.flag("use_global_stats", True):
        step.refuse("measures each batch (use_global_stats: false): say true to use what training measured")
    if len(value.shape) < 2:
        step.refuse("has no channels")
    if len(step.layer.blobs) not in (3, 5):
        step.refuse(
            f"has {len(step.layer.blobs)} arrays in the caffemodel where 3 belong (5 with scale_bias)"
        )
    channels = value.shape[1] or 0
    factor = float(step.blob(2, "factor", (1,))[0])
    factor = 1 / factor if factor else 0.0
    mean = step.blob(0, "mean", (channels,)) * factor
    variance = step.blob(1, "variance", (channels,)) * factor
    gain, shift = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    if len(step.layer.blobs) == 5:
        gain, shift = step.blob(3, "scale", (channels,)), step.blob(4, "bias", (channels,))
    # In double precision and folded: the epsilon must not be lost beside a small variance.
    scale = gain / np.sqrt(variance.astype(np.float64) + said.number("eps", 1e-5))
    return [_affine(step, value, scale, shift - mean * scale)]


def _affine(step: Step, value: Value, scale: Array, shift: Array) -> Value:
    """scale · x + shift for each channel."""
    tail = (1,) * (len(value.shape) - 2)
    factor = step.weight(scale.astype(np.float32).reshape(-1, *tail), "scale")
    offset = step.weight(shift.astype(np.float32).reshape(-1, *tail), "shift")
    scaled = step.node("Mul", (value, factor), value.shape)
    return step.node("Add", (scaled, offset), value.shape)


def scale(step: Step) -> Sequence[Value]:
    """Times a learned array or a second blob, then plus a learned bias."""
    said = step.param("scale_param")
    axis_said, bias = said.integer("axis", 1), said.flag("bias_term", False)
    value, factor, span = _operand(step, axis_said, said.integer("num_axes", 1), "scale")
    found = step.node("Mul", (value, factor), value.shape)
    if not bias:
        return [found]
    shift = step.blob(0 if len(step.inputs) == 2 else 1, "bias", step.fixed(span))
    return [step.node("Add", (found, step.weight(shift, "bias")), value.shape)]


def bias(step: Step) -> Sequence[Value]:
    """Plus a learned array or a second blob."""
    said = step.param("bias_param")
    value, shift, _ = _operand(step, said.integer("axis", 1), said.integer("num_axes", 1), "bias")
    return [step.node("Add", (value, shift), value.shape)]


def _operand(
    step: Step, axis_said: int, covered: int, what: str
) -> tuple[Value, Value | str, tuple[int | None, ...]]:
    """The input, what goes with it, and that one's shape with ones for the axes behind it."""
    if len(step.inputs) not in (1, 2):
        step.refuse(f"has {len(step.inputs)} inputs where 1 or 2 belong")
    value = step.inputs[0]
    rank = len(value.shape)
    if len(step.inputs) == 2:
        other = step.inputs[1]
        axis = step.axis("axis", axis_said, rank, end=not other.shape)
        span = value.shape[axis : axis + len(other.shape)]
        if other.shape != span and not (axis == 0 and other.shape[1:] == span[1:]):
            step.refuse(
                f"has a second input of {other.shape} that does not fit {value.shape} from axis {axis}"
            )
        shape = (*other.shape, *(1,) * (rank - axis - len(span)))
        return value, step.reshape(other, shape) if other.shape else other, shape
    axis = step.axis("axis", axis_said, rank, end=covered == 0)
    end = rank if covered == -1 else axis + covered
    if not axis <= end <= rank:
        step.refuse(f"covers {covered} axes from {axis} of a blob with {rank}")
    learned = step.fixed((*value.shape[axis:end], *(1,) * (rank - end)))
    return value, step.weight(step.blob(0, what, learned), what), learned


def lrn(step: Step) -> Sequence[Value]:
    """Local response normalization, across channels (ONNX's own) or within each."""
    said, value = step.param("lrn_param"), step.only
    if len(value.shape) != 4:
        step.refuse(f"works on a blob with {len(value.shape)} axes: 4 can be brought over")
    size = said.integer("local_size", 5)
    alpha, beta, start = said.number("alpha", 1), said.number("beta", 0.75), said.number("k", 1)
    if size < 1 or not size % 2:
        step.refuse(f"has local_size {size}: it must be odd")
    if said.choice("norm_region", ("ACROSS_CHANNELS", "WITHIN_CHANNEL")) == "ACROSS_CHANNELS":
        return [step.node("LRN", (value,), value.shape, size=size, alpha=alpha, beta=beta, bias=start)]
    square, pad = step.node("Mul", (value, value), value.shape), size // 2
    mean = step.node(
        "AveragePool", (square,), value.shape,
        kernel_shape=(size, size), strides=(1, 1), pads=(pad,) * 4, count_include_pad=1,
    )  # fmt: skip
    # Within a channel Caffe adds 1, whatever k says.
    strength = step.node("Pow", (linear(step, mean, alpha, 1), step.scalar(-beta)), value.shape)
    return [step.node("Mul", (value, strength), value.shape)]


def normalize(step: Step) -> Sequence[Value]:
    """SSD's: divided by the length across channels (and rows and columns), times a learned scale."""
    said, value = step.param("norm_param"), step.only
    if len(value.shape) != 4:
        step.refuse(f"works on a blob with {len(value.shape)} axes: 4 can be brought over")
    axes = (1, 2, 3) if said.flag("across_spatial", True) else (1,)
    kept = (value.shape[0], *(1 if axis in axes else value.shape[axis] for axis in (1, 2, 3)))
    squares = step.node("ReduceSumSquare", (value,), kept, axes=axes, keepdims=1)
    length = step.node("Sqrt", (linear(step, squares, 1, said.number("eps", 1e-10)),), kept)
    unit = step.node("Div", (value, length), value.shape)
    channels = 1 if said.flag("channel_shared", True) else value.shape[1] or 0
    factor = step.weight(step.blob(0, "scale", (1, channels, 1, 1)), "scale")
    return [step.node("Mul", (unit, factor), value.shape)]


def mvn(step: Step) -> Sequence[Value]:
    """Minus the mean, divided by the deviation plus eps, of each channel or of the whole sample."""
    said, value = step.param("mvn_param"), step.only
    if len(value.shape) < 3:
        step.refuse(f"works on a blob with {len(value.shape)} axes: 3 or more can be brought over")
    first = 1 if said.flag("across_channels", False) else 2
    axes = tuple(range(first, len(value.shape)))
    kept = (*value.shape[:first], *(1,) * len(axes))
    mean = step.node("ReduceMean", (value,), kept, axes=axes, keepdims=1)
    centered = step.node("Sub", (value, mean), value.shape)
    if not said.flag("normalize_variance", True):
        return [centered]
    square = step.node("Mul", (centered, centered), value.shape)
    variance = step.node("ReduceMean", (square,), kept, axes=axes, keepdims=1)
    deviation = linear(step, step.node("Sqrt", (variance,), kept), 1, said.number("eps", 1e-9))
    return [step.node("Div", (centered, deviation), value.shape)]
