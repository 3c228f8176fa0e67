"""What only a model store and accelerators can tell of bindings: does the model exist, fit, and run here."""

from collections.abc import Iterable, Sequence

from edgex_inference.bindings.block import Draft, Facts
from edgex_inference.bindings.book import Book
from edgex_inference.contracts.bindings import AcceleratorChoice, Binding
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    ModelNotFound,
    Problem,
    ProfileError,
    SetupError,
)
from edgex_inference.engine.cards.card import CARD, check_card
from edgex_inference.engine.catalog import AUTO
from edgex_inference.pipeline.planning.findings import read
from edgex_inference.pipeline.planning.plan import Engine, draw, release
from edgex_inference.postprocess.labels import resolve

NOT_CHECKED = "not checked"
"""The severity of what this machine cannot tell."""

NOTE = "note"
"""The severity of what is no mistake, and worth knowing."""


async def check_bindings(book: Book, engine: Engine) -> Sequence[Problem]:
    """Draws the plan of every binding as the service would, and says where the binding stands in the way.

    A note says whom `auto` takes, where it has a choice.
    """
    problems: list[Problem] = []
    for binding in _bindings(book):
        if not binding.unsupported:
            problems += _check_accelerators(book, binding, engine)
            problems += await _check_plan(book, binding, engine)
    for draft in book.refused:
        problems += _check_refused(draft, engine)
    told = {(problem.file, problem.line, problem.column) for problem in problems if problem.severity != NOTE}
    warnings = _check_cards(book, engine)
    return [*problems, *(one for one in warnings if (one.file, one.line, one.column) not in told)]


def _bindings(book: Book) -> Iterable[Binding]:
    """Every effective binding once, those with a device's overrides included."""
    found = {id(binding): binding for binding in book.bindings}
    for device in book.devices.values():
        for binding in book.match(device.profile, device.name):
            found[id(binding)] = binding
    return found.values()


def _check_accelerators(book: Book, binding: Binding, engine: Engine) -> Iterable[Problem]:
    for index, choice in enumerate(binding.accelerator):
        reason = _obstacle(choice, engine)
        if reason is None:
            continue
        known = choice.name in engine.catalog.names()
        severity = NOT_CHECKED if known else "error"
        yield book.place(binding, "accelerator", index).problem(str(reason), severity=severity)


def _obstacle(choice: AcceleratorChoice, engine: Engine) -> AcceleratorUnavailable | None:
    if choice.name == AUTO:
        return None
    try:
        accelerator = engine.catalog.admitted(choice.name)
        for candidate in engine.catalog.candidates(choice, accelerator.formats):
            candidate.check()
    except AcceleratorUnavailable as error:
        return error
    return None


async def _check_plan(book: Book, binding: Binding, engine: Engine) -> Sequence[Problem]:
    try:
        plan = await draw(binding, engine, book)
    except ModelNotFound as error:
        key = "name" if error.version is None else "version"
        return [book.place(binding, "model", key).problem(str(error))]
    except ProfileError as error:
        return error.problems
    except AcceleratorUnavailable as error:
        return _not_checked(book, binding, engine, error)
    except SetupError as error:
        return [book.place(binding, "model").problem(str(error))]
    await release(plan, engine)
    if plan.choice is None:
        return []
    return [book.place(binding, "accelerator").problem(plan.choice.sentence, severity=NOTE)]


def _check_refused(draft: Draft, engine: Engine) -> Sequence[Problem]:
    """What else is wrong with a block whose own mistakes are told already, so that one look is enough."""
    if draft.model is None:
        return []
    try:
        card = engine.store.find(draft.model.name, draft.model.version)
        own = draft.model.labels
        labels = resolve(card.labels if own is None else own, card.folder, card.name)
    except SetupError:
        return []
    return draft.recheck(Facts(task=card.task, labels=labels))


def _not_checked(
    book: Book, binding: Binding, engine: Engine, error: AcceleratorUnavailable
) -> Sequence[Problem]:
    """What could not be found out, where the accelerators' own places do not say it already."""
    if all(_obstacle(choice, engine) is not None for choice in binding.accelerator):
        return []
    message = f"whether the model takes these readings and gives these outputs: {error}"
    return [book.place(binding, "model").problem(message, severity=NOT_CHECKED)]


def _check_cards(book: Book, engine: Engine) -> Iterable[Problem]:
    """The warnings of the cards that bindings use; their errors stand in the way of the bindings."""
    folders = set()
    for binding in _bindings(book):
        if binding.model is not None:
            try:
                folders.add(engine.store.find(binding.model.name, binding.model.version).folder)
            except SetupError:
                continue
    for folder in sorted(folders):
        document = read(folder / CARD)
        yield from check_card(document, folder)[1] if document is not None else ()
