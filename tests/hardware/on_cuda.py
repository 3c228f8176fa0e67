"""The accelerator contract on ONNX Runtime's provider CUDA and a real GPU; only `make hardware` runs this."""

from pathlib import Path
from typing import ClassVar

from accelerators.onnxruntime import PLUGIN
from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Kind
from edgex_inference.testing.onnx_models import write


class TestOnnxRuntime(AcceleratorContract):
    plugin = PLUGIN
    module, vendor = "accelerators.onnxruntime", "onnxruntime"
    format = ONNX
    device: ClassVar[str | None] = "CUDA"
    growth = 64 << 20  # the driver's own share of a first load

    def model(self, kind: Kind, folder: Path) -> Path:
        return write(kind, folder)
