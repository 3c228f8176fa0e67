"""Fixtures for the service as a whole."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from onnx import TensorProto

from edgex_inference.testing import onnx_models

PUMP = """
name: pump
deviceResources:
  - name: Load
    properties:
      valueType: Float32
      readWrite: R
      optional:
        inference:
          Wear:
            model: {name: affine, task: regression}
            outputs: {Wear: {value: value}}
"""
"""One resource, one binding: Wear = 2·Load + 1."""


@pytest.fixture(scope="session")
def process() -> ModuleType:
    """The module tests/service_process.py."""
    path = Path(__file__).parents[1] / "service_process.py"
    spec = importlib.util.spec_from_file_location("service_process", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["service_process"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def world(process: ModuleType, tmp_path: Path) -> Iterator[Any]:
    """An empty folder for a service; what was started in it is ended afterwards."""
    made = process.World(tmp_path / "world")
    yield made
    made.close()


@pytest.fixture
def affine(tmp_path: Path) -> Callable[..., None]:
    """`affine(world, name="affine", width=1, element=…)`: puts a model y = 2x + 1 into the world."""

    def put(world: Any, name: str = "affine", width: int = 1, element: int = TensorProto.FLOAT) -> None:
        file = onnx_models.write_affine(tmp_path / f"{name}.onnx", shape=("N", width), element=element)
        world.model(name, [file], f"task: regression\nfiles: [{{path: {name}.onnx}}]")

    return put


@pytest.fixture
def pump(world: Any, affine: Callable[..., None]) -> Any:
    """The world of the profile `pump`: Wear = 2·Load + 1."""
    affine(world)
    world.profile(PUMP)
    return world
