"""Real wheels of NVIDIA's, which `make nvidia` installs; they are no part of what every test machine gets."""

import importlib
import os
from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture
def wheel() -> Callable[[str], ModuleType]:
    """`wheel("tensorrt_rtx_bindings")`: the module; without it a skip, and under `make nvidia` a failure."""

    def found(name: str) -> ModuleType:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            if os.environ.get("EDGEX_INFERENCE_NVIDIA") == "1":
                pytest.fail(f"{name} is not installed")
            pytest.skip(f"{name} is not installed: make nvidia installs it and runs this")

    return found
