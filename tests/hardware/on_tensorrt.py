"""The accelerator contract on TensorRT and a real GPU; `make hardware` runs this, nothing else does."""

from pathlib import Path

from accelerators.tensorrt import PLUGIN
from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Capability, Kind
from edgex_inference.testing.onnx_models import write


class TestTensorRt(AcceleratorContract):
    plugin = PLUGIN
    module, vendor = "accelerators.tensorrt", "tensorrt"
    format = ONNX
    capabilities = frozenset(one for one in Capability if one.name not in ("SHORTS", "TEXTS", "OPEN_EXTENTS"))
    growth = 64 << 20  # the driver's own share of a first load

    def model(self, kind: Kind, folder: Path) -> Path:
        return write(kind, folder)
