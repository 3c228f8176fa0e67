"""The accelerator contract on the real MIGraphX, on its target `ref`: `make migraphx` fetches it and runs this."""

from pathlib import Path

import pytest

from accelerators.migraphx import PLUGIN
from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Capability, Kind

if PLUGIN.version() is None:
    pytest.skip("libmigraphx_c is not installed: make migraphx fetches it", allow_module_level=True)


class TestMigraphxOnRef(AcceleratorContract):
    """Batches are compiled for, so none is open; `ref` computes everything as the file says."""

    plugin = PLUGIN
    module, vendor = "accelerators.migraphx", "onnx"
    format = ONNX
    device = "REF"
    capabilities = frozenset(Capability) - {
        Capability.BATCHES,
        Capability.OPEN_EXTENTS,
        Capability.TEXTS,
        Capability.COUNTS,
    }

    def model(self, kind: Kind, folder: Path) -> Path:
        from edgex_inference.testing.onnx_models import write, write_slow

        path = write(kind, folder)
        if kind is Kind.SLOW:
            write_slow(path, 60)  # its products are plain loops
        return path
