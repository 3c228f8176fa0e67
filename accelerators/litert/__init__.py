"""LiteRT (TensorFlow Lite): TFLite models, float and quantized, on the CPU by XNNPACK."""

from accelerators.litert.options import Options
from accelerators.litert.quantizing import quantize
from accelerators.litert.session import devices, load, version
from edgex_inference.contracts.accelerator import TFLITE, Accelerator, Level

PLUGIN = Accelerator(
    name="litert",
    formats=frozenset({TFLITE}),
    options=Options,
    level=Level.TUNED,
    extra="litert",
    devices=devices,
    load=load,
    version=version,
    quantizes=frozenset({TFLITE}),
    quantize=quantize,
)
