"""What a compiled model depends on besides its source: the runtime, who compiled it, and for which device."""

import os
from collections.abc import Mapping

from accelerators.onnxruntime.opening import Job
from accelerators.onnxruntime.plugins import packages
from accelerators.onnxruntime.processor import processor
from accelerators.onnxruntime.providers import CPU
from accelerators.onnxruntime.targets import NAME, owners, plugged
from edgex_inference.contracts.vendor import in_use


def version() -> str | None:
    """The version of the installed runtime, without importing it; None without one."""
    return in_use(NAME, next((found for _, found in owners()), None))


def parts() -> Mapping[str, str]:
    """Versions of the installed packages that bring providers."""
    return {name: in_use(name.replace("-", "_"), number) or number for name, number in plugged()}


def made_with(job: Job) -> Mapping[str, str]:
    """What a compiled model depends on: the runtime, its provider, and the machine unless a chip is named."""
    found = {"onnxruntime": version() or "", "provider": job.place.provider}
    if job.place.provider == CPU:
        return {**found, "processor": processor()}
    package = next((str(one) for one in packages() if one.name == job.place.short), "")
    if job.options.library:
        package = _state_of(job.options.library)
    chip = job.given.get("soc_model", "")
    found |= {"device": job.place.id, "package": package}
    return {**found, **({"chip": chip} if chip else {"processor": processor()})}


def _state_of(library: str) -> str:
    try:
        there = os.stat(library)
    except OSError:
        return "missing"
    return f"{there.st_size} bytes of {there.st_mtime_ns}"
