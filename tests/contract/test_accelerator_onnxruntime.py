"""The accelerator contract on ONNX Runtime, on its CPU."""

from collections.abc import Mapping
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

    def model(self, kind: Kind, folder: Path) -> Path:
        return write(kind, folder)


class TestOnnxRuntimeWithOneCallerAtATime(TestOnnxRuntime):
    """Two threads inside a run on two cores: the other parallelism that the plug-in can reach."""

    options: ClassVar[Mapping[str, object]] = {
        "intraOpThreads": 2,
        "graphOptimization": "basic",
        "arena": False,
    }
