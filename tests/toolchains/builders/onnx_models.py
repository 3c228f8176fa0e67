"""Synthetic ONNX models for TensorFlow Lite: what it orders otherwise, what it lays out otherwise, what it lacks."""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

folder = sys.argv[1]
random = np.random.default_rng(0)


def weights(name, *shape):
    return numpy_helper.from_array(random.normal(0, 0.3, shape).astype("f"), name)


def save(name, nodes, takes, gives, constants=(), opset=17, domains=(), **how):
    sides = [
        [helper.make_tensor_value_info(one, kind, shape) for one, (kind, shape) in side.items()]
        for side in (takes, gives)
    ]
    sets = [helper.make_opsetid("", opset), *(helper.make_opsetid(*one) for one in domains)]
    model = helper.make_model(helper.make_graph(nodes, name, *sides, list(constants)), opset_imports=sets)
    model.ir_version = 8
    onnx.save(model, f"{folder}/{name}.onnx", **how)


def real(*shape):
    return TensorProto.FLOAT, shape


node = helper.make_node
conv = [weights("w", 5, 3, 3, 3), weights("c", 5)]
save(
    "several",
    [node("Sub", ["right", "left"], ["difference"]), node("Mul", ["left", "right"], ["product"])],
    {"right": real("rows", 4), "left": real("rows", 4)},
    {"product": real("rows", 4), "difference": real("rows", 4)},
)
save(
    "maps",
    [
        node("Conv", ["picture:0", "w", "c"], ["/maps"], pads=[1, 1, 1, 1]),
        node("Relu", ["/maps"], ["/out:0"]),
    ],
    {"picture:0": real("rows", 3, 20, 20)},
    {"/out:0": real("rows", 5, 20, 20)},
    conv,
)
save(
    "square",
    [node("Conv", ["x", "w", "c"], ["y"], pads=[1, 1, 1, 1])],
    {"x": real(1, 6, 6, 6)},
    {"y": real(1, 6, 6, 6)},
    [weights("w", 6, 6, 3, 3), weights("c", 6)],
)
save(
    "bytes",
    [
        node("Cast", ["picture"], ["real"], to=TensorProto.FLOAT),
        node("Conv", ["real", "w", "c"], ["maps"]),
        node("GlobalAveragePool", ["maps"], ["means"]),
        node("Flatten", ["means"], ["scores"]),
        node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ],
    {"picture": (TensorProto.UINT8, (1, 3, 24, 32))},
    {"label": (TensorProto.INT64, (1,)), "scores": real(1, 5)},
    conv,
)
save(
    "sound",
    [node("Conv", ["x", "w", "c"], ["y"], pads=[1, 1])],
    {"x": real(1, 8, 30)},
    {"y": real(1, 5, 30)},
    [weights("w", 5, 8, 3), weights("c", 5)],
    opset=9,
)
save(
    "outside",
    [node("MatMul", ["x", "w"], ["y"])],
    {"x": real("rows", 40)},
    {"y": real("rows", 30)},
    [weights("w", 40, 30)],
    save_as_external_data=True,
    location="outside.bin",
    size_threshold=0,
)
save(
    "open",
    [node("Conv", ["x", "w", "c"], ["y"])],
    {"x": real("rows", 3, "high", "wide")},
    {"y": real("rows", 5, "h", "w")},
    conv,
)
save(
    "memory",
    [node("LSTM", ["x", "w", "r"], ["y"], hidden_size=6)],
    {"x": real(7, 1, 4)},
    {"y": real(7, 1, 1, 6)},
    [weights("w", 1, 24, 4), weights("r", 1, 24, 6)],
)
save(
    "linear",
    [node("LinearRegressor", ["x"], ["y"], domain="ai.onnx.ml", coefficients=[1.0, 2.0], intercepts=[0.5])],
    {"x": real("rows", 2)},
    {"y": real("rows", 1)},
    domains=[("ai.onnx.ml", 1)],
)
