"""OpenVINO: ONNX, IR, TFLite, Paddle and TensorFlow models on the CPU, and on Intel's GPUs and NPUs by name."""

from collections.abc import Mapping

from accelerators.openvino.ahead import compile_, identity
from accelerators.openvino.devices import RETIRED, lacking
from accelerators.openvino.files import FRONTENDS
from accelerators.openvino.options import Options
from accelerators.openvino.quantizing import quantize
from accelerators.openvino.session import core_of, devices, load, vendor, version
from edgex_inference.contracts.accelerator import OPENVINO_BLOB, OPENVINO_IR, Accelerator, Level


def _absent() -> Mapping[str, str]:
    """What brings each kind of device that is not here."""
    return lacking(core_of(vendor(), "").available_devices)


PLUGIN = Accelerator(
    name="openvino",
    formats=frozenset({*FRONTENDS, OPENVINO_BLOB}),
    options=Options,
    level=Level.TUNED,
    extra="openvino",
    devices=devices,
    load=load,
    version=version,
    retired=RETIRED,
    absent=_absent,
    device_options=frozenset({"plugins"}),
    compiles=frozenset(FRONTENDS),
    compile=compile_,
    identity=identity,
    quantizes=frozenset({OPENVINO_IR}),
    quantize=quantize,
)
