"""What this machine is, as far as it decides how fast a model runs; asks files of the kernel, no vendor."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

_NODES = (
    *("dri/renderD*", "accel/accel*", "nvidia[0-9]*", "kfd", "dxg", "apex_*", "neuron[0-9]*"),
    *("xclmgmt*", "xdma*", "hailo*", "davinci[0-9]*", "mali*", "rknpu*", "qaic*", "dma_heap/qcom*"),
)
"""Device files of drivers for graphics and inference."""

_STICKS = frozenset({"1a6e:089a", "18d1:9302", "03e7:2485", "03e7:f63b"})
"""USB ids of inference sticks, before and after their firmware is loaded: Coral's, Movidius'."""

_PROCESSING = "0x12"
"""The PCI class of processing accelerators."""


def cpu(info: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, with the instruction set: `AMD EPYC 9R14 (x86_64)`."""
    found = ""
    try:
        lines = info.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    for key in ("model name", "Model", "CPU part"):
        found = found or next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
    return f"{found or platform.processor() or 'unknown'} ({platform.machine()})"


def cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> float:
    """The cores that this process may use, a container's share of time included."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        most, period = quota.read_text().split()
        return min(float(allowed), round(int(most) / int(period), 2))
    except (OSError, ValueError):  # no such file, or `max`: no limit
        return float(allowed)


def hardware(root: Path = Path("/")) -> Sequence[str]:
    """What the kernel lists that models might run on beside the processor; empty where there is nothing of the kind."""
    dev = root / "dev"
    nodes = (path.relative_to(dev).as_posix() for pattern in _NODES for path in dev.glob(pattern))
    return sorted({*nodes, *_sticks(root / "sys/bus/usb/devices"), *_cards(root / "sys/bus/pci/devices")})


def _sticks(folder: Path) -> Sequence[str]:
    ids = (f"{_read(one / 'idVendor')}:{_read(one / 'idProduct')}" for one in folder.glob("*"))
    return [f"usb {id_}" for id_ in ids if id_ in _STICKS]


def _cards(folder: Path) -> Sequence[str]:
    return [
        f"pci {_read(one / 'vendor')}:{_read(one / 'device')}"
        for one in folder.glob("*")
        if _read(one / "class").startswith(_PROCESSING)
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
