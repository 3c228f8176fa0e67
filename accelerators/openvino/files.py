"""Model files: who reads which format, which files belong together, and what OpenVINO leaves unsaid of them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgex_inference.contracts import onnx_file
from edgex_inference.contracts.accelerator import (
    ONNX,
    OPENVINO_IR,
    PADDLE,
    TENSORFLOW,
    TFLITE,
    Format,
    LoadRequest,
)
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.protobuf import as_message, as_text, fields

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
    try:
        said = dict(model.get_rt_info().items()).get("model_info", {})
        return {str(key): str(value.value) for key, value in said.items() if isinstance(value.value, str)}
    except Exception:  # noqa: BLE001 - a model that says nothing of itself is a good model
        return {}


def misread(request: LoadRequest, model: Any) -> str:
    """Why OpenVINO's graph is not what the file means; empty where it is (2026.4).

    Its reader passes over an LSTM's input_forget. Up to operator set 12 Softmax runs over its axis and all that follow
    it as over one. OpenVINO keeps to that up to set 10, and at 11 and 12 takes the axis alone.
    """
    if not model.outputs:
        return "the file holds no model: it has no outputs"
    if request.format != ONNX:
        return ""
    if _couples_gates(request.path):
        return "OpenVINO passes over input_forget of an LSTM, and would make other numbers: name onnxruntime"
    if operator_set(request.path) not in _SOFTMAX_ALONE:
        return ""
    for node in _nodes(model):
        if node.get_type_name() == "Softmax" and not _is_last(node):
            return (
                "OpenVINO computes Softmax of operator sets 11 and 12 otherwise than ONNX says "
                f"({node.get_friendly_name()}): take the file to operator set 13, `edgex-inference model convert "
                "FILE --opset 13`, or name onnxruntime"
            )
    return ""


_SOFTMAX_ALONE = (11, 12)


def operator_set(path: Path) -> int:
    """The version of ONNX's own operators that a file uses; 0 where it does not say."""
    try:
        return onnx_file.read(path).opsets.get("ai.onnx", 0)
    except (OSError, ModelRejected):
        return 0


def _couples_gates(path: Path) -> bool:
    """Whether an LSTM of the graph itself has an input_forget that is not 0."""
    try:
        if "LSTM" not in onnx_file.read(path).operators:
            return False
        graph = dict(fields(memoryview(path.read_bytes())))[7]
        nodes = [as_message(value) for number, value in fields(as_message(graph)) if number == 1]
        attributes = [
            dict(fields(as_message(value))) for one in nodes for number, value in fields(one) if number == 5
        ]
        return any(as_text(one.get(1)) == "input_forget" and one.get(3) for one in attributes)
    except (OSError, ModelRejected, ValueError):
        return False


def _nodes(graph: Any) -> Iterator[Any]:
    """All nodes, those of branches and loops too."""
    for node in graph.get_ordered_ops():
        yield node
        kind = node.get_type_name()
        if kind == "If":
            yield from _nodes(node.get_then_body())
            yield from _nodes(node.get_else_body())
        elif kind in ("Loop", "TensorIterator"):
            yield from _nodes(node.get_function())


def _is_last(node: Any) -> bool:
    """Whether nothing, or extents of 1, follow a Softmax's axis; an unknown rank tells nothing, and passes."""
    shape = node.get_input_partial_shape(0)
    if shape.rank.is_dynamic:
        return True
    axis = int(node.get_attributes()["axis"]) % len(shape)
    return all(extent.is_static and extent.get_length() == 1 for extent in list(shape)[axis + 1 :])
