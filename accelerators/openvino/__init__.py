"""OpenVINO: declared; its session is not part of this release."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version

from edgex_inference.contracts.accelerator import (
    ONNX,
    OPENVINO_IR,
    TFLITE,
    Accelerator,
    InferenceDevice,
    Level,
)
from edgex_inference.contracts.errors import AcceleratorUnavailable

_DECLARED = "declared only: this release cannot run models with OpenVINO yet; use onnxruntime for ONNX models"


def _devices() -> Sequence[InferenceDevice]:
    raise AcceleratorUnavailable("openvino", _DECLARED)


def _version() -> str | None:
    try:
        return distribution_version("openvino")
    except PackageNotFoundError:
        return None


PLUGIN = Accelerator(
    name="openvino",
    formats=frozenset({ONNX, OPENVINO_IR, TFLITE}),
    level=Level.DECLARED,
    extra="openvino",
    devices=_devices,
    load=None,
    version=_version,
    declared=_DECLARED,
)
