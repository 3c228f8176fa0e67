"""The documents say what is true: their commands run, their tables are the code's, their links lead somewhere."""

import argparse
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgex_inference.bindings import later
from edgex_inference.bindings.block import Scope, read_block
from edgex_inference.bindings.book import Book
from edgex_inference.bindings.files import read
from edgex_inference.config.flags import _FLAGS, Flags, add_arguments, spell_out
from edgex_inference.config.load import load as load_configuration
from edgex_inference.config.places import Steps
from edgex_inference.config.problems import Document
from edgex_inference.config.reader import Cursor, Reader
from edgex_inference.contracts.errors import InferenceError
from edgex_inference.edgex.metadata.records import DOWN, LOCKED
from edgex_inference.engine.cards.card import check_card
from edgex_inference.pipeline.page import FATES
from edgex_inference.web.app import build

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *(ROOT / "accelerators").rglob("*.md"), *ROOT.glob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


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


def text(page: str) -> str:
    return (DOCS / page).read_text()


# Links


def anchors(page: str) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    heads = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", NAMES)
def test_relative_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    plain = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", plain):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), f"{name}: {target} leads nowhere"
        if anchor:
            assert anchor in anchors(other.read_text()), f"{name}: {target}: no such heading"


def test_every_page_can_be_reached_from_the_index() -> None:
    seen, left = set[Path](), [DOCS / "README.md"]
    while left:
        page = left.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        found = re.findall(r"\]\(([^)#\s:]+)", page.read_text())
        left += [(page.parent / link).resolve() for link in found if (page.parent / link).is_file()]
    apart = {page for page in DOCS.rglob("*.md") if page.parent.name != "adr"} - seen
    assert not apart


# Tables


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_generated_parts_are_what_the_code_says(page: Path) -> None:
    generate = load(DOCS / "generate.py")
    assert page.read_text() == generate.written(page.read_text()), (
        "run .venv/bin/python docs/generate.py and look at the difference"
    )


def rows(page: str, heading: str) -> list[str]:
    """The first cells of the first table below a heading, without backticks."""
    below = f"\n{text(page)}".split(f"\n{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert table is not None
    return [line.split("|")[1].strip().strip("`") for line in table[0].splitlines()[2:]]


def leaves(keys: Iterable[str]) -> set[str]:
    """The keys that no other one continues."""
    found = set(keys)
    return {key for key in found if not any(other.startswith((f"{key}.", f"{key}[")) for other in found)}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[Steps]:
    """Every key that any reader asks for."""
    found = set[Steps]()
    at = Reader.at

    def recorded(self: Reader, key: str) -> Cursor:
        found.add((*self.steps, key))
        return at(self, key)

    monkeypatch.setattr(Reader, "at", recorded)
    return found


def spelled(steps: Iterable[object], named: tuple[str, ...]) -> str:
    """`("inputs", 0, "field")` → `inputs[].field`; what stands below one of `named` is a name."""
    said = ""
    before: object = None
    for step in steps:
        said += "[]" if isinstance(step, int) else f".{'<name>' if before in named else step}"
        before = step
    return said.lstrip(".")


def test_the_page_has_every_key_of_the_block(asked: set[Steps], monkeypatch: pytest.MonkeyPatch) -> None:
    noted = {(key,) for key in (*later._CHECKERS, "steps")}
    note = later.Later.note

    def recorded(self: later.Later, cursor: Cursor) -> Cursor:
        noted.add(cursor.steps[1:])
        return note(self, cursor)

    monkeypatch.setattr(later.Later, "note", recorded)
    maps = ("model", "normalize", "postprocess", "decide", "publish", "limits", "poll", "trigger")
    parts: dict[str, object] = {key: {} for key in maps}
    block = {**parts, "inputs": [{}], "accelerator": {"name": "a", "options": {}}, "outputs": {"X": {}}}
    node = Document.of(block, "block").root
    read_block("B", node, Scope(profile="p", resource="r"))
    vocabulary = {spelled(steps[1:], ("outputs",)) for steps in asked}
    unbuilt = {spelled(steps, ()) for steps in noted}
    section = (
        text("reference/inference-block.md").split("## Valid, but not built yet")[1].split("So do tasks")[0]
    )
    listed = set(re.findall(r"`([a-zA-Z.\[\]]+)`", section)) - {"validate", "run"}
    assert listed == unbuilt
    assert leaves(rows("reference/inference-block.md", "## Keys")) == leaves(vocabulary) - unbuilt


def test_the_page_has_every_key_of_a_card(asked: set[Steps], tmp_path: Path) -> None:
    numbers = {"kind": "vector", "normalize": {}, "quantization": {}}
    words = ("form", "order", "coordinates", "activation", "input")
    output = {"quantization": {}, "stride": 8, "background": 0, **dict.fromkeys(words, "x")}
    card = {
        "files": [{"path": "x", "parity": {}}],
        "inputs": {"picture": {"kind": "image", "quantization": {}}, "numbers": numbers},
        "outputs": {"o": output},
        "golden": [{"tolerance": {}}],
        **{key: {} for key in ("postprocess", "score", "priors", "parity")},
    }
    check_card(Document.of(card, "model.yaml"), tmp_path)
    vocabulary = {spelled(steps, ("inputs", "outputs")) for steps in asked}
    assert leaves(rows("reference/model-card.md", "## Keys")) == leaves(vocabulary)


def test_every_reason_of_a_drop_is_explained() -> None:
    spoken = re.compile(r'(?:Unfit\(|reason=|(?:dropped|invalid)\.add\()\s*"(\w+)"')
    used = set[str]()
    for room in ("buses", "edgex", "preprocess", "pipeline"):
        for path in (ROOT / "edgex_inference" / room).rglob("*.py"):
            used.update(spoken.findall(path.read_text()))
    used |= {
        "queueFull",
        "overtaken",
        "envelope",
        "event",
        LOCKED,
        DOWN,
    }  # chosen by an expression, and a default
    page = "reference/metrics.md"
    assert {*rows(page, "## Reasons of drops"), *rows(page, "### Reasons of refusals")} == used


def test_every_fate_of_a_message_is_explained() -> None:
    assert set(rows("reference/metrics.md", "### Fates of messages")) == {*FATES, "invalid"}


def test_every_kind_of_failure_is_explained() -> None:
    kinds = {kind.kind for kind in InferenceError.__subclasses__()} | {"bus", "unexpected"}
    assert set(rows("reference/metrics.md", "## Kinds of failures")) == kinds


def test_every_http_path_is_described() -> None:
    app = build(None)  # type: ignore[arg-type]
    paths = {str(route.resource.canonical) for route in app.router.routes() if route.resource is not None}
    assert set(rows("reference/http.md", "# HTTP")) == paths


# Examples


def examples(language: str) -> list[Any]:
    """Blocks of all pages that no reader saves as a file: those are played."""
    return [
        pytest.param(block.text, id=f"{page.stem}-{block.line}")
        for page in sorted(DOCS.rglob("*.md"))
        for block in walkthrough.blocks(page.read_text())
        if block.language == language and not block.file
    ]


@pytest.mark.parametrize("example", examples("yaml"))
def test_examples_of_profiles_are_valid(example: str, tmp_path: Path) -> None:
    found = yaml.safe_load(example)
    if not {"deviceResources", "match"} & set(found):
        return
    (tmp_path / "example.yaml").write_text(example)
    assert [str(problem) for problem in Book(read([tmp_path])).problems] == []


@pytest.mark.parametrize("example", examples("yaml"))
def test_examples_of_cards_are_right(example: str, tmp_path: Path) -> None:
    found = yaml.safe_load(example)
    if not {"schema", "files"} <= set(found):
        return
    folder = tmp_path / found["name"] / found["version"]
    folder.mkdir(parents=True)
    for file in found["files"]:
        (folder / file["path"]).touch()
    card, problems = check_card(Document.of(found, "model.yaml"), folder)
    assert [str(problem) for problem in problems] == []
    assert card is not None


def unit() -> str:
    """The unit file of the page on systemd."""
    page = walkthrough.blocks(text("how-to/systemd.md"))
    return next(block.text for block in page if block.language == "ini")


def test_the_unit_says_flags_and_variables_that_exist() -> None:
    (started,) = re.findall(r"^ExecStart=(.*)$", unit(), re.MULTILINE)
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    parser.parse_args(spell_out(started.split()[1:]))
    variables = set(re.findall(r"^Environment=(\w+)", unit(), re.MULTILINE)) - {"EDGEX_SECURITY_SECRET_STORE"}
    assert variables <= set(re.findall(r"`([A-Z_]+)`", text("reference/configuration.md")))


def test_the_unit_pleases_systemd(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: nothing here reads unit files")
    path = tmp_path / "app-inference.service"
    path.write_text(unit().replace("/opt/edgex-inference/bin/edgex-inference", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", path], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, "app-inference.service" in done.stderr) == (0, False), done.stderr


def test_the_mistake_in_the_readme_is_said_like_that(tmp_path: Path) -> None:
    """The block that the README shows, with the misspelling that it speaks of."""
    page = walkthrough.blocks((ROOT / "README.md").read_text())
    block = next(one.text for one in page if one.language == "yaml" and "deviceResources" in one.text)
    (shown,) = (one.text.splitlines() for one in page if one.language == "text")
    (tmp_path / "camera.yaml").write_text(f"name: camera\n{block.replace('value: count', 'value: cuont')}")
    (problem,) = Book(read([tmp_path])).problems
    assert shown[0].endswith(f": {problem.path}: {problem.message}")
    assert shown[1].strip() == problem.source.strip()


@pytest.mark.parametrize("example", examples("toml"))
def test_examples_of_configuration_are_valid(example: str, tmp_path: Path) -> None:
    if "MessageBus" not in tomllib.loads(example):
        return
    (tmp_path / "configuration.toml").write_text(example.replace('password = ""', 'password = "x"'))
    load_configuration(Flags(), environ={}, directory=tmp_path)


@pytest.mark.parametrize("example", examples("json"))
def test_examples_of_json_are_json(example: str) -> None:
    assert json.loads(example)


# Guides

UNGUIDED = {
    "description", "license",  # for people
    "AutoReconnect", "PublishTopic",  # accepted and not used
    "StartupMsg", "MaxRequestSize", "MaxResultCount",  # as in all of EdgeX
    "--overwrite", "--registry", "--skipVersionCheck", "--configProvider",  # nothing to say of them yet
    "--svg", "--seed", "--edgex", "--port", "--pretty", "--version", "--no-models",  # said by --help
}  # fmt: skip
"""Words of the reference that no how-to needs to speak of."""


def test_every_option_has_a_guide() -> None:
    """Each key of block, card and configuration and each flag is used or spoken of outside the reference."""
    pages = [*(DOCS / "how-to").glob("*.md"), *(DOCS / "explanation").glob("*.md"), DOCS / "tutorial.md"]
    guides = "\n".join(page.read_text() for page in pages)
    keys = [
        key for page in ("inference-block", "model-card") for key in rows(f"reference/{page}.md", "## Keys")
    ]
    words = {key.split(".")[-1].removesuffix("[]") for key in keys}
    table = text("reference/configuration.md").split("## Keys")[1].split("<!-- end -->")[0]
    words |= set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    short = {flag.long: flag.short for flag in _FLAGS}
    flags = set(re.findall(r"`(--[a-zA-Z-]+)", text("reference/cli.md"))) - {"--help"}
    spoken = {word for word in words | flags if said(word, guides)}
    spoken |= {f"--{long}" for long, letter in short.items() if letter and said(f"-{letter}", guides)}
    missing = (words | flags) - spoken - UNGUIDED
    assert not missing


def said(word: str, guides: str) -> bool:
    """As it is, or as the end of an environment variable."""
    return re.search(rf"(?<![\w-]){re.escape(word)}\b|_{word.upper()}\b", guides) is not None
