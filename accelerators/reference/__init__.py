"""Reference: the onnx package's own evaluator; slow and exact, the oracle that others are compared with."""

from accelerators.reference.session import devices, load, version
from edgex_inference.contracts.accelerator import ONNX, Accelerator, Level

PLUGIN = Accelerator(
    name="reference",
    formats=frozenset({ONNX}),
    level=Level.PROVEN,
    extra="reference",
    devices=devices,
    load=load,
    version=version,
    automatic=False,
)
