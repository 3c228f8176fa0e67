"""`model add`: a file into the store, with a first card from what the file says; nothing is ever overwritten."""

import hashlib
import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from edgex_inference.bindings.parts import FOLDER_NAME
from edgex_inference.cli.models import first_card
from edgex_inference.cli.models.loading import configured, engine_of, open_anywhere
from edgex_inference.config.load import Loaded
from edgex_inference.contracts.accelerator import ONNX, Format
from edgex_inference.contracts.errors import ModelRejected, SetupError
from edgex_inference.contracts.models import Build, ModelCard, Task
from edgex_inference.engine import onnx_file
from edgex_inference.engine.cards.card import BY_SUFFIX, CARD, read_card


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """Where the model lies now, and what the card could not be told by the file."""

    card: ModelCard
    open_questions: tuple[str, ...]


async def add(
    file: Path, *, name: str | None, version: str | None, task: Task | None, models: Path | None
) -> Added:
    """Copies the file, with those it needs, and writes its card; raises SetupError."""
    loaded = configured(models)
    card = _described(file, name, version, task, loaded)
    temporary = _copied(file, card)
    try:
        moved = replace(card, folder=temporary, builds=tuple(_moved(one, temporary) for one in card.builds))
        written = await _written(moved, loaded, guess=task is None)
        (temporary / CARD).write_text(written.text, encoding="utf-8")
        _publish(temporary, card.folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Added(card=read_card(card.folder / CARD), open_questions=written.open_questions)


def _described(
    file: Path, name: str | None, version: str | None, task: Task | None, loaded: Loaded
) -> ModelCard:
    """A card with what is known before the file is loaded, in the folder where it is to lie."""
    if not file.is_file():
        raise SetupError(f"{file}: no such file")
    kind = BY_SUFFIX.get(file.suffix.lower())
    if kind is None:
        known = ", ".join(BY_SUFFIX)
        raise SetupError(f"{file}: the suffix {file.suffix!r} tells no format; known: {known}")
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
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    build = Build(path=file, format=Format(kind), sha256=digest)
    return ModelCard(name=name, version=version, task=task or Task.RAW, folder=folder, builds=(build,))


def _moved(build: Build, folder: Path) -> Build:
    return replace(build, path=folder / build.path.name)


def _copied(file: Path, card: ModelCard) -> Path:
    """A hidden folder of the store with the file and those that belong to it."""
    beside = _companions(file, card.builds[0].format)
    try:
        card.folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".", dir=card.folder.parent))
        temporary.chmod(0o755)
        for name in (file.name, *beside):
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.parent / name, temporary / name)
    except OSError as error:
        raise SetupError(f"{error.filename or file} cannot be copied: {error.strerror or error}") from error
    return temporary


def _companions(file: Path, kind: Format) -> tuple[str, ...]:
    """The names of the files that the model needs beside it."""
    if kind == ONNX:
        names = onnx_file.read(file).external
    else:
        suffix = {".xml": ".bin", ".pdmodel": ".pdiparams"}.get(file.suffix.lower())
        names = (file.with_suffix(suffix).name,) if suffix else ()
    for name in names:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ModelRejected(file, f"its weights lie outside its folder, in {name!r}")
        if not (file.parent / name).is_file():
            raise ModelRejected(file, f"it needs the file {name!r} beside it, which is missing")
    return names


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
