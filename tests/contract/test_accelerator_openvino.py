"""The accelerator contract on OpenVINO, on its CPU."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from accelerators.openvino import PLUGIN
from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Capability, Kind
from edgex_inference.testing.onnx_models import write


@pytest.fixture(autouse=True)
def _runtime(needs: Callable[..., None]) -> None:
    needs("openvino")


class TestOpenVino(AcceleratorContract):
    plugin = PLUGIN
    module, vendor = "accelerators.openvino", "openvino"
    format = ONNX
    capabilities = frozenset(Capability) - {Capability.TEXTS}

    def model(self, kind: Kind, folder: Path) -> Path:
        return write(kind, folder)


class TestOpenVinoWithRequestsSideBySide(TestOpenVino):
    options: ClassVar[Mapping[str, object]] = {"streams": 2, "requests": 4}
