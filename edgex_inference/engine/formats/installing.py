"""Making a toolchain's environment: a fresh one, filled from its pins by pip, offline afterwards."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgex_inference.contracts.errors import SetupError
from edgex_inference.engine.formats.toolchains import Toolchain, Toolchains, python_in

Progress = Callable[[float | None, str], None]
"""Told how far it is (0 to 1, None where nobody knows) and what is done."""

_LAST = 40
"""Lines of pip that are kept for the sentence about its failure."""


def install(toolchains: Toolchains, name: str, progress: Progress) -> bool:
    """Installs it; False when it was there already. Raises SetupError and leaves nothing half-made behind.

    Whoever comes second waits for the first, and then finds it there.
    """
    toolchain = toolchains.get(name)
    with _alone(toolchains.home, name):
        if toolchains.state(name) == "installed":
            return False
        python = toolchain.interpreter()
        folder = toolchains.folder(name)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            progress(0.0, f"making an environment of {python}")
            _run([str(python), "-m", "venv", str(folder)], name)
            _fill(toolchain, folder, progress)
            toolchains.complete(name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    progress(1.0, "done")
    return True


@contextmanager
def _alone(home: Path, name: str) -> Iterator[None]:
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / f".{name}.lock").open("w")
    except OSError as error:
        raise SetupError(f"{home} cannot be written: {error.strerror or error}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fill(toolchain: Toolchain, folder: Path, progress: Progress) -> None:
    """Runs pip; it says a line for each package that it collects, and one before it unpacks them all."""
    command = [str(python_in(folder)), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += ["--progress-bar", "off", "--no-color", "--only-binary", ":all:", "-r", str(toolchain.pins)]
    command += ["--no-deps"] if toolchain.bare else []
    command += ["--ignore-requires-python"] if toolchain.anyway else []
    expected = len(toolchain.requirements)
    last: list[str] = []
    collected = 0
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        errors="replace",
    ) as pip:
        try:
            assert pip.stdout is not None
            for line in map(str.strip, pip.stdout):
                last = [*last, line][-_LAST:]
                if line.startswith(("Collecting ", "Processing ")):
                    collected += 1
                    progress(min(0.8, 0.8 * collected / expected), line.split()[1])
                elif line.startswith("Installing collected"):
                    progress(0.8, "unpacking all of them")
            code = pip.wait()
        except BaseException:
            pip.terminate()
            raise
    if code:
        raise SetupError(f"the toolchain {toolchain.name} could not be installed: {_reason(last)}")


def _reason(lines: list[str]) -> str:
    """pip's own word; what it says when the network is away is long."""
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    text = errors[0] if errors else lines[-1] if lines else "pip said nothing"
    if any("connection" in line.lower() or "Name or service" in line for line in lines):
        text += " (installing needs the network, once)"
    return text


def _run(command: list[str], name: str) -> None:
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode:
        lines = (said.stdout + said.stderr).strip().splitlines()
        raise SetupError(f"the toolchain {name} could not be made: {lines[-1] if lines else command}")
