"""Model files: who reads which format, which files belong together, and what OpenVINO leaves unsaid of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgex_inference.contracts import appended, onnx_file
from edgex_inference.contracts.accelerator import (
    ONNX,
    OPENVINO_IR,
    PADDLE,
    TENSORFLOW,
    TFLITE,
    Format,
    LoadRequest,
)

FRONTENDS: Mapping[Format, str] = {
    ONNX: "onnx",
    OPENVINO_IR: "ir",
    TFLITE: "tflite",
    PADDLE: "paddle",
    TENSORFLOW: "tf",
}
"""OpenVINO's reader of each format. The runtime would guess from the content; a card says what its file is."""

_WEIGHTS: Mapping[Format, tuple[str, str]] = {
    OPENVINO_IR: (".xml", ".bin"),
    PADDLE: (".pdmodel", ".pdiparams"),
}


def missing(path: Path, format_: Format) -> str:
    """Why these files cannot be a model of this format, judged without opening them; empty when they can."""
    if path.is_dir():
        if format_ != TENSORFLOW:
            return "is a folder; only TensorFlow SavedModels are folders"
        there = any((path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt"))
        return "" if there else "the folder holds no saved_model.pb"
    if not path.is_file():
        return "no such file"
    suffix, weights = _WEIGHTS.get(format_, ("", ""))
    if not suffix:
        return ""
    if path.suffix.lower() != suffix:
        return f"a model of format {format_} is named *{suffix}, with its weights in *{weights}"
    beside = path.with_suffix(weights)
    return "" if beside.is_file() else f"its weights {beside.name} are missing"


def metadata(request: LoadRequest, model: Any) -> Mapping[str, str]:
    """What the file says of itself; `model` is the graph that was read from it, None where none was."""
    if model is None:
        return {}
    if request.format == ONNX:
        return onnx_file.metadata(request.path)  # OpenVINO's reader drops it
    if request.format == TFLITE:
        return appended.metadata(request.path)
    try:
        said = dict(model.get_rt_info().items()).get("model_info", {})
        return {str(key): str(value.value) for key, value in said.items() if isinstance(value.value, str)}
    except Exception:  # noqa: BLE001 - a model that says nothing of itself is a good model
        return {}
