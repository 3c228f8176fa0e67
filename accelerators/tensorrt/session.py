"""Every import of TensorRT and CUDA: which GPUs there are, making engines, running them, their errors in our words."""

import queue
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from accelerators.tensorrt import described
from accelerators.tensorrt.cuda import OUT_OF_MEMORY, Cuda, CudaError
from accelerators.tensorrt.described import Described
from accelerators.tensorrt.engine import deserialize, differs, most_rows, plan, ports
from accelerators.tensorrt.library import LIBRARIES, TENSORRT, Library, chosen, installed, made_with
from accelerators.tensorrt.making import Making, make
from accelerators.tensorrt.options import Options
from accelerators.tensorrt.places import GPU, NAME, Place, named, place
from accelerators.tensorrt.slot import Engine, Refused, Slot, Unfit
from accelerators.tensorrt.words import Listener, logger, sentence
from edgex_inference.contracts import onnx_file
from edgex_inference.contracts.accelerator import (
    ONNX,
    Artefact,
    Batch,
    InferenceDevice,
    LoadRequest,
    Session,
    Traits,
)
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeadlineExceeded,
    DeviceLost,
    EdgexInferenceError,
    InferenceFailed,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.contracts.probing import probe, sample
from edgex_inference.contracts.tensors import Tensors, TensorSpec, misfit, nan_for_a_chip
from edgex_inference.contracts.vendor import load_vendor


def version() -> str | None:
    """The version of the installed TensorRT, `RTX 1.7.1` where that one alone is here; None without both."""
    for library, number in installed():
        return number if library is TENSORRT else f"RTX {number}"
    return None


def devices() -> Sequence[InferenceDevice]:
    """`GPU`, `GPU.1` …; raises AcceleratorUnavailable without TensorRT, a driver or a GPU."""
    library, _ = chosen(Options(), Place(id=GPU, number=0))
    cuda = _cuda()
    amount = _count(cuda, NAME)
    _vendor(library)
    return [
        InferenceDevice(
            id=named(number),
            kind="gpu",
            name=f"{cuda.describe(number)}, compute capability {cuda.compute(number)}",
            vendor="NVIDIA",
        )
        for number in range(amount)
    ]


def identity(request: LoadRequest) -> Mapping[str, str]:
    """The `made_with` of an engine for this device; raises AcceleratorUnavailable where it cannot be told."""
    where, options = place(request.device), _options(request)
    library, number = _library(request, options, where)
    return made_with(library, number, _compute(where), options)


def compile(request: LoadRequest) -> Artefact:
    """Makes an engine of an ONNX file; raises ModelRejected or AcceleratorUnavailable."""
    if request.format != ONNX:
        raise ModelRejected(request.path, f"{NAME} compiles {ONNX}, not {request.format}")
    _content(request.path)
    if request.cache is None:
        raise ModelRejected(request.path, "there is no folder for its engine: set Inference.CacheDir")
    options, where = _options(request), place(request.device)
    library, number = chosen(options, where)
    compute = _compute(where)
    trt = _vendor(library)
    native, listener = logger(trt)
    if where.number is not None:
        _cuda().use(where.number)
    try:
        request.cache.mkdir(parents=True, exist_ok=True)
        made = make(
            Making(
                trt=trt,
                logger=native,
                listener=listener,
                request=request,
                options=options,
                place=where,
                timing=Path(options.timing_cache) if options.timing_cache and library.timing else None,
            )
        )
        known = Described(
            made_with=made_with(library, number, compute, options),
            precision=made.precision,
            layers=made.layers,
            metadata=onnx_file.metadata(request.path),
        )
        engine, told = described.keep(request, request.cache, memoryview(made.plan), known)
    except OSError as error:
        reason = f"its engine cannot be kept in {request.cache}: {error.strerror or error}"
        raise ModelRejected(request.path, reason) from error
    return Artefact(path=engine, format=library.format, beside=(told,), made_with=known.made_with)


def load(request: LoadRequest) -> Session:
    """Loads an engine onto a GPU; raises ModelRejected or AcceleratorUnavailable."""
    library = LIBRARIES.get(request.format)
    if library is None:
        reads = " and ".join(sorted(LIBRARIES))
        raise ModelRejected(request.path, f"{NAME} reads {reads} and compiles {ONNX}, not {request.format}")
    found = plan(request.path, _content(request.path), library)
    where = place(request.device)
    if where.number is None:
        reason = f"{where.id} is what models are compiled for on other machines: run them on GPU, GPU.1 …"
        raise AcceleratorUnavailable(where.where, reason)
    cuda = _cuda()
    compute = _compute(where)
    known = described.read(request.path)
    here = made_with(library, library.version or "", compute, Options())
    unfit = differs(known.made_with, here) if known is not None else ""
    if unfit:
        raise ModelRejected(request.path, unfit)
    trt = _vendor(library)
    native, listener = logger(trt)
    opening = _Opening(
        request=request, where=where, number=where.number, trt=trt, cuda=cuda, listener=listener
    )
    try:
        cuda.use(where.number)
        runtime = _runtime(trt, native, where)
        engine = deserialize(trt, runtime, listener, request.path, found)
        known = known or Described.unknown(engine, found.metadata)
        return _TrtSession(opening, runtime, engine, known)
    except CudaError as error:
        raise _unavailable(where, error) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opening:
    """What loading has found out so far."""

    request: LoadRequest
    where: Place
    number: int
    trt: ModuleType
    cuda: Cuda
    listener: Listener


class _TrtSession:
    """An engine and a pool of slots; closing refuses further runs, and a run in flight gives its slot back itself."""

    def __init__(self, opening: _Opening, runtime: Any, native: Any, known: Described) -> None:
        path, trt = opening.request.path, opening.trt
        self._model, self._where, self._listener = path.name, opening.where, opening.listener
        self.metadata: Mapping[str, str] = known.metadata
        inputs, declared = ports(trt, path, native)
        most = most_rows(path, native, inputs)
        self.inputs: Sequence[TensorSpec] = inputs
        self.parallel = _options(opening.request).contexts
        self._closed = False
        self._pool: queue.SimpleQueue[Slot | None] = queue.SimpleQueue()
        engine = Engine(
            trt=trt,
            cuda=opening.cuda,
            runtime=runtime,
            native=native,
            number=opening.number,
            inputs=inputs,
            outputs=declared,
        )
        self._fill(engine)
        probed = probe(inputs, declared, self.infer)
        self.outputs: Sequence[TensorSpec] = probed.outputs
        batch = probed.batch
        if batch.kind == "any" and most is not None:
            batch = Batch(kind="range", most=most)
        self.traits = Traits(
            batch=batch, precision=known.precision, placement={opening.where.id: known.layers}
        )

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        """Runs the model; `timeout` bounds the wait for a free slot: a run itself cannot be broken off."""
        unfit = misfit(self.inputs, tensors) if isinstance(tensors, Mapping) else "the inputs are no mapping"
        unfit = unfit or nan_for_a_chip(self.inputs, tensors)
        if unfit:
            raise SignatureMismatch(self._model, unfit)
        slot = self._take(timeout)
        with self._listener.listening() as said:
            try:
                return slot.run(tensors)
            except Unfit as error:
                reason = f"{error}; the engine takes {self._taken()}"
                raise SignatureMismatch(self._model, reason) from error
            except Exception as error:
                raise self._failure(error, said) from error
            finally:
                self._give(slot)

    def close(self) -> None:
        """Refuses further runs and gives back what no run uses."""
        self._closed = True
        try:
            while True:
                slot = self._pool.get_nowait()
                if slot is not None:
                    slot.release()
        except queue.Empty:
            self._pool.put(None)

    def _fill(self, engine: Engine) -> None:
        """Opens the slots and runs each once: kernels are loaded and memory is taken now, or refused now."""
        given = sample(engine.inputs, np.random.default_rng(0))
        try:
            for _ in range(self.parallel):
                slot = Slot(engine)
                self._pool.put(slot)
                slot.warm(given)
        except CudaError:
            self.close()
            raise
        except Refused as error:
            self.close()
            raise AcceleratorUnavailable(self._where.where, f"{error}: lower contexts or maxBatch") from error

    def _take(self, timeout: float | None) -> Slot:
        try:
            slot = None if self._closed else self._pool.get(timeout=timeout)
        except queue.Empty:
            raise DeadlineExceeded(f"model {self._model!r}: no free context within {timeout:g} s") from None
        if slot is None or self._closed:
            if slot is not None:
                slot.release()
            self._pool.put(None)  # whoever waits behind must hear it too
            raise InferenceFailed(f"model {self._model!r}: the session is closed")
        return slot

    def _give(self, slot: Slot) -> None:
        self._pool.put(slot)
        if self._closed:
            self.close()

    def _taken(self) -> str:
        return ", ".join(map(str, self.inputs))

    def _failure(self, error: Exception, said: Sequence[str]) -> EdgexInferenceError:
        where = self._where.where
        if isinstance(error, CudaError) and error.lost:
            return DeviceLost(f"{where} is lost: {error}")
        if isinstance(error, CudaError) and error.code == OUT_OF_MEMORY:
            return InferenceFailed(f"model {self._model!r} on {where}: no memory for this run: {error}")
        reason = sentence(said or self._listener.strays(), str(error))
        return InferenceFailed(f"model {self._model!r} on {where}: {reason}")


def _options(request: LoadRequest) -> Options:
    return request.options if isinstance(request.options, Options) else Options()


def _library(request: LoadRequest, options: Options, where: Place) -> tuple[Library, str]:
    """That of the format, and for what is still to be compiled the chosen one."""
    library = LIBRARIES.get(request.format)
    return (library, library.version or "") if library is not None else chosen(options, where)


def _vendor(library: Library) -> ModuleType:
    return load_vendor(library.module, accelerator=NAME, extra=library.extra, attribute="Runtime")


def _cuda() -> Cuda:
    native = load_vendor(
        "cuda.bindings.runtime", accelerator=NAME, extra=NAME, attribute="cudaGetDeviceCount"
    )
    return Cuda(native)


def _count(cuda: Cuda, where: str) -> int:
    """How many GPUs there are, one at least; raises AcceleratorUnavailable."""
    try:
        amount = cuda.count()
    except CudaError as error:
        reason = f"{error.absent} (CUDA error {error.code})" if error.absent else f"its driver fails: {error}"
        raise AcceleratorUnavailable(where, reason) from error
    except Exception as error:  # the bindings raise what they like where the driver's library is missing
        raise AcceleratorUnavailable(where, f"CUDA cannot be used: {error}") from error
    if not amount:
        raise AcceleratorUnavailable(where, "the NVIDIA driver finds no GPU on this machine")
    return amount


def _compute(where: Place) -> str:
    """The compute capability of a place; raises AcceleratorUnavailable where the GPU is not here."""
    if where.number is None:
        return where.compute
    cuda = _cuda()
    amount = _count(cuda, where.where)
    if where.number >= amount:
        found = ", ".join(map(named, range(amount)))
        reason = f"not on this machine (found {found}); add a fallback or plug it in"
        raise AcceleratorUnavailable(where.where, reason)
    try:
        return cuda.compute(where.number)
    except CudaError as error:
        raise _unavailable(where, error) from error


def _unavailable(where: Place, error: CudaError) -> AcceleratorUnavailable:
    cure = "; lower contexts or maxBatch, or free memory of the GPU" if error.code == OUT_OF_MEMORY else ""
    return AcceleratorUnavailable(where.where, f"{error}{cure}")


def _runtime(trt: ModuleType, native: Any, where: Place) -> Any:
    try:
        return trt.Runtime(native)
    except TypeError as error:  # pybind's words for a factory that gave nothing
        raise AcceleratorUnavailable(
            where.where, "TensorRT cannot start here: is the driver new enough?"
        ) from error


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()  # never mapped: whoever cuts the file short would end the process
    except OSError as error:
        raise ModelRejected(path, error.strerror or str(error)) from error
    if not content:
        raise ModelRejected(path, "the file is empty")
    return content
