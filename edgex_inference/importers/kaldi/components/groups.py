"""Components that make one column of several, or put columns into another order."""

import math
from collections.abc import Callable

import numpy as np

from edgex_inference.importers.kaldi.components.own import own_integers
from edgex_inference.importers.kaldi.items import Malformed
from edgex_inference.importers.kaldi.step import Made, Step

_MOST_CELLS = 1 << 25
"""Of a matrix that sums groups of unequal size."""


def _neighbors(step: Step) -> tuple[str, int]:
    """[batch, frames, outputs, group]: columns beside each other are one group."""
    outputs = step.component.integer("OutputDim")
    group = step.divided(outputs, "outputs")
    return step.folded(step.value, outputs, group), outputs


def pnorm(step: Step) -> Made:
    """The p-norm of each group; p is 2 where the file does not say it."""
    value, outputs = _neighbors(step)
    order = step.component.number("P", 2)
    if order in (1, 2):
        return step.node("ReduceL1" if order == 1 else "ReduceL2", value, axes=(3,), keepdims=0), outputs
    sizes = step.node("Abs", value)
    if order == math.inf:
        return step.node("ReduceMax", sizes, axes=(3,), keepdims=0), outputs
    if not order > 0:
        raise Malformed(f"has p = {order:g}")
    powers = step.node("Pow", sizes, step.number(order))
    total = step.node("ReduceSum", powers, step.graph.shape(3), keepdims=0)
    return step.node("Pow", total, step.number(1 / order)), outputs


def maxout(step: Step) -> Made:
    value, outputs = _neighbors(step)
    return step.node("ReduceMax", value, axes=(3,), keepdims=0), outputs


def sum_group(step: Step) -> Made:
    sizes = [int(one) for one in step.component.integers("Sizes")]
    if not sizes or min(sizes) < 1 or sum(sizes) != step.dim:
        raise Malformed(f"sums groups of {sizes[:8]} of {step.dim} columns")
    if len(set(sizes)) == 1:
        value = step.folded(step.value, len(sizes), sizes[0])
        return step.node("ReduceSum", value, step.graph.shape(3), keepdims=0), len(sizes)
    if len(sizes) * step.dim > _MOST_CELLS:
        raise Malformed(f"sums {step.dim} columns in {len(sizes)} groups of unequal size, which is too many")
    matrix = np.zeros((len(sizes), step.dim), np.float32)
    matrix[np.repeat(np.arange(len(sizes)), sizes), np.arange(step.dim)] = 1
    return step.product(step.value, matrix), len(sizes)


def blocks(op: str) -> Callable[[Step], Made]:
    """A column of the output is made of the columns that many apart."""

    def component(step: Step) -> Made:
        outputs = step.component.integer("OutputDim")
        value = step.folded(step.value, step.divided(outputs, "outputs"), outputs)
        if op == "ReduceSum":
            found = step.node(op, value, step.graph.shape(2), keepdims=0)
        else:
            found = step.node(op, value, axes=(2,), keepdims=0)
        factor = step.component.number("Scale", 1)
        return (step.node("Mul", found, step.number(factor)) if factor != 1 else found), outputs

    return component


def permute(step: Step) -> Made:
    """nnet3 says whence each column comes, nnet2 where it goes."""
    said = step.component
    columns = said.integers("ColumnMap" if "ColumnMap" in said else "Reorder")
    step.fits(columns.size)
    if sorted(columns.tolist()) != list(range(columns.size)):
        raise Malformed("moves columns to places that are taken or not there")
    return step.gathered(step.value, columns if "ColumnMap" in said else np.argsort(columns)), step.dim


def copy(step: Step) -> Made:
    """nnet1's: columns by their numbers, from 1."""
    columns = own_integers(step.component) - 1
    return step.gathered(step.value, columns), columns.size
