"""Every command of the documents is run as it stands there, and prints what the page says."""

import argparse
import importlib
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgex_inference.cli.main import COMMANDS, module_of
from edgex_inference.config.flags import spell_out
from edgex_inference.testing import onnx_models
from tests.ports import free_port


def neighbor(name: str) -> Any:
    """The module of that name in the folder above, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


walkthrough = neighbor("walkthrough")

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *(ROOT / "accelerators").rglob("*.md"), *ROOT.glob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

UNPLAYED: Mapping[tuple[str, str], str] = {
    ("README.md", "make run"): "makes .venv; the demo has tests of its own, `make test` is this run",
    ("README.md", "pip install"): "installs everything, and needs an EdgeX",
    ("CONTRIBUTING.md", "make check"): "the checks of this run",
    (
        "docs/benchmarks.md",
        "BENCH_ROWS=",
    ): "measures for minutes; `make bench` has tests of its own in tests/unit",
    (
        "docs/benchmarks.md",
        "make soak",
    ): "runs for ten minutes; tests/integration/test_soak.py has short ones",
    ("docs/arm64.md", "make arm64"): "fetches an ARM64 system and emulates it for minutes",
    ("docs/how-to/configuration-provider.md", "edgex-inference run"): "played by test_provider_how_to.py",
    ("docs/how-to/configuration-provider.md", "curl -X"): "played by test_provider_how_to.py",
    (
        "docs/how-to/nvidia.md",
        "pip install",
    ): "installs what NVIDIA's own index has; `make nvidia` tries the other",
    ("docs/how-to/nvidia.md", "python3 -m venv"): "is for a Jetson",
    ("docs/tutorial.md", "make setup"): "installs; the test runs in what it makes",
    ("docs/how-to/core-metadata.md", "curl -X PATCH"): "needs a core-metadata that knows the device",
    ("docs/how-to/write-an-accelerator.md", "pip install"): "installs; the suite is run by tests/contract",
}
"""Page and first words of a block that nothing runs → why."""

PICTURES = ROOT / "edgex_inference/demo/models/part-detect/2026.11/golden"
COMMAND_LANGUAGES = ("sh", "bash", "shell", "console")


def shell(page: Path) -> Iterator[Any]:
    """The blocks of a page that are commands."""
    return (block for block in walkthrough.blocks(page.read_text()) if block.language in COMMAND_LANGUAGES)


def reason(name: str, block: Any) -> str:
    """Why nothing runs this block; empty when it is played."""
    first = block.text
    return next(
        (why for (page, words), why in UNPLAYED.items() if page == name and first.startswith(words)), ""
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_fence_says_what_it_holds(name: str) -> None:
    """A fence without a language could hide a command."""
    page = (ROOT / name).read_text()
    assert len(re.findall(r"^\s*```", page, re.MULTILINE)) == 2 * len(walkthrough.blocks(page))


def test_what_is_not_played_is_there() -> None:
    found = {
        key
        for name in NAMES
        for block in shell(ROOT / name)
        for key in UNPLAYED
        if key[0] == name and block.text.startswith(key[1])
    }
    assert found == set(UNPLAYED)


# Commands inside sentences


def spoken() -> list[Any]:
    """`edgex-inference …` in backticks or on a line of its own, wherever it stands."""
    found = {
        (name, command)
        for name in NAMES
        for command in re.findall(r"`(edgex-inference [^`\n]+)`", (ROOT / name).read_text())
        if not re.search(r"…|COMMAND|…|\[", command)
    }
    return [pytest.param(command, id=f"{Path(name).stem}: {command}") for name, command in sorted(found)]


@pytest.mark.parametrize("command", spoken())
def test_commands_in_sentences_are_understood(command: str) -> None:
    words = shlex.split(command)[1:]
    if words[0] in ("--help", "--version"):
        return
    name, rest = ("run", words) if words[0].startswith("-") else (words[0], words[1:])
    assert name in COMMANDS
    parser = argparse.ArgumentParser(prog=command, allow_abbrev=False, exit_on_error=False)
    importlib.import_module(module_of(name)).add_arguments(parser)
    if rest and (rest != ["--help"]):
        parser.parse_args(spell_out(rest) if name == "run" else rest)


# What the pages take as given


def pumps(reader: Any) -> None:
    """The folder of the tutorial with every file that it makes, and its model."""
    folder = reader.home / "pumps"
    for block in walkthrough.blocks((DOCS / "tutorial.md").read_text()):
        for name, content in re.findall(r"^cat > (\S+) <<'EOF'\n(.*?)^EOF$", block.text, re.M | re.S):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(reader.typed(content))
    subprocess.run([sys.executable, "make_model.py"], cwd=folder, check=True, timeout=250)


def gauges(reader: Any) -> None:
    """A model file of the reader's own, a picture in, three scores out, and a folder of pictures."""
    home = reader.home
    nodes = [
        helper.make_node("GlobalAveragePool", ["picture"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["scores"]),
    ]
    picture = (TensorProto.FLOAT, ("N", 3, 24, 32))
    weights = numpy_helper.from_array(np.eye(3, dtype=np.float32), "w")
    scores = (TensorProto.FLOAT, ("N", 3))
    onnx_models.save(home / "gauges.onnx", nodes, {"picture": picture}, {"scores": scores}, [weights])
    (home / "profiles").mkdir()
    shutil.copytree(PICTURES, home / "pictures")


def profiles(reader: Any) -> None:
    """A folder of profiles: the project's examples."""
    shutil.copytree(ROOT / "profiles", reader.home / "profiles")


HOW_TO = "docs/how-to"
PUMPS = (
    "accelerators", "compile-ahead", "convert", "decide", "infer-on-another-machine", "infer-over-http",
    "logs-and-counters", "models", "overrides", "publish", "readings", "tasks",
)  # fmt: skip
GIVEN: Mapping[str, Callable[[Any], None]] = {
    f"{HOW_TO}/connect-to-edgex.md": profiles,
    f"{HOW_TO}/rules.md": profiles,
    f"{HOW_TO}/try-a-profile.md": gauges,
    "docs/explanation/for-ml-people.md": gauges,
    "docs/explanation/choosing-limits.md": pumps,
    **{f"{HOW_TO}/{page}.md": pumps for page in PUMPS},
}
"""Page → what its reader has already."""


# Playing


_READY = {
    "broker": ("broker", " running$"),
    "service": ("broker", r" [01] edgex/events/#$"),
    "listener": ("broker", r" 0 edgex/events/device/app-inference/#$"),
}
"""Where and how it shows that a terminal is ready: in Mosquitto's verbose log."""


def played() -> list[str]:
    """The pages with something to play."""
    return [name for name in NAMES if any(not reason(name, block) for block in shell(ROOT / name))]


@pytest.mark.parametrize("name", played())
def test_the_page_is_true(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Every block is pasted, with free ports for the page's; every output is compared."""
    page = walkthrough.blocks((ROOT / name).read_text())
    port, replace = str(free_port()), {"mosquitto -p": "mosquitto -v -p", "18000": str(free_port())}
    if any(block.terminal == "broker" for block in page):
        broker = request.getfixturevalue("mosquitto")()
        broker.stop()
        replace |= {"18830": str(broker.port), "59760": port}
    reader = walkthrough.Walkthrough(tmp_path, replace, {"SERVICE_PORT": port})
    if (given := GIVEN.get(name)) is not None:
        given(reader)
    said: list[str] = []
    try:
        for before, block in zip([None, *page], page, strict=False):
            if block.file:
                reader.save(block)
            elif block.language in COMMAND_LANGUAGES and not reason(name, block):
                said = play(reader, block)
            elif block.language == "text":
                terminal = block.terminal or (before.terminal if before is not None else "")
                wanted = reader.typed(block.text)
                lines = reader.wait(terminal, count=len(walkthrough.plain(wanted))) if terminal else said
                walkthrough.expect(block, lines, wanted)
    finally:
        reader.close()
    for check in AFTERWARDS.get(name, ()):
        check(tmp_path)


def play(reader: Any, block: Any) -> list[str]:
    if not block.terminal:
        found: list[str] = reader.run(block)
        return found
    reader.start(block)
    if block.terminal in _READY:  # what else is started, the page itself waits for
        terminal, sign = _READY[block.terminal]
        reader.wait(terminal, until=sign)
    return []


def same_row_as_http(home: Path) -> None:
    """The answer that the HTTP page shows has the keys of a real one."""
    page = walkthrough.blocks((DOCS / "reference/http.md").read_text())
    shown = next(block for block in page if "sample" in block.words)
    real = json.loads((home / "pumps" / "page.json").read_text())["bindings"][0]
    assert outline(json.loads(shown.text)["bindings"][0]) == outline(real)


def outline(row: dict[str, Any]) -> dict[str, object]:
    """The keys of a binding's row and of its counters and latencies."""
    return {"row": list(row), "counters": list(row["counters"]), "latencyMs": list(row["latencyMs"])}


AFTERWARDS: Mapping[str, tuple[Callable[[Path], None], ...]] = {"docs/tutorial.md": (same_row_as_http,)}
"""Page → what must be true in the reader's home afterwards."""
