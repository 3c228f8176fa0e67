"""ONNX models in 8 bits: QDQ nodes as TensorRT takes them too, calibrated with samples."""

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from accelerators.onnxruntime.targets import NAME
from edgex_inference.contracts.accelerator import ONNX, QuantizeRequest
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.tensors import Array
from edgex_inference.contracts.vendor import load_vendor


def quantize(request: QuantizeRequest) -> None:
    """Writes the model with 8-bit weights and activations; raises ModelRejected or AcceleratorUnavailable.

    Symmetric and without quantized biases: TensorRT refuses others.
    """
    if request.format != ONNX:
        raise ModelRejected(request.path, f"{NAME} quantizes onnx, not {request.format}")
    load_vendor("onnx", accelerator=NAME, extra="quantize", attribute="ModelProto")
    tools: Any = load_vendor(
        "onnxruntime.quantization", accelerator=NAME, extra="quantize", attribute="quantize_static"
    )
    shaping: Any = load_vendor(
        "onnxruntime.quantization.shape_inference",
        accelerator=NAME,
        extra="quantize",
        attribute="quant_pre_process",
    )
    told = request.progress or (lambda fraction, what: None)
    quiet = logging.getLogger()
    before = quiet.level
    quiet.setLevel(logging.CRITICAL)  # advice to programmers, and tracebacks of what is tried and may fail
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ready = Path(folder) / "ready.onnx"
            told(None, "simplifying")
            shaping.quant_pre_process(os.fspath(request.path), os.fspath(ready), skip_symbolic_shape=True)
            told(None, f"calibrating with {len(request.samples)} samples")
            tools.quantize_static(
                os.fspath(ready),
                os.fspath(request.into),
                _reader(tools, request),
                quant_format=tools.QuantFormat.QDQ,
                activation_type=tools.QuantType.QInt8,
                weight_type=tools.QuantType.QInt8,
                per_channel=True,
                extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
            )
    except Exception as error:
        raise ModelRejected(request.path, f"cannot be quantized: {error}") from error
    finally:
        quiet.setLevel(before)


def _reader(tools: Any, request: QuantizeRequest) -> Any:
    """The samples in the words of the runtime's calibrator, which asks for one after the other."""

    class Reader(tools.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left: Iterator[Mapping[str, Array]] = iter(request.samples)

        def get_next(self) -> Mapping[str, Array] | None:
            return next(self._left, None)

        def rewind(self) -> None:
            self._left = iter(request.samples)

    return Reader()
