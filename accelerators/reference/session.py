"""Every call into the onnx package: its evaluator, its mistakes mended, its errors in our words."""

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from types import ModuleType
from typing import Any

import numpy as np

from accelerators.reference.mended import operators
from accelerators.reference.recurrent import overlooked
from edgex_inference.contracts.accelerator import ONNX, InferenceDevice, LoadRequest, Session, Traits
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    EdgexInferenceError,
    InferenceFailed,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.contracts.probing import probe
from edgex_inference.contracts.tensors import Array, Datatype, Tensors, TensorSpec, misfit
from edgex_inference.contracts.vendor import load_vendor

NAME = "reference"


def version() -> str | None:
    """The version of the onnx package, without importing it; None without one."""
    try:
        return distribution_version("onnx")
    except PackageNotFoundError:
        return None


def devices() -> Sequence[InferenceDevice]:
    """The CPU, in Python; raises AcceleratorUnavailable without the onnx package."""
    _vendor()
    return [InferenceDevice(id="CPU", kind="cpu", name="onnx.reference")]


def load(request: LoadRequest) -> Session:
    """Loads an ONNX file; raises ModelRejected or AcceleratorUnavailable."""
    if request.format != ONNX:
        raise ModelRejected(request.path, f"{NAME} reads onnx, not {request.format}")
    if not request.path.is_file():
        raise ModelRejected(request.path, "no such file")
    if request.device is not None and request.device.upper() != "CPU":
        raise AcceleratorUnavailable(f"{NAME}:{request.device}", "there is only CPU")
    if request.precision not in ("f32", "native"):
        reason = f"{NAME} computes what the file says, not {request.precision}: say f32 or native"
        raise ModelRejected(request.path, reason)
    onnx = _vendor()
    try:
        model = onnx.load(os.fspath(request.path))
        onnx.checker.check_model(model)
        if not model.graph.output:
            raise ModelRejected(request.path, "the file holds no model: it has no outputs")
        passed_over = overlooked(model.graph)
        if passed_over:
            raise ModelRejected(request.path, f"{NAME} does not compute {passed_over}: name onnxruntime")
        return _ReferenceSession(onnx, model, request)
    except EdgexInferenceError:
        raise
    except Exception as error:
        raise ModelRejected(request.path, _sentence(error)) from error


class _ReferenceSession:
    """One evaluator; it keeps nothing between runs, and one run at a time is all that Python can do."""

    parallel = 1

    def __init__(self, onnx: ModuleType, model: Any, request: LoadRequest) -> None:
        self._model = request.path.name
        constants = {tensor.name for tensor in model.graph.initializer}
        given = [one for one in model.graph.input if one.name not in constants]
        self.inputs: Sequence[TensorSpec] = tuple(_spec(onnx, request, one, given=True) for one in given)
        declared = tuple(_spec(onnx, request, one, given=False) for one in model.graph.output)
        self.metadata: Mapping[str, str] = {pair.key: pair.value for pair in model.metadata_props}
        self._declared = declared
        self._evaluator: Any = _evaluator(onnx, model)
        probed = probe(self.inputs, declared, self.infer)
        self.outputs: Sequence[TensorSpec] = probed.outputs
        self.traits = Traits(
            batch=probed.batch, precision=_precision(model), placement={"CPU": len(model.graph.node)}
        )

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        """Runs the model; `timeout` is the caller's to keep."""
        evaluator = self._evaluator
        if evaluator is None:
            raise InferenceFailed(f"model {self._model!r}: the session is closed")
        unfit = misfit(self.inputs, tensors) if isinstance(tensors, Mapping) else "the inputs are no mapping"
        if unfit:
            raise SignatureMismatch(self._model, unfit)
        try:
            with np.errstate(all="ignore"):
                answers = evaluator.run(None, {name: array.copy() for name, array in tensors.items()})
            return {
                spec.name: _answer(spec, answer) for spec, answer in zip(self._declared, answers, strict=True)
            }
        except Exception as error:
            raise InferenceFailed(f"model {self._model!r} on {NAME}: {_sentence(error)}") from error

    def close(self) -> None:
        """Refuses further runs; one in flight ends by itself."""
        self._evaluator = None


def _vendor() -> ModuleType:
    onnx = load_vendor("onnx", accelerator=NAME, extra=NAME, attribute="ModelProto")
    load_vendor("onnx.reference", accelerator=NAME, extra=NAME, attribute="ReferenceEvaluator")
    return onnx


def _evaluator(onnx: ModuleType, model: Any) -> Any:
    from onnx.reference.op_run import OpRun
    from onnx.reference.ops.op_gru import GRU
    from onnx.reference.ops.op_loop import Loop
    from onnx.reference.ops.op_lstm import LSTM
    from onnx.reference.ops.op_resize import Resize
    from onnx.reference.ops.op_rnn import RNN_14

    own = {"Loop": Loop, "LSTM": LSTM, "GRU": GRU, "RNN": RNN_14, "Resize": Resize}
    opset = max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=1)
    training = any(node.op_type == "BatchNormalization" and len(node.output) > 1 for node in model.graph.node)
    mended = operators(OpRun, own, opset=opset, training=training)
    return onnx.reference.ReferenceEvaluator(model, new_ops=mended)


def _precision(model: Any) -> str:
    """What the file says: int8 where the products are those of whole numbers, or stand between such."""
    kinds = [node.op_type for node in model.graph.node]
    products = sum(kind in ("MatMul", "Gemm", "Conv", "ConvTranspose") for kind in kinds)
    whole = sum(kind.startswith("QLinear") or kind.endswith("Integer") for kind in kinds)
    return "int8" if whole > products or kinds.count("DequantizeLinear") >= 2 * products > 0 else "f32"


def _spec(onnx: ModuleType, request: LoadRequest, value: Any, *, given: bool) -> TensorSpec:
    """A declared tensor; sequences and maps of outputs are object arrays [batch]."""
    if not value.type.HasField("tensor_type"):
        if given:
            raise ModelRejected(request.path, f"the input {value.name} is no tensor, which cannot be fed")
        return TensorSpec(name=value.name, datatype=Datatype.BYTES, shape=(None,))
    tensor = value.type.tensor_type
    try:
        datatype = Datatype.of(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except (KeyError, ValueError, TypeError) as error:
        name = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        reason = f"{value.name} is of type {name}, which cannot be fed or read"
        raise ModelRejected(request.path, reason) from error
    shape: tuple[int | None, ...] = tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in tensor.shape.dim
    )
    fixed = request.shapes.get(value.name)
    if given and fixed is not None and len(fixed) == len(shape):
        shape = tuple(have if have is not None else want for have, want in zip(shape, fixed, strict=True))
    return TensorSpec(name=value.name, datatype=datatype, shape=shape)


def _answer(spec: TensorSpec, answer: Any) -> Array:
    """An array of its own with the declared element type: the evaluator gives views, and now and then doubles."""
    if isinstance(answer, list | dict):
        items = answer if isinstance(answer, list) else [answer]
        array = np.empty(len(items), dtype=object)
        for index, item in enumerate(items):
            array[index] = item
        return array
    return np.array(answer, dtype=spec.datatype.numpy)


def _sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= 400 else f"{text[:200]} … {text[-190:]}"
