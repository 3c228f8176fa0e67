"""Device names: which a machine has, what the runtime is told, and what became of old ones."""

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edgex_inference.contracts.accelerator import InferenceDevice
from edgex_inference.contracts.errors import AcceleratorUnavailable

NAME = "openvino"
VIRTUAL = ("AUTO", "HETERO", "BATCH", "MULTI")
"""Devices of OpenVINO's own that run on others: the first that fits, a graph in parts, batches, several at once."""

_STICKS = "Intel ended Movidius devices with OpenVINO 2022.3: use CPU, GPU or NPU"
RETIRED: Mapping[str, str] = {
    "MYRIAD": _STICKS,
    "HDDL": _STICKS,
    "VPU": _STICKS,
    "VPUX": "OpenVINO calls it NPU since 2023.2: say NPU",
    "GNA": "Intel ended GNA with OpenVINO 2023.3: use NPU, or CPU",
    "FPGA": "OpenVINO itself no longer has FPGAs: name the plug-ins file of the FPGA AI Suite in the option plugins, "
    "or use CPU",
    "NGRAPH": "nGraph became a part of OpenVINO's core and is no device: use CPU",
}
_BRINGS: Mapping[str, str] = {
    "GPU": "it needs an Intel GPU and its OpenCL driver (Debian: intel-opencl-icd); add a fallback",
    "NPU": "it needs an Intel NPU and its driver (linux-npu-driver); add a fallback",
}
_KINDS: Mapping[str, Literal["cpu", "gpu", "npu", "fpga"]] = {
    "CPU": "cpu",
    "GPU": "gpu",
    "NPU": "npu",
    "FPGA": "fpga",
}
_DEPENDS_ON: Mapping[str, str] = {
    "name": "FULL_DEVICE_NAME",
    "capabilities": "OPTIMIZATION_CAPABILITIES",
    "driver": "NPU_DRIVER_VERSION",
}
"""What a blob depends on besides the runtime: properties of its device, in words."""
_PREFERRED = ("GPU", "NPU", "FPGA")
_BATCHED = re.compile(r"([^()]+)(\(\d+\))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A device as a profile names it, as OpenVINO is told it, and the real devices behind it."""

    id: str
    native: str
    members: tuple[str, ...]

    @property
    def virtual(self) -> str:
        """AUTO, HETERO, BATCH or MULTI; empty for a real device."""
        head = self.native.partition(":")[0]
        return head if head in VIRTUAL else ""

    @property
    def static(self) -> bool:
        """Whether it takes fixed shapes only: NPUs do, and what gathers batches by itself."""
        return self.virtual == "BATCH" or any(_base(member) == "NPU" for member in self.members)

    @property
    def all_cpu(self) -> bool:
        """Whether only the CPU is behind it."""
        return all(_base(member) == "CPU" for member in self.members)


def described(names: Mapping[str, str]) -> Sequence[InferenceDevice]:
    """The real devices by their full names, and the virtual ones, which every machine has."""
    real = [
        InferenceDevice(
            id=id_,
            kind=_KINDS.get(_base(id_), "other"),
            name=name,
            vendor="Intel" if _base(id_) in ("GPU", "NPU") else "",
        )
        for id_, name in names.items()
    ]
    virtual = [
        InferenceDevice(id=id_, kind="other", name=f"OpenVINO {id_} over the devices above")
        for id_ in VIRTUAL
    ]
    return [*real, *virtual]


def made_with(core: Any, place: Target) -> Mapping[str, str]:
    """What a blob depends on besides the runtime: the device, by its full name."""
    found = {"device": place.native, "machine": platform.machine()}
    for member in place.members:
        for word, name in _DEPENDS_ON.items():
            found[f"{word} of {member}"] = property_(core, member, name, "unknown")
    return found


def property_(core: Any, device: str, name: str, otherwise: str) -> str:
    try:
        found = core.get_property(device, name)
    except Exception:  # noqa: BLE001 - a device without a name is still one
        return otherwise
    return str(sorted(found) if isinstance(found, list) else found)


def target(device: str, available: Sequence[str]) -> Target:
    """The target of this name in either case; lists keep only what the machine has.

    Raises AcceleratorUnavailable when nothing is left, or with what became of a device of earlier generations.
    """
    wanted = device.strip().upper()
    head, colon, rest = wanted.partition(":")
    if head not in VIRTUAL:
        return Target(id=device, native=_present(device, wanted, available), members=(wanted,))
    parts = [part.strip() for part in rest.split(",")] if colon else []
    refused = {part[1:] for part in parts if part.startswith("-")}
    named = [part for part in parts if part and not part.startswith("-")]
    there = [part for part in named or _ranked(available) if _keep(device, part, refused, available)]
    if not there:
        raise _absent(device, available)
    if head == "BATCH":
        there = there[:1]
    members = tuple(_plain(part) for part in there)
    return Target(id=device, native=f"{head}:{','.join(there)}", members=members)


def _present(device: str, wanted: str, available: Sequence[str]) -> str:
    """The name of a real device, if the machine has it."""
    if _has(wanted, available):
        return wanted
    base = _base(wanted)
    if base in RETIRED:
        raise AcceleratorUnavailable(f"{NAME}:{device}", RETIRED[base])
    raise _absent(device, available)


def _keep(device: str, part: str, refused: set[str], available: Sequence[str]) -> bool:
    plain = _plain(part)
    if _has(plain, available):
        return plain not in refused and _base(plain) not in refused
    if _base(plain) in RETIRED:
        raise AcceleratorUnavailable(f"{NAME}:{device}", RETIRED[_base(plain)])
    return False


def _has(name: str, available: Sequence[str]) -> bool:
    """Whether a device is there: `GPU` is the first of several, `GPU.0` the only one; a CPU has no number."""
    if name in available:
        return True
    base = _base(name)
    if name == base:
        return any(_base(one) == base for one in available)
    return base != "CPU" and name == f"{base}.0" and base in available


def _absent(device: str, available: Sequence[str]) -> AcceleratorUnavailable:
    return AcceleratorUnavailable(f"{NAME}:{device}", _lacking(device.strip().upper(), available))


def lacking(available: Sequence[str]) -> Mapping[str, str]:
    """For each kind of device that is known and not here, what brings it."""
    return {base: _lacking(base, available) for base in _BRINGS if not _has(base, available)}


def _lacking(wanted: str, available: Sequence[str]) -> str:
    found = ", ".join(available) or "none"
    cure = "add a fallback or install the driver that brings it"
    if not _has(_base(wanted), available):  # the second of two devices lacks no driver
        cure = _BRINGS.get(_base(wanted), cure)
    return f"not on this machine (found {found}); {cure}"


def _ranked(available: Sequence[str]) -> Sequence[str]:
    """All devices, the CPU last: the order in which AUTO and HETERO prefer them."""
    order = {base: rank for rank, base in enumerate(_PREFERRED)}
    return sorted(available, key=lambda one: (_base(one) == "CPU", order.get(_base(one), len(order)), one))


def _plain(part: str) -> str:
    found = _BATCHED.fullmatch(part)
    return found[1] if found is not None else part


def _base(name: str) -> str:
    return name.partition(".")[0]
