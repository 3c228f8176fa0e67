"""A real mosquitto on a free port of the loopback interface."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.ports import free_port

PATIENCE = 60.0


class MosquittoUnavailable(Exception):
    """There is no mosquitto on this machine."""


def binary() -> str:
    found = shutil.which(
        "mosquitto", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    )
    if found is None:
        raise MosquittoUnavailable("mosquitto is not installed: apt-get install mosquitto")
    return found


class Mosquitto:
    """Starts, stops, kills and restarts one broker; `lines` are more lines of its configuration."""

    def __init__(self, folder: Path, *lines: str, anonymous: bool = True, port: int = 0) -> None:
        self.binary = binary()
        self.port = port or free_port()
        self._log = folder / f"mosquitto-{self.port}.log"
        self._config = folder / f"mosquitto-{self.port}.conf"
        text = [f"listener {self.port} 127.0.0.1", f"allow_anonymous {str(anonymous).lower()}", *lines]
        if os.geteuid() == 0 and not any(line.startswith("user ") for line in lines):
            text.append("user root")  # else it drops to a user that may not read the test's files
        self._config.write_text("\n".join(text) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when the broker takes connections."""
        if self._process is not None:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([self.binary, "-c", str(self._config)], stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._ended(0.01) or time.monotonic() > deadline:
                raise RuntimeError(f"mosquitto did not start: {self._log.read_text()}")

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def _ended(self, seconds: float) -> bool:
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)  # one that was suspended takes no other
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def restart(self) -> None:
        """Killed without a farewell, and back on the same port."""
        self.kill()
        self.start()

    def suspend(self) -> None:
        """The broker hangs: connections stay open, nothing is read."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
