"""Real servers on free ports of the loopback interface, one process each."""

import os
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from tests.ports import free_port

PATIENCE = 60.0


class ServerUnavailable(Exception):
    """This server is not installed on this machine."""


def binary(name: str, package: str) -> str:
    """Where the program is, also outside a user's PATH."""
    found = shutil.which(
        name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    )
    if found is None:
        raise ServerUnavailable(f"{name} is not installed: apt-get install {package}")
    return found


class Server(ABC):
    """Starts, stops, kills and restarts one server that takes connections on `port`."""

    def __init__(self, folder: Path, name: str, port: int = 0) -> None:
        self.port = port or free_port()
        self.name = name
        self._log = folder / f"{name}-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]: ...

    def start(self) -> None:
        """Returns when the server takes connections."""
        if self._process is not None:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._ended(0.01) or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start: {self._log.read_text()}")

    @property
    def log(self) -> str:
        return self._log.read_text()

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
        """The server hangs: connections stay open, nothing is read."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


class Redis(Server):
    """`lines` are more lines of its configuration; with `tls` its port is an encrypted one."""

    def __init__(self, folder: Path, *lines: str, port: int = 0, tls: bool = False) -> None:
        super().__init__(folder, "redis-server", port)
        self._binary = binary("redis-server", "redis-server")
        self._config = folder / f"redis-{self.port}.conf"
        ports = ["port 0", f"tls-port {self.port}"] if tls else [f"port {self.port}"]
        text = [*ports, "bind 127.0.0.1", 'save ""', "appendonly no", f"dir {folder}", *lines]
        self._config.write_text("\n".join(text) + "\n")

    def command(self) -> Sequence[str]:
        return [self._binary, str(self._config)]


class Nats(Server):
    """`lines` are more lines of its configuration; `streams` turns JetStream on."""

    def __init__(self, folder: Path, *lines: str, streams: bool = False, port: int = 0) -> None:
        super().__init__(folder, "nats-server", port)
        self._binary = binary("nats-server", "nats-server")
        self._config = folder / f"nats-{self.port}.conf"
        text = [f"listen: 127.0.0.1:{self.port}", *lines]
        if streams:
            text.append(f'jetstream {{store_dir: "{folder}/streams-{self.port}"}}')
        self._config.write_text("\n".join(text) + "\n")

    def command(self) -> Sequence[str]:
        return [self._binary, "-c", str(self._config)]
