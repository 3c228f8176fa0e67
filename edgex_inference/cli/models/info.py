"""`model info`: what a file says of itself, and what the card makes of it."""

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgex_inference.cli.models.loading import configured, engine_of, open_anywhere
from edgex_inference.config.load import Loaded
from edgex_inference.contracts.accelerator import ONNX, Format
from edgex_inference.contracts.errors import ModelNotFound, SetupError
from edgex_inference.contracts.models import Build, ModelCard, Task
from edgex_inference.engine import onnx_file
from edgex_inference.engine.cards.card import BY_SUFFIX
from edgex_inference.pipeline.planning.plan import Engine
from edgex_inference.service import open_engine

Facts = Mapping[str, Any]


def facts(what: str, version: str | None, models: Path | None) -> list[Facts]:
    """The facts of a file, or of every file of a model of the store; raises SetupError."""
    loaded = configured(models)
    card, known = _card(what, version, loaded)
    return asyncio.run(_files(card, known, loaded))


def _card(what: str, version: str | None, loaded: Loaded) -> tuple[ModelCard, dict[str, Any]]:
    """A model of the store and what its card says, or a file as a model that nobody has described."""
    path = Path(what)
    kind = BY_SUFFIX.get(path.suffix.lower())
    if not path.is_file():
        if kind is not None or len(path.parts) > 1:
            raise ModelNotFound(what, "no such file")
        card = open_engine(loaded).store.find(what, version)
        return card, _of_card(card)
    if kind is None:
        known = ", ".join(BY_SUFFIX)
        raise SetupError(f"{path}: the suffix {path.suffix!r} tells no format; known: {known}")
    path = path.absolute()
    return ModelCard(
        name=path.stem,
        version="",
        task=Task.RAW,
        folder=path.parent,
        builds=(Build(path=path, format=Format(kind)),),
    ), {}


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
    found = _bytes(build)
    if build.format == ONNX:
        return found | _onnx(build.path)
    try:
        alone = ModelCard(
            name=card.name, version=card.version, task=Task.RAW, folder=card.folder, builds=(build,)
        )
        opened = await open_anywhere(engine, alone)
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
    with build.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "file": str(build.path),
        "format": build.format,
        "size": build.path.stat().st_size,
        "sha256": digest,
    }


def _onnx(path: Path) -> dict[str, Any]:
    said = onnx_file.read(path)
    return {
        "inputs": [str(one) for one in said.inputs],
        "outputs": [str(one) for one in said.outputs],
        "opset": dict(said.opsets),
        "IR version": said.ir_version,
        "producer": said.producer,
        "metadata": dict(said.metadata),
        "operators": dict(said.operators),
        "external data": list(said.external),
    }


def text(found: Facts) -> str:
    """One fact a line; lists and maps below their name."""
    lines = []
    for name, value in found.items():
        if value in ("", [], {}, None):
            continue
        if isinstance(value, list):
            lines += [f"{name}:", *(f"  {one}" for one in value)]
        elif name == "operators":
            lines.append(f"{name}: {', '.join(f'{one} {count}' for one, count in value.items())}")
        elif isinstance(value, Mapping):
            lines += [f"{name}:", *(f"  {key}: {_short(one)}" for key, one in value.items())]
        else:
            lines.append(f"{name}: {value:,} bytes" if name == "size" else f"{name}: {value}")
    return "\n".join(lines)


def _short(value: object) -> str:
    words = str(value).replace("\n", " ")
    return words if len(words) <= 300 else f"{words[:300]} … ({len(words)} characters)"
