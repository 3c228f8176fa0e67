"""TFLite models in 8 bits, by Google's AI Edge Quantizer, calibrated with samples."""

import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from accelerators.litert.session import NAME
from accelerators.tflite import sentence, specs
from edgex_inference.contracts.accelerator import TFLITE, QuantizeRequest
from edgex_inference.contracts.appended import append, metadata
from edgex_inference.contracts.errors import EdgexInferenceError, ModelRejected
from edgex_inference.contracts.vendor import load_vendor

_EXTRA = "quantize-litert"
_KEY = "serving_default"


def quantize(request: QuantizeRequest) -> None:
    """Writes the model with 8-bit weights, activations, inputs and outputs; raises ModelRejected or
    AcceleratorUnavailable.
    """
    if request.format != TFLITE:
        raise ModelRejected(request.path, f"{NAME} quantizes {TFLITE}, not {request.format}")
    tools: Any = load_vendor(
        "ai_edge_quantizer.quantizer", accelerator=NAME, extra=_EXTRA, attribute="Quantizer"
    )
    recipes: Any = load_vendor(
        "ai_edge_quantizer.recipe", accelerator=NAME, extra=_EXTRA, attribute="static_wi8_ai8"
    )
    told = request.progress or (lambda fraction, what: None)
    told(None, f"calibrating with {len(request.samples)} samples")
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells what it does to programmers
            maker = tools.Quantizer(bytearray(_signed(request)))
            maker.load_quantization_recipe(recipes.static_wi8_ai8())
            samples = [dict(one) for one in request.samples]
            found = maker.quantize(maker.calibrate({_KEY: samples}, num_threads=1))
        request.into.write_bytes(append(bytes(found.quantized_model), metadata(request.path)))
    except EdgexInferenceError:
        raise
    except Exception as error:
        raise ModelRejected(request.path, f"cannot be quantized: {sentence(error)}") from error
    finally:
        logging.disable(before)


def _signed(request: QuantizeRequest) -> bytes:
    """The file with a signature, which the quantizer wants, that calls tensors as the session does."""
    schema: Any = _litert("ai_edge_litert.schema_py_generated", "ModelT")
    content = request.path.read_bytes()
    native = _litert("ai_edge_litert.interpreter", "Interpreter").Interpreter(model_content=content)
    ins, outs = native.get_input_details(), native.get_output_details()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = _KEY, 0
    signature.inputs = _maps(schema, request, ins, "input")
    signature.outputs = _maps(schema, request, outs, "output")
    model.signatureDefs = [signature]
    builder = _litert("flatbuffers", "Builder").Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _maps(
    schema: Any, request: QuantizeRequest, details: Sequence[Mapping[str, Any]], what: str
) -> list[Any]:
    found = []
    for one, spec in zip(details, specs(request.path, details, what), strict=True):
        found.append(schema.TensorMapT())
        found[-1].name, found[-1].tensorIndex = spec.name, one["index"]
    return found


def _litert(module: str, attribute: str) -> Any:
    return load_vendor(module, accelerator=NAME, extra=NAME, attribute=attribute)
