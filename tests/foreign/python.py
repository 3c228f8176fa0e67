"""A Python that this machine's own libraries cannot run, with this project: emulated, or of a newer glibc.

Everything is downloaded once, but the project itself, which is installed every time. `env/bin/python` is a script
that starts the interpreter as `command` says, so children that a process starts by `sys.executable` run likewise.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.foreign.debian import ROOT, fetch, run

_TESTS = ("pytest", "pytest-asyncio", "pytest-timeout")
_OLD = {"aarch64": ("manylinux2014",), "x86_64": ("manylinux2014", "manylinux2010", "manylinux1")}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignPython:
    """`home` is its folder; below `root` lies a Debian with Python of this `series`.

    `glibc` is the minor version of the newest glibc whose wheels may be taken, `extras` are the project's. `command`
    starts the interpreter from a shell, up to its arguments; in it "$0" is the name that it must go by.
    """

    home: Path
    root: Path
    series: str
    machine: str
    glibc: int
    extras: str
    command: str

    @property
    def program(self) -> Path:
        return self.home / "env" / "bin" / "python"

    @property
    def site(self) -> Path:
        return self.home / "env" / "lib" / f"python{self.series}" / "site-packages"

    def install(self) -> None:
        """The environment, the project's wheel and, when what it asks for has changed, everything below it."""
        self.site.mkdir(parents=True, exist_ok=True)
        self.program.parent.mkdir(exist_ok=True)
        told = f"home = {self.root}/usr/bin\nversion = {self.series}\n"
        (self.home / "env" / "pyvenv.cfg").write_text(told)
        self.program.write_text(f'#!/bin/sh\nexec {self.command} "$@"\n')
        self.program.chmod(0o755)
        wheel = self._wheel()
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
        onto = ["install", "--target", str(self.site), "--upgrade", "--no-warn-conflicts"]
        wanted, noted = f"{self.series} {(ROOT / 'setup.cfg').read_text()}", self.home / "installed-for.cfg"
        if not noted.exists() or noted.read_text() != wanted:
            own = f"edgex-inference[{self.extras}] @ {wheel.as_uri()}"
            fetch([*pip, *onto, *self._tags(), "--only-binary=:all:", own, *_TESTS])
            noted.write_text(wanted)
        run([*pip, *onto, "--no-deps", str(wheel)])

    def run(self, *words: str, patience: float) -> "subprocess.CompletedProcess[str]":
        """A program on it, strict; raises TimeoutExpired after so many seconds."""
        return subprocess.run(
            [str(self.program), "-u", *words], cwd=ROOT, env=self.environment(), capture_output=True, text=True,
            errors="replace", timeout=patience, check=False,
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        """Its processes' variables: strict, and none of the surrounding Python's."""
        foreign = ("PYTHON", "VIRTUAL_ENV")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        return {**kept, "EDGEX_INFERENCE_STRICT": "1", "PYTHONSAFEPATH": "1"}

    def _tags(self) -> list[str]:
        """What wheels it takes, as pip's options."""
        short = self.series.replace(".", "")
        families = [f"manylinux_2_{minor}" for minor in range(self.glibc, 4, -1)]
        platforms = [f"--platform={one}_{self.machine}" for one in (*families, *_OLD[self.machine])]
        abis = [f"--abi=cp{short}", "--abi=abi3", "--abi=none"]
        return [f"--python-version={self.series}", "--implementation=cp", *abis, *platforms]

    def _wheel(self) -> Path:
        wheels, sources = self.home / "wheel", self.home / "sources"
        shutil.rmtree(wheels, ignore_errors=True)
        shutil.rmtree(
            sources, ignore_errors=True
        )  # a build beside them would find modules again that are gone
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        files = run(listing).split("\0")
        for name in filter(None, files):
            if not name.startswith(("tests/", "docs/")) and (ROOT / name).exists():
                (sources / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, sources / name, follow_symlinks=False)
        build = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "wheel", "--no-deps"]
        run([*build, "--no-build-isolation", "-w", str(wheels), "."], cwd=sources)
        (wheel,) = wheels.glob("*.whl")
        return wheel
