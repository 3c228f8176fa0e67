"""Every call into OpenVINO: reading, compiling for a device, a pool of requests, and its errors in our words."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from accelerators.known import Known
from accelerators.known import read as read_known
from accelerators.openvino.cache import Cache
from accelerators.openvino.devices import NAME, Target, described, made_with, property_, target
from accelerators.openvino.files import FRONTENDS, metadata, missing
from accelerators.openvino.misreading import misread
from accelerators.openvino.options import MOST_PARALLEL, Options, Properties, on_cpu, properties
from accelerators.openvino.ports import called, extents, most_rows, name_of, specs_of
from accelerators.openvino.report import EXACTNESS, HALVES, effective, granted, nodes, placement
from accelerators.openvino.slot import Slot
from accelerators.openvino.weights import mend
from accelerators.openvino.words import says_absent, says_lost, sentence
from accelerators.pool import Pool
from edgex_inference.contracts.accelerator import (
    OPENVINO_BLOB,
    Batch,
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
from edgex_inference.contracts.probing import probe, sample
from edgex_inference.contracts.tensors import Tensors, TensorSpec, misfit
from edgex_inference.contracts.vendor import in_use, load_vendor

Made = TypeVar("Made")

_QUICK, _TRYING = 2e-4, 0.02
"""Seconds: handing a run shorter than the first to another thread costs as much; how long to look for a short one."""


def version() -> str | None:
    """The version of the installed runtime, without importing it; None without one."""
    try:
        return in_use("openvino", distribution_version("openvino"))
    except PackageNotFoundError:
        return None


def devices() -> Sequence[InferenceDevice]:
    """Every device the runtime finds, and its virtual ones; raises AcceleratorUnavailable without the runtime."""
    core = core_of(vendor(), "")
    return described({id_: property_(core, id_, "FULL_DEVICE_NAME", id_) for id_ in core.available_devices})


def load(request: LoadRequest) -> Session:
    """Loads a model on a device; raises ModelRejected or AcceleratorUnavailable."""
    job = job_of(request)
    known = job.known
    if known is not None:
        alone = known.quick and job.options.left_to_us and job.options.requests is None
        return open_(job, streams=1 if alone else None)
    session = open_(job)
    if (
        session.parallel > 1
        and job.options.left_to_us
        and job.options.requests is None
        and session.is_quick()
    ):
        session.close()
        session = open_(job, streams=1)
    return session


def job_of(request: LoadRequest, *, compiling: bool = False) -> "Job":
    """The model, read, and where it is to go; raises ModelRejected or AcceleratorUnavailable."""
    readable = (*FRONTENDS, *(() if compiling else (OPENVINO_BLOB,)))
    if request.format not in readable:
        raise ModelRejected(request.path, f"{NAME} reads {', '.join(sorted(readable))}, not {request.format}")
    unfit = missing(request.path, request.format)
    if unfit:
        raise ModelRejected(request.path, unfit)
    if request.precision == "int8":
        reason = (
            "int8 is made by quantizing the file, not by asking: use a quantized build, and f32 or native"
        )
        raise ModelRejected(request.path, reason)
    ov = vendor()
    options = request.options if isinstance(request.options, Options) else Options()
    core = core_of(ov, options.plugins)
    place = target(request.device or "CPU", core.available_devices)
    blob = _blob(request.path) if request.format == OPENVINO_BLOB else None
    return Job(
        ov=ov,
        core=core,
        request=request,
        options=options,
        place=place,
        model=read(request, _rows(request, place)) if blob is None else None,
        cache=_cache(request) if blob is None else None,
        blob=blob,
        known=read_known(request.path) if blob is not None else None,
    )


def _blob(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelRejected(path, f"cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A model that was read, and everything that compiling it takes."""

    ov: ModuleType
    core: Any
    request: LoadRequest
    options: Options
    place: Target
    model: Any
    cache: Cache | None
    blob: bytes | None = None
    known: Known | None = None


class OvSession:
    """A compiled model and a pool of requests; closing lets runs in flight end and refuses the next."""

    def __init__(self, job: Job, compiled: Any) -> None:
        request, place, known = job.request, job.place, job.known
        self._model, self._where = request.path.name, f"{NAME}:{place.id}"
        self.metadata = known.metadata if known is not None else metadata(request, job.model)
        ports = list(compiled.inputs)
        ins, outs = called(job.model, compiled, known.probed.outputs if known is not None else ())
        self.inputs: Sequence[TensorSpec] = specs_of(request.path, ports, "input", ins)
        declared = specs_of(request.path, compiled.outputs, "output", outs)
        self._wanted = tuple((spec.name, spec.datatype.numpy) for spec in self.inputs)
        self._expected = {spec.name for spec in self.inputs}
        bounds = [most_rows(port) for port in ports]
        self.parallel = _requests(compiled, job.options)
        names = [spec.name for spec in declared]
        slots = (
            Slot(job.ov, compiled.create_infer_request(), self.inputs, names) for _ in range(self.parallel)
        )
        self._pool = Pool(self._model, slots, "request")
        probed = known.probed if known is not None else probe(self.inputs, declared, self.infer)
        self.outputs: Sequence[TensorSpec] = probed.outputs
        self.probed = probed
        batch, most = probed.batch, min((bound for bound in bounds if bound is not None), default=None)
        if batch.kind == "any" and most is not None:
            batch = Batch(kind="range", most=most)
        if known is not None and known.holds_for == holds_for(job):
            self.traits = Traits(batch=batch, precision=known.precision, placement=known.placement)
            return
        ran = nodes(compiled)
        self.traits = Traits(
            batch=batch,
            precision=effective(ran, granted(compiled) or request.precision),
            placement=placement(compiled, place, ran),
        )

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        """Runs the model; `timeout` bounds the wait for a free request, which callers within `parallel` never have."""
        try:
            fits = tensors.keys() == self._expected
            for name, dtype in self._wanted:  # the runtime would cast other element types without a word
                fits = fits and tensors[name].dtype == dtype
            if not fits:
                raise SignatureMismatch(self._model, misfit(self.inputs, tensors) or "the inputs do not fit")
            slot = self._pool.take(timeout)
            try:
                return slot.run(self._model, tensors)
            finally:
                self._pool.give(slot)
        except EdgexInferenceError:
            raise
        except Exception as error:
            raise self._failure(tensors, error) from error

    def close(self) -> None:
        """Refuses further runs; the compiled model goes with the last run in flight."""
        self._pool.close()

    def is_quick(self) -> bool:
        """Whether a run is so short that handing it to another thread would be most of it."""
        given = sample(self.inputs, np.random.default_rng(0))
        begun = before = time.perf_counter()
        try:
            while (
                before - begun < _TRYING
            ):  # the shortest counts: on a busy machine most runs are interrupted
                self.infer(given)
                now = time.perf_counter()
                if now - before < _QUICK:
                    return True
                before = now
        except EdgexInferenceError:
            return False
        return False

    def _failure(self, tensors: Tensors, error: Exception) -> EdgexInferenceError:
        unfit = misfit(self.inputs, tensors) if isinstance(tensors, Mapping) else "the inputs are no mapping"
        if unfit:
            return SignatureMismatch(self._model, unfit)
        if says_lost(error):
            return DeviceLost(f"{self._where} is lost: {sentence(error)}")
        return InferenceFailed(f"model {self._model!r} on {self._where}: {sentence(error)}")


def vendor() -> ModuleType:
    return load_vendor(NAME, accelerator=NAME, extra=NAME, attribute="Core")


@lru_cache(maxsize=8)
def core_of(ov: ModuleType, plugins: str) -> Any:
    """One core for the process, and one for each plug-ins file: it holds the drivers of its devices."""
    try:
        return ov.Core(plugins) if plugins else ov.Core()
    except Exception as error:
        where = f"plug-ins file {plugins}: " if plugins else ""
        raise AcceleratorUnavailable(NAME, f"{where}{sentence(error)}") from error


def holds_for(job: Job) -> Mapping[str, str]:
    """What precision and placement depend on besides the blob."""
    said = {"precision": job.request.precision, "options": repr(job.options)}
    return {**said, **made_with(job.core, job.place)}


def read(request: LoadRequest, rows: int | None = None) -> Any:
    """The graph, read by the reader of the declared format, with the extents that the request fixes.

    `rows` is what an open axis 0 is fixed to.
    """
    from openvino.frontend import FrontEndManager

    try:
        reader = FrontEndManager().load_by_framework(FRONTENDS[request.format])
        # never mapped: weights that somebody overwrites would change answers, cut short they would end the process
        model = reader.convert(reader.load(os.fspath(request.path), enable_mmap=False))
        fixed = {port: extents(port, request.shapes.get(name_of(port, "")), rows) for port in model.inputs}
        if any(shape is not None for shape in fixed.values()):
            model.reshape({port: shape for port, shape in fixed.items() if shape is not None})
        mend(model, request.format, vendor().op.Constant)
    except Exception as error:
        raise ModelRejected(request.path, sentence(error)) from error
    unfit = misread(request, model)
    if unfit:
        raise ModelRejected(request.path, unfit)
    return model


def _rows(request: LoadRequest, place: Target) -> int | None:
    """What an open axis 0 is fixed to: nothing, but where shapes must be fixed. It need not be a batch."""
    return request.batch or 1 if place.static else None


def open_(job: Job, *, streams: int | None = None) -> OvSession:
    """A session, with what is known of it taken over; raises ModelRejected or AcceleratorUnavailable."""
    return translated(job, lambda: OvSession(job, compiled(job, streams=streams)))


def translated(job: Job, work: Callable[[], Made]) -> Made:
    """What `work` gives, or the runtime's refusal in our words."""
    try:
        return work()
    except EdgexInferenceError:
        raise
    except Exception as error:
        if says_absent(error):
            raise AcceleratorUnavailable(f"{NAME}:{job.place.id}", sentence(error)) from error
        raise ModelRejected(job.request.path, sentence(error)) from error


def _said(job: Job, streams: int | None = None) -> Properties:
    request, options, place = job.request, job.options, job.place
    cores = len(os.sched_getaffinity(0))
    real_cpu = place.all_cpu and not place.virtual
    cpu = on_cpu(options, cores=cores, threads=request.threads, streams=streams) if real_cpu else {}
    return properties(options, precision=request.precision, cpu=cpu, batches=place.virtual == "BATCH")


def compiled(job: Job, *, streams: int | None = None) -> Any:
    """The compiled model in the precision that was asked for, or ModelRejected."""
    native = _native(job, _said(job, streams))
    asked, gets = job.request.precision, granted(native)
    if asked in HALVES:  # ARM without f16 grants it and computes in f32
        gets = effective(nodes(native), gets or asked)
    less_exact = EXACTNESS.get(gets or "", 9) < EXACTNESS.get(asked, 0)
    if less_exact or (asked in HALVES and gets == "f32"):
        where = f"{NAME}:{job.place.id}"
        reason = f"{where} would run it in {gets}, not in {asked}: say {gets} or native"
        raise ModelRejected(job.request.path, reason)
    return native


def _native(job: Job, said: Properties) -> Any:
    """Compiles a graph, never a path: keyed by path alone, the cache would answer for weights that were replaced.

    A blob keeps neither precision nor streams: it is told both again.
    """
    cache = job.cache
    if job.blob is not None:
        blob = job.ov.Tensor(np.frombuffer(job.blob, np.uint8))  # quicker than from a stream
        return job.core.import_model(blob, job.place.native, said)
    if cache is None:
        return job.core.compile_model(job.model, job.place.native, said)
    try:
        compiled = job.core.compile_model(job.model, job.place.native, {**said, **_caching(job, cache)})
    except RuntimeError as error:
        compiled = job.core.compile_model(job.model, job.place.native, said)
        cache.complain(sentence(error))
        return compiled
    if not job.place.virtual:
        cache.check(loaded=bool(compiled.get_property("LOADED_FROM_CACHE")))
    return compiled


def _caching(job: Job, cache: Cache) -> Properties:
    mode = f"OPTIMIZE_{job.options.cache_mode.upper()}"
    return {
        "CACHE_DIR": os.fspath(cache.folder),
        **({} if job.place.virtual == "BATCH" else {"CACHE_MODE": mode}),
    }


def _cache(request: LoadRequest) -> Cache | None:
    """Where compiled models are kept, by version: nothing when it cannot be made."""
    return Cache.made(request.cache / f"{NAME}-{version()}") if request.cache is not None else None


def _requests(compiled: Any, options: Options) -> int:
    best = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    return options.requests or max(1, min(MOST_PARALLEL, best))
