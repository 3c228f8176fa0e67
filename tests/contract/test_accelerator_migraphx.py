"""The accelerator contract on MIGraphX's plug-in, over a stand-in of its C library: no AMD GPU was at hand."""

from collections.abc import Callable
from pathlib import Path

import pytest

from accelerators.migraphx import PLUGIN, library
from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Capability, Kind


@pytest.fixture(autouse=True)
def _stand_in(needs: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    needs("onnx")
    from tests.simulators.migraphx import Library

    made = Library()
    monkeypatch.setattr(library, "_loaded", lambda _name: made)


class TestMigraphx(AcceleratorContract):
    plugin = PLUGIN
    module, vendor = "accelerators.migraphx", "onnx"
    format = ONNX
    capabilities = frozenset(
        {
            Capability.FIXED_BATCHES,
            Capability.INTEGERS,
            Capability.PRODUCTS,
            Capability.SEVERAL,
            Capability.REPLACED,
        }
    )

    def model(self, kind: Kind, folder: Path) -> Path:
        from edgex_inference.testing.onnx_models import write

        return write(kind, folder)
