"""Asking a plug-in for its devices in a child process: a vendor's library may crash or hang while it looks."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from edgex_inference.contracts.accelerator import Accelerator, InferenceDevice
from edgex_inference.contracts.errors import EdgexInferenceError

DEADLINE = 30.0
"""Seconds for a child to start, import the vendor and look around."""

_CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from edgex_inference.engine.probe import answer
answer(sys.argv[2])
"""
_MARK = "devices: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The devices of a plug-in, or the reason why there are none; `absent` says what brings others."""

    devices: tuple[InferenceDevice, ...] = ()
    reason: str = ""
    absent: Mapping[str, str] = field(default_factory=dict)


Probe = Callable[[str, float], Found]
"""The value of an entry point (`module:PLUGIN`), seconds → what was found; never raises."""


def probe(value: str, deadline: float = DEADLINE) -> Found:
    """Runs `devices` of the plug-in `module:PLUGIN` in a child process."""
    command = [sys.executable, "-P", "-c", _CHILD, json.dumps(sys.path), value]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=deadline, check=False
        )
    except subprocess.TimeoutExpired:
        return Found(reason=f"looking for devices did not end within {deadline:g} s")
    except OSError as error:
        return Found(reason=f"no process could be started to look for devices: {error.strerror}")
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(_MARK):
            return msgspec.json.decode(line.removeprefix(_MARK), type=Found)
    how = f"by signal {-done.returncode}" if done.returncode < 0 else f"with code {done.returncode}"
    last = next((line.strip() for line in reversed(done.stderr.splitlines()) if line.strip()), "")
    return Found(reason=f"looking for devices ended the process {how}" + (f": {last[:200]}" if last else ""))


def answer(value: str) -> None:
    """What the child does: prints what it found as one line."""
    module, _, attribute = value.partition(":")
    found = look(getattr(importlib.import_module(module), attribute))
    sys.stdout.write(f"\n{_MARK}{msgspec.json.encode(found).decode()}\n")
    sys.stdout.flush()


def look(accelerator: Accelerator) -> Found:
    """The devices of a plug-in, found in this process."""
    try:
        devices: Sequence[InferenceDevice] = accelerator.devices()
        absent = accelerator.absent() if accelerator.absent is not None else {}
    except EdgexInferenceError as error:
        return Found(reason=str(getattr(error, "reason", error)))
    except Exception as error:  # noqa: BLE001 - a plug-in that fails is listed with its reason
        return Found(reason=f"looking for devices failed with {type(error).__name__}: {error}")
    return Found(devices=tuple(devices), absent=absent)
