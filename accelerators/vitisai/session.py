"""Every call into VART and XIR: choosing the DPU's part, a runner for each run in flight, errors in our words."""

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

from accelerators.pool import Pool
from accelerators.vitisai.options import Options
from accelerators.vitisai.xmodel import MOST_BYTES, Part, Xmodel, read
from edgex_inference.contracts.accelerator import (
    XMODEL,
    InferenceDevice,
    LoadRequest,
    Session,
    Traits,
)
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeviceLost,
    EdgexInferenceError,
    InferenceFailed,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.contracts.probing import declared_batch
from edgex_inference.contracts.protobuf import Damaged
from edgex_inference.contracts.tensors import (
    Array,
    Datatype,
    Quantization,
    Tensors,
    TensorSpec,
    misfit,
    nan_for_a_chip,
)
from edgex_inference.contracts.vendor import load_vendor

NAME, DPU = "vitisai", "DPU"
CURE = "take vart and xir from the Vitis AI image of the board or card, not from PyPI"
_TYPES = {
    "XINT8": Datatype.INT8,
    "INT8": Datatype.INT8,
    "XUINT8": Datatype.UINT8,
    "UINT8": Datatype.UINT8,
    "FLOAT32": Datatype.FP32,
    "INT64": Datatype.INT64,
    "INT32": Datatype.INT32,
}
_SPLITS = (
    "VART runs one part on the DPU only: change the operators that its compiler leaves to the CPU, or run the ONNX "
    "model by onnxruntime:VITISAI, which splits it itself"
)


def version() -> str | None:
    """VART's version, or that of XIR, without importing it; `installed` where the image does not say; None without."""
    for name in ("vart", "xir"):
        try:
            return distribution_version(name)
        except PackageNotFoundError:
            continue
    return "installed" if find_spec("vart") is not None and find_spec("xir") is not None else None


def devices() -> Sequence[InferenceDevice]:
    """The DPU; raises AcceleratorUnavailable without VART. Which DPU it is shows when a model is loaded."""
    _vendors(NAME)
    return (InferenceDevice(id=DPU, kind="fpga", name="the DPU that VART finds", vendor="AMD"),)


def load(request: LoadRequest) -> Session:
    """Loads the DPU's part of a compiled model; raises ModelRejected or AcceleratorUnavailable."""
    if request.format != XMODEL:
        raise ModelRejected(request.path, f"{NAME} reads {XMODEL}, not {request.format}")
    device = request.device or DPU
    where = f"{NAME}:{device}"
    if device.upper() != DPU:
        raise AcceleratorUnavailable(where, f"it has the {DPU} only: say {DPU}, or add a fallback")
    graph = inspected(request)
    part = _only_part(request, graph)
    xir, vart = _vendors(where)
    options = request.options if isinstance(request.options, Options) else Options()
    try:
        native = xir.Graph.deserialize(str(request.path))
        found = [one for one in native.get_root_subgraph().toposort_child_subgraph() if _device(one) == DPU]
        if len(found) != 1:
            raise ModelRejected(request.path, f"XIR finds {len(found)} parts for the DPU in it, not one")
        runners = [vart.Runner.create_runner(found[0], options.mode) for _ in range(options.runners)]
        return _VartSession(request, where, graph, runners)
    except EdgexInferenceError:
        raise
    except Exception as error:
        raise _refusal(request, where, part, error) from error


def inspected(request: LoadRequest) -> Xmodel:
    """What the file says of itself; raises ModelRejected."""
    try:
        size = request.path.stat().st_size
        if not 0 < size <= MOST_BYTES:
            raise ModelRejected(request.path, "the file is empty" if not size else f"it has {size} bytes")
        return read(request.path.read_bytes())
    except OSError as error:
        raise ModelRejected(request.path, error.strerror or str(error)) from error
    except Damaged as error:
        raise ModelRejected(request.path, f"is no compiled .xmodel: {error}") from error


def _only_part(request: LoadRequest, graph: Xmodel) -> Part:
    """The one part of the graph that runs on the DPU; raises ModelRejected where there is anything else to run."""
    counts = graph.placement
    mine = [part for part in graph.parts if part.device == DPU]
    if not mine:
        have = ", ".join(f"{count} for {device}" for device, count in counts.items()) or "none"
        raise ModelRejected(request.path, f"has no part for the DPU ({have}): compile it with vai_c")
    others = sum(counts.values()) - len(mine)
    if len(mine) > 1 or others:
        reason = f"{len(mine)} parts are for the DPU ({mine[0].dpu}) and {others} for the CPU; {_SPLITS}"
        raise ModelRejected(request.path, reason)
    return mine[0]


class _VartSession:
    """As many runners as runs may be in flight; a runner serves one at a time."""

    def __init__(self, request: LoadRequest, where: str, graph: Xmodel, runners: Sequence[Any]) -> None:
        self._model, self._where = request.path.name, where
        first = runners[0]
        self.inputs: Sequence[TensorSpec] = tuple(_spec(request, t) for t in first.get_input_tensors())
        self.outputs: Sequence[TensorSpec] = tuple(_spec(request, t) for t in first.get_output_tensors())
        self.parallel = len(runners)
        floats = all(spec.datatype is Datatype.FP32 for spec in self.inputs)
        precision = "f32" if floats else "int8"
        if request.precision not in ("f32", "native", precision):
            reason = f"it was compiled in {precision}, not in {request.precision}: say native"
            raise ModelRejected(request.path, reason)
        self.traits = Traits(
            batch=declared_batch(self.inputs, self.outputs), precision=precision, placement=graph.placement
        )
        part = next(one for one in graph.parts if one.device == DPU)
        self.metadata: Mapping[str, str] = {"dpu": part.dpu, "fingerprint": f"{part.fingerprint:#x}"}
        self._pool = Pool(self._model, runners, "runner")

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        """Runs once on the next free runner; `timeout` bounds the wait for it."""
        unfit = misfit(self.inputs, tensors) or nan_for_a_chip(self.inputs, tensors)
        if unfit:
            raise SignatureMismatch(self._model, unfit)
        given = [np.ascontiguousarray(tensors[spec.name]) for spec in self.inputs]
        answers: list[Array] = [_room(spec) for spec in self.outputs]
        runner = self._pool.take(timeout)
        try:
            job = runner.execute_async(given, answers)
            status = runner.wait(job)
        except Exception as error:
            raise DeviceLost(f"{self._where} is lost: {_sentence(error)}") from error
        finally:
            self._pool.give(runner)
        if status:
            raise InferenceFailed(
                f"model {self._model!r} on {self._where}: the run ended with status {status}"
            )
        return {spec.name: answer for spec, answer in zip(self.outputs, answers, strict=True)}

    def close(self) -> None:
        """Lets the runners go; each ends with the last run on it."""
        self._pool.close()


def _vendors(where: str) -> tuple[ModuleType, ModuleType]:
    """XIR and VART; both names are other people's on PyPI, so each is asked for what only the real one has."""
    found = []
    for module, attribute in (("xir", "Graph"), ("vart", "Runner")):
        if find_spec(module) is None:
            raise AcceleratorUnavailable(where, f"Vitis AI's modules vart and xir are missing: {CURE}")
        try:
            found.append(load_vendor(module, accelerator=where, extra=NAME, attribute=attribute))
        except AcceleratorUnavailable as error:
            raise AcceleratorUnavailable(where, error.reason.partition(": pip")[0] + f": {CURE}") from None
    return found[0], found[1]


def _device(subgraph: Any) -> str:
    return str(subgraph.get_attr("device")).upper() if subgraph.has_attr("device") else ""


def _spec(request: LoadRequest, tensor: Any) -> TensorSpec:
    """A runner's tensor; numbers of `fix_point` p stand for multiples of 2^-p."""
    said = str(getattr(tensor, "dtype", "")).upper()
    datatype = _TYPES.get(said)
    if datatype is None:
        raise ModelRejected(request.path, f"the tensor {tensor.name} is {said}, which cannot be fed or read")
    quantization = None
    if datatype in (Datatype.INT8, Datatype.UINT8) and tensor.has_attr("fix_point"):
        quantization = Quantization(scale=2.0 ** -int(tensor.get_attr("fix_point")), zero=0)
    return TensorSpec(
        name=str(tensor.name),
        datatype=datatype,
        shape=tuple(int(extent) for extent in tensor.dims),
        quantization=quantization,
    )


def _room(spec: TensorSpec) -> Array:
    return np.empty([extent or 1 for extent in spec.shape], dtype=spec.datatype.numpy, order="C")


def _refusal(request: LoadRequest, where: str, part: Part, error: Exception) -> EdgexInferenceError:
    text = _sentence(error)
    if "fingerprint" in text.lower():
        reason = (
            f"is compiled for the {part.dpu or 'DPU'} with fingerprint {part.fingerprint:#x}, and this machine has "
            f"another one ({text}): compile it with the arch.json of this DPU"
        )
        return ModelRejected(request.path, reason)
    if any(word in text.lower() for word in ("no device", "cannot open", "xclbin", "/dev/", "not found")):
        return AcceleratorUnavailable(where, f"no DPU answers: {text}")
    return ModelRejected(request.path, text)


def _sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:400]
