"""AMD's (Xilinx's) DPU: compiled `.xmodel` files through VART, the runtime of Vitis AI."""

from accelerators.vitisai.options import Options
from accelerators.vitisai.session import CURE, devices, load, version
from edgex_inference.contracts.accelerator import XMODEL, Accelerator, Level

PLUGIN = Accelerator(
    name="vitisai",
    formats=frozenset({XMODEL}),
    options=Options,
    level=Level.SIMULATED,
    extra="",
    cure=CURE,
    devices=devices,
    load=load,
    version=version,
    default_device="DPU",
    isolation="process",
    retired={
        "DNNDK": "DNNDK (n2cube, DNNC's .elf files) ended with Vitis AI 1.4, which took its place: compile the model "
        "to an .xmodel with vai_c, and say vitisai"
    },
)
