"""Our sessions against the bare runtimes: the same settings, threads and tensors, one call after the other.

The bare call is the fastest that the runtime's own documented interface gives for results that stay valid: for
ONNX Runtime `InferenceSession.run` with the names of the outputs, for OpenVINO `InferRequest.infer` on shared inputs,
or on an input tensor that was set once, with the answer copied out, whichever is faster.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import onnx

from edgex_inference.contracts.accelerator import ONNX, Accelerator, LoadRequest
from tests.bench.effort import Effort
from tests.bench.material import auto_encoder
from tests.bench.pictures import detector
from tests.bench.rows import Goal, Row, interleaved, ratio

GOAL = Goal(least=0.95)
SLICE = 0.004
"""Seconds that one measurement of one side takes: long against the clock, shorter than most disturbances."""

PATIENCE = 20.0
"""Seconds for one comparison at most."""

Run = Callable[[npt.NDArray[np.float32]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A file with an open batch axis."""

    name: str
    path: Path
    shape: tuple[int, ...]


def rows(effort: Effort, folder: Path) -> Sequence[Row]:
    """Each runtime, each model, at batch 1 and 64."""
    found: list[Row] = []
    models = (
        Model(name="MLP 16-32-16", path=auto_encoder(folder / "models"), shape=(16,)),
        _open_batch(folder),
    )
    for model in models:
        for name in ("onnxruntime", "openvino"):
            found += _compared(effort, name, model)
    return found


def _open_batch(folder: Path) -> Model:
    """The detector, with its batch axis opened where the file has one picture a run only."""
    known = detector()
    graph = onnx.load(known.path)
    (entry,) = [one for one in graph.graph.input if one.name == known.tensor]
    for one in (entry, *graph.graph.output):
        one.type.tensor_type.shape.dim[0].dim_param = "n"
    path = folder / "open-batch.onnx"
    onnx.save(graph, path)
    return Model(name=known.name, path=path, shape=(3, 240, 320))


def _compared(effort: Effort, name: str, model: Model) -> Sequence[Row]:
    plugin: Accelerator = import_module(f"accelerators.{name}").PLUGIN
    request = LoadRequest(path=model.path, format=ONNX, options=plugin.options())
    assert plugin.load is not None
    session = plugin.load(request)
    tensor = session.inputs[0].name
    found: list[Row] = []
    for batch in (1, 64):
        given = np.random.default_rng(0).random((batch, *model.shape), np.float32)
        ours = _timed(lambda given: session.infer({tensor: given}), given)
        bare = [_timed(run, given) for run in BARE[name](model.path, tensor, batch, session.parallel)]
        once = sum(work() for work in (ours, *bare)) * 1e-6
        rounds = min(effort.of(301, 3), max(15, int(PATIENCE / max(once, 3 * SLICE))))
        measured = interleaved(rounds, ours, *bare)
        best = min(measured[1:], key=median)
        what = f"{name}, {model.name}, batch {batch}"
        found += [
            Row(
                name=f"{what}: bare runtime's time ÷ our session's", value=ratio(best, measured[0]), goal=GOAL
            ),
            Row(name=f"{what}: ours", value=median(measured[0]), unit="µs"),
        ]
    session.close()
    return found


def _timed(run: Run, given: npt.NDArray[np.float32]) -> Callable[[], float]:
    """µs for each call, measured over about SLICE seconds of calls."""
    run(given)
    began = time.perf_counter()
    run(given)
    amount = max(1, int(SLICE / (time.perf_counter() - began)))

    def measure() -> float:
        began = time.perf_counter()
        for _ in range(amount):
            run(given)
        return (time.perf_counter() - began) / amount * 1e6

    return measure


def _bare_onnxruntime(path: Path, tensor: str, batch: int, parallel: int) -> Sequence[Run]:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    native = onnxruntime.InferenceSession(os.fspath(path), settings, providers=["CPUExecutionProvider"])
    names = [one.name for one in native.get_outputs()]
    return [lambda given: native.run(names, {tensor: given})]


def _bare_openvino(path: Path, tensor: str, batch: int, parallel: int) -> Sequence[Run]:
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": parallel,
        "INFERENCE_NUM_THREADS": parallel,
        "ENABLE_CPU_PINNING": False,
    }
    compiled = core.compile_model(core.read_model(path), "CPU", settings)
    sharing, copying = compiled.create_infer_request(), compiled.create_infer_request()
    shape = [batch, *(extent.get_length() for extent in list(compiled.inputs[0].get_partial_shape())[1:])]
    own = openvino.Tensor(openvino.Type.f32, shape)
    copying.set_input_tensor(own)
    view = own.data

    def copied(given: npt.NDArray[np.float32]) -> object:
        view[...] = given
        copying.infer()
        return [copying.get_output_tensor(index).data.copy() for index in range(len(compiled.outputs))]

    return [lambda given: sharing.infer({tensor: given}, share_inputs=True), copied]


BARE: dict[str, Callable[[Path, str, int, int], Sequence[Run]]] = {
    "onnxruntime": _bare_onnxruntime,
    "openvino": _bare_openvino,
}
