"""A stand-in for XIR's Python module, as far as the plug-in `vitisai` uses it; the program lies in the DPU's part."""

import json
import re
from typing import Any


class Subgraph:
    def __init__(self, name: str, device: str, program: dict[str, Any]) -> None:
        self._name, self._device, self.program = name, device, program

    def get_name(self) -> str:
        return self._name

    def has_attr(self, name: str) -> bool:
        return name == "device"

    def get_attr(self, name: str) -> str:
        return self._device


class Root:
    def __init__(self, parts: list[Subgraph]) -> None:
        self._parts = parts

    def toposort_child_subgraph(self) -> list[Subgraph]:
        return self._parts


class Graph:
    def __init__(self, parts: list[Subgraph]) -> None:
        self._root = Root(parts)

    @staticmethod
    def deserialize(path: str) -> "Graph":
        with open(path, "rb") as file:
            found = re.search(rb"program:(\{[^\0]*\})\0", file.read())
        if found is None:
            raise RuntimeError("F0101 graph.cpp:1] Check failed: deserialize failed")
        return Graph([Subgraph("input", "USER", {}), Subgraph("dpu", "DPU", json.loads(found[1]))])

    def get_root_subgraph(self) -> Root:
        return self._root
