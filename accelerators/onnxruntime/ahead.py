"""Compiling ahead: for the CPU the graph as the runtime optimized it, for a chip what its compiler made of it."""

from collections.abc import Mapping
from dataclasses import replace

from accelerators.known import Known
from accelerators.onnxruntime.depending import made_with
from accelerators.onnxruntime.providers import CPU
from accelerators.onnxruntime.session import job_of, open_
from accelerators.onnxruntime.targets import NAME
from edgex_inference.contracts.accelerator import ONNX, ONNXRUNTIME_MODEL, Artefact, LoadRequest
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected


def compile_(request: LoadRequest) -> Artefact:
    """Writes a model compiled for a device of this machine; raises ModelRejected or AcceleratorUnavailable."""
    if request.format != ONNX:
        raise ModelRejected(request.path, f"{NAME} compiles {ONNX}, not {request.format}")
    if request.cache is None:
        raise ModelRejected(request.path, "there is no folder to compile into")
    if not request.path.is_file():
        raise ModelRejected(request.path, "no such file")
    job = job_of(request)
    on_cpu = job.place.provider == CPU
    made = request.cache / f"{request.path.stem}{'.ort' if on_cpu else '.compiled.onnx'}"
    told = request.progress or (lambda fraction, what: None)
    told(None, f"compiling for {job.place.id}")
    session = open_(replace(job, keep=made), request)
    said = made_with(job)
    known = Known(
        metadata=session.metadata,
        probed=session.probed,
        precision=session.traits.precision,
        placement=session.traits.placement,
        holds_for=said,
    )
    session.close()
    if not made.is_file() or not (on_cpu or b"EPContext" in made.read_bytes()):
        reason = f"{job.place.provider} keeps nothing of what it compiles: its models are loaded as they are"
        raise AcceleratorUnavailable(f"{NAME}:{job.place.id}", reason)
    try:
        beside = known.write(made)
    except OSError as error:
        raise ModelRejected(request.path, f"cannot be written: {error.strerror}") from error
    return Artefact(path=made, format=ONNXRUNTIME_MODEL, beside=(beside,), made_with=said)


def identity(request: LoadRequest) -> Mapping[str, str]:
    """What a compiled model depends on besides its source; raises AcceleratorUnavailable."""
    return made_with(job_of(replace(request, beside=())))
