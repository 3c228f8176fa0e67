"""An ARM64 Debian with Python, runtimes and this project under build/arm64, run by an emulator: no root, no binfmt."""

from tests.foreign.debian import ROOT, Debian, native
from tests.foreign.python import ForeignPython

HOME = ROOT / "build" / "arm64"
PROCESSOR = "cortex-a72"
"""What a Raspberry Pi 4 has."""

_EMULATOR, _ROOT = HOME / "qemu", HOME / "root"
PYTHON = ForeignPython(
    home=HOME,
    root=_ROOT,
    series="3.11",
    machine="aarch64",
    glibc=36,
    extras="demo,openvino,litert,reference,tvm",
    command=f'{_EMULATOR}/usr/bin/qemu-aarch64 -cpu {PROCESSOR} -L {_ROOT} -0 "$0" {_ROOT}/usr/bin/python3.11',
)


def provide() -> None:
    """Everything, as far as it is not there yet; the project itself every time. Raises Unavailable."""
    native("x86_64")  # the emulator's
    if not (_EMULATOR / "usr/bin/qemu-aarch64").exists():
        # bookworm's own, 7.2, crashes in ONNX Runtime and LiteRT
        Debian(suite="bookworm-backports", arch="amd64", home=HOME).unpack(["qemu-user"], _EMULATOR)
    if not (_ROOT / "usr/bin/python3.11").exists():
        packages = ["python3.11", "libstdc++6", "libgomp1"]
        Debian(suite="bookworm", arch="arm64", home=HOME).unpack(packages, _ROOT)
    PYTHON.install()
