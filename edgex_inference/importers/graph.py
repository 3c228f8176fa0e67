"""An ONNX graph under construction: nodes, constants, names that are never taken twice."""

import importlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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
    body: "Body | None" = None


@dataclass(slots=True)
class Body:
    """What a Scan repeats; it may read values of the graph around it."""

    inputs: list[Ended] = field(default_factory=list)
    outputs: list[Ended] = field(default_factory=list)
    nodes: list[_Node] = field(default_factory=list)


@dataclass(slots=True)
class Graph:
    """Values are known by the names that `node` and `constant` give; `build` may rename them."""

    path: Path
    size: int
    """Bytes of the files that are read: a short one cannot ask for gigabytes."""
    nodes: list[_Node] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _counts: dict[str, int] = field(default_factory=dict)
    """How often a name was wanted: thousands of nodes want the same one."""
    _held: int = 0
    _shared: dict[tuple[str, bytes, tuple[int, ...]], str] = field(default_factory=dict)

    def name(self, wanted: str) -> str:
        """`wanted`, or with a number behind it where that is taken."""
        found, count = wanted, self._counts.get(wanted, 1)
        while found in self._taken:
            count += 1
            found = f"{wanted}_{count}"
        self._taken.add(found)
        self._counts[wanted] = count
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

    @contextmanager
    def body(self) -> Iterator[Body]:
        """What is added within goes into the body."""
        found, outer = Body(), self.nodes
        self.nodes = found.nodes
        try:
            yield found
        finally:
            self.nodes = outer

    def scan(
        self, states: Sequence[str], scanned: Sequence[str], body: Body, names: Sequence[str]
    ) -> list[str]:
        """The last states, then what each round gave, one behind the other; `scanned` are cut along axis 0."""
        outputs = [self.name(one) for one in names]
        rounds: Mapping[str, Attribute] = {"num_scan_inputs": len(scanned)}
        self.nodes.append(_Node("Scan", [*states, *scanned], list(outputs), rounds, body))
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
        helper = onnx.helper
        graph = _Writing(onnx).graph(
            self.path.stem or "model",
            Body(list(inputs), [one for _, one in outputs], self.nodes),
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
        for node in _all(self.nodes):
            node.inputs = [renamed.get(name, name) for name in node.inputs]
            node.outputs = [renamed.get(name, name) for name in node.outputs]
            if node.body is not None:
                for ends in (node.body.inputs, node.body.outputs):
                    ends[:] = [replace(one, name=renamed.get(one.name, one.name)) for one in ends]
        for name in [name for name in self.constants if name in renamed]:
            self.constants[renamed[name]] = self.constants.pop(name)
        for value, one in outputs:
            source = renamed.get(value, value)
            if source != one.name:
                self.nodes.append(_Node("Identity", [source], [one.name], {}))

    def _used(self) -> dict[str, Array]:
        asked = {name for node in _all(self.nodes) for name in node.inputs}
        return {name: array for name, array in self.constants.items() if name in asked}


@dataclass(slots=True)
class _Writing:
    """Nodes as messages of the package onnx, numbered through."""

    onnx: ModuleType
    _count: Iterator[int] = field(default_factory=itertools.count)

    def graph(self, name: str, body: Body, weights: Sequence[Any] = ()) -> Any:
        nodes = [self._node(one) for one in body.nodes]
        return self.onnx.helper.make_graph(
            nodes, name, self._ends(body.inputs), self._ends(body.outputs), list(weights)
        )

    def _node(self, one: _Node) -> Any:
        name, attributes = f"{one.op}_{next(self._count)}", dict[str, Any](one.attributes)
        if one.body is not None:
            attributes["body"] = self.graph(f"{name}_body", one.body)
        return self.onnx.helper.make_node(one.op, one.inputs, one.outputs, name=name, **attributes)

    def _ends(self, found: Sequence[Ended]) -> list[Any]:
        kind = self.onnx.TensorProto.FLOAT
        return [self.onnx.helper.make_tensor_value_info(one.name, kind, one.shape) for one in found]


def _all(nodes: Iterable[_Node]) -> Iterator[_Node]:
    for node in nodes:
        yield node
        if node.body is not None:
            yield from _all(node.body.nodes)


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
