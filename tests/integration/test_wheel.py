"""What is installed: wheel, sdist and editable install, in empty environments in other folders, without network.

What the wheel's metadata declares is lent from this environment, nothing else, so a dependency that nobody declared
is missed here.
"""

import email
import importlib.metadata
import json
import shutil
import subprocess
import sys
import tarfile
import time
import venv
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
LEFT_OUT = (".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "tests")
LARGEST = 2_000_000
"""Bytes of the wheel: two models below half a megabyte each, and Python."""


def run(
    *command: str | Path, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=250)


def checked(*command: str | Path, cwd: Path) -> str:
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project as a clone has it, without its tests."""
    copy = tmp_path_factory.mktemp("source") / "edgex-inference"
    shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    return copy


@pytest.fixture(scope="session")
def dist(source: Path) -> Path:
    """`dist/` with the sdist and a wheel made of it, `direct/` with a wheel made of the sources."""
    folder = source.parent
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir")
    checked(*build, folder / "dist", source, cwd=folder)
    checked(*build, folder / "direct", "--wheel", source, cwd=folder)
    return folder


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def needed(wheel: Path, *extras: str) -> set[str]:
    """The distributions that this wheel says it needs with these extras, by canonical name."""
    (metadata,) = (text for name, text in contents(wheel).items() if name.endswith(".dist-info/METADATA"))
    ours = email.message_from_bytes(metadata).get_all("Requires-Dist", [])
    seen: set[str] = set()
    _need("edgex-inference", frozenset(extras), seen, ours)
    return {name.partition("[")[0] for name in seen} - {"edgex-inference"}


def _need(name: str, extras: frozenset[str], seen: set[str], ours: list[str]) -> None:
    for extra in ("", *extras):
        key = f"{name}[{extra}]"
        if key in seen:
            continue
        seen.add(key)
        for text in ours if name == "edgex-inference" else importlib.metadata.requires(name) or ():
            wanted = Requirement(text)
            here = wanted.marker is None or wanted.marker.evaluate({"extra": extra})
            if here and not (extra and wanted.marker is None):
                _need(canonicalize_name(wanted.name), frozenset(wanted.extras), seen, ours)


def lend(folder: Path, names: Iterable[str]) -> Path:
    """A folder that holds these distributions of this environment as links."""
    folder.mkdir()
    for name in names:
        found = importlib.metadata.distribution(name)
        tops = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            if not (folder / top).exists():
                (folder / top).symlink_to(Path(str(found.locate_file(top))))
    return folder


@pytest.fixture
def empty(dist: Path, tmp_path: Path) -> Callable[..., Path]:
    """`empty(*extras, more=…)`: the bin folder of a new environment with what the extras of edgex-inference need."""

    def make(*extras: str, more: Iterable[str] = ()) -> Path:
        home = tmp_path / "environment"
        venv.create(home, with_pip=False, symlinks=True)
        site = only(home, "lib/python*/site-packages")
        lent = lend(tmp_path / "lent", {*needed(only(dist / "dist", "*.whl"), *extras), *more})
        (site / "lent.pth").write_text(f"{lent}\n")
        return home / "bin"

    return make


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def install(binaries: Path, *what: str | Path, cwd: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--python", binaries / "python", "install", "-q")
    checked(*pip, "--disable-pip-version-check", "--no-index", "--no-deps", *what, cwd=cwd)


def test_what_the_wheel_holds(dist: Path) -> None:
    wheel = only(dist / "dist", "*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    size = wheel.stat().st_size
    print(f"{wheel.name}: {size} bytes")
    assert size < LARGEST
    files = [Path(name) for name in contents(wheel)]
    tops = {file.parts[0] for file in files}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"edgex_inference", "accelerators"}
    ours = [file for file in files if not file.parts[0].endswith(".dist-info")]
    assert {file.suffix for file in ours} == {
        ".py",
        ".yaml",
        ".toml",
        ".onnx",
        ".json",
        ".jpg",
        ".typed",
        ".txt",
    }
    here = {str(path.relative_to(ROOT)) for top in tops for path in (ROOT / top).rglob("*.py")}
    assert here <= {str(file) for file in files}
    profiles = {path.name for path in (ROOT / "profiles").glob("*.yaml")}
    assert profiles
    assert profiles == {file.name for file in ours if "profiles" in file.parts}
    models = [file for file in ours if file.suffix == ".onnx"]
    assert len(models) >= 2
    assert all(file.with_name("model.yaml") in ours for file in models)
    assert not [file for file in ours if "test_" in file.name or "tests" in file.parts]


def test_the_sdist_makes_the_same_wheel(dist: Path) -> None:
    one, other = contents(only(dist / "dist", "*.whl")), contents(only(dist / "direct", "*.whl"))
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
    with tarfile.open(only(dist / "dist", "*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "setup.cfg", "pyproject.toml"} <= names


def works(binaries: Path, folder: Path) -> None:
    """The command in this environment, seen from a folder that has nothing of ours."""
    command = binaries / "edgex-inference"
    version = importlib.metadata.version("edgex-inference")
    assert checked(command, "--version", cwd=folder) == f"edgex-inference {version}\n"
    listed = {one["name"]: one for one in json.loads(checked(command, "accelerators", "--json", cwd=folder))}
    assert (listed["onnxruntime"]["reason"], listed["onnxruntime"]["devices"][0]) == ("", "CPU")
    assert listed["openvino"]["level"] == "tuned"
    ask = "from importlib.resources import files; print(files('edgex_inference') / '_data' / 'profiles')"
    profiles = Path(checked(binaries / "python", "-c", ask, cwd=folder).strip())
    found = sorted(profiles.glob("*.yaml"))
    assert found
    checked(command, "validate", *found, cwd=folder)
    lines = checked(
        command, "demo", "--for", "3s", "--json", "--seed", "310007", "--port", str(free_port()), cwd=folder
    ).splitlines()
    sources = {json.loads(line)["event"]["sourceName"] for line in lines}
    assert {"PartInspection", "SpindleHealth"} <= sources


def test_the_wheel_in_an_empty_environment(
    dist: Path, empty: Callable[..., Path], elsewhere: Path, served: Callable[..., Any]
) -> None:
    binaries = empty("demo")
    install(binaries, only(dist / "dist", "*.whl"), cwd=elsewhere)
    works(binaries, elsewhere)
    service = served(binaries, elsewhere)
    assert service.get("/api/v3/ping")[1]["serviceName"] == "app-inference"
    assert service.get("/api/v3/version")[1]["version"] == importlib.metadata.version("edgex-inference")
    assert service.stop() == 0


@pytest.fixture
def served(process: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """`served(binaries, folder)`: the service of this environment, without any configuration."""
    started = []

    def start(binaries: Path, folder: Path) -> Any:
        monkeypatch.setattr(process, "command", lambda: str(binaries / "edgex-inference"))
        env = {"SERVICE_PORT": str(free_port()), "MESSAGEBUS_PORT": str(free_port())}
        service = process.Service(folder, env=env)
        started.append(service)
        service.said("has started")
        return service

    yield start
    for service in started:
        service.kill()


def test_the_core_alone(
    dist: Path,
    empty: Callable[..., Path],
    elsewhere: Path,
    process: ModuleType,
    mosquitto: Callable[..., Any],
) -> None:
    """Without extras everything works that needs none, and the rest says in one sentence what to install."""
    binaries = empty()
    install(binaries, only(dist / "dist", "*.whl"), cwd=elsewhere)
    command = binaries / "edgex-inference"
    assert "usage" in checked(command, "--help", cwd=elsewhere)
    listed = {
        one["name"]: one["reason"]
        for one in json.loads(checked(command, "accelerators", "--json", cwd=elsewhere))
    }
    assert 'pip install "edgex-inference[onnxruntime]"' in listed["onnxruntime"]
    profile = elsewhere / "pump.yaml"
    profile.write_text(
        "name: pump\ndeviceResources:\n  - name: Load\n    properties: {valueType: Float32, optional: {inference: "
        "{Wear: {model: {name: affine}, outputs: {Wear: {value: value}}}}}}\n"
    )
    said = run(command, "validate", profile, cwd=elsewhere)
    assert "Traceback" not in said.stdout + said.stderr
    env = process.environment({"SERVICE_PORT": str(free_port())})
    speaks_mqtt(command, elsewhere, {**env, "MESSAGEBUS_PORT": str(mosquitto().port)})
    env["INFERENCE_MQTTCLIENT"] = "paho"
    for words in (["run"], ["demo", "--for", "1s", "--seed", "310007"]):
        done = run(command, *words, cwd=elsewhere, env=env)
        text = done.stdout + done.stderr
        assert done.returncode == 1, text
        assert "pip install" in text
        assert "edgex-inference[" in text
        assert "Traceback" not in text


def speaks_mqtt(command: Path, folder: Path, env: dict[str, str]) -> None:
    """The service connects, and stops when it is told to."""
    said = folder / "service.log"
    with said.open("wb") as log:
        service = subprocess.Popen([command, "run"], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while "connected as 'app-inference'" not in said.read_text():
                assert service.poll() is None, said.read_text()
                assert time.monotonic() < deadline, said.read_text()
                time.sleep(0.05)
            service.terminate()
            assert service.wait(30) == 0, said.read_text()
        finally:
            service.kill()
            service.wait()


def test_an_editable_install(source: Path, empty: Callable[..., Path], elsewhere: Path) -> None:
    binaries = empty("demo", more=("setuptools",))
    install(binaries, "--no-build-isolation", "-e", source, cwd=elsewhere)
    works(binaries, elsewhere)
