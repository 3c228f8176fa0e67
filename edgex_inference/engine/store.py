"""The model store: `<folder>/<name>/<version>/model.yaml`, in one folder after another."""

import contextlib
import os
import re
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from edgex_inference.config.places import listed, suggest
from edgex_inference.contracts.errors import ModelNotFound, ModelRejected, Problem, ProfileError
from edgex_inference.contracts.models import Build, ModelCard
from edgex_inference.contracts.unchanged import state
from edgex_inference.engine.cards.card import CARD, read_card
from edgex_inference.engine.files import digest, parts
from edgex_inference.engine.formats.mishaps import mishap

_PART = re.compile(r"\d+|\D+")


class Store:
    """Models by name and version; a name found in one folder hides the same name in later folders.

    The folders are read anew at each question, so that models may come and go.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)

    def names(self) -> Sequence[str]:
        """The names of all models that have a card, broken ones included; of what must not be looked into, none."""
        found = set()
        for model in (model for folder in self.folders for model in _seen(_subfolders, folder)):
            if _seen(_versions, model):
                found.add(model.name)
        return sorted(found)

    def versions(self, name: str) -> Sequence[str]:
        """The versions of a model, the newest first; empty when there is no such model. Raises ModelNotFound."""
        return [version.name for version in self._versions(name)]

    def find(self, name: str, version: str | None = None) -> ModelCard:
        """The card of this version, or of the newest that is ready.

        Raises ModelNotFound, and ProfileError when the card that would be taken has mistakes.
        """
        versions = self._versions(name)
        if not versions:
            raise ModelNotFound(name, self._absent(name))
        model = versions[0].parent
        if version is not None:
            for folder in versions:
                if folder.name == version:
                    return _read(folder)
            there = [folder.name for folder in versions]
            raise ModelNotFound(
                name,
                f"{model} has no version {version!r}{suggest(version, there)}; it has {listed(there, last='and')}",
                version=version,
            )
        for folder in versions:
            card = _read(folder)
            if card.ready:
                return card
        raise ModelNotFound(name, f"no version in {model} is ready: set `ready: true` in a card")

    def _absent(self, name: str) -> str:
        """Why there is no such model: no folder at all, or one without a card."""
        for folder in self.folders if Path(name).name == name else ():
            if os.path.isdir(folder / name):
                inside = ", ".join(sorted(one.name for one in _subfolders(folder / name)))
                versions = f"its version folders ({inside})" if inside else "a version folder in it"
                return f"{folder / name} is there, but {versions} must have a {CARD}"
        searched = [
            f"{folder}{'' if os.path.isdir(folder) else ' (no such folder)'}" for folder in self.folders
        ]
        return f"not in {', '.join(searched) or 'no folder'}{suggest(name, self.names())}"

    def mark(self, name: str) -> Hashable:
        """Changes whenever a file of any version of this model comes, goes or is written."""
        if Path(name).name != name:
            return None
        return tuple(_stamps(folder / name) for folder in self.folders)

    def all(self) -> Sequence[ModelCard]:
        """Every card without mistakes, by name, the newest version first."""
        return [card for card in map(_try, self._folders()) if isinstance(card, ModelCard)]

    def problems(self) -> Sequence[Problem]:
        """The mistakes of every broken card."""
        broken = [found for found in map(_try, self._folders()) if not isinstance(found, ModelCard)]
        return [problem for problems in broken for problem in problems]

    def _folders(self) -> Sequence[Path]:
        """Of every model that can be looked into."""
        found: list[Path] = []
        for name in self.names():
            with contextlib.suppress(ModelNotFound):
                found += self._versions(name)
        return found

    def _versions(self, name: str) -> Sequence[Path]:
        """The version folders in the first folder that has the model.

        Raises ModelNotFound where that cannot be told: another folder's model of the same name is not meant.
        """
        if not name or name in (".", "..") or Path(name).name != name:
            return ()
        try:
            return next(filter(None, (_versions(folder / name) for folder in self.folders)), ())
        except OSError as error:
            raise ModelNotFound(name, f"{error.filename} cannot be read: {error.strerror}") from error


def verify(card: ModelCard, build: Build) -> None:
    """Compares the files with the card's sha256; raises ModelRejected naming both. Reads all of them."""
    if build.sha256 is None:
        return
    try:
        found = digest(build.path, build.format)
    except OSError as error:
        raise ModelRejected(card.name, f"{build.path.name} cannot be read: {error.strerror}") from error
    if found != build.sha256:
        several = len(parts(build.path, build.format)) > 1
        whole = " (of all its files: sha256sum FILE… | sha256sum)" if several else ""
        told = mishap(build.path)
        reason = f"{build.path.name} has sha256 {found}{whole}, its card says {build.sha256}"
        reason = f"{build.path.name}: {told}" if told else reason
        index = next((at for at, one in enumerate(card.builds) if one.path == build.path), 0)
        raise ModelRejected(card.name, reason, card=("files", index, "sha256"))


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts 1.10 after 1.9 and 2026.11 after 2026.2."""
    parts = _PART.findall(text)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def _versions(model: Path) -> Sequence[Path]:
    """The version folders with a card, the newest first; raises OSError."""
    found = [folder for folder in _subfolders(model) if (folder / CARD).is_file()]
    return sorted(found, key=lambda folder: natural(folder.name), reverse=True)


def _stamps(folder: Path) -> Hashable:
    """The states of all files below; version folders may be links, as they are in a mounted volume."""
    found = set()
    for home in (folder, *(one for one in _seen(_subfolders, folder) if one.is_symlink())):
        for path in home.rglob("*"):
            with contextlib.suppress(OSError):  # gone meanwhile
                found.add((str(path), *state(path.stat())))
    return frozenset(found)


def _subfolders(folder: Path) -> Sequence[Path]:
    """What is in a folder, nothing where there is no such folder; raises OSError."""
    try:
        return [one for one in folder.iterdir() if one.is_dir() and not one.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _seen(look: Callable[[Path], Sequence[Path]], folder: Path) -> Sequence[Path]:
    """What is seen in a folder; nothing where it must not be looked into, which `find` says of a model."""
    try:
        return look(folder)
    except OSError:
        return []


def _read(folder: Path) -> ModelCard:
    try:
        return read_card(folder / CARD)
    except OSError as error:
        raise ModelNotFound(
            folder.parent.name, f"{folder / CARD} cannot be read: {error.strerror}"
        ) from error


def _try(folder: Path) -> ModelCard | Sequence[Problem]:
    try:
        return _read(folder)
    except ProfileError as error:
        return error.problems
    except ModelNotFound as error:
        return [Problem(file=str(folder / CARD), path="", message=str(error))]
