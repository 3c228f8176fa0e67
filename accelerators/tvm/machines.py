"""A loaded library as a session: TVM's virtual machines, each with input tensors of its own. Imports no vendor."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from accelerators.pool import Pool
from accelerators.tvm.library import Label
from accelerators.tvm.targets import NAME
from accelerators.tvm.words import sentence
from edgex_inference.contracts.accelerator import LoadRequest, Traits
from edgex_inference.contracts.errors import (
    EdgexInferenceError,
    InferenceFailed,
    SignatureMismatch,
)
from edgex_inference.contracts.probing import probe
from edgex_inference.contracts.tensors import Array, Tensors, TensorSpec, holds_nan, misfit

_ALIGNMENT = 64
"""Bytes: what TVM's code may assume of where a tensor begins."""


class Machines:
    """A pool of virtual machines over one library; closing lets runs in flight end and refuses the next."""

    def __init__(
        self, tvm: ModuleType, executable: Any, label: Label, request: LoadRequest, amount: int
    ) -> None:
        self._model, self.parallel = request.path.name, amount
        self.inputs: Sequence[TensorSpec] = label.inputs
        self.metadata: Mapping[str, str] = dict(label.metadata)
        slots = (_Slot(tvm, executable, label) for _ in range(amount))
        self._pool = Pool(self._model, slots, "virtual machine")
        probed = probe(self.inputs, label.outputs, self.infer)
        self.outputs: Sequence[TensorSpec] = probed.outputs
        self.traits = Traits(batch=probed.batch, precision="f32", placement={"CPU": label.calls})

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        """Runs the model; `timeout` bounds the wait for a free machine: callers within `parallel` never wait."""
        try:
            if len(tensors) != len(self.inputs):
                raise SignatureMismatch(self._model, misfit(self.inputs, tensors) or "the inputs do not fit")
            slot = self._pool.take(timeout)
            try:
                return slot.run(self._model, tensors)
            finally:
                self._pool.give(slot)
        except EdgexInferenceError:
            raise
        except Exception as error:
            raise self._failure(tensors, error) from error

    def close(self) -> None:
        """Refuses further runs; the machines go with the last run in flight."""
        self._pool.close()

    def _failure(self, tensors: Tensors, error: Exception) -> EdgexInferenceError:
        unfit = misfit(self.inputs, tensors)
        if unfit:
            return SignatureMismatch(self._model, unfit)
        if self._pool.closed:
            return InferenceFailed(f"model {self._model!r}: the session was closed during the run")
        return InferenceFailed(f"model {self._model!r} on {NAME}:CPU: {sentence(error)}")


class _Slot:
    """One virtual machine, driven by one caller at a time; what it is given is copied to where TVM wants it."""

    def __init__(self, tvm: ModuleType, executable: Any, label: Label) -> None:
        self._tensor: Any = tvm.runtime.from_dlpack
        self._main = tvm.relax.VirtualMachine(executable, tvm.cpu())["main"]
        self._inputs, self._names = label.inputs, tuple(spec.name for spec in label.outputs)
        self._views: list[Array] = [np.empty(0, spec.datatype.numpy) for spec in label.inputs]
        self._tensors: list[Any] = [None] * len(label.inputs)
        self._searched = tuple(spec.name for spec in label.inputs if spec.datatype.numpy.kind == "f")

    def run(self, model: str, tensors: Tensors) -> Tensors:
        """Runs once; raises SignatureMismatch, and whatever the runtime raises."""
        for index, spec in enumerate(self._inputs):
            array, view = tensors[spec.name], self._views[index]
            if array.shape != view.shape or array.dtype != view.dtype or self._tensors[index] is None:
                view = self._make_room(model, index, tensors)
            np.copyto(view, array)
        for name in self._searched:
            if holds_nan(tensors[name]):
                raise SignatureMismatch(
                    model, f"{name} holds NaN, which TVM may turn into a plausible number"
                )
        answer = self._main(*self._tensors)
        answers = (answer,) if len(self._names) == 1 and hasattr(answer, "numpy") else answer
        return {name: one.numpy() for name, one in zip(self._names, answers, strict=True)}

    def _make_room(self, model: str, index: int, tensors: Tensors) -> Array:
        """Memory for an input of this shape, aligned as TVM's code assumes."""
        unfit = misfit(self._inputs, tensors)
        if unfit:
            raise SignatureMismatch(model, unfit)
        array = tensors[self._inputs[index].name]
        raw = np.zeros(array.nbytes + _ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % _ALIGNMENT
        view = raw[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        self._views[index], self._tensors[index] = view, self._tensor(view)
        return view
