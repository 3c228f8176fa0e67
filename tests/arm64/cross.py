"""Compiles a model for ARM64 with TVM, runs the library where it belongs, and compares its answers with ours.

compile MODEL FOLDER prints the library's path · run LIBRARY writes inputs and answers beside it · compare MODEL
LIBRARY prints the largest difference from ONNX Runtime and the largest number.
"""

import sys
from pathlib import Path

import numpy as np

from accelerators.tvm import PLUGIN
from accelerators.tvm.options import Options
from edgex_inference.contracts.accelerator import ONNX, TVM_LIBRARY, LoadRequest
from edgex_inference.contracts.probing import sample


def compile_(model: str, folder: str) -> None:
    assert PLUGIN.compile is not None
    options = Options(mcpu="cortex-a72")
    request = LoadRequest(
        path=Path(model), format=ONNX, device="aarch64", options=options, cache=Path(folder)
    )
    print(PLUGIN.compile(request).path)


def run(library: str) -> None:
    assert PLUGIN.load is not None
    session = PLUGIN.load(LoadRequest(path=Path(library), format=TVM_LIBRARY))
    given = sample(session.inputs, np.random.default_rng(1))
    answers = session.infer(given)
    kept = {f"given:{name}": array for name, array in given.items()}
    np.savez(f"{library}.npz", **kept, **{f"answer:{name}": array for name, array in answers.items()})  # type: ignore[arg-type]


def compare(model: str, library: str) -> None:
    from accelerators.onnxruntime import PLUGIN as ONNXRUNTIME

    assert ONNXRUNTIME.load is not None
    session = ONNXRUNTIME.load(LoadRequest(path=Path(model), format=ONNX))
    with np.load(f"{library}.npz") as kept:
        wanted = session.infer({name[6:]: kept[name] for name in kept if name.startswith("given:")})
        off = max(float(np.abs(kept[f"answer:{name}"] - array).max()) for name, array in wanted.items())
    print(off, max(float(np.abs(array).max()) for array in wanted.values()))


if __name__ == "__main__":
    {"compile": compile_, "run": run, "compare": compare}[sys.argv[1]](*sys.argv[2:])
