"""What MIGraphX's C library does not tell of an ONNX file: its tensors' names, and whether it is quantized."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgex_inference.contracts import onnx_file
from edgex_inference.contracts.errors import ModelRejected

_QUANTIZED = frozenset({"QuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"})


@dataclass(frozen=True, slots=True)
class Names:
    """Inputs that must be fed with their extents (None where open), and outputs, both in the file's order.

    `quantized`: the file computes in int8 by itself.
    """

    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: Sequence[str]
    quantized: bool = False


def names(path: Path) -> Names:
    """Raises ModelRejected for what is no ONNX model, OSError when it cannot be read."""
    said = onnx_file.read(path)
    if not said.outputs:
        raise ModelRejected(path, "its graph has no outputs")
    inputs = {
        one.name: tuple(extent if isinstance(extent, int) else None for extent in one.shape or ())
        for one in said.inputs
    }
    outputs = [one.name for one in said.outputs]
    return Names(inputs, outputs, not _QUANTIZED.isdisjoint(said.operators))
