"""The accelerator contract on the Edge TPU's plug-in, over a simulated libedgetpu: no chip was at hand."""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from accelerators.edgetpu import PLUGIN
from edgex_inference.contracts.accelerator import TFLITE_EDGETPU
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Capability, Kind


@pytest.fixture(autouse=True)
def _library(needs: Callable[..., None], edgetpu: Any) -> None:
    """Loaded by its path, the library answers to its name from then on, as one that is installed would."""
    needs("ai_edge_litert")
    ctypes.CDLL(str(edgetpu()))
    TestEdgeTpu.program = staticmethod(edgetpu.program)


class TestEdgeTpu(AcceleratorContract):
    plugin = PLUGIN
    module, vendor = "accelerators.edgetpu", "ai_edge_litert"
    format = TFLITE_EDGETPU
    capabilities = frozenset({Capability.FIXED_BATCHES, Capability.REPLACED})
    program: ClassVar[Callable[..., bytes]]

    def model(self, kind: Kind, folder: Path) -> Path:
        from edgex_inference.testing.tflite_models import write_compiled  # needs the runtime's schema

        path = folder / f"{(Kind.ONE if kind is Kind.OTHER else kind).name.lower()}_edgetpu.tflite"
        says = {Kind.OTHER: self.program(3, -1), Kind.SLOW: self.program(wait=20)}
        shape = (3, 4) if kind is Kind.FIXED else (1, 4)
        write_compiled(path, says.get(kind, self.program()), shape=shape)
        if kind is Kind.BROKEN:
            path.write_bytes(path.read_bytes()[:-40] + b"\xff" * 7)
        return path
