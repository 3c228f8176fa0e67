"""An ARM64 Debian with Python, runtimes and this project under build/arm64, run by an emulator: no root, no binfmt.

Everything is downloaded once. `env/bin/python` is a script that starts the emulator, so children that a process
starts by `sys.executable` run emulated too.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "arm64"
PYTHON = HOME / "env" / "bin" / "python"
SITE = HOME / "env" / "lib" / "python3.11" / "site-packages"
PROCESSOR = "cortex-a72"
"""What a Raspberry Pi 4 has."""

_EXTRAS = "demo,openvino,litert,reference,tvm"
_TESTS = ("pytest", "pytest-asyncio", "pytest-timeout")
_GLIBC = (36, 35, 34, 31, 28, 27, 26, 24, 17)
"""The minor versions of what wheels may be built for; bookworm has 36."""

_TRIES = 3
_PATIENT = {
    "PIP_RETRIES": "10",
    "PIP_TIMEOUT": "60",
    "PIP_RESUME_RETRIES": "20",
    "PIP_CACHE_DIR": str(HOME / "pip"),
}
"""pip's: what was downloaded stays here, with what came before a connection broke off."""

_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Unavailable(Exception):
    """Something could not be downloaded; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Debian:
    """A suite of Debian for an architecture, with apt's state in a folder of its own: the machine's is left alone."""

    suite: str
    arch: str

    def unpack(self, packages: Sequence[str], to: Path) -> None:
        """Downloads packages with all that they need, and unpacks them; nothing of them is run."""
        folder = HOME / f"apt-{self.suite}-{self.arch}"
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        said = {"Types": "deb", "URIs": "http://deb.debian.org/debian", "Suites": self.suite}
        said |= {"Components": "main", "Signed-By": _KEYS}
        lines = [f"{key}: {value}\n" for key, value in said.items()]
        (folder / "debian.sources").write_text("".join(lines))
        settings = {
            "APT::Architecture": self.arch,
            "APT::Architectures::": self.arch,
            "APT::Sandbox::User": "root",
            "Acquire::Retries": 5,
            "Acquire::http::Timeout": 30,
            "APT::Update::Error-Mode": "any",
            "Dir::State": folder,
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Etc::sourcelist": folder / "debian.sources",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
        }
        apt = ["apt-get", "-q", "-y", *(f"-o{key}={value}" for key, value in settings.items())]
        fetch([*apt, "update"])
        fetch([*apt, "--no-install-recommends", "--download-only", "install", *packages])
        half = to.with_name(f"{to.name}.half")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        for package in sorted((folder / "cache" / "archives").glob("*.deb")):
            run(["dpkg-deb", "--extract", str(package), str(half)])
        shutil.rmtree(to, ignore_errors=True)
        half.rename(to)


def provide() -> None:
    """Everything, as far as it is not there yet; the project itself every time. Raises Unavailable."""
    emulator, root = HOME / "qemu", HOME / "root"
    if not (emulator / "usr/bin/qemu-aarch64").exists():
        # bookworm's own, 7.2, crashes in ONNX Runtime and LiteRT
        Debian(suite="bookworm-backports", arch="amd64").unpack(["qemu-user"], emulator)
    if not (root / "usr/bin/python3.11").exists():
        Debian(suite="bookworm", arch="arm64").unpack(["python3.11", "libstdc++6", "libgomp1"], root)
    SITE.mkdir(parents=True, exist_ok=True)
    PYTHON.parent.mkdir(exist_ok=True)
    (HOME / "env" / "pyvenv.cfg").write_text(f"home = {root}/usr/bin\nversion = 3.11\n")
    command = (
        f'{emulator}/usr/bin/qemu-aarch64 -cpu {PROCESSOR} -L {root} -0 "$0" {root}/usr/bin/python3.11 "$@"'
    )
    PYTHON.write_text(f"#!/bin/sh\nexec {command}\n")
    PYTHON.chmod(0o755)
    _install()


def fetch(command: Sequence[str], cwd: Path = ROOT) -> None:
    """Runs what downloads, which goes on where it broke off: three times until it comes through."""
    for left in reversed(range(_TRIES)):
        try:
            run(command, cwd)
        except Unavailable as error:
            if not left:
                raise
            print(f"make arm64: {error}; once more …", file=sys.stderr)
        else:
            return


def run(command: Sequence[str], cwd: Path = ROOT) -> None:
    """Runs it; raises Unavailable with its last line."""
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **_PATIENT}, capture_output=True, text=True, errors="replace",
        check=False,
    )  # fmt: skip
    if done.returncode:
        last = next((line for line in reversed((done.stdout + done.stderr).splitlines()) if line.strip()), "")
        raise Unavailable(f"{' '.join(command[:3])} … failed: {last}")


def _install() -> None:
    """The project's wheel and, when what it asks for has changed, everything below it for ARM64."""
    wheels = HOME / "wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    sources = HOME / "sources"  # a build beside the sources would find modules again that are gone
    shutil.rmtree(sources, ignore_errors=True)
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout.decode().split("\0")  # fmt: skip
    for name in filter(None, files):
        if not name.startswith(("tests/", "docs/")) and (ROOT / name).exists():
            (sources / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, sources / name, follow_symlinks=False)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), "."], cwd=sources)
    (wheel,) = wheels.glob("*.whl")
    wanted, noted = (ROOT / "setup.cfg").read_text(), HOME / "installed-for.cfg"
    onto = ["install", "--target", str(SITE), "--upgrade", "--no-warn-conflicts"]
    if not noted.exists() or noted.read_text() != wanted:
        platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in _GLIBC]
        abis = ["--abi=cp311", "--abi=abi3", "--abi=none"]
        python = ["--python-version=3.11", "--implementation=cp", "--only-binary=:all:"]
        own = f"edgex-inference[{_EXTRAS}] @ {wheel.as_uri()}"
        fetch([*pip, *onto, *python, *abis, *platforms, "--platform=manylinux2014_aarch64", own, *_TESTS])
        noted.write_text(wanted)
    run([*pip, *onto, "--no-deps", str(wheel)])


def environment() -> dict[str, str]:
    """The emulated processes' variables: strict, and none of the surrounding Python's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**kept, "EDGEX_INFERENCE_STRICT": "1", "PYTHONSAFEPATH": "1"}
