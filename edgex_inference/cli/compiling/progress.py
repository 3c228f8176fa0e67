"""A long step told to whoever waits: a bar on a terminal, lines elsewhere."""

import shutil
import sys
import threading
import time
from types import TracebackType
from typing import Self, TextIO

_WIDTH = 24
_TICK, _LINE = 0.5, 10.0
"""Seconds between two looks of a bar, and between two lines."""


class Progress:
    """Tells of one step while it is entered; `told` may be called from any thread."""

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        """Without a `stream` it is what standard error is now."""
        self._title, self._stream = title, stream or sys.stderr
        self._bar = self._stream.isatty()
        self._began = self._last = time.monotonic()
        self._fraction: float | None = None
        self._what = self._said = ""
        self._lock, self._over = threading.Lock(), threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._ticker.join()
        if self._bar:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def told(self, fraction: float | None, what: str) -> None:
        """How far it is, 0 to 1 or None where nobody knows, and what is done."""
        with self._lock:
            self._fraction, self._what = fraction, what
            self._show()

    def _tick(self) -> None:
        while not self._over.wait(_TICK):
            with self._lock:
                self._show()

    def _show(self) -> None:
        now = time.monotonic()
        seconds = f"{now - self._began:.0f} s"
        if self._bar:
            line = f"{self._title} {_bar(self._fraction)} {seconds} {self._what}"
            self._stream.write(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}")
        elif self._what != self._said or now - self._last >= _LINE:
            self._said, self._last = self._what, now
            far = f" {self._fraction:.0%}" if self._fraction is not None else ""
            self._stream.write(f"{self._title}{far}, {seconds}{': ' if self._what else ''}{self._what}\n")
        self._stream.flush()


def _bar(fraction: float | None) -> str:
    if fraction is None:
        return f"[{'·' * _WIDTH}]"
    done = round(min(1.0, max(0.0, fraction)) * _WIDTH)
    return f"[{'#' * done}{'·' * (_WIDTH - done)}] {fraction:.0%}"
