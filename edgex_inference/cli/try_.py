"""`edgex-inference try`: what a binding would publish for these inputs, before anything is deployed; no bus is needed.

Exit codes: 0 every input has an answer, 1 the binding cannot run or an input has none, 2 a file cannot be read or the
command line is wrong.
"""

import argparse
import sys
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgex_inference.cli.trying.attempts import Attempts
    from edgex_inference.cli.trying.given import Given
    from edgex_inference.cli.trying.report import Outcome
    from edgex_inference.pipeline.trial import Answer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("profile", type=Path, metavar="PROFILE", help="a profile, or a folder as ProfilesDir")
    parser.add_argument("binding", metavar="BINDING", help="its name, or PROFILE-NAME/NAME")
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="INPUT",
        help="a picture, a folder of pictures, a video, a CSV, a captured event",
    )
    parser.add_argument(
        "--device", default="", metavar="NAME", help="answer as for this device, overrides too"
    )
    parser.add_argument("--accelerator", default="", metavar="NAME[:DEVICE]", help="run on this one only")
    parser.add_argument("--models", type=Path, metavar="DIR", help="the model store")
    parser.add_argument(
        "--save", type=Path, metavar="DIR", help="write each picture with the answer drawn into it"
    )
    parser.add_argument("--pretty", action="store_true", help="events over several lines")
    parser.add_argument(
        "--brief", action="store_true", help="the readings of each event on one line, nothing else"
    )
    parser.add_argument("--json", action="store_true", help="one object a line, all else to stderr")
    parser.add_argument("--limit", type=_count, metavar="N", help="no more than N events")
    parser.add_argument("--every", type=_count, default=1, metavar="N", help="every N-th frame of a video")


def run(args: argparse.Namespace) -> int:
    """Answers the inputs one by one and prints what would go out."""
    import asyncio
    import logging

    from edgex_inference.cli.trying.given import InputError

    logging.getLogger("edgex_inference").addHandler(logging.NullHandler())  # what matters is printed
    try:
        outcomes = asyncio.run(_attempt(args))
    except InputError as error:
        print(f"edgex-inference try: {error}", file=sys.stderr)
        return 2
    return int(any(outcome.answer is None for outcome in outcomes))


async def _attempt(args: argparse.Namespace) -> "list[Outcome]":
    import time

    from edgex_inference.cli.trying import drawing, report, sources
    from edgex_inference.cli.trying.attempts import Wish, opened

    if args.save is not None:
        drawing.check()
    wish = Wish(
        profile=args.profile,
        binding=args.binding,
        device=args.device,
        accelerator=args.accelerator,
        models=args.models,
    )
    outcomes: list[Outcome] = []
    aside = sys.stderr if args.json else sys.stdout
    async with opened(wish) as attempts:
        started = time.perf_counter()
        wanted = await attempts.wanted()
        trial = await attempts.trial(wanted.device)
        if not args.brief:
            print(report.head(trial.plan, time.perf_counter() - started), file=aside)
        given = sources.events(args.inputs, wanted, every=args.every)
        async for outcome in _answers(attempts, islice(given, args.limit), args.save):
            outcomes.append(outcome)
            print(_shown(outcome, args))
        if len(outcomes) > 1 and not args.brief:
            print(report.summary(outcomes), file=aside)
    return outcomes


async def _answers(
    attempts: "Attempts", given: "Iterator[Given]", folder: Path | None
) -> "AsyncIterator[Outcome]":
    from edgex_inference.cli.trying.report import Outcome
    from edgex_inference.contracts.errors import InferenceError, MessageError

    for one in given:
        trial = await attempts.trial(one.event.device_name)
        try:
            answer = await trial.answer(one.event)
        except (MessageError, InferenceError) as error:
            yield Outcome(name=one.name, plan=trial.plan, error=str(error))
            continue
        saved = _save(one, answer, trial.plan.binding.name, folder)
        yield Outcome(name=one.name, plan=trial.plan, answer=answer, saved=saved)


def _shown(outcome: "Outcome", args: argparse.Namespace) -> str:
    from edgex_inference.cli.trying import report

    if args.json:
        return report.as_json(outcome)
    return report.brief(outcome) if args.brief else report.text(outcome, pretty=args.pretty)


def _save(given: "Given", answer: "Answer", binding: str, folder: Path | None) -> Path | None:
    """Writes the annotated picture: `street.People.jpg`, `clip-60.People.jpg` for frame 60."""
    from edgex_inference.cli.trying import drawing
    from edgex_inference.cli.trying.given import InputError

    if folder is None:
        return None
    file, number = drawing.parted(given.name)
    path = folder / f"{file.stem}{number}.{binding}.jpg"
    try:
        return path if drawing.save(given.event, answer.result, path) else None
    except OSError as error:
        raise InputError(f"--save: {path} cannot be written: {error.strerror or error}") from error


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)
