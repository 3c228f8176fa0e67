"""Google's Edge TPU (Coral): files of its compiler, through LiteRT and libedgetpu."""

from accelerators.edgetpu.options import Options
from accelerators.edgetpu.session import devices, load, version
from edgex_inference.contracts.accelerator import TFLITE_EDGETPU, Accelerator, Level

PLUGIN = Accelerator(
    name="edgetpu",
    formats=frozenset({TFLITE_EDGETPU}),
    options=Options,
    level=Level.SIMULATED,
    extra="edgetpu",
    impostors={"pycoral": "another product, which is not needed"},
    devices=devices,
    load=load,
    version=version,
    default_device="TPU",
    device_options=frozenset({"library"}),
    isolation="process",
)
