"""Problems as text with carets, as JSON, and as GitHub's annotations."""

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from edgex_inference.contracts.errors import Problem

_WIDEST = 150
_GITHUB = {"error": "error", "warning": "warning"}


def text(problems: Sequence[Problem], files: int) -> str:
    """`file:line:column: path: message`, the source line with a caret, and a last line that sums up."""
    blocks = [_block(problem) for problem in problems]
    return "\n".join([*blocks, _summary(problems, files)])


def as_json(problems: Sequence[Problem], _files: int) -> str:
    """A list of objects with file, line, column, path, message, severity and source."""
    return json.dumps([asdict(problem) for problem in problems], indent=2, ensure_ascii=False)


def github(problems: Sequence[Problem], _files: int) -> str:
    """Workflow commands that annotate the lines of a pull request."""
    return "\n".join(_annotation(problem) for problem in problems)


FORMATS: Mapping[str, Callable[[Sequence[Problem], int], str]] = {
    "text": text,
    "json": as_json,
    "github": github,
}


def _block(problem: Problem) -> str:
    place = f"{problem.file}:{problem.line}:{problem.column}: " if problem.line else f"{problem.file}: "
    path = f"{problem.path}: " if problem.path else ""
    severity = "" if problem.severity == "error" else f"{problem.severity}: "
    head = _printable(f"{place}{path}{severity}{problem.message}")
    return f"{head}\n{_caret(problem)}" if problem.source.strip() else head


def _caret(problem: Problem) -> str:
    """The source line and a caret below the column; a long line is cut around it."""
    at = max(problem.column - 1, 0)
    start = max(at - _WIDEST + 30, 0)
    line = problem.source[start : start + _WIDEST]
    pad = "".join("\t" if one == "\t" else " " * _width(one) for one in line[: at - start])
    return f"    {_printable(line)}\n    {pad}^"


def _width(one: str) -> int:
    if unicodedata.combining(one):
        return 0
    return 2 if unicodedata.east_asian_width(one) in "WF" else 1


def _printable(line: str) -> str:
    """Without control characters, which a terminal would obey; tabs stay."""
    return "".join(one if one == "\t" or one.isprintable() else "\ufffd" for one in line)


def _summary(problems: Sequence[Problem], files: int) -> str:
    counts = [
        _count(sum(problem.severity == "error" for problem in problems), "error"),
        _count(sum(problem.severity == "warning" for problem in problems), "warning"),
    ]
    unknown = sum(problem.severity == "not checked" for problem in problems)
    if unknown:
        counts.append(f"{unknown} not checked")
    return f"{_count(files, 'file')}: {', '.join(counts)}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _annotation(problem: Problem) -> str:
    """GitHub's `::error file=…,line=…,col=…::message`."""
    where = [f"file={_escaped(problem.file, ':,')}"]
    if problem.line:
        where += [f"line={problem.line}", f"col={problem.column}"]
    said = f"{problem.path}: {problem.message}" if problem.path else problem.message
    return f"::{_GITHUB.get(problem.severity, 'notice')} {','.join(where)}::{_escaped(said)}"


def _escaped(words: str, more: str = "") -> str:
    for one in "%\r\n" + more:
        words = words.replace(one, f"%{ord(one):02X}")
    return words
