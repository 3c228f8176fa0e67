"""`edgex-inference model`: info says what a file says, check runs golden samples, add and convert fill the store.

Exit codes: 0 fine, 1 wrong answers, a broken card or a file that cannot be used, 2 the command line is wrong.
"""

import argparse
import json
import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgex_inference.cli.models import arguments

if TYPE_CHECKING:
    from edgex_inference.contracts.models import ModelCard

TASKS = ("classification", "detection", "segmentation", "anomaly", "regression", "embedding", "raw")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the four commands and their arguments."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="info|check|add|convert")
    info = commands.add_parser(
        "info", help="what a model file says: inputs, outputs, metadata, opset, size, hash"
    )
    info.add_argument("model", metavar="FILE|NAME[:VERSION]", help="a model file, or a model of the store")
    check = commands.add_parser(
        "check", help="the card, and golden samples on every accelerator of this machine"
    )
    check.add_argument("model", metavar="NAME[:VERSION]", help="a model of the store")
    check.add_argument(
        "--accelerator",
        action="append",
        default=[],
        metavar="NAME[:DEVICE]",
        help="this one alone (several may be named), which must run all of the model",
    )
    add = commands.add_parser(
        "add", help="copy a file into the store and write a first card; overwrites nothing"
    )
    add.add_argument("file", type=Path, metavar="FILE", help="a model file; files that it needs come along")
    add.add_argument("--name", metavar="NAME", help="the model's folder (default: from the file's name)")
    add.add_argument("--version", metavar="VERSION", help="the version's folder (default: 1)")
    add.add_argument("--task", choices=TASKS, help="what its numbers mean (default: guessed)")
    convert = commands.add_parser(
        "convert", help="convert a file for the store; only what answers as its source does is kept"
    )
    arguments.add_arguments(convert, TASKS)
    for command in (info, check, add, convert):
        command.add_argument("--models", type=Path, metavar="DIR", help="the model store")
        command.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    """Runs one of the four."""
    logging.getLogger("edgex_inference").addHandler(logging.NullHandler())  # what matters is printed
    return {"info": _info, "check": _check, "add": _add, "convert": _convert}[args.what](args)


def _info(args: argparse.Namespace) -> int:
    from edgex_inference.cli.models.info import REFUSED, facts, text
    from edgex_inference.engine.formats.mishaps import is_there

    is_path = is_there(Path(args.model))
    name, _, version = (args.model, "", "") if is_path else args.model.partition(":")
    found = facts(name, version or None, args.models)
    if args.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(text(one) for one in found))
    refused = [one[REFUSED] for one in found if REFUSED in one]
    for reason in refused:
        print(f"edgex-inference: {args.model}: {reason}", file=sys.stderr)
    return int(bool(refused))


def _check(args: argparse.Namespace) -> int:
    import asyncio

    from edgex_inference.cli.models.checking import automatic, fails, findings, in_order, verdict
    from edgex_inference.cli.models.loading import configured, engine_of
    from edgex_inference.contracts.errors import ProfileError, SetupError
    from edgex_inference.contracts.models import ModelCard
    from edgex_inference.pipeline.planning.cards import mistakes_of
    from edgex_inference.pipeline.planning.choosing.finding import Finding, as_json, table

    if Path(args.model).is_file():
        add = f"`edgex-inference model add {shlex.quote(args.model)}`"
        raise SetupError(f"{args.model}: is a file, and models of the store are checked: {add} first")
    loaded = configured(args.models)

    async def work() -> tuple[ModelCard, Sequence[Finding], str]:
        async with engine_of(loaded) as engine:
            name, _, version = args.model.partition(":")
            card = engine.store.find(name, version or None)
            mistakes = await mistakes_of(card, engine, samples=False)
            if any(one.severity == "error" for one in mistakes):
                raise ProfileError(tuple(mistakes))
            found = [one async for one in findings(card, engine, args.accelerator, _tell)]
            first = automatic(card, engine)
            return card, in_order(found, first), "" if args.accelerator else verdict(found, first)

    card, found, taken = asyncio.run(work())
    if args.json:
        print(json.dumps([as_json(one) for one in found], indent=2, ensure_ascii=False))
    else:
        count = len(card.golden)
        samples = f"{count} golden sample{'' if count == 1 else 's'}"
        samples = samples if count else "no golden samples: nothing is proven"
        print(f"{card.name} {card.version} in {card.folder}: the card is right, {samples}")
        print("\n".join(one for one in (table(found), taken) if one))
    return int(fails(found, named=bool(args.accelerator)))


def _tell(what: str) -> None:
    """How far it is, for whoever watches."""
    if sys.stderr.isatty():
        print(f"{what} …", file=sys.stderr, flush=True)


def _add(args: argparse.Namespace) -> int:
    import asyncio

    from edgex_inference.cli.models.adding import add
    from edgex_inference.contracts.models import Task
    from edgex_inference.engine.cards.card import CARD

    task = Task(args.task) if args.task else None
    added = asyncio.run(add(args.file, name=args.name, version=args.version, task=task, models=args.models))
    path = added.card.folder / CARD
    if args.json:
        print(
            json.dumps({"card": str(path), "openQuestions": list(added.open_questions)}, ensure_ascii=False)
        )
        return 0
    print(f"wrote {path}, task {added.card.task}")
    for question in added.open_questions:
        print(f"  still to say: {question}")
    print("next:")
    for step in _next_steps(added.card, args.models):
        print(f"  {step}")
    return 0


def _convert(args: argparse.Namespace) -> int:
    import asyncio
    from dataclasses import asdict

    from edgex_inference.cli.models.converting import into_store
    from edgex_inference.contracts.models import Task
    from edgex_inference.engine.cards.card import CARD

    asked = arguments.read(args)
    task = Task(args.task) if args.task else None
    done = asyncio.run(
        into_store(asked.wish, asked.place, task=task, tolerance=asked.tolerance, told=asked.told)
    )
    path, parity, questions = done.added.card.folder / CARD, done.parity, done.added.open_questions
    if args.json:
        said = {"card": str(path), "parity": asdict(parity), "notes": done.notes, "openQuestions": questions}
        print(json.dumps(said, ensure_ascii=False))
        return 0
    print(f"wrote {path}, task {done.added.card.task}")
    print(
        f"it answers {parity.samples} samples as {parity.source} does: the largest difference is "
        f"{parity.difference:.1e}, {parity.tolerance:g} is allowed ({parity.checked_on})"
    )
    for note in done.notes:
        print(f"  note: {note}")
    for question in questions:
        print(f"  still to say: {question}")
    print("next:")
    for step in _next_steps(done.added.card, asked.place.models if args.models or args.into else None):
        print(f"  {step}")
    return 0


def _next_steps(card: "ModelCard", models: Path | None) -> list[str]:
    """Commands that work as they stand: with the store that was named, and the version where a newer one is there."""
    from edgex_inference.engine.store import Store

    newest = next(iter(Store([card.folder.parents[1]]).versions(card.name)), card.version)
    model = shlex.quote(card.name if newest == card.version else f"{card.name}:{card.version}")
    store = f" --models {shlex.quote(str(models))}" if models is not None else ""
    return [
        f"edgex-inference model check {model}{store}",
        f"edgex-inference init {model}{store} > {shlex.quote(card.name)}.yaml",
        f"edgex-inference validate {shlex.quote(card.name)}.yaml{store}",
    ]
