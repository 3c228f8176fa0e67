"""Which execution providers an installed ONNX Runtime has, under the short names that profiles use."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from types import ModuleType
from typing import Any, Literal

from edgex_inference.contracts.accelerator import InferenceDevice
from edgex_inference.contracts.errors import AcceleratorUnavailable

NAME = "onnxruntime"
CPU = "CPUExecutionProvider"
GPUS = frozenset({"CUDA", "TENSORRT", "NVTENSORRTRTX", "MIGRAPHX", "DML", "WEBGPU", "ROCM"})
_NPUS = frozenset({"QNN", "VITISAI", "RKNPU", "NNAPI", "COREML", "CANN", "VSINPU"})
_NEVER = frozenset({CPU, "AzureExecutionProvider", "JsExecutionProvider", "WebNNExecutionProvider"})


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
        return _short(self.provider)

    @property
    def described(self) -> InferenceDevice:
        """The target in the words of the port."""
        kind: Literal["cpu", "gpu", "npu", "other"] = "other"
        if self.provider == CPU:
            kind = "cpu"
        elif self.short in GPUS:
            kind = "gpu"
        elif self.short in _NPUS:
            kind = "npu"
        return InferenceDevice(id=self.id, kind=kind, name=self.provider)


def targets(ort: ModuleType) -> Sequence[Target]:
    """CPU first, then compiled-in providers, then devices of registered plug-in providers."""
    found = [Target(id="CPU", provider=CPU)]
    for provider in ort.get_available_providers():
        if provider not in _NEVER:
            found.append(Target(id=_short(provider), provider=provider))
    compiled = {target.provider for target in found}
    counts: dict[str, int] = {}
    for plugin in ort.get_ep_devices() if hasattr(ort, "get_ep_devices") else ():
        provider = plugin.ep_name
        if provider in compiled or provider in _NEVER:
            continue
        index = counts[provider] = counts.get(provider, -1) + 1
        name = _short(provider) + (f".{index}" if index else "")
        found.append(Target(id=name, provider=provider, plugin=plugin))
    return found


def target(ort: ModuleType, device: str) -> Target:
    """The target of this id in either case; a GPU provider takes `CUDA.1` too. Raises AcceleratorUnavailable."""
    every = targets(ort)
    name, _, index = device.upper().partition(".")
    for one in every:
        if one.id.upper() == device.upper():
            return one
        if one.id == name and name in GPUS and one.plugin is None and index.isdigit():
            return replace(one, id=f"{name}.{index}", index=int(index))
    found = ", ".join(one.id for one in every)
    raise AcceleratorUnavailable(
        f"{NAME}:{device}",
        f"not on this machine (found {found}); add a fallback or install the onnxruntime build that brings it",
    )


def owners() -> Sequence[tuple[str, str]]:
    """Name and version of each distribution with files in `onnxruntime/`; plug-in providers have none there."""
    found = {}
    for distribution in distributions():
        name = (distribution.metadata["Name"] or "").lower()
        if not name.startswith(("onnxruntime", "ort-nightly", "ort_nightly")):
            continue
        if any(file.parts[:2] == ("onnxruntime", "__init__.py") for file in distribution.files or ()):
            found[name] = distribution.version
    return sorted(found.items())


def _short(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider").upper()
