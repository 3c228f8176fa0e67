"""OpenVINO's IR in 8 bits, by Intel's NNCF, calibrated with samples."""

import io
import logging
import os
from contextlib import redirect_stdout
from typing import Any

from accelerators.openvino.devices import NAME
from accelerators.openvino.session import read, vendor
from accelerators.openvino.words import sentence
from edgex_inference.contracts.accelerator import OPENVINO_IR, LoadRequest, QuantizeRequest
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.vendor import load_vendor


def quantize(request: QuantizeRequest) -> None:
    """Writes the model with 8-bit weights and activations; raises ModelRejected or AcceleratorUnavailable."""
    if request.format != OPENVINO_IR:
        raise ModelRejected(request.path, f"{NAME} quantizes {OPENVINO_IR}, not {request.format}")
    ov = vendor()
    os.environ.setdefault("NNCF_CI", "1")  # elsewhere than in tests it reports its use to its maker
    nncf: Any = load_vendor("nncf", accelerator=NAME, extra="quantize-openvino", attribute="quantize")
    told = request.progress or (lambda fraction, what: None)
    told(None, f"calibrating with {len(request.samples)} samples")
    chatty = logging.getLogger("nncf")
    before = chatty.level
    chatty.setLevel(logging.ERROR)
    try:
        model = read(LoadRequest(path=request.path, format=request.format))
        with redirect_stdout(io.StringIO()):  # bars of its own
            samples = nncf.Dataset([dict(one) for one in request.samples])
            model = nncf.quantize(model, samples, subset_size=len(request.samples))
        ov.save_model(model, os.fspath(request.into), compress_to_fp16=False)
    except ModelRejected:
        raise
    except Exception as error:
        raise ModelRejected(request.path, f"cannot be quantized: {sentence(error)}") from error
    finally:
        chatty.setLevel(before)
