"""`model add`: a file into the store, with a first card from what the file says; nothing is ever overwritten."""

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edgex_inference.bindings.parts import FOLDER_NAME
from edgex_inference.cli.models import first_card
from edgex_inference.cli.models.loading import build_of, configured, engine_of, open_anywhere
from edgex_inference.config.load import Loaded
from edgex_inference.contracts import onnx_file
from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.contracts.errors import ModelRejected, SetupError
from edgex_inference.contracts.models import Build, ModelCard, Task
from edgex_inference.engine.cards.card import CARD, read_card
from edgex_inference.engine.files import companions, digest, is_inside
from edgex_inference.engine.formats.screen import closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """Where the model lies now, and what the card could not be told by the file."""

    card: ModelCard
    open_questions: tuple[str, ...]


async def add(
    file: Path,
    *,
    name: str | None,
    version: str | None,
    task: Task | None,
    models: Path | None,
    parity: str = "",
) -> Added:
    """Copies the file, or a SavedModel's folder, with those it needs, and writes its card; raises SetupError.

    `parity` is the card's line of that name, where the file was converted.
    """
    loaded = configured(models)
    card = _described(file, name, version, task, loaded)
    source = card.builds[0]
    beside = _companions(source)
    with _hidden(card.folder) as folder:
        build = _copied(source, beside, folder)
        written = await _written(replace(card, folder=folder, builds=(build,)), loaded, guess=task is None)
        (folder / CARD).write_text(written.text + parity, encoding="utf-8")
        _publish(folder, card.folder)
    return Added(card=read_card(card.folder / CARD), open_questions=written.open_questions)


def _described(
    file: Path, name: str | None, version: str | None, task: Task | None, loaded: Loaded
) -> ModelCard:
    """A card with what is known before the file is loaded, in the folder where it is to lie."""
    build = build_of(file.absolute())
    name = name or re.sub(r"[^a-z0-9.+-]+", "-", file.stem.lower()).strip("-.+_") or "model"
    version = version or "1"
    for option, text in (("--name", name), ("--version", version)):
        if not FOLDER_NAME.fullmatch(text):
            raise SetupError(
                f"{option} {text!r} cannot be a folder of the model store: letters, digits and . _ + - only"
            )
    folder = loaded.models / name / version
    if folder.exists():
        raise SetupError(f"{folder} is there already, and nothing is overwritten: say another --version")
    return ModelCard(name=name, version=version, task=task or Task.RAW, folder=folder, builds=(build,))


@contextlib.contextmanager
def _hidden(folder: Path) -> Iterator[Path]:
    """A folder beside the one that is to be, which no reader of the store sees; nothing of it stays behind."""
    was_there = folder.parent.exists()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
        temporary.chmod(0o755)
    except OSError as error:
        raise SetupError(f"{folder.parent} cannot be written: {error.strerror or error}") from error
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if not was_there:
            with contextlib.suppress(OSError):  # a version is in it now
                folder.parent.rmdir()


def _copied(source: Build, beside: tuple[str, ...], folder: Path) -> Build:
    file = source.path
    target = folder / file.name
    try:
        if file.is_dir():
            shutil.copytree(file, target, copy_function=shutil.copyfile)
        for name in () if file.is_dir() else (file.name, *beside):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.parent / name, folder / name)
        return replace(source, path=target, sha256=digest(target, source.format))
    except (OSError, shutil.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise SetupError(f"{file} cannot be copied to {folder.parent}: {reason}") from error


def _companions(build: Build) -> tuple[str, ...]:
    """The names of the files that the model needs beside it."""
    if build.path.is_dir():
        closed(build.path)  # what is copied would be whatever its links lead to
    if build.format == ONNX:
        onnx_file.read(build.path)  # raises for what is no model, before anything is made
    names = companions(build.path, build.format)
    for name in names:
        if not is_inside(name):
            raise ModelRejected(build.path, f"its weights lie outside its folder, in {name!r}")
        if not (build.path.parent / name).is_file():
            raise ModelRejected(build.path, f"it needs the file {name!r} beside it, which is missing")
    return tuple(names)


async def _written(card: ModelCard, loaded: Loaded, *, guess: bool) -> first_card.FirstCard:
    """The card's text, from the loaded model; from next to nothing where no accelerator here reads it."""
    async with engine_of(loaded) as engine:
        try:
            opened = await open_anywhere(engine, replace(card, task=Task.RAW))
        except ModelRejected:
            raise
        except SetupError as error:
            return first_card.unread(card, str(error))
        return first_card.write(card, opened.build, opened.lane.session, guess=guess)


def _publish(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError as error:
        raise SetupError(f"{folder} cannot be made: {error.strerror or error}") from error
