"""A model of the store, loaded by whatever here reads it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from edgex_inference.config.flags import Flags
from edgex_inference.config.load import Loaded, load
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import SetupError
from edgex_inference.contracts.models import Build, ModelCard
from edgex_inference.engine.catalog import AUTO, Candidate
from edgex_inference.engine.lane import Lane
from edgex_inference.pipeline.planning.plan import Engine
from edgex_inference.service import open_engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A loaded model, with everything that its card leaves to the file filled in."""

    candidate: Candidate
    lane: Lane
    build: Build


def configured(models: Path | None) -> Loaded:
    """The configuration, with the model store that the command line names."""
    return load(Flags(models=str(models.absolute()) if models else ""))


@asynccontextmanager
async def engine_of(loaded: Loaded) -> AsyncIterator[Engine]:
    """The engine; its sessions are closed on the way out."""
    engine = open_engine(loaded)
    try:
        yield engine
    finally:
        await engine.fleet.close()


async def open_anywhere(engine: Engine, card: ModelCard) -> Opened:
    """Loads the model on the first accelerator that takes it; raises the SetupError of the first that does not."""
    choice = AcceleratorChoice(name=AUTO)
    refused: SetupError | None = None
    for candidate in engine.catalog.candidates(choice, [build.format for build in card.builds]):
        try:
            lane, build = await engine.fleet.acquire(candidate, choice, card)
        except SetupError as error:
            refused = refused or error
        else:
            return Opened(candidate=candidate, lane=lane, build=build)
    assert refused is not None
    raise refused


def pascal(text: str) -> str:
    """`spindle-ae` → `SpindleAe`: a name that every EdgeX takes."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    return "".join(word[:1].upper() + word[1:] for word in words) or "Model"
