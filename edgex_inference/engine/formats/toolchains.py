"""Toolchains: isolated Python environments for conversions, as a pinned manifest describes them."""

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from edgex_inference.config.places import listed, suggest
from edgex_inference.contracts.errors import SetupError

DATA = Path(str(files("edgex_inference"))) / "_data" / "toolchains"
SCRIPTS = DATA / "scripts"
HERE = ""
"""The name of the Python that runs this: conversions with what is installed beside the service, still in a child."""

_COMPLETE = ".complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """One environment: `python` are series in order of preference, `pins` a file of exact versions.

    A `bare` one holds nothing but its pins, whatever they ask for themselves.
    `anyway`: its pins are installed although one of them asks for another Python; it was tried on these.
    """

    name: str
    about: str
    python: tuple[str, ...]
    pins: Path
    modules: tuple[str, ...]
    megabytes: int = 0
    note: str = ""
    bare: bool = False
    anyway: bool = False

    @property
    def requirements(self) -> Sequence[str]:
        """The pinned packages, one `name==version` each."""
        lines = (
            line.partition("#")[0].strip() for line in self.pins.read_text(encoding="utf-8").splitlines()
        )
        return [line for line in lines if line]

    def interpreter(self) -> Path:
        """A Python of a series that the pins fit; raises SetupError saying which to install."""
        own = "{}.{}".format(*sys.version_info[:2])
        for series in sorted(self.python, key=lambda one: one != own):
            found = sys.executable if series == own else shutil.which(f"python{series}")
            if found and _answers(Path(found), series):
                return Path(found)
        raise SetupError(
            f"the toolchain {self.name} needs Python {listed(self.python)} with its module venv, and none is on "
            f"the PATH as {listed([f'python{series}' for series in self.python])}: install one (Debian 12: apt-get "
            f"install python{self.python[0]}-venv; elsewhere pyenv or uv can)"
        )


def _answers(python: Path, series: str) -> bool:
    """Whether it is there and is that series: a version manager's shim may stand for one that is not installed."""
    ask = "import sys, venv, ensurepip; print('{}.{}'.format(*sys.version_info[:2]))"
    try:
        said = subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.stdout.strip() == series


def manifest(data: Path = DATA) -> Mapping[str, Toolchain]:
    """Every toolchain that can be installed."""
    said = tomllib.loads((data / "manifest.toml").read_text(encoding="utf-8"))
    return {
        name: Toolchain(
            name=name,
            about=one["about"],
            python=tuple(one["python"]),
            pins=data / one["pins"],
            modules=tuple(one["modules"]),
            megabytes=one.get("megabytes", 0),
            note=one.get("note", ""),
            bare=one.get("bare", False),
            anyway=one.get("anyway", False),
        )
        for name, one in said.items()
    }


class Toolchains:
    """What is installed in a folder; `home` holds one folder for each toolchain."""

    def __init__(self, home: Path, data: Path = DATA) -> None:
        self.home = home
        self.known = manifest(data)

    def get(self, name: str) -> Toolchain:
        """The toolchain of this name; raises SetupError."""
        if name not in self.known:
            there = listed(sorted(self.known), last="and")
            raise SetupError(f"no toolchain is called {name!r}{suggest(name, self.known)}; there are {there}")
        return self.known[name]

    def folder(self, name: str) -> Path:
        """Where it is, or would be."""
        return self.home / name

    def state(self, name: str) -> str:
        """`installed`, `outdated` where its pins have changed since, `broken` where it is not whole, or empty."""
        folder = self.folder(name)
        if not folder.exists():
            return ""
        try:
            said = (folder / _COMPLETE).read_text(encoding="utf-8")
        except OSError:
            return "broken"
        if not python_in(folder).exists():
            return "broken"
        return "installed" if said == mark(self.get(name)) else "outdated"

    def python(self, name: str) -> Path:
        """The Python of an installed toolchain; raises SetupError with the command that installs it."""
        if name == HERE:
            return Path(sys.executable)
        state = self.state(name)
        if state == "installed":
            return python_in(self.folder(name))
        known = self.get(name)
        size = f" (about {known.megabytes} MB from the network, once)" if known.megabytes else ""
        what = {
            "": "is not installed",
            "outdated": "was installed by another release",
            "broken": "is not whole",
        }[state]
        raise SetupError(f"the toolchain {name} {what}: edgex-inference toolchain install {name}{size}")

    def complete(self, name: str) -> None:
        """Says that an install went to its end."""
        (self.folder(name) / _COMPLETE).write_text(mark(self.get(name)), encoding="utf-8")

    def remove(self, name: str) -> bool:
        """Takes a toolchain away, one that is no longer in the manifest too; False when there was none."""
        if Path(name).name != name or name.startswith("."):
            raise SetupError(f"{name!r} is no toolchain's name")
        folder = self.folder(name)
        if not folder.is_dir():
            return False
        shutil.rmtree(folder)
        return True


def python_in(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / "bin" / "python"


def mark(toolchain: Toolchain) -> str:
    """Changes when a pin does."""
    return hashlib.sha256("\n".join(toolchain.requirements).encode()).hexdigest()


def surroundings(home: Path) -> Mapping[str, str]:
    """The environment variables of a child: without what would lead it back into the service's own packages."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "EDGEX_", "INFERENCE_", "VIRTUAL_ENV"))
    }
    quiet = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "HF_HUB_OFFLINE": "1",
    }
    return {
        **kept,
        **quiet,
        "HOME": str(home),
        "TMPDIR": str(home),
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
