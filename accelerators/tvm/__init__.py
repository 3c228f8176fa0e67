"""Apache TVM: ONNX models compiled to a library for this machine's CPU, or for an ARM64 board's."""

from accelerators.tvm.options import Options
from accelerators.tvm.session import compiled, devices, identity, load, version
from edgex_inference.contracts.accelerator import ONNX, TVM_LIBRARY, Accelerator, Level

PLUGIN = Accelerator(
    name="tvm",
    formats=frozenset({TVM_LIBRARY}),
    options=Options,
    level=Level.PROVEN,
    extra="tvm",
    devices=devices,
    load=load,
    version=version,
    impostors={"tvm": "another product, on the time value of money: uninstall it"},
    automatic=False,
    compiles=frozenset({ONNX}),
    compile=compiled,
    identity=identity,
)
