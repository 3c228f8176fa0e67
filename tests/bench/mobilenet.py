"""MobileNet v1 (width 0.25, 128×128) in 8 bits as ONNX: the layers of the real one, with weights that mean nothing.

Only its speed counts here. The real quantized one is a TFLite file, which ONNX Runtime does not read.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from accelerators.onnxruntime import PLUGIN
from edgex_inference.contracts.accelerator import ONNX, QuantizeRequest
from edgex_inference.testing.onnx_models import save

SIDE, CLASSES = 128, 1001
_FIRST = 8
_BLOCKS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *((128, 1),) * 5, (256, 2), (256, 1))
"""Channels after each depthwise separable block, and its stride."""


def quantized(folder: Path) -> Path:
    """Writes the network and its int8 build by our own quantizer; takes float32 [n, 3, 128, 128]."""
    plain, path = _written(folder / "mobilenet.onnx"), folder / "mobilenet-int8.onnx"
    numbers = np.random.default_rng(1)
    samples = [{"x": numbers.random((1, 3, SIDE, SIDE), np.float32)} for _ in range(4)]
    assert PLUGIN.quantize is not None
    PLUGIN.quantize(QuantizeRequest(path=plain, format=ONNX, into=path, samples=samples))
    return path


def _written(path: Path) -> Path:
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    last, depth = "x", 3
    for number, (wide, kernel, stride, group) in enumerate(_convolutions()):
        shape = (wide, depth // group, kernel, kernel)
        numbers = np.random.default_rng(number)
        scale = np.sqrt(2 / np.prod(shape[1:]))
        weights = (numbers.standard_normal(shape) * scale).astype(np.float32)
        bias = numbers.standard_normal(wide).astype(np.float32) / 10
        constants += [
            numpy_helper.from_array(weights, f"w{number}"),
            numpy_helper.from_array(bias, f"b{number}"),
        ]
        nodes += [
            helper.make_node(
                "Conv",
                [last, f"w{number}", f"b{number}"],
                [f"c{number}"],
                group=group,
                strides=[stride, stride],
                pads=[kernel // 2] * 4,
            ),
            helper.make_node("Clip", [f"c{number}", "low", "high"], [f"r{number}"]),
        ]
        last, depth = f"r{number}", wide
    numbers = np.random.default_rng(99)
    constants += [
        numpy_helper.from_array(np.array(0, np.float32), "low"),
        numpy_helper.from_array(np.array(6, np.float32), "high"),
        numpy_helper.from_array((numbers.standard_normal((depth, CLASSES)) / 16).astype(np.float32), "wide"),
        numpy_helper.from_array(np.zeros(CLASSES, np.float32), "offset"),
    ]
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "wide", "offset"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["y"], axis=1),
    ]
    inputs = {"x": (TensorProto.FLOAT, ("n", 3, SIDE, SIDE))}
    return save(path, nodes, inputs, {"y": (TensorProto.FLOAT, ("n", CLASSES))}, constants)


def _convolutions() -> Iterator[tuple[int, int, int, int]]:
    """Channels, kernel, stride and groups of each."""
    yield _FIRST, 3, 2, 1
    depth = _FIRST
    for wide, stride in _BLOCKS:
        yield depth, 3, stride, depth
        yield wide, 1, 1, 1
        depth = wide
