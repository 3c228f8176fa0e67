"""Memory cells: nnet3's, which are fed their own past, and nnet1's, which keep it themselves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgex_inference.contracts.tensors import Array
from edgex_inference.importers.kaldi.components.own import first_array
from edgex_inference.importers.kaldi.files import Component
from edgex_inference.importers.kaldi.items import Malformed
from edgex_inference.importers.kaldi.scanning import Named, Way, scan
from edgex_inference.importers.kaldi.step import Made, Step

_CELL_CLIP = 50.0
"""Where a file of nnet1 says nothing."""


def cells(component: Component) -> int:
    """How many columns such a component of nnet3 makes: the cells' state and their answer; 0 for another one."""
    if component.kind == "LstmNonlinearityComponent":
        return 2 * int(component.array("Params", 2).shape[1])
    gated = component.kind in ("GruNonlinearityComponent", "OutputGruNonlinearityComponent")
    return 2 * component.integer("CellDim") if gated else 0


def lstm(step: Step) -> Made:
    """LstmNonlinearityComponent: of the gates i, f, c, o and the last state (and their scales, with dropout)."""
    weights = step.component.array("Params", 2)
    size = weights.shape[1]
    scaled = step.dim == 5 * size + 3
    if weights.shape[0] != 3 or (step.dim != 5 * size and not scaled):
        raise Malformed(f"has weights of {weights.shape} for {step.dim} columns")
    into, forget, new, out, last = (step.columns(step.value, at * size, (at + 1) * size) for at in range(5))
    input_gate = _gate(step, into, last, weights[0])
    forget_gate = _gate(step, forget, last, weights[1])
    if scaled:
        input_gate = step.node("Mul", input_gate, step.columns(step.value, 5 * size, 5 * size + 1))
        forget_gate = step.node("Mul", forget_gate, step.columns(step.value, 5 * size + 1, 5 * size + 2))
    state = step.node(
        "Add", step.node("Mul", forget_gate, last), step.node("Mul", input_gate, step.node("Tanh", new))
    )
    output_gate = _gate(step, out, state, weights[2])
    if scaled:
        output_gate = step.node("Mul", output_gate, step.columns(step.value, 5 * size + 2, 5 * size + 3))
    answer = step.node("Mul", output_gate, step.node("Tanh", state))
    return step.node("Concat", state, answer, axis=2), 2 * size


def _gate(step: Step, value: str, state: str, weights: Array) -> str:
    return step.node("Sigmoid", step.node("Add", value, step.times(state, weights)))


def gru(step: Step) -> Made:
    """GruNonlinearityComponent: of z, r, the input's part of h, and the last state (and its projection)."""
    said = step.component
    size, narrow, weights = said.integer("CellDim"), said.integer("RecurrentDim"), said.array("w_h", 2)
    step.fits(4 * size if narrow == size else 3 * size + 2 * narrow)
    if weights.shape != (size, narrow):
        raise Malformed(f"has weights of {weights.shape} for {size} cells and {narrow} columns of their past")
    keep, reset = step.columns(step.value, 0, size), step.columns(step.value, size, size + narrow)
    part, last = (step.columns(step.value, at * size + narrow, (at + 1) * size + narrow) for at in (1, 2))
    past = step.columns(step.value, step.dim - narrow, step.dim)
    return _kept(
        step, keep, last, step.node("Add", part, step.product(step.node("Mul", reset, past), weights))
    )


def output_gru(step: Step) -> Made:
    """OutputGruNonlinearityComponent: of z, the input's part of h, and the last state."""
    size, weights = step.component.integer("CellDim"), step.component.array("w_h", 1)
    step.fits(3 * size)
    if weights.size != size:
        raise Malformed(f"has {weights.size} weights for {size} cells")
    keep, part, last = (step.columns(step.value, at * size, (at + 1) * size) for at in range(3))
    return _kept(step, keep, last, step.node("Add", part, step.times(last, weights)))


def _kept(step: Step, keep: str, last: str, value: str) -> Made:
    """h, and (1 - z) · h + z · the last state."""
    found = step.node("Tanh", value)
    kept = step.node("Mul", keep, step.node("Sub", last, found))
    state = step.node("Add", found, kept)
    return step.node("Concat", found, state, axis=2), 2 * step.component.integer("CellDim")


def dropout_mask(step: Step) -> Made:
    """In its test mode: ones, or what is left on average."""
    said = step.component
    size, share = said.integer("OutputDim"), said.number("DropoutProportion", 0)
    if not 0 < size <= 1 << 20 or not 0 <= share < 1:
        raise Malformed(f"drops a share of {share:g} of {size} columns")
    left = 1.0 if "Continuous" in said.fields else 1 - share
    return step.weight(np.full((1, 1, size), left, np.float32), "mask"), size


def constant(step: Step) -> Made:
    """ConstantComponent: the same in every frame."""
    found = step.component.array("Output", 1)
    return step.weight(found[None, None], "output"), found.size


@dataclass(frozen=True, slots=True)
class _Projected:
    """The weights of one direction: gates stand in the order g, i, f, o."""

    inputs: Array
    past: Array
    bias: Array
    peepholes: Sequence[Array]
    projection: Array


def lstm_projected(step: Step) -> Made:
    """nnet1's LstmProjected: its answer is a projection of the cells, which it is fed again."""
    return _projected(step, 0, backward=False)


def blstm_projected(step: Step) -> Made:
    """nnet1's BlstmProjected: the same twice, the second from the last frame to the first."""
    parts = [_projected(step, index, backward=bool(index)) for index in range(2)]
    return step.node("Concat", *(name for name, _ in parts), axis=2), sum(dim for _, dim in parts)


def _projected(step: Step, index: int, *, backward: bool) -> Made:
    weights = _weights(step, index)
    narrow, size = weights.projection.shape
    clip = step.component.number("CellClip", _CELL_CLIP)
    gates = step.plus(step.product(step.value, weights.inputs), weights.bias)

    def one(held: Sequence[str], seen: Sequence[str]) -> tuple[Sequence[str], Sequence[Named]]:
        last, past = held
        both = step.node("Add", seen[0], step.product(past, weights.past))
        new, into, forget, out = (step.columns(both, at * size, (at + 1) * size) for at in range(4))
        kept = step.node("Mul", _gate(step, forget, last, weights.peepholes[1]), last)
        taken = step.node("Mul", _gate(step, into, last, weights.peepholes[0]), step.node("Tanh", new))
        state = step.node("Add", kept, taken)
        if clip > 0:
            state = step.node("Clip", state, step.number(-clip), step.number(clip))
        answer = step.node("Mul", _gate(step, out, state, weights.peepholes[2]), step.node("Tanh", state))
        answer = step.product(answer, weights.projection)
        return (state, answer), [(answer, narrow)]

    return scan(step.graph, [(gates, 4 * size)], [size, narrow], one, Way(backward=backward))[0]


def _weights(step: Step, index: int) -> _Projected:
    said = step.component
    inputs, past, projection = (first_array(said, 2, 3 * index + at) for at in range(3))
    bias, *peepholes = (first_array(said, 1, 4 * index + at) for at in range(4))
    size, narrow = projection.shape[::-1]
    step.fits(inputs.shape[1])
    fits = inputs.shape[0] == 4 * size and past.shape == (4 * size, narrow) and bias.size == 4 * size
    if not fits or any(one.size != size for one in peepholes):
        raise Malformed(f"has weights that are not of {size} cells and a projection of {narrow} columns")
    return _Projected(inputs, past, bias, peepholes, projection)


def recurrent(step: Step) -> Made:
    """nnet1's RecurrentComponent: tanh of an affine map of the input and of its last answer."""
    said = step.component
    inputs, past, bias = first_array(said, 2), first_array(said, 2, 1), first_array(said, 1)
    size = inputs.shape[0]
    step.fits(inputs.shape[1])
    if past.shape != (size, size) or bias.size != size:
        raise Malformed(f"has weights of {past.shape} and {bias.size} biases for {size} outputs")
    value = step.plus(step.product(step.value, inputs), bias)

    def one(held: Sequence[str], seen: Sequence[str]) -> tuple[Sequence[str], Sequence[Named]]:
        answer = step.node("Tanh", step.node("Add", seen[0], step.product(held[0], past)))
        return (answer,), [(answer, size)]

    return scan(step.graph, [(value, size)], [size], one, Way())[0]
