"""The machines that TVM compiles for, and what their processors must have. Imports no vendor."""

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgex_inference.contracts.errors import AcceleratorUnavailable

NAME = "tvm"

_VECTORS = ("avx", "fma", "f16c", "amx")
"""How LLVM's names of what a processor of x86-64 may lack begin; a hypervisor hides them from what has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A machine: `id` is what a profile or `--for` writes, `machine` its number in the head of an ELF file."""

    id: str
    triple: str
    machine: int
    kernel: Mapping[str, str] = field(default_factory=dict)
    """LLVM's names of what a processor may lack, and the kernel's in /proc/cpuinfo."""


_KNOWN = (
    Target(id="x86_64", triple="x86_64-linux-gnu", machine=62),
    Target(
        id="aarch64",
        triple="aarch64-linux-gnu",
        machine=183,
        kernel={
            "lse": "atomics",
            "fullfp16": "asimdhp",
            "dotprod": "asimddp",
            "rcpc": "lrcpc",
            **{name: name for name in ("aes", "crc32", "sha2", "sve", "sve2", "bf16", "i8mm")},
        },
    ),
)
_ALIASES: Mapping[str, str] = {"amd64": "x86_64", "arm64": "aarch64"}


def here() -> Target:
    """The target that this process runs on; raises AcceleratorUnavailable where TVM is not built for it."""
    return _named(platform.machine())


def target(device: str | None) -> Target:
    """The target of a device: CPU is this machine. Raises AcceleratorUnavailable."""
    return here() if device is None or device.upper() == "CPU" else _named(device)


def arch(machine: int) -> str:
    """What an ELF file's machine number is called."""
    return next((one.id for one in _KNOWN if one.machine == machine), f"machine {machine}")


def needs(place: Target, features: Iterable[str]) -> tuple[str, ...]:
    """What code with these features of LLVM's needs of the processor, in the kernel's words, without `_`."""
    if place.kernel:
        return tuple(sorted(place.kernel[one] for one in features if one in place.kernel))
    return tuple(sorted(_plain(one) for one in features if one.startswith(_VECTORS)))


def lacking(place: Target, features: Iterable[str]) -> tuple[str, ...]:
    """Those of LLVM's features that this machine's processor does not have, or its hypervisor hides."""
    have = flags()
    return tuple(one for one in sorted(features) if not have.issuperset(needs(place, [one])))


def flags() -> frozenset[str]:
    """What the kernel says that this machine's processor has, without `_`."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, words = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(_plain(word) for word in words.split())
    return frozenset()


def _plain(word: str) -> str:
    return word.replace("_", "").replace("-", "").lower()


def _named(device: str) -> Target:
    name = device.lower()
    name = _ALIASES.get(name, name)
    for one in _KNOWN:
        if one.id == name:
            return one
    known = ", ".join(one.id for one in _KNOWN)
    raise AcceleratorUnavailable(f"{NAME}:{device}", f"it has CPU (this machine), and compiles for {known}")
