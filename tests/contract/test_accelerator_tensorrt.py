"""The accelerator contract on TensorRT's plug-in, over stand-ins of three of its generations: no GPU was at hand."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from accelerators.tensorrt import PLUGIN
from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Capability, Kind

LACKING = {"SHORTS", "TEXTS", "OPEN_EXTENTS"}
"""No 16-bit integers, no texts; an open extent other than the first needs a profile for each model."""


class TestTensorRt11(AcceleratorContract):
    plugin = PLUGIN
    module, vendor = "accelerators.tensorrt", "tensorrt"
    format = ONNX
    flavor: ClassVar[str] = "eleven"
    capabilities = frozenset(one for one in Capability if one.name not in LACKING)

    @pytest.fixture(autouse=True)
    def _gpu(self, nvidia: Callable[..., Any]) -> None:
        nvidia(self.flavor, gpus=2)

    def model(self, kind: Kind, folder: Path) -> Path:
        from edgex_inference.testing.onnx_models import write  # needs onnx

        return write(kind, folder)


class TestTensorRt10(TestTensorRt11):
    flavor = "ten"


class TestTensorRtRtx(TestTensorRt11):
    flavor = "rtx"
    vendor = "tensorrt_rtx"


class TestTensorRtWithManyContexts(TestTensorRt11):
    """More runs at once than there are cores, on the second GPU: memory and streams of each are its own."""

    device = "GPU.1"
    options: ClassVar[Mapping[str, object]] = {"contexts": 6, "maxBatch": 64, "bestBatch": 8}
