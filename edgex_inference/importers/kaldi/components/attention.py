"""nnet3's attention over a few frames around each."""

import math

from edgex_inference.importers.kaldi.components.time import filled, requires
from edgex_inference.importers.kaldi.files import Component
from edgex_inference.importers.kaldi.items import Malformed
from edgex_inference.importers.kaldi.spans import Some, Span
from edgex_inference.importers.kaldi.step import Made, Step

_MOST_SEEN = 512
"""Frames that one sees."""


def _sides(component: Component) -> tuple[int, int, int]:
    """How many frames it sees before and behind, and how far they are apart."""
    left, right = component.integer("NumLeftInputs"), component.integer("NumRightInputs")
    stride = component.integer("TimeStride")
    if min(left, right) < 0 or not 0 < left + right < _MOST_SEEN or not 0 < stride <= 1000:
        raise Malformed(f"sees {left} frames before and {right} behind, {stride} apart")
    return left, right, stride


def attention_reach(component: Component) -> Span:
    left, right, stride = _sides(component)
    return -left * stride, right * stride


def attention_requires(component: Component) -> Some:
    left, right, stride = _sides(component)
    least = component.integer("NumLeftInputsRequired"), component.integer("NumRightInputsRequired")
    if not 0 <= least[0] <= left or not 0 <= least[1] <= right:
        raise Malformed(f"requires {least[0]} frames before and {least[1]} behind, of {left} and {right}")
    return requires((-least[0] * stride, least[1] * stride))


def attention(step: Step) -> Made:
    """RestrictedAttentionComponent: each head has keys, values, queries and a bias for each frame that is seen."""
    said = step.component
    left, right, stride = _sides(said)
    heads, keys, values = said.integer("NumHeads"), said.integer("KeyDim"), said.integer("ValueDim")
    seen = left + 1 + right
    width = 2 * keys + values + seen
    if min(heads, keys, values) < 1:
        raise Malformed(f"has {heads} heads of {keys} keys and {values} values")
    step.fits(heads * width)
    scale = said.number("KeyScale", 1 / math.sqrt(keys))
    value = step.folded(filled(step, attention_reach(said)), heads, width)
    sides = [(at * stride, (seen - 1 - at) * stride) for at in range(seen)]
    own = step.frames(_part(step, value, keys + values, width), *sides[left])
    query = step.node("Mul", _part(step, own, 0, keys), step.number(scale))
    key, content = _part(step, value, 0, keys), _part(step, value, keys, keys + values)
    parts = [step.node("Mul", query, step.frames(key, *one)) for one in sides]
    scores = [step.node("ReduceSum", one, step.graph.shape(3), keepdims=1) for one in parts]
    score = step.node("Add", step.node("Concat", *scores, axis=3), _part(step, own, keys, keys + seen))
    share = step.node("Softmax", score, axis=3)
    weighed = [
        step.node("Mul", _part(step, share, at, at + 1), step.frames(content, *one))
        for at, one in enumerate(sides)
    ]
    found, dim = step.node("Sum", *weighed), values
    if said.flag("OutputContext", True):
        found, dim = step.node("Concat", found, share, axis=3), values + seen
    return step.folded(found, heads * dim), heads * dim


def _part(step: Step, value: str, first: int, end: int) -> str:
    shape = step.graph.shape
    return step.node("Slice", value, shape(first), shape(end), shape(3))
