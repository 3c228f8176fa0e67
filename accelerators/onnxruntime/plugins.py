"""Execution providers in packages of their own: found among what is installed, and registered once a process."""

import importlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from types import ModuleType

from accelerators.onnxruntime.providers import short

PREFIXES = ("onnxruntime-ep-", "onnxruntime-qnn")
_lock = threading.Lock()
_registered: dict[str, str] = {}
"""Libraries by path that this process has tried to register; empty, or why it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An installed distribution that brings a provider; `trouble` is why it cannot be used."""

    distribution: str
    version: str
    provider: str = ""
    library: str = ""
    trouble: str = ""

    @property
    def name(self) -> str:
        """The name behind the colon."""
        return short(self.provider)

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def packages() -> Sequence[Package]:
    """The installed packages of providers; imports each, and registers nothing."""
    found: dict[str, Package] = {}
    for distribution in distributions():
        name = (distribution.metadata["Name"] or "").lower().replace("_", "-")
        if name.startswith(PREFIXES) and name not in found:
            module = _module(distribution)
            if module:
                found[name] = _package(name, distribution.version, module)
            elif _is_empty(distribution):
                found[name] = Package(
                    distribution=name,
                    version=distribution.version,
                    provider=name.removeprefix(PREFIXES[0]),
                    trouble="it is an empty placeholder: uninstall it",
                )
    return [found[name] for name in sorted(found)]


def register(ort: ModuleType, package: Package) -> str:
    """Registers a package's library; gives why it cannot be had, in one line, or nothing."""
    return package.trouble or registered(ort, package.provider, package.library)


def registered(ort: ModuleType, name: str, library: str) -> str:
    """Registers a library under a name unless this process has; gives why it cannot be had, or nothing."""
    with _lock:
        if library not in _registered:
            _registered[library] = _tried(ort, name, library)
        return _registered[library]


def _tried(ort: ModuleType, name: str, library: str) -> str:
    if not hasattr(ort, "register_execution_provider_library"):
        return "this ONNX Runtime is too old for plug-ins: it takes 1.23 or newer"
    try:
        ort.register_execution_provider_library(name, library)
    except Exception as error:  # noqa: BLE001 - the vendor's error becomes the reason
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"its library cannot be loaded: {lines[-1] if lines else type(error).__name__}"[:400]
    return ""


def _module(distribution: Distribution) -> str:
    """The package that a distribution installs; empty where it has none of its own."""
    tops = {
        file.parts[0]
        for file in distribution.files or ()
        if len(file.parts) == 2 and file.parts[1] == "__init__.py"
    }
    tops.discard("onnxruntime")
    return min(tops, default="")


def _is_empty(distribution: Distribution) -> bool:
    """Whether there is nothing in it but what it says of itself; of one that does not list its files nobody knows."""
    files = distribution.files
    return files is not None and all(file.parts[0].endswith(".dist-info") for file in files)


def _package(name: str, version: str, module: str) -> Package:
    try:
        imported = importlib.import_module(module)
        told = _told(imported)
        provider, library = told.get("provider", ""), told.get("library", "")
    except Exception as error:  # noqa: BLE001 - a package that is broken is listed with its reason
        return Package(distribution=name, version=version, trouble=f"it cannot be imported: {error}")
    if not provider or not library:
        trouble = f"it does not tell its {'library' if provider else 'provider'}"
        return Package(distribution=name, version=version, provider=provider, trouble=trouble)
    if not Path(library).is_file():
        trouble = f"its library {library} is not there"
        return Package(distribution=name, version=version, provider=provider, trouble=trouble)
    return Package(distribution=name, version=version, provider=provider, library=library)


def _told(module: ModuleType) -> Mapping[str, str]:
    """What the functions say that such packages have by convention."""
    told: dict[str, str] = {}
    for key, functions in (("library", ("get_library_path",)), ("provider", ("get_ep_name", "get_ep_names"))):
        for function in functions:
            answer = getattr(module, function)() if hasattr(module, function) else None
            answer = next(iter(answer), None) if isinstance(answer, list | tuple) else answer
            if answer and key not in told:
                told[key] = str(answer)
    return told
