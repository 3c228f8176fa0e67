"""What was measured, into docs/benchmarks.md: one part for each family, with the machine it was measured on.

A part stands between `<!-- measured: NAME -->` and `<!-- end -->`; nothing else on the page is written by a program.
"""

import os
import platform
import re
from collections.abc import Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.bench.rows import Row, table

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
_PACKAGES = ("numpy", "msgspec", "onnxruntime", "openvino", "paho-mqtt", "simplejpeg", "uvloop")
_ALONE = 0.5
"""The load of a machine that nobody else uses, before anything is measured."""


def load() -> float:
    """How many processes wanted a processor in the last minute; asked before measuring."""
    return os.getloadavg()[0]


def record(name: str, rows: Sequence[Row], before: float, page: Path = PAGE) -> None:
    """Puts the rows into their part of the page; `before` is the load before they were measured."""
    part = re.compile(rf"(<!-- measured: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    made = f"{circumstances(before)}\n\n{table(rows, markdown=True)}"
    text, found = part.subn(lambda match: f"{match[1]}{made}{match[2]}", page.read_text())
    if not found:
        raise ValueError(f"{page}: there is no part {name}")
    page.write_text(text)


def circumstances(before: float) -> str:
    """Date, machine and versions in one line, and whether others were using it."""
    shared = "" if before < _ALONE else f"; **shared with other work**: load {before:.1f} before measuring"
    packages = ", ".join(f"{name} {found}" for name in _PACKAGES if (found := _version(name)))
    python = f"Python {platform.python_version()}"
    return f"{date.today()}, {_processor()}, {os.cpu_count()} cores, {python}, {packages}{shared}."


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()
