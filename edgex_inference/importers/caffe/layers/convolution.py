"""Layers that slide a kernel: Convolution, Deconvolution, and the matrix product InnerProduct."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgex_inference.importers.caffe.prototxt import Message
from edgex_inference.importers.caffe.step import Step, Value


@dataclass(frozen=True, slots=True)
class Sliding:
    """A kernel's ways, one number for each spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, ...]:
        """What the kernel spans, its holes counted."""
        return tuple(one * (size - 1) + 1 for size, one in zip(self.kernel, self.dilation, strict=True))

    @property
    def pads(self) -> tuple[int, ...]:
        return self.pad + self.pad


def sliding(step: Step, said: Message, axes: int) -> Sliding:
    """Raises Refused for what no kernel has."""
    found = Sliding(
        _each(step, said, axes, ("kernel_size", "kernel_h", "kernel_w"), 0),
        _each(step, said, axes, ("stride", "stride_h", "stride_w"), 1),
        _each(step, said, axes, ("pad", "pad_h", "pad_w"), 0),
        _each(step, said, axes, ("dilation", "", ""), 1),
    )
    if min(found.kernel) < 1:
        step.refuse("has no kernel_size")
    if min(found.stride) < 1 or min(found.dilation) < 1 or min(found.pad) < 0:
        step.refuse("has a stride or dilation below 1, or a pad below 0")
    return found


def _each(step: Step, said: Message, axes: int, keys: tuple[str, str, str], default: int) -> tuple[int, ...]:
    """A number for each axis: said once for all, once for each, or as height and width."""
    both, height, width = keys
    found = said.integers(both)
    if height in said or width in said:
        if axes != 2:
            step.refuse(f"has {height} or {width} on a blob with {axes} spatial axes: write {both}")
        fallback = found[0] if found else default
        return said.integer(height, fallback), said.integer(width, fallback)
    if len(found) in (0, 1):
        return tuple(found or (default,)) * axes
    if len(found) != axes:
        step.refuse(f"has {len(found)} numbers for {both}, and {axes} spatial axes")
    return tuple(found)


def convolution(step: Step) -> Sequence[Value]:
    """Caffe's cross-correlation is ONNX's Conv."""
    return _slide(step, step.param("convolution_param"), None)


def depthwise(step: Step) -> Sequence[Value]:
    """As Convolution, a group for each channel: a layer of several forks."""
    channels = step.only.shape[1] if len(step.only.shape) > 1 else None
    return _slide(step, step.param("convolution_param"), channels)


def _slide(step: Step, said: Message, group: int | None) -> Sequence[Value]:
    value, axes, channels = _image(step, said)
    ways, outputs = sliding(step, said, axes), said.integer("num_output", 0)
    group = group or said.integer("group", 1)
    _divides(step, group, channels, outputs)
    kernel = step.blob(0, "weights", (outputs, channels // group, *ways.kernel))
    extents = tuple(
        (extent + 2 * pad - reach) // stride + 1
        for extent, pad, reach, stride in zip(_spatial(value), ways.pad, ways.reach, ways.stride, strict=True)
    )
    inputs: list[Value | str] = [value, step.weight(kernel, "weights")]
    inputs += _bias(step, said, outputs)
    shape = (value.shape[0], outputs, *extents)
    return [step.node("Conv", inputs, shape, **_attributes(ways, group))]


def deconvolution(step: Step) -> Sequence[Value]:
    """Convolution's transpose; its weights have the bottom's channels first, as in ONNX."""
    said = step.param("convolution_param")
    value, axes, channels = _image(step, said)
    ways, outputs, group = sliding(step, said, axes), said.integer("num_output", 0), said.integer("group", 1)
    _divides(step, group, channels, outputs)
    kernel = step.blob(0, "weights", (channels, outputs // group, *ways.kernel))
    extents = tuple(
        stride * (extent - 1) + reach - 2 * pad
        for extent, pad, reach, stride in zip(_spatial(value), ways.pad, ways.reach, ways.stride, strict=True)
    )
    inputs: list[Value | str] = [value, step.weight(kernel, "weights")]
    inputs += _bias(step, said, outputs)
    shape = (value.shape[0], outputs, *extents)
    return [step.node("ConvTranspose", inputs, shape, **_attributes(ways, group))]


def _image(step: Step, said: Message) -> tuple[Value, int, int]:
    """The input, how many spatial axes it has, and its channels."""
    value = step.only
    rank = len(value.shape)
    if rank not in (3, 4, 5) or step.axis("axis", said.integer("axis", 1), rank) != 1:
        step.refuse(
            f"works on a blob with {rank} axes; 3, 4 or 5 with the channels second can be brought over"
        )
    return value, rank - 2, value.shape[1] or 0


def _spatial(value: Value) -> tuple[int, ...]:
    return tuple(extent or 0 for extent in value.shape[2:])


def _divides(step: Step, group: int, channels: int, outputs: int) -> None:
    if outputs < 1 or group < 1 or channels % group or outputs % group:
        step.refuse(f"makes {outputs} channels of {channels} in {group} groups, which does not divide")


def _bias(step: Step, said: Message, outputs: int) -> list[str]:
    if not said.flag("bias_term", True):
        return []
    return [step.weight(step.blob(1, "bias", (outputs,)), "bias")]


def _attributes(ways: Sliding, group: int) -> dict[str, int | Sequence[int]]:
    return {
        "kernel_shape": ways.kernel,
        "strides": ways.stride,
        "pads": ways.pads,
        "dilations": ways.dilation,
        "group": group,
    }


def inner_product(step: Step) -> Sequence[Value]:
    """Every axis from `axis` on is one vector, in Caffe's order: channels, rows, columns."""
    said, value = step.param("inner_product_param"), step.only
    axis = step.axis("axis", said.integer("axis", 1), len(value.shape))
    outputs = said.integer("num_output", 0)
    if outputs < 1:
        step.refuse("has no num_output")
    width = math.prod(step.fixed(value.shape[axis:]))
    turned = said.flag("transpose", False)
    kernel = step.blob(0, "weights", (width, outputs) if turned else (outputs, width))
    flat = step.reshape(value, (*value.shape[:axis], width))
    shape = (*value.shape[:axis], outputs)
    if axis == 1:
        inputs: list[Value | str] = [flat, step.weight(kernel, "weights"), *_bias(step, said, outputs)]
        return [step.node("Gemm", inputs, shape, transB=int(not turned))]
    matrix = step.weight(kernel if turned else np.ascontiguousarray(kernel.T), "weights")
    product = step.node("MatMul", (flat, matrix), shape)
    bias = _bias(step, said, outputs)
    return [step.node("Add", (product, *bias), shape) if bias else product]
