"""An ONNX graph under construction: nodes, constants, names that are never taken twice."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.tensors import Array

OPSET = 17
"""Read by every accelerator here; Softmax has its later meaning, reductions still take their axes as attributes."""
_IR_VERSION = 8
_MOST_BYTES = (1 << 31) - (1 << 20)
"""A protobuf ends at 2 GiB."""
_FREE_BYTES, _EACH_BYTE = 256 << 20, 16
"""Constants that any file may ask for, and more of them for each byte that it has: priors, repeated vectors."""

Extents = tuple[int | str | None, ...]
Attribute = int | float | str | Sequence[int] | Sequence[float]


@dataclass(frozen=True, slots=True)
class Ended:
    """An end of the graph: an input or an output; an open extent is its symbol."""

    name: str
    shape: Extents


@dataclass(slots=True)
class _Node:
    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: Mapping[str, Attribute]


@dataclass(slots=True)
class Graph:
    """Values are known by the names that `node` and `constant` give; `build` may rename them."""

    path: Path
    size: int
    """Bytes of the files that are read: a short one cannot ask for gigabytes."""
    nodes: list[_Node] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _held: int = 0
    _shared: dict[tuple[str, bytes, tuple[int, ...]], str] = field(default_factory=dict)

    def name(self, wanted: str) -> str:
        """`wanted`, or with a number behind it where that is taken."""
        found, count = wanted, 1
        while found in self._taken:
            count += 1
            found = f"{wanted}_{count}"
        self._taken.add(found)
        return found

    def node(self, op: str, inputs: Sequence[str], name: str, **attributes: Attribute) -> str:
        """The only output of a new node."""
        return self.nodes_of(op, inputs, (name,), **attributes)[0]

    def nodes_of(
        self, op: str, inputs: Sequence[str], names: Sequence[str], **attributes: Attribute
    ) -> list[str]:
        """The outputs of a new node with several."""
        outputs = [self.name(one) for one in names]
        self.nodes.append(_Node(op, list(inputs), list(outputs), attributes))
        return outputs

    def weight(self, array: Array, name: str) -> str:
        """The name of an array that the file holds or asks for; float64 becomes float32. Raises ModelRejected."""
        self._held += array.nbytes
        if self._held > _FREE_BYTES + _EACH_BYTE * self.size:
            reason = (
                f"asks for {self._held >> 20} MiB of constants, which its {self.size} bytes do not explain"
            )
            raise ModelRejected(self.path, reason)
        found = self.name(name)
        self.constants[found] = _narrow(array)
        return found

    def constant(self, values: Any, dtype: type[np.generic] = np.float32) -> str:
        """The name of a small constant; equal ones are one."""
        array = np.asarray(values, dtype)
        key = (array.dtype.str, array.tobytes(), array.shape)
        if key not in self._shared:
            self._shared[key] = self.weight(array, f"constant_{len(self._shared)}")
        return self._shared[key]

    def shape(self, *extents: int) -> str:
        """The name of a constant with these integers."""
        return self.constant(extents, np.int64)

    def build(
        self,
        inputs: Sequence[Ended],
        outputs: Sequence[tuple[str, Ended]],
        metadata: Mapping[str, str],
    ) -> Any:
        """The ModelProto; each output is the value it shows and its name. Raises ModelRejected."""
        onnx = vendor(self.path)
        if sum(array.nbytes for array in self.constants.values()) > _MOST_BYTES:
            raise ModelRejected(self.path, "has more than 2 GiB of weights, which one ONNX file cannot hold")
        self._show(inputs, outputs)
        helper, floats = onnx.helper, onnx.TensorProto.FLOAT
        nodes = [
            helper.make_node(one.op, one.inputs, one.outputs, name=f"{one.op}_{index}", **one.attributes)
            for index, one in enumerate(self.nodes)
        ]
        graph = helper.make_graph(
            nodes,
            self.path.stem or "model",
            [helper.make_tensor_value_info(one.name, floats, one.shape) for one in inputs],
            [helper.make_tensor_value_info(one.name, floats, one.shape) for _, one in outputs],
            [onnx.numpy_helper.from_array(array, name) for name, array in self._used().items()],
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="edgex-inference",
        )
        helper.set_model_props(model, dict(metadata))
        try:
            onnx.checker.check_model(model)
        except Exception as error:
            reason = f"became no valid ONNX model, please report it: {' '.join(str(error).split())}"
            raise ModelRejected(self.path, reason) from error
        return model

    def _show(self, inputs: Sequence[Ended], outputs: Sequence[tuple[str, Ended]]) -> None:
        """Gives each output its name: by renaming what makes it, or by a node where that would take a name away."""
        wanted = {one.name for _, one in outputs}
        fed = {one.name for one in inputs}
        renamed: dict[str, str] = {}
        made = {name for node in self.nodes for name in node.outputs}
        for value, one in outputs:
            if value in made and value not in renamed:
                renamed[value] = one.name
        for other in sorted((self._taken & wanted) - set(renamed) - fed):
            renamed[other] = self.name(f"{other}_inner")
        for node in self.nodes:
            node.inputs = [renamed.get(name, name) for name in node.inputs]
            node.outputs = [renamed.get(name, name) for name in node.outputs]
        for name in [name for name in self.constants if name in renamed]:
            self.constants[renamed[name]] = self.constants.pop(name)
        for value, one in outputs:
            source = renamed.get(value, value)
            if source != one.name:
                self.nodes.append(_Node("Identity", [source], [one.name], {}))

    def _used(self) -> dict[str, Array]:
        asked = {name for node in self.nodes for name in node.inputs}
        return {name: array for name, array in self.constants.items() if name in asked}


def vendor(path: Path) -> ModuleType:
    """The package onnx; raises ModelRejected with what to install."""
    try:
        onnx = importlib.import_module("onnx")
    except ImportError:
        remedy = 'the package onnx, which is missing: pip install "edgex-inference[reference]"'
        raise ModelRejected(path, f"converting it needs {remedy}") from None
    return onnx


def _narrow(array: Array) -> Array:
    return (
        np.ascontiguousarray(array, np.float32) if array.dtype == np.float64 else np.ascontiguousarray(array)
    )
