"""An ONNX file made ready for TVM: checked, of an operator set that it reads, open extents filled in."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from edgex_inference.contracts.accelerator import LoadRequest
from edgex_inference.contracts.errors import EdgexInferenceError, ModelRejected
from edgex_inference.contracts.tensors import Datatype, TensorSpec

_LEAST, _WANTED = 13, 17
"""TVM reads some operators as of set 13 only; older files are converted by the onnx package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A model for TVM, what its inputs and outputs are, in their order, and what its authors wrote into it."""

    model: Any
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: Mapping[str, str]

    @property
    def rows_open(self) -> bool:
        """Whether each call may choose its number of rows, and nothing else."""
        shapes = [spec.shape for spec in self.inputs]
        return bool(shapes) and all(s[:1] == (None,) and None not in s[1:] for s in shapes)

    def with_rows(self, rows: int) -> "Graph":
        """The same model for so many rows."""
        _fix(self.model, {spec.name: (rows,) for spec in self.inputs})
        inputs = tuple(replace(spec, shape=(rows, *spec.shape[1:])) for spec in self.inputs)
        return replace(self, inputs=inputs)


def read_graph(onnx: ModuleType, request: LoadRequest) -> Graph:
    """Reads the file and its weights; raises ModelRejected."""
    if not request.path.is_file():
        raise ModelRejected(request.path, "no such file")
    try:
        model = onnx.load(os.fspath(request.path))
        onnx.checker.check_model(model)
        if not model.graph.output:
            raise ModelRejected(request.path, "the file holds no model: it has no outputs")
        _only_real_inputs(model)
        opset = max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=1)
        if opset < _LEAST:
            metadata = {pair.key: pair.value for pair in model.metadata_props}
            model = onnx.version_converter.convert_version(model, _WANTED)
            onnx.helper.set_model_props(model, metadata)
        _fix(model, request.shapes)
        return Graph(
            model=model,
            inputs=tuple(_spec(onnx, request, one) for one in model.graph.input),
            outputs=tuple(_spec(onnx, request, one) for one in model.graph.output),
            metadata={pair.key: pair.value for pair in model.metadata_props},
        )
    except EdgexInferenceError:
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        text = lines[0] if lines else type(error).__name__
        raise ModelRejected(request.path, f"is no ONNX model that can be compiled ({text[:300]})") from error


def _only_real_inputs(model: Any) -> None:
    """Older exporters list the weights as inputs too."""
    weights = {one.name for one in model.graph.initializer}
    real = [one for one in model.graph.input if one.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(real)


def _fix(model: Any, shapes: Mapping[str, tuple[int | None, ...]]) -> None:
    """Writes the wanted extents of inputs where the file leaves them open; the same name is the same extent."""
    names: dict[str, int] = {}
    for one in model.graph.input:
        for dim, extent in zip(one.type.tensor_type.shape.dim, shapes.get(one.name, ()), strict=False):
            if extent is not None and not dim.HasField("dim_value"):
                names |= {dim.dim_param: extent} if dim.dim_param else {}
                dim.dim_value = extent
    for one in (*model.graph.input, *model.graph.output):
        for dim in one.type.tensor_type.shape.dim:
            if dim.dim_param in names:
                dim.dim_value = names[dim.dim_param]


def _spec(onnx: ModuleType, request: LoadRequest, value: Any) -> TensorSpec:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        raise ModelRejected(request.path, f"{value.name} is no tensor, which TVM cannot take or give")
    try:
        datatype = Datatype.of(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except (KeyError, ValueError, TypeError):
        datatype = Datatype.BYTES
    if datatype is Datatype.BYTES:
        name = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise ModelRejected(request.path, f"{value.name} is of type {name}, which TVM cannot take or give")
    dims = tensor.shape.dim
    shape = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims)
    return TensorSpec(name=value.name, datatype=datatype, shape=shape)
