"""Components that look at other frames; `reach` says how far, and they are fed that much more."""

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np

from edgex_inference.importers.kaldi.components.own import own_integers
from edgex_inference.importers.kaldi.feeding import Value, shown
from edgex_inference.importers.kaldi.files import Component
from edgex_inference.importers.kaldi.items import Malformed
from edgex_inference.importers.kaldi.spans import Some, Span
from edgex_inference.importers.kaldi.step import Made, Step, offsets


def splice_reach(component: Component) -> Span:
    found = _spliced(component)
    return min(found), max(found)


def _spliced(component: Component) -> Sequence[int]:
    """nnet1's list, nnet2's `Context`, or its older pair of numbers."""
    if "dims" in component.fields:
        found = [int(one) for one in own_integers(component)]
        found = found or [0]  # a list of nothing but the frame itself looks like the number 0
        if max(map(abs, found)) > 10_000:
            raise Malformed(f"splices frames that are too far: {found[:8]}")
        return found
    if "Context" in component:
        return offsets(component, "Context") if component.integers("Context").size else [0]
    left, right = component.integer("LeftContext"), component.integer("RightContext")
    if not (0 <= left <= 10_000 and 0 <= right <= 10_000):
        raise Malformed(f"splices {left} frames before and {right} behind")
    return range(-left, right + 1)


def splice(step: Step) -> Made:
    """Frames side by side; nnet2's last `ConstComponentDim` columns once."""
    said, frames = step.component, _spliced(step.component)
    kept = said.integer("ConstComponentDim", 0)
    if not 0 <= kept < step.dim:
        raise Malformed(f"keeps {kept} of {step.dim} columns")
    value = _held(step, min(frames), max(frames))
    moving = step.columns(value, 0, step.dim - kept) if kept else value
    parts = _shifted(step, moving, frames)
    if kept:
        parts.append(_shifted(step, step.columns(value, step.dim - kept, step.dim), frames, only=True)[0])
    found = step.node("Concat", *parts, axis=2) if len(parts) > 1 else parts[0]
    return found, (step.dim - kept) * len(frames) + kept


def _held(step: Step, first: int, last: int) -> str:
    """With the ends held as far as nnet1's Splice asks for them, which pads each time anew."""
    if not step.pads or (first >= 0 >= last):
        return step.value
    pads = step.graph.shape(0, max(-first, 0), 0, 0, max(last, 0), 0)
    held = step.node("Pad", step.value, pads, mode="edge")
    return step.frames(held, max(first, 0), max(-last, 0))


def _shifted(step: Step, value: str, frames: Sequence[int], *, only: bool = False) -> list[str]:
    """The value as each of the frames sees it; `only` the first of them."""
    first, last = min(frames), max(frames)
    return [step.frames(value, one - first, last - one) for one in (frames[:1] if only else frames)]


def splice_max(step: Step) -> Made:
    """nnet2's: the largest over the frames."""
    return step.node("Max", *_shifted(step, step.value, _spliced(step.component))), step.dim


def tdnn_reach(component: Component) -> Span:
    found = tdnn_offsets(component)
    return min(found), max(found)


def tdnn_offsets(component: Component) -> Sequence[int]:
    return offsets(component, "TimeOffsets") if component.integers("TimeOffsets").size else [0]


def tdnn(step: Step) -> Made:
    """An affine map of frames side by side."""
    said, frames = step.component, tdnn_offsets(step.component)
    matrix, bias = said.array("LinearParams", 2), said.array("BiasParams", 1)
    if matrix.shape[1] != step.dim * len(frames) or bias.size not in (0, matrix.shape[0]):
        raise Malformed(
            f"has a matrix of {matrix.shape} and {bias.size} biases for {len(frames)} × {step.dim} columns"
        )
    parts = _shifted(step, step.value, frames)
    value = step.node("Concat", *parts, axis=2) if len(parts) > 1 else parts[0]
    return step.plus(step.product(value, matrix), bias), matrix.shape[0]


def requires(least: Span) -> Some:
    """Of one that must have some frames and takes others where they are."""
    return Some(least, lambda fed: (fed[0] - least[0], fed[1] - least[1]))


def filled(step: Step, reach: Span) -> str:
    """What the component is fed, with zeros for those frames within its reach that are not there."""
    wanted = (step.span[0] + reach[0], step.span[1] + reach[1])
    return shown(step.graph, Value(step.value, step.dim, step.given), wanted, step.span).name


def grid_reach(component: Component) -> Span:
    pairs = component.integers("Offsets")
    if pairs.ndim != 2 or not pairs.size or np.abs(pairs).max() > 1000:
        raise Malformed("has no offsets, or ones that are too far")
    return int(pairs[:, 0].min()), int(pairs[:, 0].max())


def grid_requires(component: Component) -> Some:
    """The frames that must be there; others count as zeros where they are not."""
    found = (
        offsets(component, "RequiredTimeOffsets") if component.integers("RequiredTimeOffsets").size else [0]
    )
    first, last = grid_reach(component)
    if min(found) < first or max(found) > last:
        raise Malformed("requires frames that it does not read")
    return requires((min(found), max(found)))


def time_height(step: Step) -> Made:
    """TimeHeightConvolutionComponent: a picture of frames by heights, its columns height by height."""
    said = step.component
    deep, outputs = said.integer("NumFiltersIn"), said.integer("NumFiltersOut")
    height, made = said.integer("HeightIn"), said.integer("HeightOut")
    stride, pairs = said.integer("HeightSubsampleOut", 1), said.integers("Offsets")
    matrix, bias = said.array("LinearParams", 2), said.array("BiasParams", 1)
    step.fits(deep * height)
    if min(deep, outputs, height, made, stride) < 1:
        raise Malformed("has dimensions below 1")
    if matrix.shape != (outputs, deep * len(pairs)) or bias.size != outputs:
        raise Malformed(f"has a matrix of {matrix.shape} and {bias.size} biases for {len(pairs)} offsets")
    times, heights = pairs[:, 0], pairs[:, 1]
    gap = reduce(math.gcd, (int(one) for one in times - times.min()), 0) or 1
    lowest = min(int(heights.min()), 0)
    size = ((int(times.max() - times.min())) // gap + 1, int(heights.max()) - lowest + 1)
    kernel = np.zeros((outputs, deep, *size), np.float32)
    kernel[:, :, (times - times.min()) // gap, heights - lowest] = matrix.reshape(
        outputs, -1, deep
    ).transpose(0, 2, 1)
    first, last = grid_reach(said)
    value = filled(step, (first, last))
    behind = (made - 1) * stride + size[1] - height + lowest
    pads = (0, -lowest, 0, max(behind, 0))
    picture = step.node("Transpose", step.folded(value, height, deep), perm=(0, 3, 1, 2))
    inputs = [picture, step.weight(kernel, "filters"), step.weight(bias, "bias")]
    found = step.node("Conv", *inputs, kernel_shape=size, strides=(1, stride), dilations=(gap, 1), pads=pads)
    found = step.node("Transpose", found, perm=(0, 2, 3, 1))
    if behind < 0:
        found = step.columns(found, 0, made)
    return step.folded(found, made * outputs), made * outputs
