"""Our session against the bare runtime on the same GPU, one call after the other: `python -m tests.hardware.bench`.

The bare call is what the runtime's own documentation shows for results that stay valid.
"""

import ctypes
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from edgex_inference.contracts.accelerator import ONNX, Accelerator, LoadRequest
from edgex_inference.testing.onnx_models import write_affine
from tests.bench.rows import interleaved, ratio

ROUNDS = int(os.environ.get("HARDWARE_ROUNDS", "301"))


def main(plugin: str, device: str) -> int:
    """Prints the runtime's version and the ratios as one line of JSON."""
    accelerator: Accelerator = import_module(f"accelerators.{plugin}").PLUGIN
    ratios = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, path, given in _models(Path(folder)):
            request = LoadRequest(
                path=path,
                format=ONNX,
                device=device,
                options=accelerator.options(),
                cache=Path(folder) / "made",
            )
            if ONNX not in accelerator.formats:
                assert accelerator.compile is not None
                made = accelerator.compile(request)
                request = replace(request, path=made.path, format=made.format)
            assert accelerator.load is not None
            session = accelerator.load(request)
            tensor = session.inputs[0].name
            bare = BARE[plugin](request, tensor, given)
            works = [_timed(lambda session=session, t=tensor, x=given: session.infer({t: x})), _timed(bare)]
            ours, theirs = interleaved(ROUNDS, *works)
            ratios[name] = round(ratio(theirs, ours), 3)
            session.close()
    print(json.dumps({"runtime": f"{plugin} {accelerator.version()}", "ratios": ratios}))
    return 0


def _models(folder: Path) -> list[tuple[str, Path, np.ndarray]]:
    dice = np.random.default_rng(0)
    wide = write_affine(folder / "wide.onnx", shape=("N", 1024))
    found = [(f"1024 numbers, batch {rows}", wide, dice.random((rows, 1024), np.float32)) for rows in (1, 64)]
    data = os.environ.get("EDGEX_INFERENCE_TESTDATA")
    if data:
        path = Path(data) / "models" / "face-rfb320" / "version-RFB-320.onnx"
        found.append(("RFB-320", path, dice.random((1, 3, 240, 320), np.float32)))
    return found


def _timed(work: Callable[[], object]) -> Callable[[], float]:
    work()

    def measure() -> float:
        began = time.perf_counter()
        for _ in range(10):
            work()
        return time.perf_counter() - began

    return measure


def _bare_onnxruntime(request: LoadRequest, tensor: str, given: np.ndarray) -> Callable[[], object]:
    import onnxruntime

    providers = {"CUDA": "CUDAExecutionProvider", "TENSORRT": "TensorrtExecutionProvider"}
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    native = onnxruntime.InferenceSession(
        os.fspath(request.path), settings, providers=[providers[request.device or "CUDA"]]
    )
    names = [one.name for one in native.get_outputs()]
    return lambda: native.run(names, {tensor: given})


class _Bare:
    """TensorRT as its documentation shows it: one context, one stream, pinned memory, addresses set once."""

    def __init__(self, request: LoadRequest, tensor: str, given: np.ndarray) -> None:
        import tensorrt as trt
        from cuda.bindings import runtime as cuda

        class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, msg: str) -> None:
                return

        self.cuda, self.tensor, self.given = cuda, tensor, given
        self.runtime = trt.Runtime(Logger())
        self.engine = self.runtime.deserialize_cuda_engine(request.path.read_bytes())
        self.context = self.engine.create_execution_context()
        self.stream = self.done(cuda.cudaStreamCreateWithFlags(0))
        self.context.set_input_shape(tensor, given.shape)
        self.context.infer_shapes()
        names = [self.engine.get_tensor_name(index) for index in range(self.engine.num_io_tensors)]
        shapes = {name: tuple(self.context.get_tensor_shape(name)) for name in names}
        self.pinned, self.held, self.views = {}, {}, {}
        for name, shape in shapes.items():
            size = int(np.prod(shape)) * 4
            self.pinned[name] = self.done(cuda.cudaHostAlloc(size, 0))
            self.held[name] = self.done(cuda.cudaMalloc(size))
            self.context.set_tensor_address(name, self.held[name])
            raw = (ctypes.c_byte * size).from_address(self.pinned[name])
            self.views[name] = np.frombuffer(raw, np.float32).reshape(shape)

    @staticmethod
    def done(answer: tuple[Any, ...]) -> Any:
        assert int(answer[0]) == 0, answer
        return answer[1] if len(answer) > 1 else None

    def __call__(self) -> object:
        kinds, copy = self.cuda.cudaMemcpyKind, self.cuda.cudaMemcpyAsync
        name = self.tensor
        self.views[name][...] = self.given
        copy(self.held[name], self.pinned[name], self.given.nbytes, kinds.cudaMemcpyHostToDevice, self.stream)
        assert self.context.execute_async_v3(int(self.stream))
        answers = [(one, view) for one, view in self.views.items() if one != name]
        for one, view in answers:
            copy(self.pinned[one], self.held[one], view.nbytes, kinds.cudaMemcpyDeviceToHost, self.stream)
        self.done(self.cuda.cudaStreamSynchronize(self.stream))
        return [view.copy() for _, view in answers]


BARE: dict[str, Callable[[LoadRequest, str, np.ndarray], Callable[[], object]]] = {
    "onnxruntime": _bare_onnxruntime,
    "tensorrt": _Bare,
}

if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
