"""Reference: declared; the onnx package's evaluator, the slow and exact oracle, is not part of this release."""

from collections.abc import Sequence

from edgex_inference.contracts.accelerator import ONNX, Accelerator, InferenceDevice, Level
from edgex_inference.contracts.errors import AcceleratorUnavailable

_DECLARED = (
    "declared only: the onnx package's reference evaluator is not in this release yet; "
    "use onnxruntime for ONNX models"
)


def _devices() -> Sequence[InferenceDevice]:
    raise AcceleratorUnavailable("reference", _DECLARED)


def _version() -> str | None:
    return None


PLUGIN = Accelerator(
    name="reference",
    formats=frozenset({ONNX}),
    level=Level.DECLARED,
    extra="",
    devices=_devices,
    load=None,
    version=_version,
    declared=_DECLARED,
)
