"""What OpenVINO's reader of ONNX takes otherwise than the file means: its numbers would be wrong (seen with 2026.4)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgex_inference.contracts import onnx_file
from edgex_inference.contracts.accelerator import ONNX, LoadRequest
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.protobuf import as_message, as_text, contents, fields

_SOFTMAX_ALONE = range(11, 13)
"""Up to operator set 12 Softmax runs over its axis and all that follow it; OpenVINO keeps to that up to set 10."""

_PASSED_OVER: Mapping[str, tuple[str, ...]] = {
    "LSTM": ("input_forget",),
    "Resize": ("antialias", "exclude_outside", "keep_aspect_ratio_policy"),
    "ReduceL1": ("axes",),
    "ReduceLogSum": ("axes",),
    "ReduceLogSumExp": ("axes",),
}
_AXES_UNSEEN = range(13, 18)
"""Operator sets whose reductions have their axes in an attribute, where OpenVINO looks for an input."""

_HARMLESS = (None, 0, b"", b"stretch")
_GRAPH, _NODE, _OPERATOR, _ATTRIBUTE = 7, 1, 4, 5
_NAME, _INTEGER, _TEXT, _BODY, _INTEGERS = 1, 3, 4, 6, 8

Attributes = Mapping[str, Mapping[int, int | memoryview]]


def misread(request: LoadRequest, model: Any) -> str:
    """Why OpenVINO's graph is not what the file means; empty where it is."""
    if not model.outputs:
        return "the file holds no model: it has no outputs"
    if request.format != ONNX:
        return ""
    try:
        said = onnx_file.read(request.path)
        opset = said.opsets.get("ai.onnx", 0)
        told = _passed_over(request.path, opset) if _PASSED_OVER.keys() & said.operators.keys() else ""
    except (OSError, ModelRejected, ValueError):
        return ""  # OpenVINO has read it
    return told or (_softmax(model) if opset in _SOFTMAX_ALONE else "")


def _passed_over(path: Path, opset: int) -> str:
    graph = next(value for number, value in fields(contents(path)) if number == _GRAPH)
    for operator, attributes in _written(as_message(graph)):
        for name in _PASSED_OVER.get(operator, ()):
            said = attributes.get(name, {})
            counts = opset in _AXES_UNSEEN and _INTEGERS in said if name == "axes" else _says(said)
            if counts:
                return f"OpenVINO passes over {name} of {operator}, and would make other numbers: name onnxruntime"
    return ""


def _says(attribute: Mapping[int, int | memoryview]) -> bool:
    text = attribute.get(_TEXT)
    plain = bytes(text) if isinstance(text, memoryview) else None
    return attribute.get(_INTEGER) not in _HARMLESS or plain not in _HARMLESS


def _written(graph: memoryview) -> Iterator[tuple[str, Attributes]]:
    """The operators that the file has and their attributes, those of branches and loops too; raises Damaged."""
    for number, node in fields(graph):
        if number != _NODE:
            continue
        operator, attributes = "", dict[str, Mapping[int, int | memoryview]]()
        for kind, value in fields(as_message(node)):
            if kind == _OPERATOR:
                operator = as_text(value)
            elif kind == _ATTRIBUTE:
                parts = dict(fields(as_message(value)))
                attributes[as_text(parts.get(_NAME))] = parts
        yield operator, attributes
        for body in (said[_BODY] for said in attributes.values() if _BODY in said):
            yield from _written(as_message(body))


def _softmax(model: Any) -> str:
    for node in _nodes(model):
        if node.get_type_name() == "Softmax" and not _is_last(node):
            return (
                "OpenVINO computes Softmax of operator sets 11 and 12 otherwise than ONNX says "
                f"({node.get_friendly_name()}): take the file to operator set 13, `edgex-inference model convert "
                "FILE --opset 13`, or name onnxruntime"
            )
    return ""


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
