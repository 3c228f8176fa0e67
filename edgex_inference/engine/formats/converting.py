"""A file along its route: screened, converted step by step in children, its own framework's answers kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgex_inference.contracts.accelerator import Format
from edgex_inference.contracts.errors import ModelRejected, SetupError
from edgex_inference.engine.formats.child import Job, Limits, Reply, run
from edgex_inference.engine.formats.kinds import ABOUT, Kind
from edgex_inference.engine.formats.parity import Case, Samples, read_cases
from edgex_inference.engine.formats.recognize import recognize
from edgex_inference.engine.formats.routes import Step, route
from edgex_inference.engine.formats.screen import screen
from edgex_inference.engine.formats.toolchains import Toolchains


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a user asks for; `shapes` by input, `factory` a `module:function` that makes a PyTorch module."""

    source: Path
    target: Format
    beside: Path | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    factory: str = ""
    opset: int | None = None
    samples: Samples | None = None
    trust: bool = False
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """The converted model, not yet compared; `cases` None where the source's framework was not asked."""

    path: Path
    kind: Kind
    framework: str
    tools: tuple[str, ...]
    notes: tuple[str, ...]
    cases: Sequence[Case] | None


def kind_of(wish: Wish) -> Kind:
    """The source's kind, checked to be safe to open; raises SetupError."""
    if not wish.source.exists():
        if wish.factory and ":" in str(wish.source):
            return Kind.TORCH_FACTORY
        raise SetupError(f"{wish.source}: no such file")
    try:
        kind = recognize(wish.source)
    except OSError as error:
        raise SetupError(f"{wish.source}: cannot be read: {error.strerror}") from error
    screen(wish.source, kind, trust=wish.trust)
    return Kind.TORCH_FACTORY if kind in (Kind.TORCH_WEIGHTS, Kind.SAFETENSORS) and wish.factory else kind


def planned(wish: Wish, toolchains: Toolchains) -> tuple[Kind, Sequence[Step]]:
    """The kind and its route, every toolchain of which is there; raises SetupError before anything is made."""
    kind = kind_of(wish)
    try:
        steps = route(kind, wish.target)
    except SetupError as error:
        raise ModelRejected(wish.source, str(error)) from None
    for step in steps:
        toolchains.python(step.toolchain)
    return kind, steps


def convert(wish: Wish, toolchains: Toolchains, folder: Path, told: Callable[[str], None]) -> Converted:
    """Converts into `folder`; raises SetupError."""
    kind, steps = planned(wish, toolchains)
    source, replies = wish.source.absolute(), list[Reply]()
    for number, step in enumerate(steps):
        told(
            f"{ABOUT[kind].label if not number else source.name} to {step.target} ({step.toolchain or 'here'})"
        )
        place = folder / f"step{number}"
        place.mkdir()
        job = _job(wish, source, kind if not number else recognize(source), place, first=not number)
        replies.append(run(toolchains.python(step.toolchain), step.script, job, place, wish.limits))
        source = replies[-1].file
    first = replies[0]
    asked = steps[0].answers and first.answers is not None
    return Converted(
        path=source,
        kind=kind,
        framework=first.framework,
        tools=tuple(reply.tool for reply in replies),
        notes=tuple(note for reply in replies for note in reply.notes),
        cases=read_cases(first.answers, wish.source) if asked and first.answers is not None else None,
    )


def _job(wish: Wish, source: Path, kind: Kind, folder: Path, *, first: bool) -> Job:
    inputs: str | None = None
    if first and wish.samples is not None:
        inputs = str(folder / "inputs.npz")
        np.savez(inputs, **{name: np.asarray(rows) for name, rows in wish.samples.arrays.items()})
    options: dict[str, object] = {"trust": wish.trust}
    if wish.factory and first:
        options["factory"] = wish.factory
    beside = (str(wish.beside.absolute()),) if wish.beside is not None and first else ()
    return Job(
        source=str(source),
        kind=kind.value,
        beside=beside,
        shapes=wish.shapes if first else {},
        options=options,
        opset=wish.opset,
        inputs=inputs,
    )
