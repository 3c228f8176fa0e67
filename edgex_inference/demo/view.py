"""Ways to show the board: live on a terminal, as plain lines elsewhere, as a picture in a file."""

import io
import re
import time
from pathlib import Path
from typing import Protocol, TextIO

from rich.console import Console
from rich.live import Live

from edgex_inference.contracts.errors import SetupError
from edgex_inference.demo.board import Board
from edgex_inference.demo.picture import render, told

_LINES_EVERY = 5.0


class View(Protocol):
    """Shows a board; `refresh` is called a few times a second."""

    def open(self) -> None: ...

    def refresh(self) -> None: ...

    def close(self) -> None: ...


class LiveView:
    """The whole terminal, redrawn in place; the screen is given back at the end."""

    def __init__(self, board: Board, console: Console) -> None:
        self._board, self._console = board, console
        self._live = Live(console=console, screen=True, auto_refresh=False, redirect_stderr=False)

    def open(self) -> None:
        self._live.start()
        self.refresh()

    def refresh(self) -> None:
        width, height = self._console.size
        self._live.update(render(self._board, width, height, time.time_ns()), refresh=True)

    def close(self) -> None:
        self._live.stop()


class LineView:
    """A line for each event of the log, and one for each binding every five seconds."""

    def __init__(self, board: Board, stream: TextIO) -> None:
        self._board, self._stream = board, stream
        self._seen = 0
        self._told = 0.0

    def open(self) -> None:
        self._say(self._board.title)
        self._say(
            f"Listen along in another terminal, with any MQTT client; Ctrl-C stops:\n{self._board.listen}"
        )

    def refresh(self) -> None:
        for entry in self._board.newer_than(self._seen):
            self._say(f"{entry.seconds:6.1f} s  {entry.text}")
        self._seen = self._board.logged
        now = time.time_ns()
        if self._board.elapsed(now) >= self._told + _LINES_EVERY:
            self._told += _LINES_EVERY
            for panel in self._board.panels:
                self._say(f"{self._told:6.1f} s  {told(panel, now)}")

    def close(self) -> None:
        self.refresh()

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def view_for(board: Board, stream: TextIO) -> View:
    """Live where `stream` is a terminal that can move its cursor, else lines."""
    console = Console(file=stream, highlight=False)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveView(board, console)
    return LineView(board, stream)


def save_picture(board: Board, path: Path, *, width: int = 100, height: int = 30) -> None:
    """Writes the board as it is now to an SVG file; raises SetupError where it cannot."""
    console = Console(record=True, width=width, height=height, file=io.StringIO(), force_terminal=True)
    console.print(render(board, width, height, time.time_ns()))
    drawn = console.export_svg(title="edgex-inference demo")
    # Without the web font that rich asks a server for: the machine's own monospace font does.
    plain = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    try:
        path.write_text(plain, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"--svg {path}: {error.strerror or error}") from error
