"""The accelerator contract on Qualcomm's provider: its x86 simulator, through the path of every plug-in provider."""

from pathlib import Path

import pytest

from accelerators.onnxruntime import PLUGIN
from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Capability, Kind
from edgex_inference.testing.onnx_models import write, write_slow

pytest.importorskip(
    "onnxruntime_qnn", reason='onnxruntime-qnn is not installed: pip install "edgex-inference[test-qnn]"'
)


class TestOnnxRuntimeOnQnn(AcceleratorContract):
    """Shapes are fixed at load; element types are those that the chip has."""

    plugin = PLUGIN
    module, vendor = "accelerators.onnxruntime", "onnxruntime"
    format = ONNX
    device = "QNN"
    capabilities = frozenset(Capability) - {
        Capability.BATCHES,
        Capability.OPEN_EXTENTS,
        Capability.SHORTS,
        Capability.NAMES_TYPES,
        Capability.TEXTS,
    }

    def model(self, kind: Kind, folder: Path) -> Path:
        path = write(kind, folder)
        if kind is Kind.SLOW:
            write_slow(path, 160)  # the simulator takes its time
        return path
