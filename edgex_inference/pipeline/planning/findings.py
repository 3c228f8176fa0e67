"""Where a refusal stands in what a person wrote: in the inference block, or in the model card."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from edgex_inference.bindings.book import Book
from edgex_inference.config.problems import Document
from edgex_inference.contracts.bindings import Binding
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    ModelRejected,
    Problem,
    ProfileError,
    SetupError,
)
from edgex_inference.contracts.models import ModelCard
from edgex_inference.engine.cards.card import CARD

_T = TypeVar("_T")


class Findings:
    """Collects what stands in the way of a binding, so that all of it is told at once.

    `build` is the index of the file that is used, whose own entry of the card goes before the card's.
    """

    def __init__(self, book: Book, binding: Binding, card: ModelCard, build: int = 0) -> None:
        self.problems: list[Problem] = []
        self._book, self._binding, self._card, self._build = book, binding, card, build

    def attempt(self, make: Callable[[], _T]) -> _T | None:
        """What `make` gives, or None when it refuses; raises AcceleratorUnavailable as it comes."""
        try:
            return make()
        except AcceleratorUnavailable:
            raise
        except SetupError as error:
            self.problems += self._told(error)
            return None

    def settle(self) -> None:
        """Raises ProfileError when anything was found."""
        if self.problems:
            raise ProfileError(tuple(dict.fromkeys(self.problems)))

    def placed(self, error: SetupError) -> SetupError:
        """The same refusal with its place, where it has one."""
        if isinstance(error, ModelRejected) and (error.card or error.block):
            return ProfileError(self._told(error))
        return error

    def say(self, message: str, *block: str | int, severity: str = "error") -> None:
        """Adds a problem with a key of the block."""
        self.problems.append(self._book.place(self._binding, *block).problem(message, severity=severity))

    def _told(self, error: SetupError) -> Sequence[Problem]:
        if isinstance(error, ProfileError):
            return error.problems
        if isinstance(error, ModelRejected):
            written = self._book.wrote(self._binding, *error.block)
            if error.block and (written or not error.card):
                return [self._book.place(self._binding, *error.block).problem(error.reason)]
            if error.card:
                return [self._in_card(error)]
        return [self._book.place(self._binding, "model").problem(str(error))]

    def _in_card(self, error: ModelRejected) -> Problem:
        path = self._card.folder / CARD
        document = read(path)
        if document is None:
            return Problem(file=str(path), path=".".join(map(str, error.card)), message=error.reason)
        own = ("files", self._build, *error.card)
        steps = own if document.root.find(*own) is not None else error.card
        return document.problem(steps, error.reason)


def read(path: Path) -> Document | None:
    """A card's text with its places; None when it went away."""
    try:
        return Document.read(path)
    except OSError:
        return None
