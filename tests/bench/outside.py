"""The service as a process of its own, in a folder with profiles, models and a configuration."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mosquitto import free_port

PATIENCE = 30.0
_TICK = os.sysconf("SC_CLK_TCK")
_OURS = re.compile(r"(EDGEX_|MESSAGEBUS_|INFERENCE_|WRITABLE_|SERVICE_|TRIGGER_|PYTHONPATH$)")


class Process:
    """A process whose processor time and memory are read from /proc; `port` is that of its HTTP, 0 without."""

    def __init__(self, pid: int, port: int = 0) -> None:
        self.pid, self.port = pid, port

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far, user and system."""
        said = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(said[11]) + int(said[12])) / _TICK

    @property
    def resident(self) -> float:
        """Megabytes (10⁶ bytes) of resident memory."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024 / 1e6


@contextmanager
def service(folder: Path, **settings: str) -> Iterator[tuple[Process, float]]:
    """The service until the block ends, ready for work, and the seconds from its start until then.

    `settings` are environment variables such as MESSAGEBUS_PORT.
    """
    port = free_port()
    env = {name: text for name, text in os.environ.items() if not _OURS.match(name)}
    env |= {"EDGEX_SECURITY_SECRET_STORE": "false", "SERVICE_PORT": str(port)}
    env |= {"XDG_STATE_HOME": str(folder / "state"), **settings}
    with (folder / "service.log").open("wb") as log:
        began = time.perf_counter()
        command = [str(Path(sys.executable).with_name("edgex-inference")), "run"]
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
        try:
            while not _is_ready(port):
                if process.poll() is not None or time.perf_counter() - began > PATIENCE:
                    raise RuntimeError(
                        f"the service is not ready: {(folder / 'service.log').read_text()[-2000:]}"
                    )
                time.sleep(0.005)
            yield Process(process.pid, port), time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False
