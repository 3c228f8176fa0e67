"""Loads a small model on one accelerator, runs it and closes it, again and again; prints what that left behind."""

import gc
import json
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import numpy as np

from edgex_inference.contracts.accelerator import ONNX, Accelerator, LoadRequest
from tests.bench.material import VALUES, auto_encoder
from tests.bench.outside import Process

WARM = 20
"""Cycles before the memory counts: a runtime keeps what it needs for the next model."""


def main(name: str, cycles: int) -> None:
    """Prints {"grown": MB, "threads": how many more}."""
    plugin: Accelerator = import_module(f"accelerators.{name}").PLUGIN
    me = Process(os.getpid())
    with tempfile.TemporaryDirectory() as folder:
        path = auto_encoder(Path(folder))
        for _ in range(WARM):
            _once(plugin, path)
        before, threads = me.resident, _threads()
        for _ in range(cycles):
            _once(plugin, path)
        gc.collect()
    print(json.dumps({"grown": me.resident - before, "threads": _threads() - threads}))


def _once(plugin: Accelerator, path: Path) -> None:
    assert plugin.load is not None
    session = plugin.load(LoadRequest(path=path, format=ONNX, options=plugin.options()))
    tensor = session.inputs[0].name
    (answer,) = session.infer({tensor: np.ones((2, VALUES), np.float32)}).values()
    assert answer.shape == (2, VALUES)
    session.close()


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
