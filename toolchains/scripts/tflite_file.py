"""TensorFlow Lite files put in order: which tensors are inputs and outputs, in what order, and how they are called."""

import io
import json
import zipfile

import flatbuffers
import numpy as np

try:
    from ai_edge_litert import schema_py_generated as schema
except ImportError:
    from tensorflow.lite.python import schema_py_generated as schema


TRANSPOSE = 39


def arranged(content, inputs, outputs, turns=()):
    """The file with these inputs and outputs, each (index of the tensor, its name).

    `turns` has for each output its shape, and which axis of what is computed each of its axes shall be.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    for at, (shape, axes) in enumerate(turns):
        index, name = outputs[at]
        graph.tensors[index].shape = list(shape)
        graph.tensors[index].shapeSignature = None
        if tuple(axes) != tuple(range(len(axes))):
            outputs[at] = (transposed(model, index, axes), name)
    graph.inputs = [index for index, _ in inputs]
    graph.outputs = [index for index, _ in outputs]
    rename(graph.tensors, dict([*inputs, *outputs]))
    model.signatureDefs = [signature(inputs, outputs)]
    builder = flatbuffers.Builder(len(content) + 1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def described(content, said):
    """The file with these texts in an archive at its end, as exporters of YOLO write them; labels, for instance."""
    if not said:
        return content
    out = io.BytesIO(content)
    with zipfile.ZipFile(out, "a") as archive:  # without a date: the same model is the same file
        archive.writestr(zipfile.ZipInfo("metadata.json"), json.dumps(said, ensure_ascii=False))
    return out.getvalue()


def signature(inputs, outputs):
    """What other tools of TensorFlow Lite call tensors by."""
    found = schema.SignatureDefT()
    found.signatureKey, found.subgraphIndex = "serving_default", 0
    found.inputs, found.outputs = map(tensor_maps, (inputs, outputs))
    return found


def tensor_maps(tensors):
    found = []
    for index, name in tensors:
        one = schema.TensorMapT()
        one.name, one.tensorIndex = name, index
        found.append(one)
    return found


def rename(tensors, names):
    for index, tensor in enumerate(tensors):
        if index not in names and text(tensor.name) in names.values():
            tensor.name = "%s/%d" % (text(tensor.name), index)
    for index, name in names.items():
        tensors[index].name = name


def transposed(model, index, axes):
    """Another tensor, with the axes of this one in another order."""
    graph = model.subgraphs[0]
    source = graph.tensors[index]
    order, result = schema.BufferT(), schema.TensorT()
    order.data = np.frombuffer(np.asarray(axes, "<i4").tobytes(), np.uint8)
    model.buffers.append(order)
    axis = schema.TensorT()
    axis.shape, axis.type, axis.buffer = [len(axes)], schema.TensorType.INT32, len(model.buffers) - 1
    axis.name = "axes/%d" % len(graph.tensors)
    result.shape, result.type = [source.shape[one] for one in axes], source.type
    result.quantization, result.buffer, result.name = source.quantization, 0, "%s/turned" % text(source.name)
    graph.tensors += [axis, result]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = TRANSPOSE
    code.version = 1 if len(axes) <= 4 else 4
    model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = [index, len(graph.tensors) - 2], [len(graph.tensors) - 1]
    operator.builtinOptionsType = schema.BuiltinOptions.TransposeOptions
    operator.builtinOptions = schema.TransposeOptionsT()
    graph.operators.append(operator)
    return len(graph.tensors) - 1


def text(name):
    return name.decode() if isinstance(name, bytes) else name or ""
