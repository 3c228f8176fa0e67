"""A target whose tests are pytest's alone: plays them, and writes into a page when that was and how many held.

python -m tests.played MARK PAGE TESTS…      exit code pytest's; the page stays as it was unless that is 0
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from tests import dated

ROOT = Path(__file__).parents[1]


def main(mark: str, page: str, *tests: str) -> int:
    """0 when something was played, and all of it held."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-o", "junit_family=xunit1", f"--junitxml={results}"]
        done = subprocess.run([*command, *tests], cwd=ROOT, check=False)
        if done.returncode:
            return done.returncode
        passed, text = told(ElementTree.parse(results).iter("testcase"))
    print(text)
    if not passed:
        return 1
    dated.write(ROOT / page, mark, f"{text}\n")
    return 0


def told(cases: Iterable[ElementTree.Element]) -> tuple[int, str]:
    """How many passed of a run without failures, and that in words, with the reasons of what was skipped."""
    skips = [case.find("skipped") for case in cases]
    reasons = [one.get("message", "") for one in skips if one is not None]
    passed = len(skips) - len(reasons)
    text = f"Played on {dated.today()}: {passed} tests passed"
    if reasons:
        text += f", {len(reasons)} skipped ({'; '.join(dict.fromkeys(reasons))})"
    return passed, f"{text}."


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
