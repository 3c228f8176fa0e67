"""ONNX Runtime: ONNX models on the CPU and on every execution provider that the installed build brings."""

from accelerators.onnxruntime.ahead import compile_, identity
from accelerators.onnxruntime.depending import parts, version
from accelerators.onnxruntime.options import Options
from accelerators.onnxruntime.providers import RETIRED
from accelerators.onnxruntime.quantizing import quantize
from accelerators.onnxruntime.session import absent, devices, load
from edgex_inference.contracts.accelerator import ONNX, ONNXRUNTIME_MODEL, Accelerator, Level

PLUGIN = Accelerator(
    name="onnxruntime",
    formats=frozenset({ONNX, ONNXRUNTIME_MODEL}),
    options=Options,
    level=Level.TUNED,
    extra="onnxruntime",
    devices=devices,
    load=load,
    version=version,
    parts=parts,
    compiles=frozenset({ONNX}),
    compile=compile_,
    identity=identity,
    quantizes=frozenset({ONNX}),
    quantize=quantize,
    retired=RETIRED,
    absent=absent,
    device_options=frozenset({"library"}),
    proven=("QNN's simulator",),
)
