"""Dated results between marks of a page."""

from pathlib import Path

import pytest

from tests import dated

PAGE = "a\n<!-- make x -->\nold\nolder\n<!-- end -->\nb\n<!-- make y -->\nkept\n<!-- end -->\n"


def test_only_what_is_between_the_marks_is_written_over(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(PAGE)
    dated.write(page, "make x", r"new \1" + "\n")
    assert page.read_text() == PAGE.replace("old\nolder", r"new \1")


@pytest.mark.parametrize("page", ["no place at all", PAGE + PAGE])
def test_a_page_with_no_place_or_several_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="places for make x"):
        dated.written(page, "make x", "new\n")
