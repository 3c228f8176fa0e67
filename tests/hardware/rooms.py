"""An environment for one runtime: two builds of ONNX Runtime do not live together."""

import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOLS = ("pytest", "pytest-asyncio", "pytest-timeout", "pytest-randomly", "onnx >=1.17,<2")


class RoomUnavailable(Exception):
    """It could not be made; the text is pip's last line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A Python, and the environment variables that it needs to find the libraries of NVIDIA's wheels."""

    python: Path
    environment: Mapping[str, str]


def room(folder: Path, needs: Sequence[str]) -> Room:
    """Makes the environment, or takes the one that is there; raises RoomUnavailable."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-e", f"{ROOT}[images]"]
    done = subprocess.run([*command, *TOOLS, *needs], capture_output=True, text=True, check=False)
    if done.returncode:
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "")
        raise RoomUnavailable(f"pip cannot install {' '.join(needs)}: {last.strip()}")
    return Room(python=python, environment=libraries(folder))


def libraries(folder: Path) -> Mapping[str, str]:
    """LD_LIBRARY_PATH with the folders of CUDA, cuDNN and TensorRT that lie in the environment."""
    found = [
        *sorted(folder.glob("lib/python*/site-packages/nvidia/*/lib")),
        *sorted(folder.glob("lib/python*/site-packages/tensorrt*_libs")),
    ]
    known = [path for path in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if path]
    return {"LD_LIBRARY_PATH": os.pathsep.join([*map(str, found), *known])} if found or known else {}


def here(environment: Mapping[str, str]) -> Room:
    """This very environment, as a room."""
    return Room(python=Path(sys.executable), environment=environment)
