"""Every call into ONNX Runtime: loading with strict placement, running, and its errors in our words."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from accelerators.known import Known
from accelerators.known import read as known_of
from accelerators.onnxruntime import targets
from accelerators.onnxruntime.depending import made_with
from accelerators.onnxruntime.opening import (
    SILENT,
    STRICT,
    Job,
    extents,
    last_line,
    left,
    opened,
    rounds,
    works,
)
from accelerators.onnxruntime.options import Options, defaults, precision
from accelerators.onnxruntime.providers import CPU, known
from accelerators.onnxruntime.report import MEASURED, effective, placement
from accelerators.onnxruntime.targets import NAME, owners, target
from edgex_inference.contracts.accelerator import (
    ONNX,
    ONNXRUNTIME_MODEL,
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
from edgex_inference.contracts.probing import probe
from edgex_inference.contracts.tensors import Array, Datatype, Tensors, TensorSpec, holds_nan, misfit
from edgex_inference.contracts.vendor import load_vendor

_MOST_PARALLEL = 8
_ELEMENTS: Mapping[str, Datatype] = {
    "bool": Datatype.BOOL,
    "float16": Datatype.FP16,
    "float": Datatype.FP32,
    "double": Datatype.FP64,
    "string": Datatype.BYTES,
    **{name.value.lower(): name for name in Datatype if name.value.startswith(("INT", "UINT"))},
}
_CREATING = "::CreateProvider("
_TENSOR = re.compile(r"tensor\((\w+)\)")


def devices() -> Sequence[InferenceDevice]:
    """CPU and every provider that can be used; raises AcceleratorUnavailable without the runtime."""
    ort = _vendor()
    every = targets.targets(ort)
    return [one.described for one in every if not one.gpu or works(Job(ort=ort, place=one))]


def absent() -> Mapping[str, str]:
    """What brings each provider that is not here."""
    return targets.absent(_vendor())


def load(request: LoadRequest) -> Session:
    """Loads an ONNX file, or what was compiled of one; raises ModelRejected or AcceleratorUnavailable."""
    if request.format not in (ONNX, ONNXRUNTIME_MODEL):
        raise ModelRejected(request.path, f"{NAME} reads onnx and {ONNXRUNTIME_MODEL}, not {request.format}")
    if not request.path.is_file():
        raise ModelRejected(request.path, "no such file")
    return open_(job_of(request), request)


def open_(job: Job, request: LoadRequest) -> "OrtSession":
    """A session for the job; raises ModelRejected or AcceleratorUnavailable."""
    known = _known(job, request) if job.kept else None
    try:
        job = job if job.kept else replace(job, fixed=extents(job, request))
        native = opened(job, os.fspath(request.path))
        exact = _exactness(request, job, native, known)
    except EdgexInferenceError:
        raise
    except Exception as error:
        raise _refusal(request, job, error) from error
    cores = len(os.sched_getaffinity(0))
    parallel = max(1, min(_MOST_PARALLEL, cores // job.threads)) if job.place.provider == CPU else 2
    placed = known.placement if known is not None else placement(native, job.place)
    traits = Traits(precision=exact, placement=placed)
    return OrtSession(job, native, request, parallel, traits, known)


def _guards(job: Job, inputs: Sequence[TensorSpec]) -> Sequence[tuple[str, Callable[[Array], str]]]:
    """What must not be given to a chip, which makes plausible numbers of it; the CPU is as exact as numpy."""
    if job.place.provider == CPU:
        return ()
    found: list[tuple[str, Callable[[Array], str]]] = []
    for spec in inputs:
        if spec.datatype.numpy.kind == "f":
            found.append((spec.name, _nan))
        elif known(job.place.short).narrow and spec.datatype in (Datatype.INT64, Datatype.UINT64):
            found.append((spec.name, _beyond_32_bits))
    return tuple(found)


def _nan(array: Array) -> str:
    return "NaN, of which a chip may make a plausible number" if holds_nan(array) else ""


def _beyond_32_bits(array: Array) -> str:
    for number in (int(array.min()), int(array.max())) if array.size else ():
        if not -(2**31) <= number < 2**31:
            return f"{number}; the chip keeps no more than 32 bits of it"
    return ""


def _exactness(request: LoadRequest, job: Job, native: Any, known: Known | None) -> str:
    """The precision that it runs in; raises ModelRejected where that is not the one that was asked for."""
    found = known.precision if known is not None else effective(native, job.place, request.precision)
    if known is None and job.place.short in MEASURED and found != "int8":
        found = rounds(job)
    if request.precision not in ("native", found) and found != "int8":
        where = f"{NAME}:{job.place.id}"
        reason = f"{where} would run it in {found}, not in {request.precision}: say {found} or native"
        raise ModelRejected(request.path, reason)
    return found


def _known(job: Job, request: LoadRequest) -> Known:
    """What was found out when the model was compiled; raises ModelRejected where that was not for here."""
    found = known_of(request.path)
    if found is None:
        reason = "what `edgex-inference compile` wrote beside it is missing or damaged: compile it again"
        raise ModelRejected(request.path, reason)
    for name, here in made_with(job).items():
        was = found.holds_for.get(name, "none")
        if was != here:
            reason = f"was compiled with {name} {was}, here is {here}: compile it again"
            raise ModelRejected(request.path, reason)
    return found


def job_of(request: LoadRequest) -> Job:
    """Where a model is to go, and how; raises ModelRejected or AcceleratorUnavailable."""
    ort = _vendor()
    options = request.options if isinstance(request.options, Options) else Options()
    place = target(ort, request.device or "CPU", options.library)
    exact = precision(place.short, request.precision)
    if exact is None:
        reason = f"{NAME}:{place.id} cannot be asked for precision {request.precision}; say f32 or native"
        raise ModelRejected(request.path, reason)
    return Job(
        ort=ort,
        place=place,
        options=options,
        threads=options.intra_op_threads or request.threads or 1,
        given={
            **defaults(place.short, options.provider_options),
            **exact,
            **options.provider_options,
        },
        weights=_weights(request) if request.format == ONNX else {},
        kept=request.format == ONNXRUNTIME_MODEL,
    )


class OrtSession:
    """One shared native session: its runs are thread-safe, and closing makes those in flight end early."""

    def __init__(
        self,
        job: Job,
        native: Any,
        request: LoadRequest,
        parallel: int,
        traits: Traits,
        known: Known | None,
    ) -> None:
        self._model, self._place = request.path.name, job.place
        self.parallel = parallel
        self.inputs: Sequence[TensorSpec] = tuple(
            _spec(request, arg, given=True) for arg in native.get_inputs()
        )
        outputs = tuple(_spec(request, arg, given=False) for arg in native.get_outputs())
        said = native.get_modelmeta().custom_metadata_map if known is None else known.metadata
        self.metadata: Mapping[str, str] = dict(said)
        self._wanted = tuple((spec.name, spec.datatype.numpy) for spec in self.inputs)
        self._expected = {spec.name for spec in self.inputs}
        self._guards = _guards(job, self.inputs)
        self._texts = frozenset(spec.name for spec in self.inputs if spec.datatype is Datatype.BYTES)
        self._names = [spec.name for spec in outputs]
        self._lists = frozenset(arg.name for arg in native.get_outputs() if not _TENSOR.fullmatch(arg.type))
        self._ending = job.ort.RunOptions()
        self._ending.log_severity_level = SILENT
        self._run: Any = (
            native._sess.run
        )  # the wrapper's own run rebuilds the session on the CPU after an EPFail
        self.probed = probed = known.probed if known is not None else probe(self.inputs, outputs, self.infer)
        self.outputs: Sequence[TensorSpec] = probed.outputs
        self.traits = replace(traits, batch=probed.batch)

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
            for name, unfit in self._guards:
                if reason := unfit(tensors[name]):
                    raise SignatureMismatch(self._model, f"{name} holds {reason}")
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
        text = last_line(error)
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


def _weights(request: LoadRequest) -> Mapping[str, bytes]:
    """The files of weights beside the graph, read: left to itself, the runtime maps them for as long as it runs."""
    found = {name: request.path.parent / name for name in request.beside}
    return {name: path.read_bytes() for name, path in found.items() if path.is_file()}


def _refusal(request: LoadRequest, job: Job, error: Exception) -> EdgexInferenceError:
    text, place = last_line(error), job.place
    if STRICT in str(error):
        if (place.gpu or place.plugin is not None) and not works(job):
            told = "with these options" if job.options.provider_options else "here"
            reason = f"{place.provider} is installed and does not start {told}: {known(place.short).sentence}"
            return AcceleratorUnavailable(f"{NAME}:{place.id}", reason)
        what = left(job, request.path) or "some nodes"
        reason = f"{NAME}:{place.id} cannot run the whole graph: {what} would be left to the CPU"
        return ModelRejected(request.path, reason)
    if "FP16" in text and request.precision == "f16":
        return ModelRejected(request.path, f"{NAME}:{place.id} cannot be asked for precision f16: {text}")
    if _CREATING in str(error):
        return AcceleratorUnavailable(f"{NAME}:{place.id}", text)
    if place.provider != CPU and ("CUDA failure" in text or "libcu" in text or "libcudnn" in text):
        return AcceleratorUnavailable(f"{NAME}:{place.id}", text)
    if "protobuf" in text.lower():
        text = f"is no ONNX model, or only a part of one ({text}): copy or export it again"
    return ModelRejected(request.path, text)


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
