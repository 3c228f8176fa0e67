"""The documents say what is true: their commands run, their tables are the code's, their links lead somewhere."""

import importlib.util
import re
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md"))


def load(path: Path) -> Any:
    """A module that lies in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


walkthrough = load(ROOT / "tests" / "walkthrough.py")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


_SUBSCRIBED = {
    "broker": ("broker", " running$"),
    "service": ("broker", r" 0 edgex/events/#$"),
    "listener": ("broker", r" 0 edgex/events/device/app-inference/#$"),
}
"""What shows in Mosquitto's verbose log that a terminal is ready."""


def test_the_tutorial_is_true(tmp_path: Path, mosquitto: Callable[..., Any]) -> None:
    """Every block is pasted, with free ports for the page's; every output is compared."""
    broker = mosquitto()
    broker.stop()
    port = str(free_port())
    replace = {"mosquitto -p": "mosquitto -v -p", "18830": str(broker.port), "59760": port}
    reader = walkthrough.Walkthrough(tmp_path, replace, {"SERVICE_PORT": port})
    page = walkthrough.blocks((DOCS / "tutorial.md").read_text())
    said: list[str] = []
    try:
        for before, block in zip([None, *page], page, strict=False):
            if block.language == "sh":
                said = play(reader, block)
            elif block.language == "text":
                name = block.terminal or (before.terminal if before is not None else "")
                wanted = reader.typed(block.text)
                lines = reader.wait(name, count=len(walkthrough.plain(wanted))) if name else said
                walkthrough.expect(block, lines, wanted)
    finally:
        reader.close()
    assert len(page) > 25


def play(reader: Any, block: Any) -> list[str]:
    if "install" in block.words:
        return []
    if not block.terminal:
        found: list[str] = reader.run(block)
        return found
    reader.start(block)
    terminal, sign = _SUBSCRIBED[block.terminal]
    reader.wait(terminal, until=sign)
    return []
