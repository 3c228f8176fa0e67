"""What `make bench` writes into its page."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def _loaded(name: str) -> ModuleType:
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module(f"tests.bench.{name}")
    finally:
        sys.path.remove(str(ROOT))


document, rows, main = _loaded("document"), _loaded("rows"), _loaded("__main__")

PAGE = (
    "# Figures\n\n<!-- measured: sensor -->\nyesterday\n<!-- end -->\n\n"
    "prose\n\n<!-- measured: many -->\n<!-- end -->\n"
)
ROW = rows.Row(name="ours", value=7.0, unit="µs")


def test_a_family_fills_its_own_part_and_leaves_the_rest(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    document.record("sensor", [ROW], 0.1, page)
    text = page.read_text()
    assert "yesterday" not in text
    assert text.index("| ours | 7 | µs |") < text.index("<!-- end -->")
    assert text.endswith("prose\n\n<!-- measured: many -->\n<!-- end -->\n")
    assert "shared" not in text
    document.record("sensor", [ROW], 0.1, page)
    assert page.read_text() == text


def test_that_others_used_the_machine_is_said(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    document.record("many", [ROW], 3.21, page)
    assert "**shared with other work**: load 3.2 before measuring" in page.read_text()


def test_a_part_that_is_not_there_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    with pytest.raises(ValueError, match="camera"):
        document.record("camera", [ROW], 0.0, page)


def test_the_page_has_a_part_for_each_family_and_for_the_soak() -> None:
    text = document.PAGE.read_text()
    for name in (*main.FAMILIES, "soak"):
        assert text.count(f"<!-- measured: {name} -->") == 1
