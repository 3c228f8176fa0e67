"""Running a script of ours in a toolchain: a process of its own with bounds, whose failure becomes one sentence."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.engine.formats.toolchains import SCRIPTS, surroundings

_REFUSED = "refused: "
_TAIL = 64 << 10
_LONGEST = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds, and bytes of memory, that a conversion may take."""

    timeout: float = 900.0
    memory: int = 16 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a script is told; `inputs` is a .npz with arrays by input name, one sample for each row."""

    source: str
    kind: str
    beside: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    opset: int | None = None
    inputs: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a script made: `file` in its folder, by which `tool`, and in `framework` what answered the samples.

    `axes` has for each input which axis of the source each of its own is; empty where they are the source's.
    """

    file: Path
    framework: str
    tool: str
    inputs: tuple[str, ...]
    notes: tuple[str, ...]
    answers: Path | None
    axes: tuple[tuple[int, ...], ...] = ()


def run(python: Path, script: str, job: Job, folder: Path, limits: Limits) -> Reply:
    """Runs `script` on the job in `folder`; raises ModelRejected with its refusal, or what else ended it."""
    said = {**asdict(job), "memory": limits.memory}
    (folder / "job.json").write_text(json.dumps(said), encoding="utf-8")
    log = folder / "log.txt"
    with log.open("wb") as out:
        code = _wait(
            [str(python), "-s", str(SCRIPTS / script), str(folder)], folder, out.fileno(), limits.timeout
        )
    if code is None:
        raise ModelRejected(
            job.source, f"its conversion was ended after {limits.timeout:g} s: say a longer --timeout"
        )
    if code:
        raise ModelRejected(job.source, _sentence(code, log))
    return _reply(job, folder)


def _wait(command: Sequence[str], folder: Path, out: int, timeout: float) -> int | None:
    """The exit code, None after the time is up; nothing of the child's stays behind."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=out,
        cwd=home,
        env=dict(surroundings(home)),
        start_new_session=True,
    ) as child:
        try:
            return child.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def _sentence(code: int, log: Path) -> str:
    lines = [line.strip() for line in _tail(log).splitlines() if line.strip()]
    refused = next((line for line in reversed(lines) if line.startswith(_REFUSED)), "")
    if refused:
        return refused.removeprefix(_REFUSED)
    if code == -signal.SIGKILL:
        return "its conversion was killed, most likely because the machine had no more memory"
    last = lines[-1] if lines else "it said nothing"
    last = last if len(last) <= _LONGEST else f"{last[: _LONGEST // 2]} … {last[-_LONGEST // 2 :]}"
    if code < 0:
        return f"its conversion crashed ({signal.Signals(-code).name}): {last}"
    return f"its conversion failed: {last}"


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        return file.read().decode("utf-8", "replace")


def _reply(job: Job, folder: Path) -> Reply:
    try:
        said = json.loads((folder / "reply.json").read_text(encoding="utf-8"))
        file = folder / said["file"]
        found = Reply(
            file=file,
            framework=str(said["framework"]),
            tool=str(said["tool"]),
            inputs=tuple(map(str, said["inputs"])),
            notes=tuple(map(str, said["notes"])),
            answers=folder / "answers.npz" if (folder / "answers.npz").is_file() else None,
            axes=tuple(tuple(map(int, order)) for order in said["axes"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelRejected(job.source, "its conversion ended without an answer") from error
    if not file.resolve().is_relative_to(folder.resolve()) or not file.exists():
        raise ModelRejected(job.source, "its conversion made no model")
    return found
