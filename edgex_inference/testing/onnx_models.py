"""Tiny ONNX graphs for tests; needs the package `onnx`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgex_inference.testing.kinds import STEP_ANSWER, STEP_GIVEN, STEP_WEIGHTS, WEIGHTS, Kind

Extents = Sequence[int | str | None]


def write(kind: Kind, folder: Path) -> Path:
    """Writes the model of this kind as ONNX and gives its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{(Kind.ONE if kind is Kind.OTHER else kind).name.lower()}.onnx"
    if kind is Kind.BROKEN:
        good = write(Kind.ONE, folder)
        path.write_bytes(good.read_bytes()[:-40] + b"\xff" * 7)
    elif kind in _WRITERS:
        _WRITERS[kind](path)
    elif kind in _CAST:
        _write_cast(path, _CAST[kind])
    elif kind is Kind.OTHER:
        write_affine(path, shape=(1, 4), scale=3, offset=-1)
    elif kind is Kind.INTEGERS:
        write_affine(path, shape=("N", 2), element=TensorProto.INT64)
    else:
        shapes: dict[Kind, Extents] = {Kind.ANY: ("N", 4), Kind.FIXED: (3, 4), Kind.OPEN: ("N", "L")}
        write_affine(path, shape=shapes.get(kind, (1, 4)))
    return path


def write_affine(
    path: Path,
    *,
    shape: Extents = ("N", 4),
    element: int = TensorProto.FLOAT,
    external: bool = False,
    scale: float = 2,
    offset: float = 1,
) -> Path:
    """y = scale · x + offset; with `external` the two constants lie in a file beside the graph."""
    dtype = helper.tensor_dtype_to_np_dtype(element)
    width = shape[-1]
    extents = (width,) if isinstance(width, int) else ()
    constants = [
        numpy_helper.from_array(np.full(extents, number, dtype), name)
        for name, number in (("scale", scale), ("offset", offset))
    ]
    nodes = [helper.make_node("Mul", ["x", "scale"], ["z"]), helper.make_node("Add", ["z", "offset"], ["y"])]
    return save(path, nodes, {"x": (element, shape)}, {"y": (element, shape)}, constants, external=external)


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, tuple[int, Extents]],
    outputs: dict[str, tuple[int, Extents]],
    constants: Sequence[onnx.TensorProto] = (),
    *,
    external: bool = False,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Writes a graph of these nodes."""
    graph = helper.make_graph(
        list(nodes),
        path.stem,
        [helper.make_tensor_value_info(name, *declared) for name, declared in inputs.items()],
        [helper.make_tensor_value_info(name, *declared) for name, declared in outputs.items()],
        list(constants),
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    if metadata:
        helper.set_model_props(model, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(
        model, path, save_as_external_data=external, location=f"{path.name}.data", size_threshold=0
    ) if external else onnx.save(model, path)
    return path


def _write_two(path: Path) -> None:
    shape: Extents = ("N", 3)
    nodes = [
        helper.make_node("Add", ["a", "b"], ["total"]),
        helper.make_node("Sub", ["a", "b"], ["difference"]),
    ]
    spec = (TensorProto.FLOAT, shape)
    save(path, nodes, {"a": spec, "b": spec}, {"total": spec, "difference": spec})


def _write_clamped(path: Path) -> None:
    numbers = {"two": 2, "one": 1, "low": 0, "high": 6}
    constants = [
        numpy_helper.from_array(np.array(number, np.float32), name) for name, number in numbers.items()
    ]
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["z"]),
        helper.make_node("Add", ["z", "one"], ["a"]),
        helper.make_node("Clip", ["a", "low", "high"], ["y"]),
    ]
    spec: tuple[int, Extents] = (TensorProto.FLOAT, (1, 4))
    save(path, nodes, {"x": spec}, {"y": spec}, constants)


def _write_sum(path: Path) -> None:
    ones = numpy_helper.from_array(np.ones((64, 1), np.float32), "ones")
    nodes = [helper.make_node("MatMul", ["x", "ones"], ["y"])]
    save(path, nodes, {"x": (TensorProto.FLOAT, (1, 64))}, {"y": (TensorProto.FLOAT, (1, 1))}, [ones])


def _write_cast(path: Path, element: int) -> None:
    """y = 2x + 1, computed in float32 between two casts."""
    constants = [
        numpy_helper.from_array(np.array(number, np.float32), name)
        for name, number in (("two", 2), ("one", 1))
    ]
    nodes = [
        helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["wide", "two"], ["double"]),
        helper.make_node("Add", ["double", "one"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["y"], to=element),
    ]
    save(path, nodes, {"x": (element, (1, 4))}, {"y": (element, (1, 4))}, constants)


def _write_same(path: Path, element: int, shape: Extents) -> None:
    save(path, [helper.make_node("Identity", ["x"], ["y"])], {"x": (element, shape)}, {"y": (element, shape)})


def _write_types(path: Path) -> None:
    floats, whole = (TensorProto.FLOAT, ("N", 3)), (TensorProto.INT64, ("N", 3))
    nodes = [
        helper.make_node("Cast", ["n"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["a", "float"], ["shifted"]),
        helper.make_node("Add", ["n", "n"], ["doubled"]),
    ]
    save(path, nodes, {"a": floats, "n": whole}, {"shifted": floats, "doubled": whole})


def _write_quantized(path: Path) -> None:
    """A product between pairs of QuantizeLinear and DequantizeLinear."""
    steps = {"given": STEP_GIVEN, "weight": STEP_WEIGHTS, "answer": STEP_ANSWER}
    constants = [numpy_helper.from_array(np.array(step, np.float32), name) for name, step in steps.items()]
    constants.append(numpy_helper.from_array(np.array(0, np.int8), "zero"))
    constants.append(numpy_helper.from_array((WEIGHTS / STEP_WEIGHTS).astype(np.int8), "whole"))
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "given", "zero"], ["qx"]),
        helper.make_node("DequantizeLinear", ["qx", "given", "zero"], ["dx"]),
        helper.make_node("DequantizeLinear", ["whole", "weight", "zero"], ["dw"]),
        helper.make_node("MatMul", ["dx", "dw"], ["product"]),
        helper.make_node("QuantizeLinear", ["product", "answer", "zero"], ["qy"]),
        helper.make_node("DequantizeLinear", ["qy", "answer", "zero"], ["y"]),
    ]
    save(path, nodes, {"x": (TensorProto.FLOAT, (1, 64))}, {"y": (TensorProto.FLOAT, (1, 8))}, constants)


def _write_mixed(path: Path) -> None:
    spec: tuple[int, Extents] = (TensorProto.FLOAT, ("N", 4))
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["middle"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["x", "middle"], ["y"]),
    ]
    save(path, nodes, {"x": spec}, {"y": spec})


def write_slow(path: Path, size: int = 700) -> None:
    """A chain of products with a large matrix [size, size] whose rows sum to one; y = 2x + 1 in the end."""
    constants = [
        numpy_helper.from_array(np.full((size, size), 1 / size, np.float32), "m"),
        numpy_helper.from_array(np.full((size, 1), 1e-6, np.float32), "column"),
        numpy_helper.from_array(np.full(4, 2, np.float32), "two"),
        numpy_helper.from_array(np.full(4, 1, np.float32), "one"),
        numpy_helper.from_array(np.zeros((1, size), np.float32), "row"),
        numpy_helper.from_array(np.zeros((size, 4), np.float32), "end"),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Add", ["row", "mean"], ["wide"]),
        helper.make_node("Add", ["wide", "m"], ["big0"]),
    ]
    for step in range(4):
        nodes.append(helper.make_node("MatMul", [f"big{step}", "m"], [f"big{step + 1}"]))
    nodes += [
        helper.make_node("MatMul", ["big4", "end"], ["nothing"]),
        helper.make_node("ReduceMax", ["nothing"], ["zero"], axes=[0], keepdims=1),
        helper.make_node("Mul", ["x", "two"], ["double"]),
        helper.make_node("Add", ["double", "one"], ["affine"]),
        helper.make_node("Add", ["affine", "zero"], ["y"]),
    ]
    spec: tuple[int, Extents] = (TensorProto.FLOAT, (1, 4))
    save(path, nodes, {"x": spec}, {"y": spec}, constants)


_CAST = {
    Kind.HALVES: TensorProto.FLOAT16,
    Kind.SHORTS: TensorProto.INT16,
    Kind.WORDS: TensorProto.UINT16,
}
_WRITERS: Mapping[Kind, Callable[[Path], None]] = {
    Kind.TWO: _write_two,
    Kind.TYPES: _write_types,
    Kind.MIXED: _write_mixed,
    Kind.SLOW: write_slow,
    Kind.CLAMPED: _write_clamped,
    Kind.SUM: _write_sum,
    Kind.QUANTIZED: _write_quantized,
    Kind.BRAINS: lambda path: _write_same(path, TensorProto.BFLOAT16, (1, 4)),
    Kind.TEXTS: lambda path: _write_same(path, TensorProto.STRING, ("N",)),
}
