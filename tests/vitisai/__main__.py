"""`make vitisai`: AMD's own XIR library, as Debian has it, and our reader on the same compiled files.

Writes what came of it into the plug-in's README; exit code 1 when they differ. The real file is looked for in
EDGEX_INFERENCE_TESTDATA.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from accelerators.vitisai.xmodel import Part, read
from edgex_inference.contracts.protobuf import Damaged
from tests.foreign import outcomes
from tests.foreign.debian import ROOT, Debian, Unavailable, native

HOME = ROOT / "build" / "vitisai"
README = ROOT / "accelerators" / "vitisai" / "README.md"
DEBIAN = Debian(suite="trixie", arch="amd64", home=HOME)
_ROOT = HOME / "root"
_LIBRARIES = _ROOT / "usr" / "lib" / "x86_64-linux-gnu"
_LINE = re.compile(r" {4}(\S.*) \[device=(\w+)(?:,fingerprint=(0x[0-9a-f]+),DPU=(\w+))?.*\]")
_PATIENCE = 120


def main() -> int:
    """0 when XIR and our reader agree."""
    folder = os.environ.get("EDGEX_INFERENCE_TESTDATA")
    if not folder:
        print("make vitisai: EDGEX_INFERENCE_TESTDATA is not set: no .xmodel is at hand", file=sys.stderr)
        return 1
    real = Path(folder) / "models" / "vitis" / "tf2.xmodel"
    if not real.exists():
        print(f"make vitisai: {real} is not there: no .xmodel is at hand", file=sys.stderr)
        return 1
    try:
        native("x86_64")
        if not (_ROOT / "usr/bin/xir").exists():
            DEBIAN.unpack(["libxir-utils"], _ROOT)
    except Unavailable as error:
        print(f"make vitisai: {error}", file=sys.stderr)
        return 1
    found = [
        outcomes.measured("parts of a real file", lambda: parts(real)),
        outcomes.measured("a file cut short", lambda: cut(real)),
    ]
    for one in found:
        print(one, flush=True)
    head = f"XIR {DEBIAN.versions().get('libxir2', 'unknown')} of Debian 13 (`libxir-utils`) and our reader:"
    outcomes.write(README, "xir", f"{head}\n\n{outcomes.table(found)}")
    return 0 if all(one.holds for one in found) else 1


def parts(path: Path) -> tuple[bool, str]:
    """Names, devices, DPUs and fingerprints of all parts, in their order."""
    ours, theirs = described(read(path.read_bytes()).parts), told(path)
    if ours != theirs or not ours:
        return False, f"{ours}, XIR says {theirs}"
    chips = sorted({f"{one.dpu} {one.fingerprint:#x}" for one in read(path.read_bytes()).parts if one.dpu})
    return True, f"{len(ours)} parts alike, {', '.join(chips)}"


def cut(path: Path) -> tuple[bool, str]:
    """A file of which a half is missing is refused by both."""
    half = HOME / "half.xmodel"
    half.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    try:
        read(half.read_bytes())
    except Damaged as error:
        done = xir(half)
        return (
            done.returncode != 0,
            f"XIR ends its process (code {done.returncode}), our reader says: {error}",
        )
    return False, "our reader takes it"


def described(found: Sequence[Part]) -> list[str]:
    """Our parts as text."""
    return [
        f"{one.name} {one.device}" + (f" {one.dpu} {one.fingerprint:#x}" if one.dpu else "") for one in found
    ]


def told(path: Path) -> list[str]:
    """XIR's parts as text."""
    lines = (_LINE.fullmatch(line) for line in xir(path).stdout.splitlines())
    return [f"{one[1]} {one[2]}" + (f" {one[4]} {one[3]}" if one[3] else "") for one in lines if one]


def xir(path: Path) -> "subprocess.CompletedProcess[str]":
    """`xir subgraph FILE`, by the loader and the libraries that came with it."""
    loader = [str(_LIBRARIES / "ld-linux-x86-64.so.2"), "--library-path", str(_LIBRARIES)]
    command = [*loader, str(_ROOT / "usr/bin/xir"), "subgraph", str(path)]
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE, check=False
    )


if __name__ == "__main__":
    sys.exit(main())
