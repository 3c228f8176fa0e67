"""Builds the simulated libedgetpu of tests/simulators/edgetpu.c with the system's C compiler, and its programs."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent / "simulators" / "edgetpu.c"
FAULTS = {"none": 0, "hangs": 1, "crashes": 2, "lost": 3}
"""What an input whose first number is 1000 does to the library."""


class CompilerUnavailable(Exception):
    """There is no C compiler, or it cannot build the library."""


def build(folder: Path, *, fault: str = "none", chips: int = 2) -> Path:
    """Builds `libedgetpu.so.1` in the folder; raises CompilerUnavailable."""
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        raise CompilerUnavailable("no C compiler is installed (Debian: apt-get install gcc libc6-dev)")
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "libedgetpu.so.1"
    options = ["-std=gnu11", "-O1", "-fPIC", "-shared", "-Wl,-soname,libedgetpu.so.1"]
    macros = [f"-DFAULT={FAULTS[fault]}", f"-DCHIPS={chips}"]
    command = [compiler, *options, *macros, "-o", os.fspath(library), os.fspath(SOURCE), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise CompilerUnavailable(f"{compiler} cannot build the simulated libedgetpu: {done.stderr[-300:]}")
    return library


def program(scale: float = 2, offset: float = 1, wait: int = 0) -> bytes:
    """A program for the simulated chip: y = scale · x + offset after `wait` milliseconds."""
    return b"SIMTPU1\0" + struct.pack("<ffi", scale, offset, wait)
