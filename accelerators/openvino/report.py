"""What a compiled model turned out to be: where it runs, and in which precision."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from accelerators.openvino.devices import Target

EXACTNESS = {"bf16": 1, "f16": 2, "f32": 3}
HALVES = frozenset({"bf16", "f16"})
_NO_WORK = frozenset({"Const", "Constant", "Input", "Output", "Parameter", "Result"})
_HEAVY = frozenset(
    {"Convolution", "GroupConvolution", "Deconvolution", "FullyConnected", "MatMul", "RNNSeq", "RNNCell"}
)


def nodes(compiled: Any) -> Sequence[tuple[str, str]]:
    """Layer type and precision of every node that does something; empty where the device does not tell."""
    try:
        told = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
        working = [
            (info["layerType"].astype(str), info["runtimePrecision"].astype(str))
            for info in told
            if "layerType" in info and "runtimePrecision" in info
        ]
    except Exception:  # noqa: BLE001 - a device that cannot tell is not a broken one
        return ()
    return [node for node in working if node[0] not in _NO_WORK]


def granted(compiled: Any) -> str | None:
    """The precision that the device was set to; None where it does not tell."""
    try:
        element = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    except Exception:  # noqa: BLE001 - AUTO and HETERO do not tell
        return None
    return element if element in EXACTNESS else None


def effective(ran: Sequence[tuple[str, str]], otherwise: str) -> str:
    """The precision that most of the heavy nodes really run in; int8 where the file is quantized."""
    heavy = Counter(precision for kind, precision in ran if kind in _HEAVY)
    if not heavy:
        return otherwise
    found = heavy.most_common(1)[0][0]
    return "int8" if found in ("i8", "u8") else found


def placement(compiled: Any, place: Target, ran: Sequence[tuple[str, str]]) -> Mapping[str, int]:
    """How many working nodes went to which devices."""
    try:
        devices = [str(one).strip("()") for one in compiled.get_property("EXECUTION_DEVICES")]
    except Exception:  # noqa: BLE001 - third parties' plug-ins need not tell
        devices = list(place.members)
    return {"+".join(devices) or place.native: len(ran)}
