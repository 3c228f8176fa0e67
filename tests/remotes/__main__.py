"""Plays the accelerator contract on real servers, measures the way there, and writes both into remote's README.

python -m tests.remotes [triton] [mlserver]
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from accelerators.remote import PLUGIN
from edgex_inference.contracts.accelerator import REMOTE, LoadRequest
from edgex_inference.engine.options import decode
from tests import dated
from tests.remotes.servers import SERVERS, Started, Unavailable

ROOT = Path(__file__).parents[2]
README = ROOT / "accelerators" / "remote" / "README.md"
_ROUNDS, _EACH = 15, 60


def main(names: list[str]) -> int:
    """0 when all that was asked for was played, and every promise was kept."""
    folder = ROOT / "build" / "remotes"
    folder.mkdir(parents=True, exist_ok=True)
    promises: list[str] = []
    times: list[str] = []
    failed = 0
    for name in names or list(SERVERS):
        try:
            with _started(name, folder) as server:
                failed += _play(server, folder, promises)
                if name == "triton":
                    times += _measure(server)
        except Unavailable as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed += 1
    report = _report(promises, times)
    print(report)
    if not failed and set(names or SERVERS) == set(SERVERS):
        dated.write(README, "make remotes", report)
    return 1 if failed else 0


@contextmanager
def _started(name: str, folder: Path) -> Iterator[Started]:
    with closing(SERVERS[name](folder)) as servers:  # type: ignore[type-var]
        yield next(servers)


def _play(server: Started, folder: Path, promises: list[str]) -> int:
    failed = 0
    for transport, url in (("REST", server.rest), ("gRPC", server.rpc)):
        results = folder / "results.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/remotes/contract.py",
        ]
        done = subprocess.run(
            [*command, "-o", "junit_family=xunit1", f"--junitxml={results}"],
            cwd=ROOT,
            env={**os.environ, "EDGEX_INFERENCE_REMOTE_URL": url},
            check=False,
        )
        suite = ElementTree.parse(results).getroot().find("testsuite")
        assert suite is not None
        tests, bad = int(suite.get("tests", 0)), int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        promises.append(f"| {server.name} | {transport} | {tests - bad} of {tests} |")
        failed += done.returncode != 0
    return failed


def _measure(server: Started) -> list[str]:
    """Our way beside tritonclient's, in turn, so that both meet the same machine."""
    import tritonclient.grpc as rpc
    import tritonclient.http as http

    rows = []
    for transport, url, client in (
        ("REST", server.rest, http.InferenceServerClient(server.rest.partition("//")[2])),
        ("gRPC", server.rpc, rpc.InferenceServerClient(server.rpc.partition("//")[2])),
    ):
        for model, width in (("one", 4), ("wide", 65536)):
            x = np.random.default_rng(0).normal(size=(1, width)).astype(np.float32)
            assert PLUGIN.load is not None
            request = LoadRequest(
                path=Path(model), format=REMOTE, name=model, options=decode(PLUGIN, {"url": url})
            )
            session = PLUGIN.load(request)
            theirs = _their_call(rpc if transport == "gRPC" else http, client, model, x)
            ours_, theirs_ = _in_turn(lambda s=session, x=x: s.infer({"x": x})["y"], theirs)  # type: ignore[misc]
            rows.append(
                f"| {transport}, {4 * width:,} bytes each way | {1e3 * ours_:.2f} ms | {1e3 * theirs_:.2f} ms "
                f"| {theirs_ / ours_:.2f} |"
            )
            session.close()
        client.close()
    return rows


def _their_call(package: Any, client: Any, model: str, x: Any) -> Callable[[], Any]:
    def call() -> Any:
        given = package.InferInput("x", list(x.shape), "FP32")
        given.set_data_from_numpy(x)
        wanted = package.InferRequestedOutput("y")
        return client.infer(model, [given], outputs=[wanted]).as_numpy("y")

    return call


def _in_turn(ours: Callable[[], Any], theirs: Callable[[], Any]) -> tuple[float, float]:
    """The median of the medians of short rounds (seconds a call)."""
    assert np.array_equal(ours(), theirs())
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for call, into in ((ours, found[0]), (theirs, found[1])):
            times = []
            for _ in range(_EACH):
                started = time.perf_counter()
                call()
                times.append(time.perf_counter() - started)
            into.append(statistics.median(times))
    return statistics.median(found[0]), statistics.median(found[1])


def _report(promises: list[str], times: list[str]) -> str:
    lines = [
        f"Played on {dated.today()}, on loopback:",
        "",
        "| Server | Way | Promises kept |",
        "|---|---|---|",
        *promises,
    ]
    if times:
        lines += [
            "",
            "One caller, median time of a call to Triton, ours and tritonclient's in turn:",
            "",
            "| | Ours | tritonclient | Theirs ÷ ours |",
            "|---|---|---|---|",
            *times,
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
