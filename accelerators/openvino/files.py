"""Model files: who reads which format, which files belong together, and what OpenVINO leaves unsaid of them."""

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgex_inference.contracts import appended
from edgex_inference.contracts.accelerator import (
    ONNX,
    OPENVINO_IR,
    PADDLE,
    TENSORFLOW,
    TFLITE,
    Format,
    LoadRequest,
)
from edgex_inference.contracts.protobuf import as_number, as_text, fields

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
_METADATA_PROPS = 14


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
        return onnx_metadata(request.path)
    if request.format == TFLITE:
        return appended.metadata(request.path)
    try:
        said = dict(model.get_rt_info().items()).get("model_info", {})
        return {str(key): str(value.value) for key, value in said.items() if isinstance(value.value, str)}
    except Exception:  # noqa: BLE001 - a model that says nothing of itself is a good model
        return {}


def onnx_metadata(path: Path) -> Mapping[str, str]:
    """The metadata that an exporter left in an ONNX file, which OpenVINO's reader drops: names of classes and such."""
    found: dict[str, str] = {}
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for field, start, end in _fields(content, 0, len(content)):
                if field == _METADATA_PROPS:
                    pair = {key: content[first:last] for key, first, last in _fields(content, start, end)}
                    found[pair.get(1, b"").decode()] = pair.get(2, b"").decode()
    except (OSError, ValueError, IndexError):
        return {}
    return found


def misread(request: LoadRequest, model: Any) -> str:
    """Why OpenVINO's graph is not what the file means; empty where it is.

    Up to operator set 12 Softmax runs over its axis and all that follow it as over one. OpenVINO keeps to that up to
    set 10, and at 11 and 12 takes the axis alone (2026.4).
    """
    if not model.outputs:
        return "the file holds no model: it has no outputs"
    if request.format != ONNX or operator_set(request.path) not in _SOFTMAX_ALONE:
        return ""
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Softmax" and not _is_last(node):
            return (
                "OpenVINO computes Softmax of operator sets 11 and 12 otherwise than ONNX says "
                f"({node.get_friendly_name()}): take the file to operator set 13, `edgex-inference model convert "
                "FILE --opset 13`, or name onnxruntime"
            )
    return ""


_SOFTMAX_ALONE = (11, 12)
_OPSET_IMPORT = 8


def operator_set(path: Path) -> int:
    """The version of ONNX's own operators that a file uses; 0 where it does not say."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for field, start, end in _fields(content, 0, len(content)):
                if field == _OPSET_IMPORT:
                    said = dict(fields(memoryview(content[start:end])))
                    if as_text(said.get(1)) in ("", "ai.onnx"):
                        return as_number(said.get(2, 0))
    except (OSError, ValueError, IndexError):
        return 0
    return 0


def _is_last(node: Any) -> bool:
    """Whether nothing, or extents of 1, follow a Softmax's axis; an unknown rank tells nothing, and passes."""
    shape = node.get_input_partial_shape(0)
    if shape.rank.is_dynamic:
        return True
    axis = int(node.get_attributes()["axis"]) % len(shape)
    return all(extent.is_static and extent.get_length() == 1 for extent in list(shape)[axis + 1 :])


def _fields(content: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The length-delimited fields of a protobuf message: number, start and end of each."""
    while at < end:
        tag, at = _number(content, at)
        kind = tag & 7
        if kind == 0:
            _, at = _number(content, at)
        elif kind == 2:
            length, at = _number(content, at)
            if at + length > end:
                raise ValueError("a field reaches beyond its message")
            yield tag >> 3, at, at + length
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"no protobuf field begins with {tag}")


def _number(content: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
