"""What `auto` found out, kept for the same model on the same machine with the same runtimes."""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import msgspec

from edgex_inference.contracts.accelerator import Accelerator
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.models import ModelCard
from edgex_inference.engine import machine
from edgex_inference.engine.cards.card import CARD
from edgex_inference.engine.catalog import Candidate
from edgex_inference.engine.files import digest, mark
from edgex_inference.pipeline.planning.choosing.finding import Choice

log = logging.getLogger(__name__)

_MOST = 500
"""Choices that are remembered, and files that are kept; the oldest go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """All that a choice depends on; where one of these differs, it is measured anew."""

    cpu: str
    cores: float
    hardware: tuple[str, ...]
    candidates: tuple[str, ...]
    runtimes: Mapping[str, str | None]
    plugins: Mapping[str, str]
    model: str
    precision: str
    threads: int | None
    batch: int | None
    options: str
    isolation: str | None
    release: str

    @property
    def key(self) -> str:
        """A name for a file."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    fingerprint: Fingerprint
    choice: Choice


class Records:
    """Choices by fingerprint, in memory and in a folder; what cannot be kept there is measured at each start.

    `measuring` is held by whoever measures: two at once would only measure each other.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.measuring = asyncio.Lock()
        self._folder = folder
        self._known: dict[str, Choice] = {}
        self._digests: dict[Hashable, str] = {}
        self._warned = False

    def fingerprint(
        self,
        card: ModelCard,
        choice: AcceleratorChoice,
        candidates: Sequence[Candidate],
        *,
        threads: int | None,
        hardware: Sequence[str],
    ) -> Fingerprint:
        """Of this model here; reads its files unless it knows them, and blocks."""
        plugins = {one.accelerator.name: one.accelerator for one in candidates}
        return Fingerprint(
            cpu=machine.cpu(),
            cores=machine.cores(),
            hardware=tuple(hardware),
            candidates=tuple(map(str, candidates)),
            runtimes={**{name: plugin.version() for name, plugin in plugins.items()}, **_parts(plugins)},
            plugins={one.accelerator.name: one.plugin for one in candidates},
            model=self._model(card),
            precision=choice.precision or card.precision or "f32",
            threads=choice.threads or threads,
            batch=choice.batch,
            options=json.dumps(choice.options, sort_keys=True, default=str),
            isolation=choice.isolation,
            release=version("edgex-inference"),
        )

    def find(self, fingerprint: Fingerprint) -> Choice | None:
        """What was found out before."""
        known = self._known.get(fingerprint.key)
        if known is not None or self._folder is None:
            return known
        try:
            kept = msgspec.json.decode(self._file(fingerprint).read_bytes(), type=_Kept)
        except (OSError, msgspec.DecodeError):  # none yet, or cut short: it is measured, and written anew
            return None
        names = {one.accelerator for one in kept.choice.findings}
        if kept.fingerprint != fingerprint or names != set(fingerprint.candidates):
            return None
        return self._remember(fingerprint, replace(kept.choice, kept=True))

    def keep(self, fingerprint: Fingerprint, choice: Choice) -> None:
        """Remembers it; in the folder only what is complete: who was away now may be there next time."""
        self._remember(fingerprint, choice)
        if self._folder is None or not choice.complete:
            return
        try:
            self._write(self._file(fingerprint), _Kept(fingerprint=fingerprint, choice=choice))
        except OSError as error:
            if not self._warned:
                said = "auto measures again at each start: %s cannot be written (%s)"
                log.warning(said, self._folder, error.strerror or error)
            self._warned = True

    def _remember(self, fingerprint: Fingerprint, choice: Choice) -> Choice:
        self._known.pop(fingerprint.key, None)
        while len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]
        self._known[fingerprint.key] = choice
        return choice

    def _file(self, fingerprint: Fingerprint) -> Path:
        assert self._folder is not None
        return self._folder / f"{fingerprint.key}.json"

    def _write(self, path: Path, kept: _Kept) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(kept), indent=1))
            Path(beside).replace(path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
        files = sorted(path.parent.glob("*.json"), key=_written)
        for old in files[:-_MOST]:
            with contextlib.suppress(OSError):
                old.unlink()

    def _model(self, card: ModelCard) -> str:
        """Of everything that decides what the model answers, and what it should."""
        found = hashlib.sha256()
        for path in (card.folder / CARD, *(file for one in card.golden for file in (one.input, one.expect))):
            with contextlib.suppress(OSError):  # whoever loads the model says so
                found.update(path.read_bytes())
        for build in card.builds:
            key = (build.path, build.format, mark(build.path))
            if key not in self._digests:
                self._digests.clear() if len(self._digests) >= _MOST else None
                with contextlib.suppress(OSError):
                    self._digests[key] = digest(build.path, build.format)
            found.update(self._digests.get(key, "").encode())
        return found.hexdigest()


def _parts(plugins: Mapping[str, Accelerator]) -> Mapping[str, str]:
    """Versions of what brings further devices, such as a provider of ONNX Runtime."""
    return {
        f"{name}: {part}": number
        for name, plugin in plugins.items()
        if plugin.parts is not None
        for part, number in plugin.parts().items()
    }


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
