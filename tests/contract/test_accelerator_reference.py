"""The accelerator contract on the onnx package's reference evaluator."""

from collections.abc import Callable
from pathlib import Path

import pytest

from accelerators.reference import PLUGIN
from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Kind
from edgex_inference.testing.onnx_models import write


@pytest.fixture(autouse=True)
def _runtime(needs: Callable[..., None]) -> None:
    needs("onnx")


class TestReference(AcceleratorContract):
    plugin = PLUGIN
    module, vendor = "accelerators.reference", "onnx"
    format = ONNX

    def model(self, kind: Kind, folder: Path) -> Path:
        return write(kind, folder)
