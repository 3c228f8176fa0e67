"""`edgex-inference validate`: every mistake in profiles, side-cars, devices files and model cards at once.

Exit codes: 0 no errors (warnings are allowed), 1 errors, 2 a file cannot be read or the command line is wrong.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from edgex_inference.bindings.book import Book
from edgex_inference.bindings.files import read
from edgex_inference.cli.rendering import FORMATS
from edgex_inference.contracts.errors import Problem

Check = Callable[[Book, Path | None], Iterable[Problem]]
"""A semantic check: the book and the models folder (None: the configured one) → what it found.

A problem's `severity` is `error`, `warning`, `not checked` for what cannot be known on this machine, or `note`.
"""


def _semantic(book: Book, models: Path | None) -> Iterable[Problem]:
    """Whether each binding's model exists, fits and answers rightly on the accelerators of this machine."""
    import asyncio
    import logging

    from edgex_inference.config.flags import Flags
    from edgex_inference.config.load import load
    from edgex_inference.opening import open_engine
    from edgex_inference.pipeline.planning.cards import check_cards
    from edgex_inference.pipeline.planning.check import check_bindings

    loaded = load(Flags(models=str(models.absolute()) if models else ""))

    async def check() -> Iterable[Problem]:
        engine = open_engine(loaded)
        try:
            return [*await check_bindings(book, engine), *await check_cards(book, engine)]
        finally:
            await engine.fleet.close()

    logging.getLogger("edgex_inference").addHandler(logging.NullHandler())  # problems are printed, not logged
    return asyncio.run(check())


CHECKS: list[Check] = [_semantic]
"""The semantic checks of the command."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE|FOLDER", help="read together, as one profiles folder"
    )
    parser.add_argument("--format", choices=sorted(FORMATS), default="text", help="default: text")
    parser.add_argument("--models", type=Path, metavar="DIR", help="the model store to check against")
    parser.add_argument(
        "--schema-only",
        "--no-models",
        action="store_true",
        help="check what is written, not whether it can run",
    )
    parser.add_argument("--choices", action="store_true", help="say too what `auto` takes here, and why")


def run(args: argparse.Namespace) -> int:
    """Checks the files, prints what was found, returns the exit code."""
    book, problems = validate(args.files, models=args.models, checks=() if args.schema_only else CHECKS)
    problems = tuple(one for one in problems if args.choices or one.severity != "note")
    if not book.documents and not problems:
        problems = (Problem(file=str(args.files[0]), path="", message="has no YAML or JSON file to check"),)
    print(FORMATS[args.format](problems, len(book.documents)))
    if book.unreadable or not book.documents:
        return 2
    return int(any(problem.severity == "error" for problem in problems))


def validate(
    paths: Sequence[Path], *, models: Path | None = None, checks: Iterable[Check] = ()
) -> tuple[Book, tuple[Problem, ...]]:
    """Reads the files as one set and gives every problem, in the order of files and lines."""
    book = Book(read(paths))
    checked = [problem for check in checks for problem in check(book, models)]
    found = [*_without_repeats(book.problems, checked), *_card_problems(book), *checked]
    order = {str(path): index for index, path in enumerate(book.documents)}
    unique = dict.fromkeys(found)
    by_place = sorted(unique, key=lambda p: (order.get(p.file, -1), p.file, p.line, p.column))
    return book, tuple(by_place)


def _without_repeats(written: Iterable[Problem], checked: Sequence[Problem]) -> Iterable[Problem]:
    """What is said of the text, without the warnings of which the model made errors, at the same key or around it."""
    errors = [problem for problem in checked if problem.severity == "error"]
    for problem in written:
        around = (one.path for one in errors if one.file == problem.file)
        if problem.severity != "warning" or not any(
            problem.path == path or problem.path.startswith((f"{path}.", f"{path}[")) for path in around
        ):
            yield problem


def _card_problems(book: Book) -> Iterable[Problem]:
    if not book.cards:
        return
    from edgex_inference.engine.cards.card import check_card  # only here: cards bring numpy along

    for document in book.cards:
        yield from check_card(document, Path(document.source.file).parent)[1]
