"""Dated results, between the marks `<!-- hardware: ROW -->` and `<!-- end -->` of a plug-in's README."""

import re
from pathlib import Path

from tests.hardware.rows import Outcome


def record(readme: Path, outcome: Outcome) -> None:
    """Writes what came of a row over what stood there."""
    readme.write_text(written(readme.read_text(), outcome))


def written(page: str, outcome: Outcome) -> str:
    """The page with the result; raises ValueError where it has no place for it."""
    marked = re.compile(rf"(<!-- hardware: {re.escape(outcome.row)} -->\n).*?(<!-- end -->)", re.DOTALL)
    page, places = marked.subn(lambda found: f"{found[1]}{outcome}\n{found[2]}", page)
    if places != 1:
        raise ValueError(f"{places} places for {outcome.row} in the README")
    return page
