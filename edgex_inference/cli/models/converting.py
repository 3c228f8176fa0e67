"""`model convert`: a foreign file becomes a model of the store, if and only if it answers as its source does."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgex_inference.bindings.parts import FOLDER_NAME
from edgex_inference.cli.models.adding import Added, add
from edgex_inference.cli.models.loading import Opened, configured, engine_of, open_anywhere
from edgex_inference.config.load import Loaded
from edgex_inference.config.places import listed
from edgex_inference.contracts.accelerator import Format, Session
from edgex_inference.contracts.errors import EdgexInferenceError, ModelRejected, SetupError
from edgex_inference.contracts.models import Build, ModelCard, Task
from edgex_inference.contracts.probing import sample
from edgex_inference.contracts.tensors import Array, Tensors, TensorSpec
from edgex_inference.engine.formats.converting import Converted, Wish, convert
from edgex_inference.engine.formats.kinds import ABOUT
from edgex_inference.engine.formats.parity import (
    Case,
    Off,
    Parity,
    Samples,
    compare,
    row_by_row,
    says_nothing,
)
from edgex_inference.engine.formats.toolchains import Toolchains
from edgex_inference.pipeline.planning.plan import Engine

_CASES = 6
_PATIENCE = 300.0
"""Seconds for one run of the source or of the converted model."""

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the model goes: a version folder of the store."""

    name: str
    version: str
    models: Path | None

    @classmethod
    def of(cls, folder: Path) -> "Place":
        """The place of a version folder `<store>/<name>/<version>`; raises SetupError for one that cannot be it."""
        whole = folder.absolute()
        for part in (whole.parent.name, whole.name):
            if not FOLDER_NAME.fullmatch(part):
                raise SetupError(
                    f"--into {folder}: must end in the model's name and its version, such as models/pump/1"
                )
        if os.path.lexists(whole):  # where that cannot be told, writing says why
            raise SetupError(f"{folder} is there already, and nothing is overwritten: say another version")
        return cls(name=whole.parent.name, version=whole.name, models=whole.parent.parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The model in the store, and how it was found to be right."""

    added: Added
    parity: Parity
    notes: tuple[str, ...]


async def into_store(wish: Wish, place: Place, *, task: Task | None, tolerance: float, told: Told) -> Done:
    """Converts, compares and adds; raises SetupError, and then nothing of it is left."""
    loaded = configured(place.models)
    with tempfile.TemporaryDirectory(prefix="edgex-inference-") as folder:
        converted = convert(wish, toolchains_of(loaded), Path(folder), told)
        told("comparing")
        parity, notes = await _compared(wish, converted, loaded, tolerance)
        added = await add(
            converted.path,
            name=place.name,
            version=place.version,
            task=task,
            models=place.models,
            parity=parity.line(),
        )
    return Done(added=added, parity=parity, notes=(*converted.notes, *notes))


def toolchains_of(loaded: Loaded) -> Toolchains:
    """The toolchains of this user; raises SetupError for one without a home."""
    if loaded.state is None:
        raise SetupError("there is no place for toolchains: set HOME, or Inference.CacheDir")
    return Toolchains(loaded.state / "toolchains")


async def _compared(
    wish: Wish, converted: Converted, loaded: Loaded, tolerance: float
) -> tuple[Parity, tuple[str, ...]]:
    async with engine_of(loaded) as engine:
        try:
            target = await _open(engine, converted.path, wish.target)
        except ModelRejected as error:
            reason = error.reason.removeprefix(f"{converted.path.name}: ")
            raise ModelRejected(
                wish.source, f"its conversion is refused by all that is here: {reason}"
            ) from error
        cases, source = converted.cases, converted.framework
        if cases is None:
            cases, source = await _asked(engine, wish, converted, target)
            cases = [converted.brought(case) for case in cases]
        cases = row_by_row(cases, target.lane.session.inputs)
        worst, notes = await _worst(wish, target, cases, tolerance)
    if worst.share > 1:
        raise ModelRejected(
            wish.source,
            f"its conversion answers otherwise than {source}: {worst.output} differs by {worst.difference:.3g}, and "
            f"{worst.tolerance:g} is allowed; nothing was kept",
        )
    return (
        Parity(
            source=source if wish.samples is None else f"{source}; samples of {wish.samples.path.name}",
            difference=worst.difference,
            tolerance=worst.tolerance,
            samples=len(cases) - len(_holed(wish, cases)),
            converter=", ".join(converted.tools),
            checked_on=str(target.candidate),
        ),
        notes,
    )


async def _open(engine: Engine, path: Path, format_: Format, never: str = "") -> Opened:
    card = ModelCard(
        name=path.stem,
        version="",
        task=Task.RAW,
        folder=path.parent,
        builds=(Build(path=path, format=format_),),
    )
    return await open_anywhere(engine, card, never=never)


async def _asked(
    engine: Engine, wish: Wish, converted: Converted, target: Opened
) -> tuple[Sequence[Case], str]:
    """Answers to compare with where the source's framework gave none.

    From an accelerator of this machine that reads the source, never the one that runs the converted model; else the
    known answers of the samples.
    """
    known = ABOUT[converted.kind].format
    names = [spec.name for spec in target.lane.session.outputs]
    if wish.samples is not None and all(name in wish.samples.arrays for name in names):
        return _known(wish.samples, target.lane.session), "known answers"
    try:
        if known is None:
            raise SetupError(f"no accelerator runs {ABOUT[converted.kind].label}")
        opened = await _open(engine, wish.source, known, never=target.candidate.accelerator.name)
    except SetupError as error:
        raise ModelRejected(
            wish.source,
            f"nothing here can answer for it ({converted.missing or error}): give --samples with the answers too, "
            f"{listed(names, last='and')}",
        ) from error
    specs = opened.lane.session.inputs
    cases = []
    for feed in _feeds([_shaped(spec, wish) for spec in specs], wish.samples):
        answers = await _run(opened, feed, wish)
        cases.append(Case(inputs=tuple(feed[one.name] for one in specs), outputs=answers))
    version = opened.candidate.accelerator.version() or ""
    return cases, f"{opened.candidate} {version}".strip()


def _shaped(spec: TensorSpec, wish: Wish) -> TensorSpec:
    """With what the user said of its extents."""
    shape = wish.shapes.get(spec.name) or wish.shapes.get("")
    return replace(spec, shape=shape) if shape is not None else spec


def _known(samples: Samples, session: Session) -> Sequence[Case]:
    outputs = [samples.arrays[spec.name] for spec in session.outputs]
    return [
        Case(
            inputs=tuple(feed[spec.name] for spec in session.inputs),
            outputs=tuple(_row(rows, spec, at) for rows, spec in zip(outputs, session.outputs, strict=True)),
        )
        for at, feed in enumerate(_feeds(session.inputs, samples))
    ]


def _feeds(specs: Sequence[TensorSpec], samples: Samples | None) -> Sequence[Tensors]:
    if samples is None:
        return [sample(specs, np.random.default_rng(seed)) for seed in range(_CASES)]
    names = [spec.name for spec in specs]
    rows = samples.rows(names)
    missing = [name for name in names if name not in rows]
    if missing:
        raise ModelRejected(samples.path, f"has no input {missing[0]} (it has {', '.join(samples.arrays)})")
    count = len(next(iter(rows.values())))
    return [
        {spec.name: _row(rows[spec.name], spec, at).astype(spec.datatype.numpy) for spec in specs}
        for at in range(count)
    ]


def _row(rows: Array, spec: TensorSpec, at: int) -> Array:
    """One sample as the model takes it: with a first axis of length 1 where it has that."""
    return rows[at : at + 1] if rows.ndim == len(spec.shape) else rows[at]


async def _run(opened: Opened, feed: Tensors, wish: Wish) -> tuple[Array, ...]:
    try:
        answers = await opened.lane.infer(feed, timeout=_PATIENCE)
    except SetupError:
        raise
    except EdgexInferenceError as error:
        raise ModelRejected(wish.source, f"{opened.candidate} cannot run it: {error}") from error
    return tuple(np.asarray(answers[spec.name]) for spec in opened.lane.session.outputs)


async def _worst(
    wish: Wish, target: Opened, cases: Sequence[Case], tolerance: float
) -> tuple[Off, tuple[str, ...]]:
    """The answer that is furthest off, of the source's and of the samples' own where they have some."""
    session = target.lane.session
    names = [spec.name for spec in session.outputs]
    known = wish.samples.arrays if wish.samples is not None else {}
    worst: Off | None = None
    holed = _holed(wish, cases)
    for index, case in enumerate(cases if not holed else [one for one in cases if not one.is_holed]):
        answers = await _run(target, _feed(wish, session, case), wish)
        found = [compare(answers, case.outputs, names, tolerance)]
        found += [
            compare([answer], [known[name][index]], [f"{name} of sample {index}"], tolerance)
            for name, answer in zip(names, answers, strict=True)
            if name in known
        ]
        worst = max((*found, *([worst] if worst else [])), key=lambda one: one.share)
    assert worst is not None
    notes = []
    if says_nothing(cases):
        notes.append("every sample got the same answer, which proves little: give --samples of real inputs")
    if holed and not all([await _agrees(wish, target, case, tolerance) for case in holed]):
        notes.append(
            "where a value is missing (NaN) it does not answer as its source does: leave the card's nan: refuse"
        )
    return worst, tuple(notes)


def _holed(wish: Wish, cases: Sequence[Case]) -> Sequence[Case]:
    """Made-up samples with missing values, which are asked besides; those of a user count as all others."""
    return [case for case in cases if wish.samples is None and case.is_holed]


def _feed(wish: Wish, session: Session, case: Case) -> Tensors:
    if len(case.inputs) != len(session.inputs):
        reason = f"its conversion has {len(session.inputs)} inputs instead of {len(case.inputs)}"
        raise ModelRejected(wish.source, reason)
    return {
        spec.name: array.astype(spec.datatype.numpy)
        for spec, array in zip(session.inputs, case.inputs, strict=True)
    }


async def _agrees(wish: Wish, target: Opened, case: Case, tolerance: float) -> bool:
    """Whether it answers a sample of which values are missing; nobody has to, for a card refuses those."""
    names = [spec.name for spec in target.lane.session.outputs]
    try:
        answers = await _run(target, _feed(wish, target.lane.session, case), wish)
    except ModelRejected:
        return False
    return compare(answers, case.outputs, names, tolerance).share <= 1
