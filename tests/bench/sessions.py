"""Our sessions against the bare runtimes: the same settings, threads and tensors, one call after the other.

The bare call is the fastest that the runtime's own documented interface gives for results that stay valid: for
ONNX Runtime `InferenceSession.run` with the names of the outputs, for OpenVINO `InferRequest.infer` on shared inputs,
or on an input tensor that was set once, with the answer copied out, whichever is faster; for LiteRT `set_tensor`,
`invoke`, `get_tensor` on an interpreter that was resized for the batch. LiteRT and ONNX Runtime with one thread run
in the caller's: there the thread's processor time is compared, so that others on the machine do not count.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import onnx

from edgex_inference.contracts.accelerator import ONNX, TFLITE, Accelerator, Format, LoadRequest
from edgex_inference.testing.tflite_models import Node, Tensor
from edgex_inference.testing.tflite_models import save as save_tflite
from tests.bench.effort import Effort
from tests.bench.material import VALUES, auto_encoder, weights
from tests.bench.mobilenet import SIDE, quantized
from tests.bench.pictures import detector, testdata
from tests.bench.rows import Goal, Row, interleaved, ratio

GOAL = Goal(least=0.95)
SLICE = 0.004
"""Seconds that one measurement of one side takes: long against the clock, shorter than most disturbances."""

PATIENCE = 20.0
"""Seconds for one comparison at most."""

Numbers = npt.NDArray[np.float32 | np.uint8]
Run = Callable[[Numbers], object]
Clock = Callable[[], float]
CLOCKS: Mapping[str, Clock] = {"litert": time.thread_time, "onnxruntime": time.thread_time}
SETTLING: Mapping[str, int] = {"litert": 32}
"""Runs until an interpreter that was resized is replaced: each slot counts its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A file; with an open batch axis unless `batches` says otherwise."""

    name: str
    path: Path
    shape: tuple[int, ...]
    format: Format = ONNX
    batches: tuple[int, ...] = (1, 64)
    whole: bool = False

    def given(self, batch: int) -> Numbers:
        """Random numbers, bytes where the input holds `whole` ones."""
        dice = np.random.default_rng(0)
        if self.whole:
            return dice.integers(0, 256, (batch, *self.shape), np.uint8)
        return dice.random((batch, *self.shape), np.float32)


def rows(effort: Effort, folder: Path) -> Sequence[Row]:
    """Each runtime, each model, at batch 1 and 64."""
    found: list[Row] = []
    models = (
        Model(name="MLP 16-32-16", path=auto_encoder(folder / "models"), shape=(16,)),
        _open_batch(folder),
        Model(
            name="MobileNet int8 (random weights, ONNX)",
            path=quantized(folder),
            shape=(3, SIDE, SIDE),
        ),
    )
    for model in models:
        for name in ("onnxruntime", "openvino"):
            found += _compared(effort, name, model)
    for model in _tflite(folder):
        found += _compared(effort, "litert", model)
        if model.whole:
            found += _compared(effort, "openvino", model)
    return found


def _tflite(folder: Path) -> Sequence[Model]:
    """The MLP as TFLite; with the real models also the detector and a quantized MobileNet, which takes one picture."""
    inward, outward = weights()
    path = save_tflite(
        folder / "ae.tflite",
        [
            Node(
                kind="FULLY_CONNECTED",
                inputs=["x", "inward"],
                outputs=["wide"],
                options={"fusedActivationFunction": 1},
            ),
            Node(kind="FULLY_CONNECTED", inputs=["wide", "outward"], outputs=["y"]),
        ],
        [
            Tensor(name="x", shape=(None, VALUES)),
            Tensor(name="wide", shape=(None, 32)),
            Tensor(name="y", shape=(None, VALUES)),
        ],
        {"inward": np.ascontiguousarray(inward.T), "outward": np.ascontiguousarray(outward.T)},
    )
    found = [Model(name="MLP 16-32-16", path=path, shape=(VALUES,), format=TFLITE)]
    data = testdata()
    if data is not None:
        rfb = data / "models" / "face-rfb320" / "version-RFB-320_without_postprocessing.tflite"
        mobile = data / "models" / "coral" / "mobilenet_v1_0.25_128_quant.tflite"
        found += [
            Model(name="RFB-320", path=rfb, shape=(240, 320, 3), format=TFLITE),
            Model(
                name="MobileNet int8 (TFLite)",
                path=mobile,
                shape=(128, 128, 3),
                format=TFLITE,
                batches=(1,),
                whole=True,
            ),
        ]
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
    request = LoadRequest(path=model.path, format=model.format, options=plugin.options())
    assert plugin.load is not None
    session = plugin.load(request)
    tensor = session.inputs[0].name
    found: list[Row] = []
    for batch in model.batches:
        given = model.given(batch)
        clock = CLOCKS.get(name, time.perf_counter)
        ours = _timed(lambda given: session.infer({tensor: given}), given, clock)
        for _ in range(SETTLING.get(name, 0) if batch > 1 else 0):
            session.infer({tensor: given})
        bare = [_timed(run, given, clock) for run in BARE[name](model.path, tensor, batch, session.parallel)]
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


def _timed(run: Run, given: Numbers, clock: Clock = time.perf_counter) -> Callable[[], float]:
    """µs for each call, measured over about SLICE seconds of calls."""
    run(given)
    began = clock()
    run(given)
    amount = max(1, int(SLICE / (clock() - began)))

    def measure() -> float:
        run(given)  # brings the weights back near the processor, where the other side's were
        began = clock()
        for _ in range(amount):
            run(given)
        return (clock() - began) / amount * 1e6

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
    # a model each: a second request of the same one would find its weights near the processor, and ours would not
    compiled, other = (core.compile_model(core.read_model(path), "CPU", settings) for _ in range(2))
    copying, sharing = compiled.create_infer_request(), other.create_infer_request()
    shape = [batch, *(extent.get_length() for extent in list(compiled.inputs[0].get_partial_shape())[1:])]
    own = openvino.Tensor(compiled.inputs[0].get_element_type(), shape)
    copying.set_input_tensor(own)
    view = own.data

    def copied(given: Numbers) -> object:
        view[...] = given
        copying.infer()
        return [copying.get_output_tensor(index).data.copy() for index in range(len(compiled.outputs))]

    return [lambda given: sharing.infer({tensor: given}, share_inputs=True), copied]


def _bare_litert(path: Path, tensor: str, batch: int, parallel: int) -> Sequence[Run]:
    from ai_edge_litert.interpreter import Interpreter

    native = Interpreter(model_content=path.read_bytes(), num_threads=1)
    (entry,) = native.get_input_details()
    native.resize_tensor_input(entry["index"], [batch, *entry["shape"][1:]])
    native.allocate_tensors()
    outputs = [one["index"] for one in native.get_output_details()]

    def run(given: Numbers) -> object:
        native.set_tensor(entry["index"], given)
        native.invoke()
        return [native.get_tensor(index) for index in outputs]

    return [run]


BARE: dict[str, Callable[[Path, str, int, int], Sequence[Run]]] = {
    "onnxruntime": _bare_onnxruntime,
    "openvino": _bare_openvino,
    "litert": _bare_litert,
}
