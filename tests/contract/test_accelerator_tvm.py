"""The accelerator contract on Apache TVM, compiling for this machine's CPU: `make tvm` installs it."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from accelerators.tvm import PLUGIN
from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Capability, Kind

if PLUGIN.version() is None:
    pytest.skip("apache-tvm is not installed: make tvm", allow_module_level=True)


class TestTvm(AcceleratorContract):
    plugin = PLUGIN
    module, vendor = "accelerators.tvm", "tvm"
    format = ONNX
    capabilities = frozenset(Capability) - {Capability.TEXTS, Capability.QUANTIZED}

    def model(self, kind: Kind, folder: Path) -> Path:
        from edgex_inference.testing.onnx_models import write  # needs the onnx package

        return write(kind, folder)


class TestTvmWithMoreCallersThanCores(TestTvm):
    options: ClassVar[Mapping[str, object]] = {"machines": 4, "mcpu": "x86-64-v2"}
