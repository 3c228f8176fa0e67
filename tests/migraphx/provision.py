"""Debian's MIGraphX with a Python of the same Debian and this project, under build/migraphx."""

import re

from tests.foreign.debian import ROOT, Debian, Unavailable, native
from tests.foreign.python import ForeignPython

HOME = ROOT / "build" / "migraphx"
DEBIAN = Debian(suite="sid", arch="amd64", home=HOME)
PACKAGES = ("libmigraphx-c3", "python3", "libstdc++6")
"""Sid is the only suite that has it; it changes, so series and versions are asked of what came."""

KERNELS = ("librocblas4", "libhipblaslt1")
"""Half a gigabyte of what runs on GPUs alone."""

_ROOT = HOME / "root"
_LIBRARIES = _ROOT / "usr" / "lib" / "x86_64-linux-gnu"
_ENGINES = _LIBRARIES / "migraphx" / "lib"
_LOADER = _LIBRARIES / "ld-linux-x86-64.so.2"
_EXTRAS = "demo,reference"


def provide() -> ForeignPython:
    """Everything, as far as it is not there yet; the project itself every time. Raises Unavailable."""
    native("x86_64")
    if not _LOADER.exists():
        DEBIAN.unpack(PACKAGES, _ROOT, without=KERNELS)
    found = sorted(path.name for path in (_ROOT / "usr/bin").glob("python3.*") if path.name[8:].isdigit())
    glibc = re.match(r"2\.(\d+)", DEBIAN.versions().get("libc6", ""))
    if not found or glibc is None:
        raise Unavailable("what came of Debian's sid has no Python or no libc6")
    python = ForeignPython(
        home=HOME,
        root=_ROOT,
        series=found[-1].removeprefix("python"),
        machine="x86_64",
        glibc=int(glibc[1]),
        extras=_EXTRAS,
        command=f'{_LOADER} --argv0 "$0" --library-path {_LIBRARIES}:{_ENGINES} {_ROOT}/usr/bin/{found[-1]}',
    )
    python.install()
    return python


def version() -> str:
    """Of the library: `7.1.1-8`."""
    return DEBIAN.versions().get("libmigraphx-c3", "unknown")
