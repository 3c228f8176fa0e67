"""The accelerator contract on LiteRT, on its CPU."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from accelerators.litert import PLUGIN
from edgex_inference.contracts.accelerator import TFLITE
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Capability, Kind


@pytest.fixture(autouse=True)
def _runtime(needs: Callable[..., None]) -> None:
    needs("ai_edge_litert")


class TestLiteRt(AcceleratorContract):
    plugin = PLUGIN
    module, vendor = "accelerators.litert", "ai_edge_litert"
    format = TFLITE
    capabilities = frozenset(Capability) - {Capability.TEXTS}

    def model(self, kind: Kind, folder: Path) -> Path:
        from edgex_inference.testing.tflite_models import write  # needs the runtime's schema

        return write(kind, folder)


class TestLiteRtWithMoreCallersThanCores(TestLiteRt):
    options: ClassVar[Mapping[str, object]] = {"interpreters": 4, "threads": 2}


class TestLiteRtWithBuiltinKernels(TestLiteRt):
    options: ClassVar[Mapping[str, object]] = {"kernels": "builtin"}
