"""Dated results in pages, between `<!-- MARK -->` and `<!-- end -->`: each run writes its own over the last one's."""

import datetime
import re
from pathlib import Path


def today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def write(page: Path, mark: str, text: str) -> None:
    """Puts whole lines between the marks; raises ValueError where the page has not exactly one place."""
    page.write_text(written(page.read_text(), mark, text))


def written(page: str, mark: str, text: str) -> str:
    """The page with the text."""
    place = re.compile(rf"(<!-- {re.escape(mark)} -->\n).*?(<!-- end -->)", re.DOTALL)
    page, places = place.subn(lambda found: f"{found[1]}{text}{found[2]}", page)
    if places != 1:
        raise ValueError(f"{places} places for {mark}")
    return page
