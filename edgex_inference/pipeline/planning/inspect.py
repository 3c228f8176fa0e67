"""What a card and the list of accelerators tell of a binding before anything is loaded."""

from collections.abc import Iterable, Mapping

from edgex_inference.bindings.block import Facts
from edgex_inference.bindings.book import Book
from edgex_inference.config.places import suggest
from edgex_inference.contracts.accelerator import KNOWN_FORMATS, Accelerator
from edgex_inference.contracts.bindings import AcceleratorChoice, Binding, Output
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected, SetupError
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import Build, ModelCard, Task
from edgex_inference.contracts.outputs import default_type
from edgex_inference.engine.catalog import AUTO, Catalog
from edgex_inference.engine.options import option_problems
from edgex_inference.engine.store import Store
from edgex_inference.pipeline.planning.findings import Findings
from edgex_inference.postprocess import table
from edgex_inference.postprocess.labels import resolve


def inspect(binding: Binding, card: ModelCard, book: Book, catalog: Catalog, store: Store) -> None:
    """Raises ProfileError with all that is wrong with the block for this card, and with the card for its task."""
    findings = Findings(book, binding, card)
    own = binding.model.labels if binding.model is not None else None
    labels = findings.attempt(lambda: resolve(card.labels if own is None else own, card.folder, card.name))
    findings.problems += book.recheck(binding, Facts(task=card.task, labels=labels))
    if card.task in table.TASKS:
        for index, build in enumerate(card.builds):
            if build.decoder is None:  # the file may say it
                continue
            told = Findings(book, binding, card, index)
            told.attempt(lambda build=build: table.decoder(card, build))  # type: ignore[misc]
            findings.problems += told.problems
    _check_formats(findings, card, catalog)
    _check_options(findings, binding, book, catalog)
    _check_names(findings, binding, card.task, book, store)
    findings.settle()


def _check_formats(findings: Findings, card: ModelCard, catalog: Catalog) -> None:
    """A format that no accelerator of any kind reads is a mistake, not something that this machine lacks."""
    known = KNOWN_FORMATS | catalog.formats()
    for index, build in enumerate(card.builds):
        if build.format not in known:
            findings.attempt(lambda index=index, build=build: _refuse(card, index, build, known))  # type: ignore[misc]


def _refuse(card: ModelCard, index: int, build: Build, known: Iterable[str]) -> None:
    reason = (
        f"{build.format!r} is no format that an installed accelerator knows{suggest(build.format, known)}"
    )
    raise ModelRejected(card.name, reason, card=("files", index, "format"))


def _check_options(findings: Findings, binding: Binding, book: Book, catalog: Catalog) -> None:
    for index, choice in enumerate(binding.accelerator):
        listed = ("accelerator", index) if book.wrote(binding, "accelerator", index) else ("accelerator",)
        for key, reason in _wrong_options(choice, catalog).items():
            findings.say(reason, *listed, "options", key)


def _wrong_options(choice: AcceleratorChoice, catalog: Catalog) -> Mapping[str, str]:
    """What is wrong with each option: with `auto`, what no accelerator that is here would take."""
    found = [option_problems(one, choice.options) for one in _meant(choice, catalog)]
    return {key: found[0][key] for key in choice.options if found and all(key in one for one in found)}


def _meant(choice: AcceleratorChoice, catalog: Catalog) -> list[Accelerator]:
    meant = []
    for name in catalog.names() if choice.name == AUTO else (choice.name,):
        try:
            meant.append(catalog.get(name) if choice.name == AUTO else catalog.admitted(name))
        except AcceleratorUnavailable:
            continue
    return meant


def _check_names(findings: Findings, binding: Binding, task: Task, book: Book, store: Store) -> None:
    """An output that an earlier binding of the profile has too must be of the same type there."""
    for other in book.bindings:
        if other.profile != binding.profile:
            continue
        if other.name == binding.name:
            break
        for theirs in other.outputs:
            ours = next((one for one in binding.outputs if one.name == theirs.name), None)
            if ours is not None:
                _compare(findings, ours, task, theirs, other, store)


def _compare(
    findings: Findings, ours: Output, task: Task, theirs: Output, other: Binding, store: Store
) -> None:
    mine, kind = _type(ours, task), _type(theirs, _task(other, store))
    if mine is not None and kind is not None and mine != kind:
        message = (
            f"binding {other.name} publishes {ours.name} too, as {kind}; this is {mine}: equal types only"
        )
        findings.say(message, "outputs", ours.name)


def _type(output: Output, task: Task | None) -> ValueType | None:
    return output.type or (default_type(task, output.value) if task is not None else None)


def _task(binding: Binding, store: Store) -> Task | None:
    if binding.model is None:
        return None
    try:
        return store.find(binding.model.name, binding.model.version).task
    except SetupError:
        return binding.model.task
