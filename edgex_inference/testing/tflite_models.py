"""Tiny TFLite files for tests; needs the package `ai-edge-litert` for its schema.

The same models as `onnx_models` writes, and those that a compiler for the Edge TPU leaves: one operator `COMPILED`
whose `custom` bytes the chip understands.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgex_inference.contracts.tensors import Array, Quantization
from edgex_inference.testing.kinds import STEP_ANSWER, STEP_GIVEN, STEP_WEIGHTS, WEIGHTS, Kind

Extents = Sequence[int | None]
COMPILED = "edgetpu-custom-op"
_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int64): schema.TensorType.INT64,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.float16): schema.TensorType.FLOAT16,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.uint16): schema.TensorType.UINT16,
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(object): schema.TensorType.STRING,
    np.dtype(np.complex64): schema.TensorType.COMPLEX64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A tensor that is fed, computed or read; `dtype` is numpy's, or the schema's number of what numpy lacks.

    `variable`: it lives from run to run.
    """

    name: str
    shape: Extents
    dtype: Any = np.float32
    quantization: Quantization | None = None
    variable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An operator by its name in the schema; `options` are the fields of its options table."""

    kind: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    options: dict[str, Any] = field(default_factory=dict)
    custom: bytes = b""


_OPTIONS = {
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "SequenceRNNOptions",
    "MUL": "MulOptions",
    "MEAN": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "GATHER": "GatherOptions",
    "RESHAPE": "ReshapeOptions",
    "DEQUANTIZE": "DequantizeOptions",
    "QUANTIZE": "QuantizeOptions",
    "CAST": "CastOptions",
}


def write(kind: Kind, folder: Path) -> Path:
    """Writes the model of this kind as TFLite and gives its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{(Kind.ONE if kind is Kind.OTHER else kind).name.lower()}.tflite"
    if kind is Kind.BROKEN:
        good = write(Kind.ONE, folder)
        path.write_bytes(good.read_bytes()[:-40] + b"\xff" * 7)
        return path
    if kind in _WRITERS:
        return _WRITERS[kind](path)
    if kind in _CAST:
        return _write_cast(path, _CAST[kind])
    if kind is Kind.OTHER:
        return write_affine(path, shape=(1, 4), scale=3, offset=-1)
    if kind is Kind.INTEGERS:
        return write_affine(path, shape=(None, 2), dtype=np.int64)
    shapes: dict[Kind, Extents] = {Kind.ANY: (None, 4), Kind.FIXED: (3, 4), Kind.OPEN: (None, None)}
    return write_affine(path, shape=shapes.get(kind, (1, 4)), clamped=kind is Kind.CLAMPED)


def write_affine(
    path: Path,
    *,
    shape: Extents = (None, 4),
    dtype: Any = np.float32,
    scale: float = 2,
    offset: float = 1,
    clamped: bool = False,
) -> Path:
    """y = scale · x + offset, cut off at 0 and 6 where `clamped`."""
    width = shape[-1] or 1
    fused = {"fusedActivationFunction": schema.ActivationFunctionType.RELU6} if clamped else {}
    return save(
        path,
        [
            Node(kind="MUL", inputs=["x", "scale"], outputs=["z"]),
            Node(kind="ADD", inputs=["z", "offset"], outputs=["y"], options=fused),
        ],
        [Tensor(name=name, shape=shape, dtype=dtype) for name in ("x", "z", "y")],
        {"scale": np.full(width, scale, dtype), "offset": np.full(width, offset, dtype)},
    )


def write_compiled(
    path: Path,
    custom: bytes,
    *,
    shape: Extents = (1, 4),
    dtype: Any = np.float32,
    quantizations: tuple[Quantization, Quantization] | None = None,
) -> Path:
    """What Google's compiler leaves: one operator for the chip from `x` to `y`; `custom` is its program."""
    given, answer = quantizations or (None, None)
    return save(
        path,
        [Node(kind="CUSTOM", inputs=["x"], outputs=["y"], custom=custom)],
        [
            Tensor(name="x", shape=shape, dtype=dtype, quantization=given),
            Tensor(name="y", shape=shape, dtype=dtype, quantization=answer),
        ],
        {},
    )


def save(
    path: Path,
    nodes: Sequence[Node],
    tensors: Sequence[Tensor],
    constants: dict[str, Array],
    *,
    inputs: Sequence[str] = ("x",),
    outputs: Sequence[str] = ("y",),
    steps: Mapping[str, float] = MappingProxyType({}),
) -> Path:
    """Writes a file of these nodes; `tensors` are all that are not constants, `steps` the constants' scales."""
    model = schema.ModelT()
    model.version, model.description = 3, b"written by a test"
    model.buffers = [schema.BufferT()]
    index: dict[str, int] = {}
    graph = schema.SubGraphT()
    graph.name, graph.tensors = b"main", []
    for tensor in tensors:
        index[tensor.name] = len(graph.tensors)
        graph.tensors.append(_declared(tensor))
    for name, numbers in constants.items():
        index[name] = len(graph.tensors)
        scale = Quantization(scale=steps[name], zero=0) if name in steps else None
        constant = Tensor(name=name, shape=numbers.shape, dtype=numbers.dtype, quantization=scale)
        graph.tensors.append(_declared(constant))
        graph.tensors[-1].buffer = len(model.buffers)
        model.buffers.append(schema.BufferT())
        model.buffers[-1].data = np.frombuffer(numbers.tobytes(), np.uint8)
    kinds = sorted({node.kind for node in nodes})
    model.operatorCodes = [_code(kind) for kind in kinds]
    graph.operators = [_operator(node, kinds.index(node.kind), index) for node in nodes]
    graph.inputs = np.array([index[name] for name in inputs], np.int32)
    graph.outputs = np.array([index[name] for name in outputs], np.int32)
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(builder.Output()))
    return path


def _declared(tensor: Tensor) -> Any:
    said = schema.TensorT()
    said.name, said.buffer, said.isVariable = tensor.name.encode(), 0, tensor.variable
    said.type = tensor.dtype if isinstance(tensor.dtype, int) else _TYPES[np.dtype(tensor.dtype)]
    said.shape = np.array([1 if extent is None else extent for extent in tensor.shape], np.int32)
    if None in tensor.shape:
        said.shapeSignature = np.array(
            [-1 if extent is None else extent for extent in tensor.shape], np.int32
        )
    if tensor.quantization is not None:
        said.quantization = schema.QuantizationParametersT()
        said.quantization.scale = np.array([tensor.quantization.scale], np.float32)
        said.quantization.zeroPoint = np.array([tensor.quantization.zero], np.int64)
    return said


def _code(kind: str) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, kind)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
    if kind == "CUSTOM":
        code.customCode = COMPILED.encode()
    return code


def _operator(node: Node, opcode: int, index: dict[str, int]) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = opcode
    operator.inputs = np.array([index[name] for name in node.inputs], np.int32)
    operator.outputs = np.array([index[name] for name in node.outputs], np.int32)
    table = _OPTIONS.get(node.kind)
    if table is not None:
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, table)
        operator.builtinOptions = getattr(schema, f"{table}T")()
        for key, value in node.options.items():
            assert hasattr(operator.builtinOptions, key), key
            setattr(operator.builtinOptions, key, value)
    if node.custom:
        operator.customOptions = np.frombuffer(node.custom, np.uint8)
    return operator


def _write_two(path: Path) -> Path:
    names = ("a", "b", "total", "difference")
    return save(
        path,
        [
            Node(kind="ADD", inputs=["a", "b"], outputs=["total"]),
            Node(kind="SUB", inputs=["a", "b"], outputs=["difference"]),
        ],
        [Tensor(name=name, shape=(None, 3)) for name in names],
        {},
        inputs=names[:2],
        outputs=names[2:],
    )


def _write_types(path: Path) -> Path:
    shape, code = (None, 3), schema.TensorType
    cast = {"inDataType": code.INT64, "outDataType": code.FLOAT32}
    return save(
        path,
        [
            Node(kind="CAST", inputs=["n"], outputs=["float"], options=cast),
            Node(kind="ADD", inputs=["a", "float"], outputs=["shifted"]),
            Node(kind="ADD", inputs=["n", "n"], outputs=["doubled"]),
        ],
        [
            *(Tensor(name=name, shape=shape) for name in ("a", "float", "shifted")),
            *(Tensor(name=name, shape=shape, dtype=np.int64) for name in ("n", "doubled")),
        ],
        {},
        inputs=("a", "n"),
        outputs=("shifted", "doubled"),
    )


def _write_cast(path: Path, dtype: Any) -> Path:
    """y = 2x + 1, computed in float32 between two casts."""
    shape = (1, 4)
    there = {"inDataType": _TYPES[np.dtype(dtype)], "outDataType": schema.TensorType.FLOAT32}
    back = {"inDataType": schema.TensorType.FLOAT32, "outDataType": _TYPES[np.dtype(dtype)]}
    return save(
        path,
        [
            Node(kind="CAST", inputs=["x"], outputs=["wide"], options=there),
            Node(kind="MUL", inputs=["wide", "two"], outputs=["double"]),
            Node(kind="ADD", inputs=["double", "one"], outputs=["sum"]),
            Node(kind="CAST", inputs=["sum"], outputs=["y"], options=back),
        ],
        [
            *(Tensor(name=name, shape=shape, dtype=dtype) for name in ("x", "y")),
            *(Tensor(name=name, shape=shape) for name in ("wide", "double", "sum")),
        ],
        {"two": np.full(4, 2, np.float32), "one": np.full(4, 1, np.float32)},
    )


def _write_quantized(path: Path) -> Path:
    given, answer = (Quantization(scale=step, zero=0) for step in (STEP_GIVEN, STEP_ANSWER))
    return save(
        path,
        [
            Node(kind="QUANTIZE", inputs=["x"], outputs=["qx"]),
            Node(kind="FULLY_CONNECTED", inputs=["qx", "w"], outputs=["qy"]),
            Node(kind="DEQUANTIZE", inputs=["qy"], outputs=["y"]),
        ],
        [
            Tensor(name="x", shape=(1, 64)),
            Tensor(name="qx", shape=(1, 64), dtype=np.int8, quantization=given),
            Tensor(name="qy", shape=(1, 8), dtype=np.int8, quantization=answer),
            Tensor(name="y", shape=(1, 8)),
        ],
        {"w": (WEIGHTS.T / STEP_WEIGHTS).astype(np.int8)},
        steps={"w": STEP_WEIGHTS},
    )


def _write_mixed(path: Path) -> Path:
    return save(
        path,
        [
            Node(kind="MEAN", inputs=["x", "rows"], outputs=["middle"], options={"keepDims": True}),
            Node(kind="SUB", inputs=["x", "middle"], outputs=["y"]),
        ],
        [
            Tensor(name="x", shape=(None, 4)),
            Tensor(name="middle", shape=(1, 4)),
            Tensor(name="y", shape=(None, 4)),
        ],
        {"rows": np.array([0], np.int32)},
    )


def _write_sum(path: Path) -> Path:
    return save(
        path,
        [Node(kind="FULLY_CONNECTED", inputs=["x", "ones"], outputs=["y"])],
        [Tensor(name="x", shape=(1, 64)), Tensor(name="y", shape=(1, 1))],
        {"ones": np.ones((1, 64), np.float32)},
    )


def _write_slow(path: Path) -> Path:
    """A chain of products with a large matrix whose rows sum to one."""
    size = 700
    big = [f"big{step}" for step in range(6)]
    keep = {"keepDims": True}
    nodes = [
        Node(kind="MEAN", inputs=["x", "columns"], outputs=["mean"], options=keep),
        Node(kind="ADD", inputs=["m", "mean"], outputs=["big0"]),
        *(
            Node(kind="FULLY_CONNECTED", inputs=[before, "m"], outputs=[after])
            for before, after in pairwise(big)
        ),
        Node(kind="FULLY_CONNECTED", inputs=[big[-1], "end"], outputs=["nothing"]),
        Node(kind="REDUCE_MAX", inputs=["nothing", "rows"], outputs=["zero"], options=keep),
        Node(kind="MUL", inputs=["x", "two"], outputs=["double"]),
        Node(kind="ADD", inputs=["double", "one"], outputs=["affine"]),
        Node(kind="ADD", inputs=["affine", "zero"], outputs=["y"]),
    ]
    tensors = [
        *(Tensor(name=name, shape=(1, 4)) for name in ("x", "zero", "double", "affine", "y")),
        Tensor(name="mean", shape=(1, 1)),
        *(Tensor(name=name, shape=(size, size)) for name in big),
        Tensor(name="nothing", shape=(size, 4)),
    ]
    constants = {
        "m": np.full((size, size), 1 / size, np.float32),
        "end": np.zeros((4, size), np.float32),
        "two": np.full(4, 2, np.float32),
        "one": np.full(4, 1, np.float32),
        "rows": np.array([0], np.int32),
        "columns": np.array([1], np.int32),
    }
    return save(path, nodes, tensors, constants)


def _write_brains(path: Path) -> Path:
    brain = schema.TensorType.BFLOAT16
    return save(
        path,
        [Node(kind="RESHAPE", inputs=["x", "shape"], outputs=["y"])],
        [Tensor(name="x", shape=(1, 4), dtype=brain), Tensor(name="y", shape=(1, 4), dtype=brain)],
        {"shape": np.array([1, 4], np.int32)},
    )


_CAST = {Kind.HALVES: np.float16, Kind.SHORTS: np.int16, Kind.WORDS: np.uint16}
_WRITERS: Mapping[Kind, Callable[[Path], Path]] = {
    Kind.TWO: _write_two,
    Kind.TYPES: _write_types,
    Kind.MIXED: _write_mixed,
    Kind.SLOW: _write_slow,
    Kind.SUM: _write_sum,
    Kind.QUANTIZED: _write_quantized,
    Kind.BRAINS: _write_brains,
}
