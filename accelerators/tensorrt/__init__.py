"""NVIDIA's TensorRT 10, 11 and TensorRT-RTX: ONNX models made into engines for a GPU, and engines run on it."""

from accelerators.tensorrt.options import Options
from accelerators.tensorrt.session import compile, devices, identity, load, version
from edgex_inference.contracts.accelerator import (
    ONNX,
    TENSORRT_ENGINE,
    TENSORRT_RTX_ENGINE,
    Accelerator,
    Level,
)

PLUGIN = Accelerator(
    name="tensorrt",
    formats=frozenset({TENSORRT_ENGINE, TENSORRT_RTX_ENGINE}),
    options=Options,
    level=Level.SIMULATED,
    extra="tensorrt",
    impostors={"nvidia-tensorrt": "NVIDIA's guard of an old name, which can run nothing: uninstall it"},
    devices=devices,
    load=load,
    version=version,
    default_device="GPU",
    compiles=frozenset({ONNX}),
    compile=compile,
    identity=identity,
)
