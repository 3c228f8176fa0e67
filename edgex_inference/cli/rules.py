"""`edgex-inference rules`: ready rules for a rules engine on what the bindings of a profile publish.

Exit codes: 0 rules are on standard output, 1 there are none, 2 a file cannot be read or has mistakes.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgex_inference.cli.ruling.ekuiper import Rule


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="PROFILE|FILE", help="read together, as one profiles folder"
    )
    parser.add_argument("--target", choices=("ekuiper",), default="ekuiper", help="whose rules")
    parser.add_argument("--edgex", choices=("2", "3", "4"), default="4", help="the EdgeX that it comes with")
    parser.add_argument(
        "--format",
        choices=("bodies", "ruleset"),
        default="bodies",
        help="bodies for POST /streams and /rules, or a ruleset to import",
    )
    parser.add_argument("--models", type=Path, metavar="DIR", help="the model store, for limits in cards")


def run(args: argparse.Namespace) -> int:
    """Prints the rules; what could not be written is said on standard error."""
    from edgex_inference.bindings.book import Book
    from edgex_inference.bindings.files import read
    from edgex_inference.cli.models.loading import configured
    from edgex_inference.cli.rendering import FORMATS
    from edgex_inference.cli.ruling import ekuiper
    from edgex_inference.cli.ruling.columns import subject
    from edgex_inference.opening import open_engine

    book = Book(read(args.files))
    errors = [problem for problem in book.problems if problem.severity == "error"]
    if errors or not book.documents:
        print(FORMATS["text"](errors, len(book.documents)), file=sys.stderr)
        return 2
    store = open_engine(configured(args.models)).store
    rules: list[Rule] = []
    for profile in sorted(book.profiles):
        for binding in book.look_up(profile, "").bindings:
            written = ekuiper.write(subject(binding, book, store), major=args.edgex)
            rules += _apart(written.rules, {rule.id for rule in rules})
            for sentence in written.missing:
                print(f"edgex-inference rules: {sentence}", file=sys.stderr)
    if not rules:
        print("edgex-inference rules: no binding gives anything to write a rule on", file=sys.stderr)
        return 1
    print(json.dumps(_FORMS[args.format](rules), indent=1, ensure_ascii=False))
    return 0


def _apart(rules: "Iterable[Rule]", taken: set[str]) -> "Iterable[Rule]":
    """The rules under ids that no other one has."""
    from dataclasses import replace

    for rule in rules:
        number, name = 2, rule.id
        while name in taken:
            name, number = f"{rule.id}-{number}", number + 1
        taken.add(name)
        yield replace(rule, id=name)


def _bodies(rules: "Iterable[Rule]") -> Mapping[str, Any]:
    """Each element is the body of one request."""
    found = list(rules)
    streams = [{"sql": sql} for sql in _streams(found).values()]
    return {"streams": streams, "rules": [rule.body() for rule in found]}


def _ruleset(rules: "Iterable[Rule]") -> Mapping[str, Any]:
    """The file that eKuiper imports: rules are texts in it."""
    found = list(rules)
    told = {rule.id: json.dumps(rule.body(), ensure_ascii=False) for rule in found}
    return {"streams": _streams(found), "tables": {}, "rules": told}


def _streams(rules: "Iterable[Rule]") -> Mapping[str, str]:
    from edgex_inference.cli.ruling.ekuiper import STREAMS

    used = {name for rule in rules for name in rule.streams}
    return {name: sql for name, sql in STREAMS.items() if name in used}


_FORMS = {"bodies": _bodies, "ruleset": _ruleset}
