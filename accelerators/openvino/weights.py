"""Weights that a file keeps in whole numbers, written out: what OpenVINO's CPU does with them in a run goes wrong."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgex_inference.contracts.accelerator import OPENVINO_IR, TFLITE, Format
from edgex_inference.contracts.tensors import Array


def mend(model: Any, format_: Format, constant: Callable[[Array], Any]) -> None:
    """Writes out what files of this format keep so; `constant` makes a node of an array."""
    if format_ in (TFLITE, OPENVINO_IR):
        write_out(model, constant, convolutions=format_ == OPENVINO_IR)


def write_out(model: Any, constant: Callable[[Array], Any], *, convolutions: bool = False) -> None:
    """Replaces converted whole numbers by the float32 that they stand for; `constant` makes a node of an array.

    `convolutions`: only those that are weights of one; products of matrices take compressed weights as they are.

    In files with quantized weights and floats between them (TFLite's dynamic range quantization) the CPU makes
    floats of weights during each run. With two streams and without pinning it then reads memory that nobody wrote:
    random answers, seen with OpenVINO 2026.4.1. Fully quantized files are computed in 8 bits, and stay as they are.
    """
    nodes = model.get_ops()
    if any(node.get_type_name() == "FakeQuantize" for node in nodes):
        return
    for node in nodes:
        if node.get_type_name() != "Convert" or node.get_output_element_type(0).get_type_name() != "f32":
            continue
        held = node.input_value(0).get_node()
        if convolutions and not _leads_to_convolution(node):
            continue
        if held.get_type_name() == "Constant" and held.get_output_element_type(0).get_type_name() in _WHOLE:
            numbers = constant(np.asarray(held.data).astype(np.float32))
            node.output(0).replace(numbers.output(0))


def _leads_to_convolution(node: Any) -> bool:
    """Whether a convolution comes after no more than scaling and turning around."""
    after = [port.get_node() for output in node.outputs() for port in output.get_target_inputs()]
    return any(
        one.get_type_name().endswith(("Convolution", "ConvolutionBackpropData"))
        or (one.get_type_name() in _BETWEEN and _leads_to_convolution(one))
        for one in after
    )


_BETWEEN = ("Multiply", "Subtract", "Transpose", "Reshape")
_WHOLE = ("i8", "u8", "i16")  # those of 4 bits come packed, two in a byte
