"""Where an engine runs or is made for: a GPU of this machine, or a compute capability of another one."""

import re
from dataclasses import dataclass

from edgex_inference.contracts.errors import AcceleratorUnavailable

NAME = "tensorrt"
GPU = "GPU"
_GPU = re.compile(r"GPU(?:\.(\d+))?")
_TARGET = re.compile(r"SM(\d{1,2})(\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A GPU by its number here, or (`number` None) the compute capability `compute` of one elsewhere: `8.6`."""

    id: str
    number: int | None = None
    compute: str = ""

    @property
    def where(self) -> str:
        return f"{NAME}:{self.id}"


def place(device: str | None) -> Place:
    """The place of this name in either case: GPU, GPU.1, SM86; raises AcceleratorUnavailable for other names."""
    wanted = (device or GPU).strip().upper()
    if found := _GPU.fullmatch(wanted):
        number = int(found[1] or 0)
        return Place(id=named(number), number=number)
    if found := _TARGET.fullmatch(wanted):
        return Place(id=wanted, compute=f"{int(found[1])}.{found[2]}")
    reason = "no such device; write GPU, GPU.1 …, or SM86 to compile for another machine's GPU"
    raise AcceleratorUnavailable(f"{NAME}:{device}", reason)


def named(number: int) -> str:
    """What a profile calls the GPU of this number: GPU, GPU.1 …"""
    return f"{GPU}.{number}" if number else GPU
