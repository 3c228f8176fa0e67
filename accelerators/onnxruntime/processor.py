"""This machine's processor, as far as an optimized graph may depend on it."""

import hashlib
import platform
from functools import lru_cache
from pathlib import Path

_SAYS = ("vendor_id", "cpu family", "model", "model name", "flags")
_SAYS_ARM = ("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features")


@lru_cache(maxsize=1)
def processor() -> str:
    """Its name, the instruction set and a mark of all that it can do: `AMD EPYC 9R14 x86_64 1f3a90c2`."""
    found: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            found.setdefault(key.strip(), value.strip())
    except OSError:
        found["model name"] = platform.processor()
    can = "\n".join(found.get(key, "") for key in (*_SAYS, *_SAYS_ARM))
    name = found.get("model name") or found.get("CPU part") or "unknown"
    return f"{name} {platform.machine()} {hashlib.sha256(can.encode()).hexdigest()[:8]}"
