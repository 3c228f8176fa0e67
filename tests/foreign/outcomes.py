"""Parts of a target that are run one by one: what held, what was seen, and the table of it in a page."""

import re
import resource
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests import dated
from tests.foreign.python import ForeignPython

Part = Callable[[], tuple[bool, str]]
"""Whether it holds, and what was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What ran when, whether it holds, what was seen, and the seconds of processor time that it took."""

    name: str
    holds: bool
    seen: str
    used: float
    when: str

    def __str__(self) -> str:
        return f"{self.name}: {'holds' if self.holds else 'BROKEN'}: {self.seen} ({self.used:.0f} s)"


def measured(name: str, part: Part) -> Outcome:
    """Runs a part; one that does not end in time does not hold."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        holds, seen = part()
    except subprocess.TimeoutExpired as error:
        holds, seen = False, f"did not end within {error.timeout:.0f} s"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Outcome(name=name, holds=holds, seen=seen, used=used, when=dated.today())


def suite(
    python: ForeignPython, name: str, tests: str, *, without: Sequence[str], patience: float
) -> tuple[bool, str]:
    """The tests of a file or class, but those `without`; what pytest said lies beside the environment."""
    left_out = ["-k", " and ".join(f"not {test}" for test in without)] if without else []
    done = python.run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-o", "timeout=900", tests, *left_out,
        patience=patience,
    )  # fmt: skip
    log = python.home / f"{name}.log"
    log.write_text(done.stdout + done.stderr)
    last = next((line for line in reversed(done.stdout.splitlines()) if " in " in line), "no word")
    counts = re.sub(r"=+ ?| in .*|, \d+ deselected", "", last).strip()
    holds = done.returncode == 0 and "skipped" not in counts
    return holds, counts if holds else f"{counts} ({log.parent.name}/{log.name})"


def journey(python: ForeignPython, accelerators: Sequence[str], *, patience: float) -> tuple[bool, str]:
    """Events on the memory bus through a binding on each accelerator, and out again."""
    done = python.run(str(Path(__file__).with_name("journey.py")), *accelerators, patience=patience)
    log = python.home / "journey.log"
    log.write_text(done.stdout + done.stderr)
    lines = done.stdout.splitlines()
    holds = done.returncode == 0 and len(lines) == len(accelerators)
    holds = holds and all(line.endswith("20 of 20") for line in lines)
    return holds, "right answers: " + ", ".join(lines) if lines else f"none ({log.parent.name}/{log.name})"


def kept(file: Path, found: Sequence[Outcome]) -> dict[str, Outcome]:
    """The outcomes by name, together with those of other parts that ran before and lie in the file."""
    before = msgspec.json.decode(file.read_bytes(), type=list[Outcome]) if file.exists() else []
    known = {one.name: one for one in [*before, *found]}
    file.write_bytes(msgspec.json.encode(list(known.values())))
    return known


def table(shown: Sequence[Outcome]) -> str:
    """The outcomes as a table."""
    rows = [
        f"| {one.name} | {'yes' if one.holds else '**no**'} | {one.seen} | {one.used:.0f} s | {one.when} |"
        for one in shown
    ]
    return "\n".join(["| | Holds | Seen | Processor time | |", "|---|---|---|---|---|", *rows])


def write(page: Path, mark: str, text: str) -> None:
    """Puts a text between `<!-- measured: MARK -->` and `<!-- end -->`."""
    dated.write(page, f"measured: {mark}", f"\n{text}\n\n")
