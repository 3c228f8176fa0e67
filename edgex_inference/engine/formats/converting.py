"""A file along its route: screened, converted step by step in children, its own framework's answers kept."""

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from edgex_inference.contracts import appended, onnx_file
from edgex_inference.contracts.accelerator import ONNX, TFLITE, Format
from edgex_inference.contracts.errors import ModelRejected, SetupError
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.engine.formats.child import Job, Limits, Reply, run
from edgex_inference.engine.formats.kinds import ABOUT, Kind
from edgex_inference.engine.formats.mishaps import is_there, mishap, text
from edgex_inference.engine.formats.parity import Case, Samples, read_cases, turned
from edgex_inference.engine.formats.recognize import recognize
from edgex_inference.engine.formats.routes import Step, route
from edgex_inference.engine.formats.screen import screen
from edgex_inference.engine.formats.toolchains import Toolchains

_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""`module:function`, for a module that is made without weights of a file."""
_WEIGHTS = (Kind.TORCH_WEIGHTS, Kind.SAFETENSORS, Kind.NUMPY)
"""What is loaded into the module that a function makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a user asks for.

    `shapes` are by input, `factory` is a `module:function` that makes a PyTorch module. For Kaldi: `edges` are what is
    beyond the first and the last frame, `held` or `cut`; of `every` frames one comes out, 0 for as the folder says.
    """

    source: Path
    target: Format
    beside: Path | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    factory: str = ""
    edges: str = ""
    every: int = 0
    opset: int | None = None
    samples: Samples | None = None
    trust: bool = False
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """The converted model, not yet compared; `cases` None where the source's framework was not asked.

    `missing` says why it was not, where it could have been. `turns` are the axes of inputs, conversion by conversion,
    that answers of the source still have to be brought into; those of `cases` are.
    """

    path: Path
    kind: Kind
    framework: str
    tools: tuple[str, ...]
    notes: tuple[str, ...]
    cases: Sequence[Case] | None
    missing: str = ""
    turns: Sequence[Sequence[Sequence[int]]] = ()

    def brought(self, case: Case) -> Case:
        """The source's own case as the converted model takes it."""
        for axes in self.turns:
            case = turned(case, axes)
        return case


def kind_of(wish: Wish) -> Kind:
    """The source's kind, screened; raises SetupError."""
    if not is_there(wish.source):
        if _FACTORY.fullmatch(str(wish.source)):
            return Kind.TORCH_FACTORY
        raise SetupError(f"{wish.source}: no such file")
    try:
        kind = recognize(wish.source)
    except (ModelRejected, OSError) as error:
        told = mishap(wish.source) or text(wish.source)
        if told:
            raise ModelRejected(wish.source, told) from error
        if isinstance(error, OSError):
            raise SetupError(f"{wish.source}: cannot be read: {error.strerror}") from error
        raise
    screen(wish.source, kind, trust=wish.trust)
    return Kind.TORCH_FACTORY if kind in _WEIGHTS and wish.factory else kind


def planned(wish: Wish, toolchains: Toolchains) -> tuple[Kind, Sequence[Step]]:
    """The kind and its route, every toolchain of which is there; raises SetupError before anything is made."""
    kind = kind_of(wish)
    if (wish.edges or wish.every) and kind is not Kind.KALDI:
        option = "--edges" if wish.edges else "--frame-subsampling-factor"
        raise ModelRejected(wish.source, f"is {ABOUT[kind].label}: {option} is for Kaldi models")
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
    source, replies = _named(wish.source), list[Reply]()
    for number, step in enumerate(steps):
        told(
            f"{ABOUT[kind].label if not number else source.name} to {step.target} ({step.toolchain or 'here'})"
        )
        place = folder / f"step{number}"
        place.mkdir()
        job = _job(wish, source, kind if not number else recognize(source), place, first=not number)
        if step.target == TFLITE:  # which leaves no extent open that an earlier format did
            job = replace(job, shapes=wish.shapes)
        try:
            replies.append(run(toolchains.python(step.toolchain), step.script, job, place, wish.limits))
        except ModelRejected as error:  # a later step speaks of a file that nobody knows
            raise ModelRejected(wish.source, error.reason) from error
        source = replies[-1].file
    first, missing = replies[0], ""
    if steps[0].oracle:
        try:
            first = _ask(wish, kind, steps[0], toolchains, folder, replies[0])
        except SetupError as error:
            missing = str(error)
    found = Converted(
        path=source,
        kind=kind,
        framework=first.framework,
        tools=tuple(reply.tool for reply in replies),
        notes=tuple(dict.fromkeys(note for reply in (*replies, first) for note in reply.notes)),
        cases=None,
        missing=missing,
        turns=[reply.axes for reply in replies],
    )
    if first.answers is None:
        return found
    later = replace(found, turns=found.turns[1:])  # answers are written for the first conversion
    return replace(later, cases=[later.brought(case) for case in read_cases(first.answers, wish.source)])


def _named(source: Path) -> Path:
    """The absolute path of a file; what names a function stays as it is."""
    return source.absolute() if source.exists() else source


def _ask(wish: Wish, kind: Kind, step: Step, toolchains: Toolchains, folder: Path, reply: Reply) -> Reply:
    """The source's answers from the toolchain that has its framework, or what stands for it."""
    python = toolchains.python(step.oracle)
    place = folder / "asked"
    place.mkdir()
    job = _job(wish, _named(wish.source), kind, place, first=True)
    if step.target == ONNX:
        said = onnx_file.read(reply.file)
        inputs = [
            {
                "name": one.name,
                "shape": [
                    extent if isinstance(extent, int) else None if at else 1
                    for at, extent in enumerate(one.shape or ())
                ],
            }
            for one in said.inputs
        ]
        outputs = [one.name for one in said.outputs]
        made = {"inputs": inputs, "outputs": outputs, "metadata": dict(said.metadata)}
        job = replace(job, options={**job.options, **made})
    return run(python, step.oracle_script, job, place, wish.limits)


def _job(wish: Wish, source: Path, kind: Kind, folder: Path, *, first: bool) -> Job:
    inputs: str | None = None
    if first and wish.samples is not None:
        inputs = str(folder / "inputs.npz")
        _save(inputs, wish.samples.arrays)
    options: dict[str, object] = {"trust": wish.trust, "metadata": _metadata(source, kind)}
    if kind is Kind.KALDI and wish.edges:
        options["edges"] = wish.edges
    if kind is Kind.KALDI and wish.every:
        options["every"] = wish.every
    if first and kind is Kind.TORCH_FACTORY:
        options |= {"factory": wish.factory or str(wish.source), "where": str(Path.cwd())}
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


def _metadata(source: Path, kind: Kind) -> Mapping[str, str]:
    """What a file says of itself that its tensors do not, such as names of classes: each conversion hands it on."""
    if kind is Kind.ONNX:
        return dict(onnx_file.metadata(source))
    return dict(appended.metadata(source)) if kind is Kind.TFLITE else {}


def _save(path: str, arrays: Tensors) -> None:
    """As numpy.savez, which cannot save arrays that are called as its own arguments."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, rows in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(rows), allow_pickle=False)
