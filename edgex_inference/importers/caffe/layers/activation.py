"""Layers that treat every number by itself."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from edgex_inference.importers.caffe.step import Step, Value


def relu(step: Step) -> Sequence[Value]:
    slope = step.param("relu_param").number("negative_slope", 0)
    value = step.only
    if slope:
        return [step.node("LeakyRelu", (value,), value.shape, alpha=slope)]
    return [step.node("Relu", (value,), value.shape)]


def relu6(step: Step) -> Sequence[Value]:
    value = step.only
    return [step.node("Clip", (value, step.scalar(0), step.scalar(6)), value.shape)]


def prelu(step: Step) -> Sequence[Value]:
    value = step.only
    if len(value.shape) < 2:
        step.refuse("has no channels to have a slope each")
    channels = 1 if step.param("prelu_param").flag("channel_shared", False) else value.shape[1] or 0
    slope = step.blob(0, "slopes", (channels, *(1,) * (len(value.shape) - 2)))
    return [step.node("PRelu", (value, step.weight(slope, "slopes")), value.shape)]


def elu(step: Step) -> Sequence[Value]:
    value = step.only
    return [step.node("Elu", (value,), value.shape, alpha=step.param("elu_param").number("alpha", 1))]


def plain(op: str) -> Callable[[Step], Sequence[Value]]:
    """A layer that is one operator of ONNX without attributes."""

    def layer(step: Step) -> Sequence[Value]:
        return [step.node(op, (step.only,), step.only.shape)]

    return layer


def swish(step: Step) -> Sequence[Value]:
    """x · sigmoid(beta · x)."""
    value = step.only
    scaled = linear(step, value, step.param("swish_param").number("beta", 1), 0)
    gate = step.node("Sigmoid", (scaled,), value.shape)
    return [step.node("Mul", (value, gate), value.shape)]


def clip(step: Step) -> Sequence[Value]:
    said, value = step.param("clip_param"), step.only
    bounds = (step.scalar(said.number("min", -math.inf)), step.scalar(said.number("max", math.inf)))
    return [step.node("Clip", (value, *bounds), value.shape)]


def power(step: Step) -> Sequence[Value]:
    """(shift + scale · x) ^ power."""
    said, value = step.param("power_param"), step.only
    exponent = said.number("power", 1)
    found = linear(step, value, said.number("scale", 1), said.number("shift", 0))
    if exponent == 1:
        return [found]
    return [step.node("Pow", (found, step.scalar(exponent)), value.shape)]


def exp(step: Step) -> Sequence[Value]:
    """base ^ (shift + scale · x); base −1 is e."""
    said, value = step.param("exp_param"), step.only
    factor = math.log(_base(step, said.number("base", -1)))
    scale, shift = said.number("scale", 1) * factor, said.number("shift", 0) * factor
    return [step.node("Exp", (linear(step, value, scale, shift),), value.shape)]


def log(step: Step) -> Sequence[Value]:
    """The logarithm of shift + scale · x; base −1 is e."""
    said, value = step.param("log_param"), step.only
    base = _base(step, said.number("base", -1))
    if base == 1:
        step.refuse("has base 1")
    inner = linear(step, value, said.number("scale", 1), said.number("shift", 0))
    found = step.node("Log", (inner,), value.shape)
    return [linear(step, found, 1 / math.log(base), 0)]


def threshold(step: Step) -> Sequence[Value]:
    """1 where x is larger, else 0."""
    value = step.only
    said = step.param("threshold_param").number("threshold", 0)
    larger = step.node("Greater", (value, step.scalar(said)), value.shape)
    return [step.node("Cast", (larger,), value.shape, to=1)]


def softmax(step: Step) -> Sequence[Value]:
    value = step.only
    axis = step.axis("axis", step.param("softmax_param").integer("axis", 1), len(value.shape))
    if value.shape[axis] is None:
        step.fixed(value.shape)
    return [step.node("Softmax", (value,), value.shape, axis=axis)]


def linear(step: Step, value: Value, scale: float, shift: float) -> Value:
    """scale · x + shift, in as few nodes as it takes."""
    if scale != 1:
        value = step.node("Mul", (value, step.scalar(scale)), value.shape)
    if shift != 0:
        value = step.node("Add", (value, step.scalar(shift)), value.shape)
    return value


def _base(step: Step, said: float) -> float:
    if said != -1 and not 0 < said < math.inf:
        step.refuse(f"has base {said:g}: it must be positive, or −1 for e")
    return float(np.e) if said == -1 else said
