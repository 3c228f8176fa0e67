"""Components that treat every column by itself, or normalize a frame."""

import math
from collections.abc import Callable

import numpy as np

from edgex_inference.importers.kaldi.components.own import first_array, own_integers
from edgex_inference.importers.kaldi.items import Malformed
from edgex_inference.importers.kaldi.step import Made, Step

_FLOOR = 2.0**-66
"""Of a mean square, Kaldi's."""
_LEAST_SCALE = 1e-4


def same(step: Step) -> Made:
    """What matters in training only."""
    return step.value, step.dim


def plain(op: str) -> Callable[[Step], Made]:
    """A component that is one operator of ONNX."""

    def component(step: Step) -> Made:
        return step.node(op, step.value), step.dim

    return component


def softmax(step: Step) -> Made:
    return step.node("Softmax", step.value, axis=-1), step.dim


def floored_softmax(step: Step) -> Made:
    """nnet2's and nnet3's: nothing is smaller than 1e-20, so that a logarithm can follow."""
    found = step.node("Softmax", step.value, axis=-1)
    return step.node("Max", found, step.number(1e-20)), step.dim


def log_softmax(step: Step) -> Made:
    return step.node("LogSoftmax", step.value, axis=-1), step.dim


def floored_log_softmax(step: Step) -> Made:
    """nnet2's: of what its softmax gives."""
    found, dim = log_softmax(step)
    return step.node("Max", found, step.number(math.log(1e-20))), dim


def block_softmax(step: Step) -> Made:
    """nnet1's: over each block of the columns."""
    widths = [int(one) for one in own_integers(step.component)]
    if not widths or min(widths) < 1 or sum(widths) != step.dim:
        raise Malformed(f"has blocks of {widths[:8]} for {step.dim} columns")
    parts, at = [], 0
    for width in widths:
        parts.append(step.node("Softmax", step.columns(step.value, at, at + width), axis=-1))
        at += width
    return step.node("Concat", *parts, axis=2), step.dim


def parametric_relu(step: Step) -> Made:
    """alpha · x above 0, beta · x below."""
    alpha, beta = first_array(step.component, 1), first_array(step.component, 1, 1)
    step.fits(alpha.size)
    step.fits(beta.size)
    above = step.times(step.node("Relu", step.value), alpha)
    below = step.times(step.node("Relu", step.node("Neg", step.value)), beta)
    return step.node("Sub", above, below), step.dim


def scale(token: str) -> Callable[[Step], Made]:
    def component(step: Step) -> Made:
        return step.times(step.value, step.repeated(step.component.array(token, 1))), step.dim

    return component


def offset(token: str) -> Callable[[Step], Made]:
    def component(step: Step) -> Made:
        return step.plus(step.value, step.repeated(step.component.array(token, 1))), step.dim

    return component


def add_shift(step: Step) -> Made:
    vector = first_array(step.component, 1)
    step.fits(vector.size)
    return step.plus(step.value, vector), step.dim


def rescale(step: Step) -> Made:
    vector = first_array(step.component, 1)
    step.fits(vector.size)
    return step.times(step.value, vector), step.dim


def scale_and_offset(step: Step) -> Made:
    """Scales near 0 count as 1e-4 of their sign."""
    scales = step.component.array("Scales", 1)
    near = np.abs(scales) < _LEAST_SCALE
    scales = np.where(near, np.where(scales >= 0, _LEAST_SCALE, -_LEAST_SCALE), scales)
    scaled = step.times(step.value, step.repeated(scales))
    return step.plus(scaled, step.repeated(step.component.array("Offsets", 1))), step.dim


def constant(step: Step) -> Made:
    """ConstantFunctionComponent: the same in every frame that it is fed."""
    found = step.component.array("Output", 1)
    zeros = step.node("Mul", step.columns(step.value, 0, 1), step.number(0))
    return step.plus(zeros, found), found.size


def one_scale(step: Step) -> Made:
    return step.node("Mul", step.value, step.number(step.component.number("Scale", 1))), step.dim


def power(step: Step) -> Made:
    """|x| to a power."""
    exponent = step.number(step.component.number("Power", 2))
    return step.node("Pow", step.node("Abs", step.value), exponent), step.dim


def dropout(step: Step) -> Made:
    """nnet3's in its test mode: what training dropped on average."""
    share = step.component.number("DropoutProportion", 0)
    if not 0 <= share < 1:
        raise Malformed(f"drops a share of {share:g}")
    return (step.node("Mul", step.value, step.number(1 - share)) if share else step.value), step.dim


def batch_norm(step: Step) -> Made:
    """By the mean and variance that training measured."""
    said = step.component
    if said.number("Count", 1) <= 0:
        raise Malformed("was never trained: its count is 0")
    mean, variance = said.array("StatsMean", 1), said.array("StatsVar", 1)
    spread = np.maximum(variance.astype(np.float64), 0) + said.number("Epsilon", 1e-3)
    if mean.size != variance.size or (spread <= 0).any():
        raise Malformed(f"has {mean.size} means and {variance.size} variances that make no scale")
    factor = said.number("TargetRms", 1) / np.sqrt(spread)
    scaled = step.times(step.value, step.repeated(factor))
    return step.plus(scaled, step.repeated(-mean * factor)), step.dim


def normalize(step: Step) -> Made:
    """To a root mean square of `TargetRms`, each block by itself; with its logarithm behind it where asked."""
    said = step.component
    width, target = said.integer("BlockDim", step.dim), said.number("TargetRms", 1)
    if width < 1 or step.dim % width or not 0 < target < math.inf:
        raise Malformed(f"normalizes {step.dim} columns in blocks of {width} to {target:g}")
    blocks = step.dim // width
    value = step.folded(step.value, blocks, width) if blocks > 1 else step.value
    squares = step.node("ReduceSumSquare", value, axes=(-1,), keepdims=1)
    mean = step.node("Mul", squares, step.number(1 / (width * target**2)))
    root = step.node("Sqrt", step.node("Max", mean, step.number(_FLOOR)))
    found, dim = step.node("Div", value, root), width
    if said.flag("AddLogStddev", False):
        strength = step.node("Log", step.node("Mul", root, step.number(target)))
        found, dim = step.node("Concat", found, strength, axis=-1), width + 1
    return (step.folded(found, blocks * dim) if blocks > 1 else found), blocks * dim


def length_norm(step: Step) -> Made:
    """nnet1's: to length 1."""
    return step.node("Div", step.value, step.node("ReduceL2", step.value, axes=(-1,), keepdims=1)), step.dim
