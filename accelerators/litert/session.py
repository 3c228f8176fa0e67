"""Every call into LiteRT: opening interpreters, and its errors in our words."""

import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from types import ModuleType
from typing import Any

from accelerators.litert.options import Options
from accelerators.tflite import COMPILED, Job, TfliteSession, sentence
from edgex_inference.contracts.accelerator import TFLITE, InferenceDevice, LoadRequest, Session
from edgex_inference.contracts.errors import AcceleratorUnavailable, EdgexInferenceError, ModelRejected
from edgex_inference.contracts.vendor import in_use, load_vendor

NAME = "litert"
_MOST_PARALLEL = 8
_RESOLVERS = {
    "xnnpack": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}


def version() -> str | None:
    """The version of the installed runtime, without importing it; None without one."""
    try:
        return in_use("ai_edge_litert", distribution_version("ai-edge-litert"))
    except PackageNotFoundError:
        return None


def devices() -> Sequence[InferenceDevice]:
    """The CPU; raises AcceleratorUnavailable without the runtime."""
    _vendor()
    return (InferenceDevice(id="CPU", kind="cpu", name="LiteRT's XNNPACK and built-in kernels"),)


def load(request: LoadRequest) -> Session:
    """Loads a TFLite file; raises ModelRejected or AcceleratorUnavailable."""
    if request.format != TFLITE:
        raise ModelRejected(request.path, f"{NAME} reads {TFLITE}, not {request.format}")
    device = request.device or "CPU"
    if device.upper() != "CPU":
        raise AcceleratorUnavailable(f"{NAME}:{device}", "it has the CPU only: say CPU, or add a fallback")
    vendor = _vendor()
    options = request.options if isinstance(request.options, Options) else Options()
    threads = options.threads or request.threads or 1
    cores = len(os.sched_getaffinity(0))
    try:
        content = request.path.read_bytes()  # never mapped: whoever writes there would change answers
    except OSError as error:
        raise ModelRejected(request.path, error.strerror or str(error)) from error
    if not content:
        raise ModelRejected(request.path, "the file is empty")
    resolver = getattr(vendor.OpResolverType, _RESOLVERS[options.kernels])

    def native() -> Any:
        return vendor.Interpreter(
            model_content=content, num_threads=threads, experimental_op_resolver_type=resolver
        )

    job = Job(
        request=request,
        where=f"{NAME}:CPU",
        natives=native,
        parallel=options.interpreters or max(1, min(_MOST_PARALLEL, cores // threads)),
    )
    try:
        return TfliteSession(job)
    except EdgexInferenceError:
        raise
    except Exception as error:
        raise ModelRejected(request.path, _reason(error)) from error


def _vendor() -> ModuleType:
    return load_vendor("ai_edge_litert.interpreter", accelerator=NAME, extra=NAME, attribute="Interpreter")


def _reason(error: Exception) -> str:
    text = sentence(error)
    if COMPILED in text:
        return (
            "is compiled for the Edge TPU: its format is tflite-edgetpu, and the accelerator edgetpu runs it"
        )
    if "buffer" in text.lower() or "not a valid" in text.lower() or "schema version" in text:
        return f"is no TFLite model, or only a part of one ({text}): copy or export it again"
    return text
