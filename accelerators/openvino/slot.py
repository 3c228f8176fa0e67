"""One of the requests of a compiled model: tensors in, tensors out."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from accelerators.openvino.ports import guard, most_rows
from edgex_inference.contracts.errors import SignatureMismatch
from edgex_inference.contracts.tensors import Array, Tensors, TensorSpec, misfit

_WORTH_LENDING = 1 << 16
"""Bytes: copying a smaller input costs less than setting a tensor."""


class Slot:
    """One infer request: small inputs are copied into tensors of its own, large ones lent; answers are copied out."""

    def __init__(
        self, ov: ModuleType, native: Any, inputs: Sequence[TensorSpec], names: Sequence[str]
    ) -> None:
        self._tensor, self._native, self._names = ov.Tensor, native, tuple(names)
        below: Any = super(type(native), native)  # the wrapper's own work costs as much as a small model
        self._infer = below.infer
        self._inputs = tuple(inputs)
        self._steps = tuple((index, spec.name, guard(spec.datatype)) for index, spec in enumerate(inputs))
        self._types = [port.get_element_type() for port in native.model_inputs]
        self._most = [most_rows(port) for port in native.model_inputs]
        self._views: list[Array | None] = [None] * len(self._inputs)
        self._lent: list[Array | None] = [None] * len(self._inputs)

    def run(self, model: str, tensors: Tensors) -> Tensors:
        """Runs once; raises SignatureMismatch, and whatever the runtime raises. `model` is for the message."""
        views = self._views
        for index, name, unsafe in self._steps:
            array, view = tensors[name], views[index]
            if view is not None and view.shape == array.shape:
                np.copyto(view, array)
            else:
                self._place(model, index, tensors)
            danger = unsafe(array)
            if danger:
                raise SignatureMismatch(model, f"{name} holds {danger}")
        answers = self._infer({}, False, True)
        return dict(zip(self._names, answers.values(), strict=True))

    def _place(self, model: str, index: int, tensors: Tensors) -> None:
        """Lends a large input, or makes a tensor of this shape and copies into it."""
        array = tensors[self._inputs[index].name]
        lent = self._lent[index]
        if lent is None or lent.shape != array.shape:
            self._check(model, index, tensors)
        if array.nbytes >= _WORTH_LENDING and array.flags.c_contiguous and array.flags.writeable:
            self._lend(index, array)
        else:
            np.copyto(self._view(index, array.shape), array)

    def _check(self, model: str, index: int, tensors: Tensors) -> None:
        spec, most = self._inputs[index], self._most[index]
        array = tensors[spec.name]
        if not spec.accepts(array.shape):
            raise SignatureMismatch(model, misfit(self._inputs, tensors))
        if most is not None and len(array) > most:
            raise SignatureMismatch(model, f"{spec.name} has {len(array)} rows, the model takes {most}")

    def _view(self, index: int, shape: tuple[int, ...]) -> Array:
        """The memory of an input tensor of our own; the native side keeps pointers, so it lives as long as the slot."""
        self._views[index] = self._lent[index] = None
        own = self._tensor(self._types[index], list(shape))
        self._native.set_input_tensor(index, own)
        view: Array = own.data
        self._views[index] = view
        return view

    def _lend(self, index: int, array: Array) -> None:
        """Runs on the caller's own memory, which is kept until the next run for the sake of the native pointer."""
        self._views[index] = None
        self._native.set_input_tensor(index, self._tensor(array, shared_memory=True))
        self._lent[index] = array
