"""The ONNX parser and the network that it fills: real parsing by the onnx package, refusals in TensorRT's words."""

import onnx
from onnx import TensorProto

from nvidia_stand_in.words import DataType, LayerType, complain

TYPES = {
    TensorProto.FLOAT: DataType.FLOAT,
    TensorProto.FLOAT16: DataType.HALF,
    TensorProto.BFLOAT16: DataType.BF16,
    TensorProto.INT8: DataType.INT8,
    TensorProto.UINT8: DataType.UINT8,
    TensorProto.INT32: DataType.INT32,
    TensorProto.INT64: DataType.INT64,
    TensorProto.BOOL: DataType.BOOL,
}


class ITensor:
    def __init__(self, value):
        tensor = value.type.tensor_type
        self.name, self.dtype = value.name, TYPES.get(tensor.elem_type)
        self.shape = tuple(dim.dim_value if dim.dim_value > 0 else -1 for dim in tensor.shape.dim)


class ILayer:
    def __init__(self, node, kinds):
        self.type = LayerType.QUANTIZE if node.op_type == "QuantizeLinear" else LayerType.ELEMENTWISE
        self.name, self._outputs = node.name, [kinds[name] for name in node.output if name in kinds]

    @property
    def num_outputs(self):
        return len(self._outputs)

    def get_output(self, index):
        return self._outputs[index]


class INetworkDefinition:
    def __init__(self, flags):
        self._flags, self._model = flags, None
        self._inputs, self._layers = [], []

    def _fill(self, model):
        graph = onnx.shape_inference.infer_shapes(model).graph
        constants = {one.name for one in graph.initializer}
        self._model = model
        self._inputs = [ITensor(one) for one in graph.input if one.name not in constants]
        kinds = {one.name: ITensor(one) for one in (*graph.value_info, *graph.output)}
        self._layers = [ILayer(node, kinds) for node in graph.node]

    @property
    def num_inputs(self):
        return len(self._inputs)

    @property
    def num_outputs(self):
        return len(self._model.graph.output) if self._model is not None else 0

    @property
    def num_layers(self):
        return len(self._layers)

    def get_input(self, index):
        return self._inputs[index]

    def get_layer(self, index):
        return self._layers[index]


class ParserError:
    def __init__(self, desc, node=None):
        self._desc, self._node = desc, node

    def desc(self):
        return self._desc

    def node_name(self):
        return self._node.name if self._node is not None else ""

    def node_operator(self):
        return self._node.op_type if self._node is not None else ""


class OnnxParser:
    def __init__(self, network, logger):
        self._network, self._logger, self._errors = network, logger, []

    @property
    def num_errors(self):
        return len(self._errors)

    def get_error(self, index):
        return self._errors[index]

    def parse_from_file(self, model):
        try:
            found = onnx.load(model)
        except Exception:
            said = (
                "Assertion failed: model->ParseFromCodedStream(&codedInput): Failed to parse the ONNX model."
            )
            return self._refuse(ParserError(said))
        unreadable = next((one for one in found.graph.input if _kind(one) not in TYPES), None)
        if unreadable is not None:
            said = 'convertDtype(x, &y) && "Failed to convert ONNX date type to TensorRT data type."'
            return self._refuse(ParserError(f"Assertion failed: {said}"))
        constants = {one.name: one.data_type for one in found.graph.initializer}
        for node in found.graph.node:
            said = _objection(node, constants)
            if said:
                return self._refuse(ParserError(said, node))
        self._network._fill(found)
        return True

    def _refuse(self, error):
        self._errors.append(error)
        complain(self._logger, f"ModelImporter.cpp:151: ERROR: {error.desc()}")
        return False


def _kind(value):
    return value.type.tensor_type.elem_type


def _objection(node, constants):
    if node.domain not in ("", "ai.onnx") or not onnx.defs.has(node.op_type):
        return 'creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
    if node.op_type == "DequantizeLinear" and constants.get(node.input[0]) == TensorProto.INT32:
        return (
            f"Invalid Node - {node.name}\nITensor: Error Code 4: API Usage Error ({node.name}: input has "
            "type Int32 but must have type FP8, FP4, Int4, Int8. In checkType at /_s/n.cpp:456)"
        )
    return ""
