"""The two libraries that this plug-in drives, TensorRT and TensorRT-RTX, and which of them a request is for."""

import importlib.util
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version

from accelerators.tensorrt.options import Options
from accelerators.tensorrt.places import NAME, Place
from edgex_inference.contracts.accelerator import TENSORRT_ENGINE, TENSORRT_RTX_ENGINE, Format
from edgex_inference.contracts.errors import AcceleratorUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """One of the two: how NVIDIA names its modules and distributions, and what its engines begin with."""

    key: str
    title: str
    format: Format
    modules: tuple[str, ...]
    distributions: tuple[str, ...]
    magic: bytes
    extra: str
    timing: bool

    @property
    def version(self) -> str | None:
        """Its version, without importing it; None where it is not installed."""
        for name in self.distributions:
            try:
                return distribution_version(name)
            except PackageNotFoundError:
                continue
        return None

    @property
    def module(self) -> str:
        """The name to import: `tensorrt` is a distribution of its own, which may be missing beside the bindings."""
        there = (one for one in self.modules if importlib.util.find_spec(one) is not None)
        return next(there, self.modules[0])


TENSORRT = Library(
    key="tensorrt",
    title="TensorRT",
    format=TENSORRT_ENGINE,
    modules=("tensorrt", "tensorrt_bindings"),
    distributions=(
        "tensorrt",
        *(f"tensorrt-cu{cuda}{part}" for part in ("", "-bindings") for cuda in (13, 12)),
    ),
    magic=b"ftrt",
    extra=NAME,
    timing=True,
)
RTX = Library(
    key="rtx",
    title="TensorRT-RTX",
    format=TENSORRT_RTX_ENGINE,
    modules=("tensorrt_rtx", "tensorrt_rtx_bindings"),
    distributions=(
        "tensorrt-rtx",
        *(f"tensorrt-rtx-cu{cuda}{part}" for part in ("", "-bindings") for cuda in (13, 12)),
    ),
    magic=b"vtrt",
    extra="tensorrt-rtx",
    timing=False,  # has no effect on its engines, and would make it look for a GPU
)
LIBRARIES: Mapping[Format, Library] = {one.format: one for one in (TENSORRT, RTX)}


def installed() -> Sequence[tuple[Library, str]]:
    """Those of the two that are here, with their versions."""
    return [(one, version) for one in LIBRARIES.values() if (version := one.version) is not None]


def chosen(options: Options, place: Place) -> tuple[Library, str]:
    """Which builds: as the options say, else TensorRT, but RTX for a GPU elsewhere; raises AcceleratorUnavailable."""
    here = {one.key: (one, version) for one, version in installed()}
    preferred = (RTX, TENSORRT) if place.number is None else (TENSORRT, RTX)
    wanted = [one for one in preferred if options.library in ("auto", one.key)]
    for one in wanted:
        if one.key in here:
            return here[one.key]
    first = wanted[0]
    reason = f'{first.title} is missing: pip install "edgex-inference[{first.extra}]"'
    raise AcceleratorUnavailable(place.where, reason)


def made_with(library: Library, version: str, compute: str, options: Options) -> Mapping[str, str]:
    """What an engine depends on: the version to the last digit, the GPU's compute capability, the kind of machine.

    Not the driver: a newer one runs older engines, and an engine made ahead of time cannot know it.
    """
    if options.hardware_compatibility == "ampere":
        compute = "8.0 and later"
    return {library.title: version, "compute capability": compute, "machine": platform.machine()}
