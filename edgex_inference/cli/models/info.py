"""`model info`: what a file says of itself, and what the card makes of it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgex_inference.cli.models.loading import build_of, configured, engine_of, open_anywhere
from edgex_inference.config.load import Loaded
from edgex_inference.contracts import onnx_file
from edgex_inference.contracts.accelerator import ONNX, REMOTE
from edgex_inference.contracts.errors import ModelNotFound, ModelRejected, SetupError
from edgex_inference.contracts.models import Build, ModelCard, Task
from edgex_inference.engine.cards.card import BY_SUFFIX, format_of
from edgex_inference.engine.files import digest, parts
from edgex_inference.engine.formats.looks import look
from edgex_inference.engine.formats.recognize import recognize
from edgex_inference.opening import open_engine
from edgex_inference.pipeline.planning.plan import Engine

Facts = Mapping[str, Any]
REFUSED = "refused"
"""The fact of a file that whoever reads its format does not take, which is a mistake of the file's."""


def facts(what: str, version: str | None, models: Path | None) -> list[Facts]:
    """The facts of a file, or of every file of a model of the store; raises SetupError."""
    loaded = configured(models)
    path = Path(what)
    try:
        foreign = _foreign(path) if path.exists() and format_of(path) is None else None
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror or error}") from error
    if foreign is not None:
        return [foreign]
    card, known = _card(what, version, loaded)
    return asyncio.run(_files(card, known, loaded))


def _foreign(path: Path) -> Facts | None:
    """What a file says that no accelerator loads, or that its suffix does not tell; None for what is no model."""
    try:
        kind = recognize(path)
        size = sum(
            one.stat().st_size for one in (path.rglob("*") if path.is_dir() else [path]) if one.is_file()
        )
    except (ModelRejected, OSError):
        return None
    return {"file": str(path.absolute()), "size": size, **look(path, kind)}


def _card(what: str, version: str | None, loaded: Loaded) -> tuple[ModelCard, dict[str, Any]]:
    """A model of the store and what its card says, or a file as a model that nobody has described."""
    path = Path(what)
    if not path.is_file() and not (path.is_dir() and (len(path.parts) > 1 or format_of(path))):
        if path.suffix.lower() in BY_SUFFIX or len(path.parts) > 1:
            raise ModelNotFound(what, "no such file")
        card = open_engine(loaded).store.find(what, version)
        return card, _of_card(card)
    build = build_of(path.absolute())
    name = build.path.stem
    return ModelCard(name=name, version="", task=Task.RAW, folder=build.path.parent, builds=(build,)), {}


async def _files(card: ModelCard, known: dict[str, Any], loaded: Loaded) -> list[Facts]:
    async with engine_of(loaded) as engine:
        return [known | await _file(build, card, engine) for build in card.builds]


def _of_card(card: ModelCard) -> dict[str, Any]:
    return {
        "model": f"{card.name} {card.version}",
        "folder": str(card.folder),
        "task": card.task.value,
        "license": card.license,
        "description": card.description,
        "golden samples": len(card.golden),
    }


async def _file(build: Build, card: ModelCard, engine: Engine) -> dict[str, Any]:
    if build.format == REMOTE:
        return {"format": build.format, "not read": "it is on another machine, and has no file here"}
    found = _bytes(build)
    if build.format == ONNX:
        return found | _onnx(build)
    try:
        alone = ModelCard(
            name=card.name, version=card.version, task=Task.RAW, folder=card.folder, builds=(build,)
        )
        opened = await open_anywhere(engine, alone)
    except ModelRejected as error:
        return found | {REFUSED: error.reason}
    except SetupError as error:
        return found | {"not read": str(error)}
    session = opened.lane.session
    return found | {
        "inputs": [str(spec) for spec in session.inputs],
        "outputs": [str(spec) for spec in session.outputs],
        "metadata": dict(session.metadata),
        "read by": str(opened.candidate),
    }


def _bytes(build: Build) -> dict[str, Any]:
    """Size and sha256 as a card says them: of all the model's files."""
    try:
        several = parts(build.path, build.format)
        return {
            "file": str(build.path),
            "format": build.format,
            "files": [one.relative_to(build.path.parent).as_posix() for one in several][1:],
            "size": sum(one.stat().st_size for one in several),
            "sha256": digest(build.path, build.format),
        }
    except OSError as error:
        raise SetupError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _onnx(build: Build) -> dict[str, Any]:
    said = onnx_file.read(build.path)
    return {
        "inputs": [str(one) for one in said.inputs],
        "outputs": [str(one) for one in said.outputs],
        "opset": dict(said.opsets),
        "IR version": said.ir_version,
        "producer": said.producer,
        "metadata": dict(said.metadata),
        "operators": dict(said.operators),
        "weights that are missing": [one for one in said.external if not (build.path.parent / one).is_file()],
    }


def text(found: Facts) -> str:
    """One fact a line; lists and maps below their name."""
    lines = []
    for name, value in found.items():
        if value in ("", [], {}, None):
            continue
        if isinstance(value, list):
            lines += [f"{name}:", *(f"  {one}" for one in value)]
        elif name in ("operators", "layers"):
            lines.append(f"{name}: {', '.join(f'{one} {count}' for one, count in value.items())}")
        elif isinstance(value, Mapping):
            lines += [f"{name}:", *(f"  {key}: {_short(one)}" for key, one in value.items())]
        else:
            lines.append(f"{name}: {value:,} bytes" if name == "size" else f"{name}: {value}")
    return "\n".join(lines)


def _short(value: object) -> str:
    words = str(value).replace("\n", " ")
    return words if len(words) <= 300 else f"{words[:300]} … ({len(words)} characters)"
