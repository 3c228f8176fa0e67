"""Where a session may go: what the installed ONNX Runtime and its plug-ins have, and what brings the rest."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import distributions
from types import ModuleType
from typing import Any

from accelerators.onnxruntime.plugins import PREFIXES, packages, register, registered
from accelerators.onnxruntime.providers import CPU, PROVIDERS, RETIRED, UNSUITED, known, short, written
from edgex_inference.contracts.accelerator import InferenceDevice
from edgex_inference.contracts.errors import AcceleratorUnavailable

NAME = "onnxruntime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a session goes; `plugin` is the device object of a provider that was registered as a library."""

    id: str
    provider: str
    index: int | None = None
    plugin: Any = None

    @property
    def short(self) -> str:
        """The provider's short name: CUDA for CUDAExecutionProvider."""
        return short(self.provider)

    @property
    def gpu(self) -> bool:
        return known(self.short).kind == "gpu"

    @property
    def described(self) -> InferenceDevice:
        """The target in the words of the port."""
        kind = "cpu" if self.provider == CPU else known(self.short).kind
        vendor = str(getattr(self.plugin, "ep_vendor", "") or "")
        return InferenceDevice(id=self.id, kind=kind, name=self.provider, vendor=vendor)


def targets(ort: ModuleType, *, only: str | None = None) -> Sequence[Target]:
    """CPU first, then compiled-in providers, then the devices of plug-ins; `only` registers no other provider's."""
    for package in packages():
        if only in (None, package.name) or not package.provider:
            register(ort, package)
    plugged = _plugged(ort)
    there = {CPU, *UNSUITED, *(one.provider for one in plugged)}  # the runtime lists those of plug-ins too
    compiled = [one for one in ort.get_available_providers() if one not in there]
    return [
        Target(id="CPU", provider=CPU),
        *(Target(id=short(provider), provider=provider) for provider in compiled),
        *plugged,
    ]


def target(ort: ModuleType, device: str, library: str = "") -> Target:
    """The target of this id in either case; a GPU provider takes `CUDA.1` too, `library` is a plug-in by its path.

    Raises AcceleratorUnavailable with what brings it.
    """
    name, _, index = device.upper().partition(".")
    if name == "CPU" and not index and not library:
        return Target(id="CPU", provider=CPU)
    every = _of_library(ort, device, library) if library else targets(ort, only=name)
    for one in every:
        if one.id.upper() == device.upper():
            return one
        if one.id == name and one.gpu and one.plugin is None and index.isdigit():
            return replace(one, id=f"{name}.{index}", index=int(index))
    raise AcceleratorUnavailable(f"{NAME}:{device}", missing(ort, name, [one.id for one in every]))


def absent(ort: ModuleType) -> Mapping[str, str]:
    """For each provider that is known and not here, what a person must do who wants it."""
    here = [one.id for one in targets(ort)]
    every = ort.get_all_providers()
    plugged = (package.name for package in packages() if package.provider)
    names = {*PROVIDERS, *plugged, *map(short, every), *map(str.upper, every), "NVTENSORRTRTX"}
    return {name: missing(ort, name, here) for name in sorted(names) if name not in here}


def missing(ort: ModuleType, name: str, here: Sequence[str]) -> str:
    """Why a provider is not here and what to do, in one sentence."""
    if name in RETIRED:
        return RETIRED[name]
    if written(name):
        return f"say {written(name)}: providers are named without ExecutionProvider"
    if name in map(short, UNSUITED):
        return "it is of no use to a program in Python: use CPU"
    for package in packages():
        if package.provider and package.name == name:
            trouble = register(ort, package)
            if trouble:
                return f"{package} is installed, but {trouble}; {known(name).sentence}"
            if name not in here:
                return f"{package} is installed, but finds no device: it needs {known(name).needs}"
    return f"not on this machine (found {', '.join(here)}); {known(name).sentence}"


def owners() -> Sequence[tuple[str, str]]:
    """Name and version of each distribution with files in `onnxruntime/`; plug-in providers have none there."""
    return [(name, number) for name, number, owns in _installed() if owns]


def plugged() -> Sequence[tuple[str, str]]:
    """Name and version of each distribution that brings a provider."""
    return [(name, number) for name, number, _ in _installed() if name.startswith(PREFIXES)]


def _installed() -> Sequence[tuple[str, str, bool]]:
    """What is installed of ONNX Runtime's, and whether it has files in `onnxruntime/`.

    Reading what is installed takes a good part of a second: done again when one of the folders has changed.
    """
    return _read(tuple((path, _changed(path)) for path in sys.path))


def _changed(path: str) -> int:
    try:
        return os.stat(path or ".").st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _read(_folders: tuple[tuple[str, int], ...]) -> Sequence[tuple[str, str, bool]]:
    found: dict[str, tuple[str, str, bool]] = {}
    for distribution in distributions():
        name = (distribution.metadata["Name"] or "").lower().replace("_", "-")
        if name.startswith(("onnxruntime", "ort-nightly")):
            owns = any(file.parts[:2] == ("onnxruntime", "__init__.py") for file in distribution.files or ())
            found.setdefault(name, (name, distribution.version, owns))
    return sorted(found.values())


def _of_library(ort: ModuleType, device: str, library: str) -> Sequence[Target]:
    """The devices of a library that the option names; it is registered under the provider's usual name."""
    trouble = registered(ort, f"{device.partition('.')[0]}ExecutionProvider", library)
    if trouble:
        raise AcceleratorUnavailable(f"{NAME}:{device}", f"options.library {library}: {trouble}")
    return _plugged(ort)


def _plugged(ort: ModuleType) -> Sequence[Target]:
    """The devices of all registered plug-ins."""
    found: list[Target] = []
    counts: dict[str, int] = {}
    for plugin in ort.get_ep_devices() if hasattr(ort, "get_ep_devices") else ():
        provider = plugin.ep_name
        if provider == CPU or provider in UNSUITED:
            continue
        index = counts[provider] = counts.get(provider, -1) + 1
        name = short(provider) + (f".{index}" if index else "")
        found.append(Target(id=name, provider=provider, plugin=plugin))
    return found
