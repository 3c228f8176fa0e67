"""One official service as a process in a folder of its own."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PATIENCE = 60.0
_FOREIGN = re.compile(r"(EDGEX_|MESSAGEBUS_|CLIENTS_|WRITABLE_|SERVICE_|DEVICE_|TRIGGER_)")


class OfficialService:
    """Starts and stops it; `log` is what it said, `output` what came on its standard output."""

    def __init__(self, program: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self._program = program
        self._folder = folder
        self._environment = {name: text for name, text in os.environ.items() if not _FOREIGN.match(name)}
        self._environment |= {"EDGEX_SECURITY_SECRET_STORE": "false", **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._text("service.log")

    @property
    def output(self) -> str:
        return self._text("output.txt")

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def _text(self, name: str) -> str:
        path = self._folder / name
        return path.read_text(errors="replace") if path.is_file() else ""

    def launch(self, arguments: Sequence[str]) -> None:
        with (
            (self._folder / "service.log").open("ab") as log,
            (self._folder / "output.txt").open("ab") as out,
        ):
            self._process = subprocess.Popen(
                [self._program, *arguments], cwd=self._folder, env=self._environment, stdout=out, stderr=log
            )

    def until(self, enough: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Waits until this is true; AssertionError when the process ends before."""
        deadline = time.monotonic() + seconds
        while not enough():
            words = f"{self.log[-3000:]}\n{self.output[-3000:]}"
            assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s:\n{words}"
            assert not self._ended(0.05), f"{what}: the service ended before:\n{words}"

    def said(self, text: str, seconds: float = PATIENCE) -> None:
        """Waits until it has said this, in its log or on its standard output."""
        self.until(lambda: text in self.log or text in self.output, repr(text), seconds)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _ended(self, seconds: float) -> bool:
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
