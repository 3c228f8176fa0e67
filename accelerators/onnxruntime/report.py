"""What an open session says of itself: which nodes are where, and how exactly they compute."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from accelerators.onnxruntime.providers import CPU, short
from accelerators.onnxruntime.targets import Target

_HEAVY = frozenset(
    {"Conv", "ConvTranspose", "FusedConv", "MatMul", "Gemm", "FusedMatMul", "FusedGemm", "Einsum"}
    | {"LSTM", "GRU", "RNN"}
)
_NATIVE = {"CUDA": "tf32"}
"""What providers make of float32 when they may choose."""

MEASURED = frozenset({"QNN"})
"""Providers that round float32 on some of their chips and not on others, whatever they are told."""


def placement(native: Any, place: Target) -> Mapping[str, int]:
    """How many graph nodes each provider got."""
    counts: Counter[str] = Counter()
    for part in native.get_provider_graph_assignment_info():
        id_ = place.id if part.ep_name == place.provider else short(part.ep_name)
        counts[id_] += len(part.get_nodes())
    return dict(counts)


def effective(native: Any, place: Target, wanted: str) -> str:
    """The precision of most of the heavy nodes: int8 in a quantized file, else what the provider was asked for."""
    kinds = Counter(
        node.op_type for part in native.get_provider_graph_assignment_info() for node in part.get_nodes()
    )
    whole = sum(count for kind, count in kinds.items() if kind.startswith("QLinear") or "Integer" in kind)
    heavy = sum(count for kind, count in kinds.items() if kind in _HEAVY)
    between = kinds["DequantizeLinear"] >= 2 * heavy > 0  # both operands of each come out of whole numbers
    if whole > heavy or between:
        return "int8"
    if wanted != "native":
        return wanted
    halves = [arg.type for arg in native.get_inputs()]
    if place.provider != CPU and halves and all(kind == "tensor(float16)" for kind in halves):
        return "f16"
    return _NATIVE.get(place.short, "f32")
