"""A model written anew in 8 bits: calibrated with samples, compared on golden samples, entered into its card."""

import contextlib
import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgex_inference.cli.compiling.progress import Progress
from edgex_inference.cli.compiling.writing import entered
from edgex_inference.config.places import listed
from edgex_inference.contracts.accelerator import Accelerator, Format, QuantizeRequest, Session
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    EdgexInferenceError,
    ModelRejected,
    SetupError,
)
from edgex_inference.contracts.models import Build, ImageInput, ModelCard
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.engine.compiling.forge import Forge
from edgex_inference.engine.compiling.shelf import without_room
from edgex_inference.engine.files import companions, digest, is_inside, parts
from edgex_inference.pipeline.planning import golden
from edgex_inference.pipeline.planning.choosing.difference import from_golden
from edgex_inference.pipeline.planning.plan import Engine

_PICTURES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp"))

_FEW = 8
"""Samples: with fewer hardly anything is known of how large numbers get."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantized:
    """The new file, and the largest differences to the golden answers before and after; None without samples."""

    path: Path
    card: Path
    samples: int
    golden: int
    before: float | None
    after: float | None
    sizes: tuple[int, int]

    @property
    def figures(self) -> Mapping[str, object]:
        return {
            "path": str(self.path),
            "samples": self.samples,
            "differenceBefore": self.before,
            "differenceAfter": self.after,
            "sizeBefore": self.sizes[0],
            "sizeAfter": self.sizes[1],
        }

    @property
    def text(self) -> str:
        """What was done, in words."""
        small = f"{self.sizes[0] / 1e3:.0f} kB before, {self.sizes[1] / 1e3:.0f} kB now"
        lines = [f"wrote {self.path} with {self.samples} samples: {small}"]
        if self.before is not None and self.after is not None:
            count = f"{self.golden} golden sample{'' if self.golden == 1 else 's'}"
            lines.append(f"  largest difference on {count}: {self.before:.1e} before, {self.after:.1e} now")
        else:
            lines.append("  no golden samples: nothing is proven")
        if self.samples < _FEW:
            lines.append("  so few samples hardly say how large numbers get: take some dozens, true to life")
        lines.append(f"  entered into {self.card}; bindings get it with precision: int8")
        return "\n".join(lines)


async def quantize(engine: Engine, card: ModelCard, samples: Path) -> Quantized:
    """Writes the file and the card's line, or nothing at all where a golden sample is answered wrongly.

    Raises SetupError.
    """
    accelerator, build = _who(engine, card)
    target = build.path.with_name(f"{build.path.stem}-int8{build.path.suffix}")
    if target.exists() or any(one.precision == "int8" for one in card.builds):
        raise SetupError(
            f"{card.name} {card.version} has a quantized file already: remove it and its line first"
        )
    files = _files(samples, build)
    tensors, before = await _prepared(engine, card, build, accelerator, files)
    try:
        with tempfile.TemporaryDirectory(prefix=".int8-", dir=card.folder) as folder:
            try:
                made = await _made(accelerator, build, tensors, Path(folder) / target.name)
            except EdgexInferenceError as error:  # a runtime's own words for a full disk blame the model
                if without_room(error, Path(folder)):
                    raise SetupError(f"{card.folder}: no room to quantize in: make room there") from error
                raise
            after = await _judged(engine, card, made, accelerator)
            sizes = _size(build.path, build.format), _size(made.path, made.format)
            entry = {
                "path": target.relative_to(card.folder).as_posix(),
                "format": str(build.format),
                "precision": "int8",
                "sha256": made.sha256,
                "parity": _parity(build, files, after),
            }
            text = entered(card, card.builds.index(build), entry)
            kept = [target.with_name(path.name) for path in parts(made.path, made.format)]
            for path in kept:
                os.replace(made.path.with_name(path.name), path)
    except OSError as error:
        raise SetupError(f"{card.folder}: nothing can be written there: {error.strerror or error}") from error
    return Quantized(
        path=target,
        card=_card_written(card, kept, text),
        samples=len(files),
        golden=len(card.golden),
        before=before,
        after=after,
        sizes=sizes,
    )


async def _made(accelerator: Accelerator, build: Build, samples: Sequence[Tensors], into: Path) -> Build:
    """The file in 8 bits; in a thread that is left behind when a person has had enough."""
    request = QuantizeRequest(
        path=build.path,
        format=build.format,
        into=into,
        samples=samples,
        beside=tuple(name for name in companions(build.path, build.format) if is_inside(name)),
    )
    quantize_ = accelerator.quantize
    assert quantize_ is not None
    name = f"quantizing {build.path.name}"
    with Progress(name) as progress:
        ready = replace(request, progress=progress.told)
        await Forge(deadline=math.inf).work(name, lambda _: quantize_(ready))
    return replace(build, path=into, sha256=digest(into, build.format), precision="int8")


def _size(path: Path, format_: Format) -> int:
    return sum(one.stat().st_size for one in parts(path, format_))


def _who(engine: Engine, card: ModelCard) -> tuple[Accelerator, Build]:
    """The first of the model's files that an accelerator here quantizes; raises AcceleratorUnavailable."""
    able: list[Accelerator] = []
    for name in engine.catalog.names():
        with contextlib.suppress(AcceleratorUnavailable):
            able.append(engine.catalog.get(name))
    for build in card.builds:
        for accelerator in able:
            if accelerator.quantize is not None and build.format in accelerator.quantizes:
                return accelerator, build
    known = frozenset[str]().union(*(one.quantizes for one in able))
    have = listed(sorted({one.format for one in card.builds}), last="and")
    reads = listed(sorted(known), last="and") or "nothing"
    raise AcceleratorUnavailable("int8", f"what is installed here quantizes {reads}; {card.name} has {have}")


def _files(folder: Path, build: Build) -> Sequence[Path]:
    """The sample files of a folder; raises SetupError where there are none."""
    pictures = any(isinstance(one, ImageInput) for one in build.inputs)
    try:
        found = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise SetupError(f"--samples: {folder} cannot be read: {error.strerror}") from error
    if pictures or not build.inputs:
        files = [path for path in found if path.suffix.lower() in _PICTURES]
    if not pictures and (build.inputs or not files):
        files = [path for path in found if path.suffix == ".json" and not path.name.endswith(".expect.json")]
    if not files:
        kind = "picture" if pictures else "JSON file of inputs"
        raise SetupError(
            f"--samples: there is no {kind} in {folder}: quantizing needs inputs as the model will get them"
        )
    return files


async def _prepared(
    engine: Engine, card: ModelCard, build: Build, accelerator: Accelerator, files: Sequence[Path]
) -> tuple[Sequence[Tensors], float | None]:
    """The samples as tensors, and how far the file is from the golden answers as it is."""
    choice = AcceleratorChoice(name=accelerator.name, precision="f32")
    (candidate,) = engine.catalog.candidates(choice, [build.format])
    alone = replace(card, builds=(build,))
    lane, complete = await engine.fleet.acquire(candidate, choice, alone)
    try:
        most = engine.max_pixels
        tensors = [_sample(lane.session, alone, complete, file, most) for file in files]
        return tensors, await from_golden(lane, alone, complete, max_pixels=engine.max_pixels)
    finally:
        await engine.fleet.release(lane)


def _sample(session: Session, card: ModelCard, build: Build, file: Path, most: int) -> Tensors:
    """What the model is given for a file; raises SetupError naming it."""
    try:
        return golden.tensors_of(session, card, build, file, max_pixels=most)
    except ModelRejected as error:
        reason = error.reason.removeprefix(f"golden sample {file.name}: ").removeprefix("golden: ")
        raise SetupError(f"--samples: {file}: {reason}") from error


async def _judged(engine: Engine, card: ModelCard, build: Build, accelerator: Accelerator) -> float | None:
    """How far the quantized file is from the golden answers; raises ModelRejected where that is too far."""
    choice = AcceleratorChoice(name=accelerator.name, precision="int8")
    (candidate,) = engine.catalog.candidates(choice, [build.format])
    alone = replace(card, builds=(build,))
    lane, complete = await engine.fleet.acquire(candidate, choice, alone)
    try:
        await golden.check(lane, alone, complete, max_pixels=engine.max_pixels)
        return await from_golden(lane, alone, complete, max_pixels=engine.max_pixels)
    except ModelRejected as error:
        reason = f"in 8 bits it answers wrongly, and nothing was written: {error.reason}; take more and truer samples, "
        raise ModelRejected(card.name, reason + "or a wider tolerance") from error
    finally:
        await engine.fleet.release(lane)


def _parity(build: Build, files: Sequence[Path], after: float | None) -> Mapping[str, object]:
    hashed = hashlib.sha256()
    for file in files:
        hashed.update(hashlib.sha256(file.read_bytes()).digest())
    said: dict[str, object] = {"source": build.path.name, "calibration": hashed.hexdigest()}
    return said if after is None else {**said, "difference": float(f"{after:.3g}")}


def _card_written(card: ModelCard, made: Sequence[Path], text: str) -> Path:
    """Without its line in the card the file would be nobody's: then it goes again. Raises SetupError."""
    path = card.folder / "model.yaml"
    try:
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(text, encoding="utf-8")
        shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except OSError as error:
        for one in made:
            one.unlink(missing_ok=True)
        raise SetupError(f"{path} cannot be written: {error.strerror}") from error
    return path
