"""What only the loaded file tells of a model card, without any binding: do decoder, roles, labels and inputs fit."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from edgex_inference.bindings.book import Book
from edgex_inference.config.problems import Document
from edgex_inference.contracts.bindings import AcceleratorChoice, Binding, InputReading
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected, Problem, SetupError
from edgex_inference.contracts.models import Build, ImageInput, ModelCard, Task
from edgex_inference.engine.cards.card import CARD, check_card
from edgex_inference.engine.catalog import AUTO
from edgex_inference.engine.lane import Lane
from edgex_inference.pipeline.planning import golden
from edgex_inference.pipeline.planning.findings import read
from edgex_inference.pipeline.planning.plan import Engine
from edgex_inference.postprocess import table
from edgex_inference.preprocess import build as preprocess


async def check_cards(book: Book, engine: Engine) -> Sequence[Problem]:
    """What is wrong with the cards among the files, golden samples included; `not checked` where nothing reads one."""
    found: list[Problem] = []
    for document in book.cards:
        folder = Path(document.source.file).parent
        card, mistakes = check_card(document, folder)
        if card is not None and not any(one.severity == "error" for one in mistakes):
            found += await mistakes_of(card, engine, samples=True)
    return found


async def mistakes_of(card: ModelCard, engine: Engine, *, samples: bool) -> Sequence[Problem]:
    """What is wrong with a card, each file on the first accelerator of this machine that takes it.

    `samples` runs the golden samples too. What no accelerator here reads is `not checked`.
    """
    found: list[Problem] = []
    for index, build in enumerate(card.builds):
        alone = replace(card, builds=(build,), golden=card.golden if samples else ())
        try:
            found += [_placed(card, index, one) for one in await _on_this_machine(alone, engine)]
        except AcceleratorUnavailable as error:
            message = f"whether the card fits the file: {error}"
            found.append(replace(_at(card, ("files", index), message), severity="not checked"))
    return tuple(dict.fromkeys(found))


async def _on_this_machine(card: ModelCard, engine: Engine) -> Sequence[ModelRejected]:
    """The mistakes of a card with one file, on the first that takes the file; raises AcceleratorUnavailable."""
    choice = AcceleratorChoice(name=AUTO)
    absent: AcceleratorUnavailable | None = None
    refused: ModelRejected | None = None
    for candidate in engine.catalog.candidates(choice, [build.format for build in card.builds]):
        try:
            lane, build = await engine.fleet.acquire(candidate, choice, card)
        except AcceleratorUnavailable as error:
            absent = absent or error
            continue
        except ModelRejected as error:
            if error.card[-1:] != ("path",):
                return [error]
            refused = refused or error  # of the file itself: another one may take it
            continue
        try:
            found = _unfit(card, build, lane, engine.max_pixels)
            if not found:
                await golden.check(lane, card, build, max_pixels=engine.max_pixels)
            return found
        except ModelRejected as error:
            return [error]
        finally:
            await engine.fleet.release(lane)
    if refused is not None:
        return [refused]
    assert absent is not None
    raise absent


def _unfit(card: ModelCard, build: Build, lane: Lane, max_pixels: int) -> Sequence[ModelRejected]:
    """What of the card does not fit the loaded file: the way to a sample, and the way back to a result."""
    outputs = lane.session.outputs

    def prepare() -> object:
        return preprocess.build(
            _assumed(card, build), build.inputs, lane.session.inputs, {},
            batched=golden.has_batch_axis(lane.session, build), max_pixels=max_pixels,
            keep_numbers=card.task is Task.ANOMALY,
        )  # fmt: skip

    def interpret() -> object:
        return table.build(card, build, outputs, settings=card.postprocess, labels=card.labels)

    makers: Iterable[Callable[[], object]] = (prepare, interpret) if card.task in table.TASKS else (prepare,)
    return [error for error in map(_refused, makers) if error is not None]


def _refused(make: Callable[[], object]) -> ModelRejected | None:
    try:
        make()
    except ModelRejected as error:
        return error if error.card else None  # else it is for a binding to mend
    except SetupError:
        return None
    return None


def _assumed(card: ModelCard, build: Build) -> Binding:
    """A binding that gives each input what it asks for: a picture, or the readings that the card names."""
    names = [
        name
        for entry in build.inputs
        for name in ((entry.name,) if isinstance(entry, ImageInput) else entry.names or (entry.name,))
    ]
    return Binding(
        profile=card.name, resource=names[0] if names else "", name=card.name, model=None, outputs=(),
        inputs=tuple(InputReading(resource=name) for name in dict.fromkeys(names)),
    )  # fmt: skip


def _placed(card: ModelCard, index: int, error: ModelRejected) -> Problem:
    """The refusal at its key of the card; a file's own entry goes before the card's."""
    steps = ("files", index, *error.card[2:]) if error.card[:1] == ("files",) else error.card
    document = read(card.folder / CARD)
    own = ("files", index, *steps)
    if document is not None and steps[:1] != ("files",) and document.root.find(*own) is not None:
        steps = own
    return _at(card, steps, error.reason, document)


def _at(
    card: ModelCard, steps: tuple[str | int, ...], message: str, document: Document | None = None
) -> Problem:
    document = document or read(card.folder / CARD)
    if document is None:
        return Problem(file=str(card.folder / CARD), path=".".join(map(str, steps)), message=message)
    return document.problem(steps, message)
