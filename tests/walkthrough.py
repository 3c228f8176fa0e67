"""Plays a page of documentation: pastes its shell blocks as a reader would, and compares what comes out.

` ```sh ` runs and must succeed, ` ```sh terminal=NAME ` keeps running (a second one of that name replaces the first),
` ```text ` is what the block before it prints, ` ```text terminal=NAME ` what
that terminal goes on to print; with `unordered` the order of lines is open. A `…` in it stands for anything within a
line, a line of `…` alone for any lines. ` ```yaml file=PATH ` (any language) is a file that the reader saves.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 60.0
_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VARYING = (
    (re.compile(r"ts=\S+"), "ts=…"),
    (re.compile(r"source=\S+"), "source=…"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\b[0-9]{19}\b"), "<time>"),
)
_FLOAT = re.compile(r"-?\d\.\d+e[-+]\d\d")
_CURL = """#!{python}
import sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen("http://" + sys.argv[-1])
except urllib.error.HTTPError as error:
    answer = error
sys.stdout.write(answer.read().decode())
"""
"""A stand-in where there is no curl: it knows `curl -s URL`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its language, the words behind it, its text, and the line it starts in."""

    language: str
    words: tuple[str, ...]
    text: str
    line: int

    @property
    def terminal(self) -> str:
        return self._said("terminal")

    @property
    def file(self) -> str:
        """Where the reader saves it, from the folder that the page is in."""
        return self._said("file")

    def _said(self, key: str) -> str:
        return next((word.partition("=")[2] for word in self.words if word.startswith(f"{key}=")), "")


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(
            language=found[1],
            words=tuple(found[2].split()),
            text=found[3],
            line=page.count("\n", 0, found.start()) + 1,
        )
        for found in _FENCE.finditer(page)
    ]


def plain(text: str) -> list[str]:
    """Lines without what differs from run to run: times, ids, the last digits of floats, ends of lines."""
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    text = _FLOAT.sub(lambda found: f"{float(found[0]):.2e}", text)
    return [line.rstrip() for line in text.strip().splitlines()]


@dataclass(slots=True)
class Terminal:
    """A command that keeps running; `seen` is how many of its lines a page has shown already."""

    process: subprocess.Popen[bytes]
    log: Path
    seen: int = 0

    def lines(self) -> list[str]:
        text = self.log.read_text()
        return plain(text[: text.rfind("\n") + 1])[self.seen :]

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


READERS = "onnxruntime,litert"
"""What a reader has installed: where OpenVINO is there too, `auto` would have a choice that no page can foretell."""


class Walkthrough:
    """A reader with a home folder; `replace` is what the reader types instead of the page's words."""

    def __init__(self, home: Path, replace: Mapping[str, str], environment: Mapping[str, str]) -> None:
        self.home = self.folder = home
        self.terminals: dict[str, Terminal] = {}
        self._replace = replace
        tools = home / ".bin"
        tools.mkdir()
        path = [str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin", str(tools)]
        own = {"HOME": str(home), "PATH": os.pathsep.join(path), "INFERENCE_AUTOACCELERATORS": READERS}
        self._environment = {**os.environ, **own, **environment}
        if shutil.which("curl") is None:
            (tools / "curl").write_text(_CURL.format(python=sys.executable))
            (tools / "curl").chmod(0o755)

    def typed(self, text: str) -> str:
        for word, other in self._replace.items():
            text = text.replace(word, other)
        return text

    def run(self, block: Block) -> list[str]:
        """Runs a block to its end; gives its output."""
        where = self.home / ".where"
        script = f"set -e\n{self.typed(block.text)}\npwd > {where}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=250,
            check=False,
        )
        output = done.stdout.decode()
        assert done.returncode == 0, f"line {block.line}: exit code {done.returncode}\n{output}"
        self.folder = Path(where.read_text().strip())
        return plain(output)

    def save(self, block: Block) -> None:
        path = self.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.typed(block.text))

    def start(self, block: Block) -> None:
        """Starts a block in its terminal, after Ctrl+C where something runs there."""
        name = block.terminal
        if name in self.terminals:
            self.terminals.pop(name).stop()
        log = self.home / f".{name}-{block.line}"
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", self.typed(block.text)],
                cwd=self.folder,
                env=self._environment,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.terminals[name] = Terminal(process=process, log=log)

    def wait(self, name: str, *, count: int = 0, until: str = "") -> list[str]:
        """The lines of a terminal once there are `count` new ones, and one that matches `until`."""
        terminal = self.terminals[name]
        deadline = time.monotonic() + PATIENCE
        while True:
            lines = terminal.lines()
            if len(lines) >= count and (not until or any(re.search(until, line) for line in lines)):
                terminal.seen += len(lines)
                return lines
            assert time.monotonic() < deadline, f"{name}: waited for {count or until}\n{self.logs()}"
            try:
                code = terminal.process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"{name}: ended with {code}\n{self.logs()}")

    def logs(self) -> str:
        """What every terminal shows."""
        return "\n".join(f"== {name}\n{one.log.read_text()}" for name, one in self.terminals.items())

    def close(self) -> None:
        for terminal in reversed(self.terminals.values()):
            terminal.stop()


def expect(block: Block, lines: list[str], wanted: str) -> None:
    """Fails with both texts when a block of the page is not what came out."""
    want = plain(wanted)
    if "unordered" in block.words:
        lines, want = sorted(lines), sorted(want)
    said, page = "".join(f"{line}\n" for line in lines), "".join(f"{line}\n" for line in want)
    assert _pattern(want).fullmatch(said), f"line {block.line}: it prints\n{said}\nthe page says\n{page}"


def _pattern(want: list[str]) -> re.Pattern[str]:
    """What these lines stand for."""
    lines = (r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*?") + r"\n" for line in want)
    return re.compile("".join(lines))
