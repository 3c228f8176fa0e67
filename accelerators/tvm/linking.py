"""Finding a linker for a machine, and what to tell it. Imports no vendor."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerators.tvm.targets import NAME, Target, here
from edgex_inference.contracts.errors import AcceleratorUnavailable

_DEADLINE = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Linker:
    """A command, and whether it is a compiler's driver, which hands words on to the linker proper."""

    command: tuple[str, ...]
    driver: bool

    def link(self, objects: Sequence[str], to: Path) -> None:
        """Makes a shared object; raises AcceleratorUnavailable with the linker's own last line."""
        # What is missing must be told when the library is loaded: found out in a run, it ends the process.
        words = ("-nostdlib", "-Wl,-z,now") if self.driver else ("-z", "now")
        command = [*self.command, "-shared", *words, "-o", os.fspath(to), *objects]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=_DEADLINE, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = f"the linker {self.command[0]} cannot be used: {error}"
            raise AcceleratorUnavailable(NAME, reason) from error
        if done.returncode != 0 or not to.is_file():
            last = next(
                (line.strip() for line in reversed(done.stderr.splitlines()) if line.strip()), "no word"
            )
            raise AcceleratorUnavailable(NAME, f"the linker {self.command[0]} refused: {last[:300]}")


def linker(place: Target, named: str | None) -> Linker:
    """The named linker, or the first one here that links for the target; raises AcceleratorUnavailable."""
    if named is not None:
        if shutil.which(named) is None:
            raise AcceleratorUnavailable(NAME, f"options.linker: there is no program {named} here")
        name = Path(named).name
        return Linker(command=(named,), driver=not name.endswith(("ld", ".lld", ".bfd", ".gold")))
    prefix, own = f"{place.id}-linux-gnu-", place == here()
    for name in (f"{prefix}ld", *(("ld",) if own else ()), "ld.lld"):
        if shutil.which(name) is not None:
            return Linker(command=(name,), driver=False)
    for name in (f"{prefix}gcc", *(("cc", "gcc", "clang") if own else ())):
        if shutil.which(name) is not None:
            return Linker(command=(name,), driver=True)
    if importlib.util.find_spec("ziglang") is not None:
        command = (sys.executable, "-m", "ziglang", "cc", "-target", place.triple)
        return Linker(command=command, driver=True)
    package = "binutils" if own else f"binutils-{place.triple.replace('_', '-')}"
    reason = f"compiling for {place.id} needs a linker: apt-get install {package}, or pip install ziglang"
    raise AcceleratorUnavailable(NAME, reason)
