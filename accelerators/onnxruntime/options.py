"""What a binding may say to ONNX Runtime, and what each provider must be told to hold a precision."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A binding's `options`; `provider_options` go to the execution provider as they are, `library` is its plug-in.

    One thread a run is the default: several runs share the cores, which gives more answers a second than one run on
    all of them. Waiting threads do not spin, so an idle service uses no processor time.
    """

    intra_op_threads: int | None = None
    inter_op_threads: int = 1
    graph_optimization: Literal["all", "extended", "basic", "off"] = "all"
    execution_mode: Literal["sequential", "parallel"] = "sequential"
    arena: bool = True
    spinning: bool = False
    provider_options: Mapping[str, str] = field(default_factory=dict)
    library: str = ""


PRECISION: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("CUDA", "f32"): {"use_tf32": "0"},
    ("TENSORRT", "f16"): {"trt_fp16_enable": "1"},
    ("MIGRAPHX", "f16"): {"migraphx_fp16_enable": "1"},
    ("QNN", "f16"): {"enable_htp_fp16_precision": "1"},
    ("OPENVINO", "f32"): {"precision": "FP32"},
    ("OPENVINO", "f16"): {"precision": "FP16"},
}
"""Provider options that make a precision true; without `use_tf32` CUDA multiplies in TF32."""


_HOMES = ("backend_type", "backend_path")
"""QNN's names for the part of the chip; it insists on one."""


def defaults(device: str, given: Mapping[str, str]) -> Mapping[str, str]:
    """What a provider must be told where a binding says nothing else."""
    return {"backend_type": "htp"} if device == "QNN" and not any(key in given for key in _HOMES) else {}


def precision(device: str, wanted: str) -> Mapping[str, str] | None:
    """The provider options for this precision; None where the provider cannot be asked for it."""
    if wanted in ("f32", "native"):
        return PRECISION.get((device, wanted), {})
    return PRECISION.get((device, wanted))
