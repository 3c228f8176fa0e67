"""AMD's MIGraphX: ONNX models and compiled `.mxr` programs on AMD's GPUs (ROCm), through its C library."""

from accelerators.migraphx.library import CURE
from accelerators.migraphx.options import Options
from accelerators.migraphx.session import compile_, devices, identity, load, version
from edgex_inference.contracts.accelerator import MIGRAPHX_PROGRAM, ONNX, Accelerator, Level

PLUGIN = Accelerator(
    name="migraphx",
    formats=frozenset({ONNX, MIGRAPHX_PROGRAM}),
    options=Options,
    level=Level.SIMULATED,
    extra="",
    cure=CURE,
    impostors={"migraphx": "a placeholder of AMD's on PyPI, which can run nothing: uninstall it"},
    devices=devices,
    load=load,
    version=version,
    default_device="GPU",
    device_options=frozenset({"library"}),
    compiles=frozenset({ONNX}),
    compile=compile_,
    identity=identity,
    proven=("REF",),
)
