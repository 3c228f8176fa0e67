"""Every call into ONNX Runtime: loading with strict placement, running, and its errors in our words."""

import base64
import os
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np

from accelerators.onnxruntime.options import Options, precision
from accelerators.onnxruntime.targets import CPU, GPUS, NAME, Target, owners, target, targets
from edgex_inference.contracts.accelerator import ONNX, InferenceDevice, LoadRequest, Session, Traits
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeviceLost,
    EdgexInferenceError,
    InferenceFailed,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.contracts.probing import probe
from edgex_inference.contracts.tensors import Array, Datatype, Tensors, TensorSpec, misfit
from edgex_inference.contracts.vendor import load_vendor

_MOST_PARALLEL = 8
_SILENT = 4
"""Severity `fatal`: every error comes back as an exception, so its native line on standard error is only noise."""

_TINY = base64.b64decode(
    "CAc6OwoMCgF4EgF5IgRSZWx1EgFnWhMKAXgSDgoMCAESCAoCCAEKAggEYhMKAXkSDgoMCAESCAoCCAEKAggEQgQKABAN"
)
"""An ONNX model of one Relu over [1, 4]: opened strictly, it tells a usable provider from a compiled-in one."""

_ELEMENTS: Mapping[str, Datatype] = {
    "bool": Datatype.BOOL,
    "float16": Datatype.FP16,
    "float": Datatype.FP32,
    "double": Datatype.FP64,
    "string": Datatype.BYTES,
    **{name.value.lower(): name for name in Datatype if name.value.startswith(("INT", "UINT"))},
}
_NOTHING: Mapping[str, bytes] = MappingProxyType({})
_TENSOR = re.compile(r"tensor\((\w+)\)")


def version() -> str | None:
    """The version of the installed runtime, without importing it; None without one."""
    return next((found for _, found in owners()), None)


def devices() -> Sequence[InferenceDevice]:
    """CPU and every provider that can be used; raises AcceleratorUnavailable without the runtime."""
    ort = _vendor()
    return [one.described for one in targets(ort) if one.short not in GPUS or _works(ort, one)]


def load(request: LoadRequest) -> Session:
    """Loads an ONNX file; raises ModelRejected or AcceleratorUnavailable."""
    if request.format != ONNX:
        raise ModelRejected(request.path, f"{NAME} reads onnx, not {request.format}")
    if not request.path.is_file():
        raise ModelRejected(request.path, "no such file")
    ort = _vendor()
    options = request.options if isinstance(request.options, Options) else Options()
    place = target(ort, request.device or "CPU")
    exact = precision(place.short, request.precision)
    if exact is None:
        reason = f"{NAME}:{place.id} cannot be asked for precision {request.precision}; say f32 or native"
        raise ModelRejected(request.path, reason)
    threads = options.intra_op_threads or request.threads or 1
    given = {**exact, **options.provider_options}
    try:
        weights = _weights(request)
        settings = _settings(ort, options, threads, place, weights)
        native = _open(ort, os.fspath(request.path), settings, place, given)
        fixed = _symbols(native, request.shapes)
        if fixed:
            settings = _settings(ort, options, threads, place, weights)
            for symbol, extent in fixed.items():
                settings.add_free_dimension_override_by_name(symbol, extent)
            native = _open(ort, os.fspath(request.path), settings, place, given)
    except EdgexInferenceError:
        raise
    except Exception as error:
        raise _refusal(request, place, error) from error
    cores = len(os.sched_getaffinity(0))
    parallel = max(1, min(_MOST_PARALLEL, cores // threads)) if place.provider == CPU else 2
    return _OrtSession(ort, native, request, place, parallel)


class _OrtSession:
    """One shared native session: its runs are thread-safe, and closing makes those in flight end early."""

    def __init__(
        self, ort: ModuleType, native: Any, request: LoadRequest, place: Target, parallel: int
    ) -> None:
        self._model, self._place = request.path.name, place
        self.parallel = parallel
        self.inputs: Sequence[TensorSpec] = tuple(
            _spec(request, arg, given=True) for arg in native.get_inputs()
        )
        outputs = tuple(_spec(request, arg, given=False) for arg in native.get_outputs())
        self.metadata: Mapping[str, str] = dict(native.get_modelmeta().custom_metadata_map)
        self._wanted = tuple((spec.name, spec.datatype.numpy) for spec in self.inputs)
        self._expected = {spec.name for spec in self.inputs}
        self._texts = frozenset(spec.name for spec in self.inputs if spec.datatype is Datatype.BYTES)
        self._names = [spec.name for spec in outputs]
        self._lists = frozenset(arg.name for arg in native.get_outputs() if not _TENSOR.fullmatch(arg.type))
        self._ending = ort.RunOptions()
        self._ending.log_severity_level = _SILENT
        self._run: Any = (
            native._sess.run
        )  # the wrapper's own run rebuilds the session on the CPU after an EPFail
        probed = probe(self.inputs, outputs, self.infer)
        self.outputs: Sequence[TensorSpec] = probed.outputs
        self.traits = Traits(
            batch=probed.batch, precision=request.precision, placement=_placement(native, place)
        )

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        """Runs the model; `timeout` is the caller's to keep: `close` ends a run between two nodes."""
        run = self._run
        if run is None:
            raise InferenceFailed(f"model {self._model!r}: the session is closed")
        try:
            if self._texts:
                tensors = self._with_texts(tensors)
            fits = tensors.keys() == self._expected
            for (
                name,
                dtype,
            ) in self._wanted:  # the runtime would read big-endian numbers as if they were native
                fits = fits and tensors[name].dtype == dtype
            if not fits:
                raise SignatureMismatch(self._model, misfit(self.inputs, tensors) or "the inputs do not fit")
            feed = tensors if type(tensors) is dict else dict(tensors)
            answers = run(self._names, feed, self._ending)
        except EdgexInferenceError:
            raise
        except Exception as error:
            raise self._failure(tensors, error) from error
        if self._lists:
            answers = [
                _listed(a) if n in self._lists else a for n, a in zip(self._names, answers, strict=True)
            ]
        return dict(zip(self._names, answers, strict=True))

    def close(self) -> None:
        """Ends runs in flight at their next node; the native session goes with the last of them."""
        self._ending.terminate = True
        self._run = None

    def _with_texts(self, tensors: Tensors) -> Tensors:
        """Byte strings become text; the runtime would write them as `b'…'`."""
        return {
            name: _decoded(array) if name in self._texts and array.dtype.kind in "OSU" else array
            for name, array in tensors.items()
        }

    def _failure(self, tensors: Tensors, error: Exception) -> EdgexInferenceError:
        text = _last_line(error)
        where = f"{NAME}:{self._place.id}"
        if self._run is None:
            return InferenceFailed(f"model {self._model!r}: the session was closed during the run")
        if type(error).__name__ in ("DeviceReset", "EPFail", "EngineError") or "CUDA failure" in text:
            return DeviceLost(f"{where} is lost: {text}")
        unfit = misfit(self.inputs, tensors)
        if unfit:
            return SignatureMismatch(self._model, unfit)
        return InferenceFailed(f"model {self._model!r} on {where}: {text}")


def _vendor() -> ModuleType:
    found = owners()
    if len(found) > 1:
        names = " and ".join(f"{name} {number}" for name, number in found)
        raise AcceleratorUnavailable(
            NAME, f"{names} overwrite each other in this environment: uninstall all of them, then install one"
        )
    return load_vendor("onnxruntime", accelerator=NAME, extra=NAME, attribute="InferenceSession")


def _works(ort: ModuleType, place: Target) -> bool:
    try:
        _open(ort, _TINY, _settings(ort, Options(), 1, place), place, {})
    except Exception:  # noqa: BLE001 - whatever the vendor raises here means: not usable
        return False
    return True


def _weights(request: LoadRequest) -> Mapping[str, bytes]:
    """The files of weights beside the graph, read: left to itself, the runtime maps them for as long as it runs."""
    found = {name: request.path.parent / name for name in request.beside}
    return {name: path.read_bytes() for name, path in found.items() if path.is_file()}


def _settings(
    ort: ModuleType, options: Options, threads: int, place: Target, weights: Mapping[str, bytes] = _NOTHING
) -> Any:
    settings = ort.SessionOptions()
    settings.log_severity_level = _SILENT
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = options.inter_op_threads
    settings.enable_cpu_mem_arena = options.arena
    levels = ort.GraphOptimizationLevel
    settings.graph_optimization_level = {
        "all": levels.ORT_ENABLE_ALL,
        "extended": levels.ORT_ENABLE_EXTENDED,
        "basic": levels.ORT_ENABLE_BASIC,
        "off": levels.ORT_DISABLE_ALL,
    }[options.graph_optimization]
    parallel = options.execution_mode == "parallel"
    settings.execution_mode = ort.ExecutionMode.ORT_PARALLEL if parallel else ort.ExecutionMode.ORT_SEQUENTIAL
    spinning = "1" if options.spinning else "0"
    settings.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    settings.add_session_config_entry("session.inter_op.allow_spinning", spinning)
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if place.provider != CPU:
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    if weights:
        contents = list(weights.values())
        settings.add_external_initializers_from_files_in_memory(
            list(weights), contents, [len(one) for one in contents]
        )
    return settings


def _open(
    ort: ModuleType, model: str | bytes, settings: Any, place: Target, options: Mapping[str, str]
) -> Any:
    """A native session on this target and nowhere else."""
    if place.plugin is not None:
        settings.add_provider_for_devices([place.plugin], dict(options))
        native = ort.InferenceSession(model, settings, enable_fallback=0)
    else:
        if place.index is not None:
            options = {**options, "device_id": str(place.index)}
        wanted = [(place.provider, dict(options))]
        native = ort.InferenceSession(model, settings, providers=wanted, enable_fallback=0)
    native.disable_fallback()
    first = native.get_providers()[0]
    if first != place.provider:
        reason = f"{place.provider} cannot start here, the runtime fell back to {first}"
        raise AcceleratorUnavailable(f"{NAME}:{place.id}", reason)
    return native


def _refusal(request: LoadRequest, place: Target, error: Exception) -> EdgexInferenceError:
    text = _last_line(error)
    if "fallback to CPU EP has been explicitly disabled" in str(error):
        reason = f"{NAME}:{place.id} cannot run the whole graph: some nodes are left to the CPU"
        return ModelRejected(request.path, reason)
    if place.provider != CPU and ("CUDA failure" in text or "libcu" in text or "libcudnn" in text):
        return AcceleratorUnavailable(f"{NAME}:{place.id}", text)
    if "protobuf" in text.lower():
        text = f"is no ONNX model, or only a part of one ({text}): copy or export it again"
    return ModelRejected(request.path, text)


def _symbols(native: Any, shapes: Mapping[str, tuple[int | None, ...]]) -> dict[str, int]:
    """The named open extents of the inputs that the request fixes."""
    return {
        symbol: extent
        for arg in native.get_inputs()
        for symbol, extent in zip(arg.shape, shapes.get(arg.name, ()), strict=False)
        if isinstance(symbol, str) and extent is not None
    }


def _spec(request: LoadRequest, arg: Any, *, given: bool) -> TensorSpec:
    """A declared tensor; sequences and maps of outputs are object arrays [batch]."""
    tensor = _TENSOR.fullmatch(arg.type)
    if tensor is None and not given:
        return TensorSpec(name=arg.name, datatype=Datatype.BYTES, shape=(None,))
    datatype = _ELEMENTS.get(tensor[1]) if tensor else None
    if datatype is None:
        kind = "input" if given else "output"
        raise ModelRejected(
            request.path, f"the {kind} {arg.name} is a {arg.type}, which cannot be fed or read"
        )
    shape: tuple[int | None, ...] = tuple(n if isinstance(n, int) and n >= 0 else None for n in arg.shape)
    fixed = request.shapes.get(arg.name)
    if given and fixed is not None and len(fixed) == len(shape):
        shape = tuple(have if have is not None else want for have, want in zip(shape, fixed, strict=True))
    return TensorSpec(name=arg.name, datatype=datatype, shape=shape)


def _placement(native: Any, place: Target) -> Mapping[str, int]:
    """How many graph nodes each provider got."""
    counts: dict[str, int] = {}
    for part in native.get_provider_graph_assignment_info():
        id_ = place.id if part.ep_name == place.provider else part.ep_name.removesuffix("ExecutionProvider")
        counts[id_] = counts.get(id_, 0) + len(part.get_nodes())
    return counts


def _decoded(array: Array) -> Array:
    texts = [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in array.flat]
    return np.array(texts, dtype=object).reshape(array.shape)


def _listed(answer: Any) -> Array:
    """The label-to-score maps of classical models, one for each row."""
    items = answer if isinstance(answer, list) else [answer]
    array = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        array[index] = item
    return array


def _last_line(error: Exception) -> str:
    """The vendor's message without its numbers and source places."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", " ".join(lines)) or type(error).__name__
    text = re.sub(r"\S*/onnxruntime/\S+\.(cc|h):\d+ ", "", text)
    return text if len(text) <= 400 else f"{text[:200]} … {text[-190:]}"
