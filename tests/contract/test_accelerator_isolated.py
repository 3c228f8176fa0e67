"""The accelerator contract on sessions in a worker process: the shipped fake, and ONNX Runtime."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from accelerators.onnxruntime import PLUGIN as ONNXRUNTIME
from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.engine.isolated import session as isolated
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.fake_accelerator import PLUGIN
from edgex_inference.testing.kinds import Kind
from edgex_inference.testing.onnx_models import write
from tests.contract.test_accelerator_fake import TestFake as _OfFake
from tests.contract.test_accelerator_fake import TestFakeWithOneThread as _OfFakeWithOneThread


def apart(value: str) -> partial[object]:
    return partial(isolated.load, value, value)


class TestIsolatedFake(_OfFake):
    plugin = replace(PLUGIN, load=apart("edgex_inference.testing.fake_accelerator:PLUGIN"))
    cycles = 8


class TestIsolatedFakeWithOneThread(_OfFakeWithOneThread):
    plugin = replace(PLUGIN, load=apart("edgex_inference.testing.fake_accelerator:PLUGIN"))
    cycles = 8


class TestIsolatedOnnxRuntime(AcceleratorContract):
    plugin = replace(ONNXRUNTIME, load=apart("accelerators.onnxruntime:PLUGIN"))
    module = "edgex_inference.engine.isolated.session"
    format = ONNX
    cycles = 8

    def model(self, kind: Kind, folder: Path) -> Path:
        return write(kind, folder)
