"""A small writer of ONNX graphs: plain operators, opset 17, dynamic batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

OPSET = 17
IR_VERSION = 8


@dataclass(slots=True)
class Graph:
    """Nodes and constants in the order of adding; every tensor is named after what it is."""

    name: str
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, value: ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        """Adds a constant tensor and returns its name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=dtype), name))
        return name

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Adds a node with one output and returns the output's name."""
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def conv(
        self, source: str, output: str, kernel: ArrayLike, bias: ArrayLike, stride: int = 1, pad: int = 0
    ) -> str:
        """Adds a square 2-D convolution; kernel [out, in, k, k], bias [out], `pad` on all four sides."""
        weights = np.asarray(kernel)
        names = [source, self.constant(f"{output}.kernel", weights), self.constant(f"{output}.bias", bias)]
        return self.add(
            "Conv",
            names,
            output,
            kernel_shape=list(weights.shape[2:]),
            strides=[stride, stride],
            pads=[pad] * 4,
        )

    def model(
        self, inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, Sequence[int]]
    ) -> onnx.ModelProto:
        """The checked model; shapes are given without the batch."""
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [_value(name, shape) for name, shape in inputs.items()],
            [_value(name, shape) for name, shape in outputs.items()],
            self.constants,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="edgex-inference",
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def difference(
    model: onnx.ModelProto, inputs: dict[str, NDArray[np.float32]], expected: Sequence[ArrayLike]
) -> float:
    """The largest distance of the answers, as ONNX's own reference computes them, from `expected`."""
    answers = ReferenceEvaluator(model).run(None, inputs)
    return max(float(np.abs(a - np.asarray(e)).max()) for a, e in zip(answers, expected, strict=True))


def _value(name: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
