"""A model of the store, loaded by whatever here reads it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from edgex_inference.config.flags import Flags
from edgex_inference.config.load import Loaded, load
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected, SetupError
from edgex_inference.contracts.models import Build, ModelCard
from edgex_inference.engine.cards.card import BY_SUFFIX, format_of
from edgex_inference.engine.catalog import AUTO, Candidate
from edgex_inference.engine.formats.mishaps import foreign, instead, is_there, mishap
from edgex_inference.engine.formats.recognize import recognize
from edgex_inference.engine.lane import Lane
from edgex_inference.opening import open_engine
from edgex_inference.pipeline.planning.plan import Engine

_GRAPHS = {".bin": ".xml", ".pdiparams": ".pdmodel"}
"""Suffix of weights → suffix of the graph that they belong to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A loaded model, with everything that its card leaves to the file filled in."""

    candidate: Candidate
    lane: Lane
    build: Build


def configured(models: Path | None) -> Loaded:
    """The configuration, with the model store that the command line names."""
    return load(Flags(models=str(models.absolute()) if models else ""))


def build_of(path: Path) -> Build:
    """A file, or a SavedModel's folder, as a build that no card describes yet; raises SetupError with the fix."""
    if not is_there(path):
        raise SetupError(f"{path}: no such file")
    told = mishap(path)
    if told:
        raise ModelRejected(path, told)
    if path.is_file() and path.stem == "saved_model" and path.suffix in (".pb", ".pbtxt"):
        raise SetupError(f"{path}: is a part of a SavedModel: name its folder, {path.parent}")
    known = format_of(path)
    if known is not None:
        told = instead(path, known)
        if told:
            raise ModelRejected(path, told)
        return Build(path=path, format=known)
    if path.is_dir():
        raise _of_folder(path)
    belongs = _GRAPHS.get(path.suffix.lower())
    if belongs is not None and path.with_suffix(belongs).is_file():
        raise SetupError(f"{path}: has the weights of {path.with_suffix(belongs).name}: name that file")
    told = foreign(path)
    if told:
        raise ModelRejected(path, told)
    raise SetupError(
        f"{path}: the suffix {path.suffix!r} tells no format; known: {', '.join(BY_SUFFIX)}, and folders with a "
        "saved_model.pb; other models must be converted to one of these: edgex-inference model convert"
    )


def _of_folder(path: Path) -> SetupError:
    """Why a folder is no model: another framework's, one with models in it, or neither."""
    try:
        recognize(path)
    except ModelRejected as error:
        if "name" in error.reason:
            return error
    told = foreign(path)
    if told:
        return ModelRejected(path, told)
    return SetupError(f"{path}: is a folder without a saved_model.pb: name a file, or a SavedModel's folder")


@asynccontextmanager
async def engine_of(loaded: Loaded) -> AsyncIterator[Engine]:
    """The engine; its sessions are closed on the way out."""
    engine = open_engine(loaded)
    try:
        yield engine
    finally:
        await engine.fleet.close()


async def open_anywhere(engine: Engine, card: ModelCard, *, never: str = "") -> Opened:
    """Loads the model on the first accelerator that takes it; raises the SetupError of the first that does not.

    Whoever reads it will do, to look at it or to compare, also one that `auto` is kept from.
    `never` is an accelerator that is passed over. What a processor does not load in time no other one is asked for:
    raises ModelRejected.
    """
    choice = AcceleratorChoice(name=AUTO)
    refused: SetupError | None = None
    formats = [build.format for build in card.builds]
    for candidate in engine.catalog.candidates(choice, formats, everybody=True):
        if candidate.accelerator.name == never:
            refused = refused or AcceleratorUnavailable(
                never, "runs the converted model, and no other one here reads it"
            )
            continue
        try:
            lane, build = await engine.fleet.acquire(candidate, choice, card)
        except AcceleratorUnavailable as error:
            if error.late and candidate.device.upper() == "CPU":
                raise _endless(card, candidate, error) from error
            refused = refused or error
        except SetupError as error:
            refused = refused or error
        else:
            return Opened(candidate=candidate, lane=lane, build=build)
    assert refused is not None
    raise refused


def _endless(card: ModelCard, candidate: Candidate, error: AcceleratorUnavailable) -> ModelRejected:
    return ModelRejected(
        card.name,
        f"{error.reason} on {candidate}, a first run included: look for a loop of too many turns, or for functions "
        "that call each other too often",
    )


def pascal(text: str) -> str:
    """`spindle-ae` → `SpindleAe`: a name that every EdgeX takes."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    return "".join(word[:1].upper() + word[1:] for word in words) or "Model"
