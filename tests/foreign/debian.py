"""Packages of any suite of Debian, downloaded and unpacked: no root, nothing installed on this machine."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_TRIES = 3
_PATIENT = {
    "LC_ALL": "C.UTF-8",
    "PIP_RETRIES": "10",
    "PIP_TIMEOUT": "60",
    "PIP_RESUME_RETRIES": "20",
    "PIP_CACHE_DIR": str(ROOT / "build" / "pip"),
}
"""pip's: what was downloaded stays here, with what came before a connection broke off."""


class Unavailable(Exception):
    """Something could not be downloaded; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Debian:
    """A suite for an architecture; apt's state lies in a folder of its own below `home`."""

    suite: str
    arch: str
    home: Path

    def unpack(self, packages: Sequence[str], to: Path, *, without: Sequence[str] = ()) -> None:
        """Downloads packages with all that they need but `without`, and unpacks them; nothing of them is run.

        Raises Unavailable, at once where this machine has none of what that takes.
        """
        _possible()
        apt = self._apt()
        fetch([*apt, "update"])
        said = run([*apt, "--no-install-recommends", "--simulate", "install", *packages])
        found = [line.split() for line in said.splitlines() if line.startswith("Inst ")]
        wanted = {words[1]: words[2].lstrip("(") for words in found}
        kept = [name for name in wanted if name.partition(":")[0] not in without]
        heads = tuple(f"{one.partition(':')[0]}_{wanted[one].replace(':', '%3a')}_" for one in kept)
        for package in self._archives.glob("*.deb"):
            if not package.name.startswith(heads):  # of an earlier run: another version, or another package
                package.unlink()
        fetch([*apt, "download", *kept], cwd=self._archives)
        half = to.with_name(f"{to.name}.half")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        for package in sorted(self._archives.glob("*.deb")):
            run(["dpkg-deb", "--extract", str(package), str(half)])
        shutil.rmtree(to, ignore_errors=True)
        half.rename(to)

    def versions(self) -> Mapping[str, str]:
        """Package → version of what was downloaded."""
        found = (re.match(r"(.+?)_(.+?)_", path.name) for path in self._archives.glob("*.deb"))
        return {one[1]: one[2].replace("%3a", ":") for one in found if one}

    @property
    def _folder(self) -> Path:
        return self.home / f"apt-{self.suite}-{self.arch}"

    @property
    def _archives(self) -> Path:
        return self._folder / "cache" / "archives"

    def _apt(self) -> list[str]:
        """The command, with settings that keep it in its folder."""
        folder = self._folder
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
        return ["apt-get", "-q", "-y", *(f"-o{key}={value}" for key, value in settings.items())]


def _possible() -> None:
    missing = [program for program in ("apt-get", "dpkg-deb") if not shutil.which(program)]
    if missing:
        raise Unavailable(
            f"no {' and no '.join(missing)} is here: it takes Debian or a relative, or a container of it"
        )
    if not Path(_KEYS).exists():
        raise Unavailable(f"{_KEYS} is not there: apt-get install debian-archive-keyring")


def native(machine: str) -> None:
    """Raises Unavailable where programs of this machine type, `x86_64`, do not run."""
    if platform.machine() != machine:
        raise Unavailable(f"it runs programs for {machine}, and this machine is {platform.machine()}")


def fetch(command: Sequence[str], cwd: Path = ROOT) -> None:
    """Runs what downloads, which goes on where it broke off: three times until it comes through."""
    for left in reversed(range(_TRIES)):
        try:
            run(command, cwd)
        except Unavailable as error:
            if not left:
                raise
            print(f"{error}; once more …", file=sys.stderr)
        else:
            return


def run(command: Sequence[str], cwd: Path = ROOT) -> str:
    """Runs it and gives its output; raises Unavailable with its last line."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env={**os.environ, **_PATIENT},
        )
    except FileNotFoundError:
        raise Unavailable(f"there is no {command[0]} here") from None
    if done.returncode:
        last = next((line for line in reversed((done.stdout + done.stderr).splitlines()) if line.strip()), "")
        raise Unavailable(f"{' '.join(command[:3])} … failed: {last}")
    return done.stdout
