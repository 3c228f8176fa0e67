"""Compiling ahead: a blob for a device of this machine."""

from collections.abc import Mapping
from dataclasses import replace

from accelerators.known import Known
from accelerators.openvino.devices import NAME, made_with, target
from accelerators.openvino.options import Options
from accelerators.openvino.session import (
    compiled,
    core_of,
    holds_for,
    job_of,
    open_,
    translated,
    vendor,
)
from edgex_inference.contracts.accelerator import OPENVINO_BLOB, Artefact, LoadRequest
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected


def compile_(request: LoadRequest) -> Artefact:
    """Writes a model compiled for a device of this machine; raises ModelRejected or AcceleratorUnavailable.

    Always from a fresh compilation: what was itself loaded from the cache exports blobs that cannot be read.
    """
    if request.cache is None:
        raise ModelRejected(request.path, "there is no folder to compile into")
    job = job_of(replace(request, cache=None), compiling=True)
    where = f"{NAME}:{job.place.id}"
    if job.place.virtual:
        reason = "chooses devices at each start: name one of them to compile ahead"
        raise AcceleratorUnavailable(where, reason)
    told = request.progress or (lambda fraction, what: None)
    told(None, f"compiling for {job.place.native}")
    session = open_(job)
    told(None, "trying it out")
    known = Known(
        metadata=session.metadata,
        probed=session.probed,
        precision=session.traits.precision,
        placement=session.traits.placement,
        holds_for=holds_for(job),
        quick=session.is_quick(),
    )
    session.close()
    content = translated(job, lambda: bytes(compiled(job).export_model().getvalue()))
    made = request.cache / f"{request.path.stem}.blob"
    try:
        made.write_bytes(content)
        beside = known.write(made)
    except OSError as error:
        raise ModelRejected(request.path, f"cannot be written as a blob: {error.strerror}") from error
    return Artefact(path=made, format=OPENVINO_BLOB, beside=(beside,), made_with=identity(request))


def identity(request: LoadRequest) -> Mapping[str, str]:
    """What a blob depends on besides the runtime: the device, by its full name; raises AcceleratorUnavailable."""
    options = request.options if isinstance(request.options, Options) else Options()
    core = core_of(vendor(), options.plugins)
    return made_with(core, target(request.device or "CPU", core.available_devices))
