"""The text of a first model card, from a loaded model: what the file says is written out, what it does not is asked."""

import json
import re
from dataclasses import dataclass, replace

from edgex_inference.contracts.accelerator import Session
from edgex_inference.contracts.models import Build, ImageInput, InputCard, ModelCard, OutputCard, Task
from edgex_inference.contracts.tensors import Datatype, TensorSpec
from edgex_inference.engine.cards import exporter
from edgex_inference.engine.cards.card import SCHEMA
from edgex_inference.postprocess.table import DECODERS, UNDECLARED

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_ONLY_ROLE = {
    Task.CLASSIFICATION: "scores",
    Task.SEGMENTATION: "scores",
    Task.EMBEDDING: "vector",
}
"""What the only output of a model for a task is."""
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstCard:
    """The text of a model.yaml, and what a person still has to say in it."""

    text: str
    open_questions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guess:
    """`decoder` is written into the card; `from_file` is one that the file says itself, with its `fit`."""

    task: Task
    why: str
    decoder: str = ""
    roles: tuple[str, ...] = ()
    fit: str = "stretch"
    from_file: str = ""


def unread(card: ModelCard, reason: str) -> FirstCard:
    """A card for a file that nothing here can load: its tensors are left to the file."""
    lines = [*_head(card, card.task, f"nothing here could load the file: {reason}"), *_files(card)]
    question = "task: nothing here could load the file, so nothing is known of its tensors"
    return FirstCard(text=_joined(lines), open_questions=(question,))


def write(card: ModelCard, build: Build, session: Session, *, guess: bool) -> FirstCard:
    """The card of a loaded model; with `guess` the task is guessed from its tensors."""
    found = _guessed(card, build, session) if guess else _asked(card, build, session)
    questions: list[str] = []
    lines = [*_head(card, found.task, found.why), *_files(card), "inputs:"]
    for entry in build.inputs:
        lines.append(_input(entry, session, found, questions))
    lines.append("outputs:")
    for index, output in enumerate(build.outputs):
        role = found.roles[index] if index < len(found.roles) else ""
        spec = next(spec for spec in session.outputs if spec.name == output.tensor)
        lines.append(
            _line(
                f"  {_key(output.name)}: {{{_keys(f'role: {role}' if role else '', _quantization(output))}}}",
                str(spec),
            )
        )
    lines += _decoder(found, questions)
    lines += _labels(build, found.task, questions)
    lines += _rest(found.task, questions)
    return FirstCard(text=_joined(lines), open_questions=tuple(questions))


def _guessed(card: ModelCard, build: Build, session: Session) -> _Guess:
    """The task that the exporter wrote into the file, else one that the shapes speak for; raw where nothing does."""
    meant = exporter.task(session)
    if meant is not None:
        return _of_exporter(replace(card, task=meant), session, "the file says so")
    picture = any(isinstance(entry, ImageInput) for entry in build.inputs)
    outputs = [one for one in session.outputs if one.datatype.numpy.kind == "f" or one.quantization]
    shapes = [_without_batch(spec) for spec in outputs]
    ins = [_without_batch(spec) for spec in session.inputs]
    if len(outputs) == len(session.outputs) == 1:
        shape = shapes[0]
        if not picture and len(ins) == 1 and shape == ins[0] and _size(shape) > 1:
            return _Guess(
                task=Task.ANOMALY,
                why="guessed: the output has the shape of the input, as an auto-encoder's has",
                decoder="reconstruction",
                roles=("reconstruction",),
            )
        if len([extent for extent in shape if extent != 1]) == 1 and (picture or build.labels):
            return _Guess(
                task=Task.CLASSIFICATION, why="guessed: one row of scores comes out", roles=("scores",)
            )
        if not picture and all(extent == 1 for extent in shape):
            return _Guess(task=Task.REGRESSION, why="guessed: numbers in, one number out")
    return _Guess(task=Task.RAW, why="the shapes do not tell the task: raw gives the tensors as they are")


def _asked(card: ModelCard, build: Build, session: Session) -> _Guess:
    if exporter.task(session) is card.task:
        return _of_exporter(card, session, "")
    one = len(session.outputs) == 1
    role = _ONLY_ROLE.get(card.task)
    return _Guess(task=card.task, why="", roles=(role,) if one and role else ())


def _of_exporter(card: ModelCard, session: Session, why: str) -> _Guess:
    """What Ultralytics' models have in common: a letterbox around what is looked for, a crop of what is sorted."""
    return _Guess(
        task=card.task,
        why=why,
        from_file=exporter.decoder(card, session, exporter.labels(session)) or "",
        fit="letterbox" if card.task is Task.DETECTION else "crop",
    )


def _without_batch(spec: TensorSpec) -> tuple[int | None, ...]:
    return spec.shape[1:] if len(spec.shape) > 1 and spec.shape[0] in (1, None) else spec.shape


def _size(shape: tuple[int | None, ...]) -> int:
    size = 1
    for extent in shape:
        size *= extent or 2
    return size


def _head(card: ModelCard, task: Task, why: str) -> list[str]:
    others = ", ".join(one.value for one in Task if one is not task)
    return [
        f"# A first card for {card.builds[0].path.name}; its keys: `edgex-inference schema card`.",
        f"schema: {SCHEMA}",
        f"name: {_key(card.name)}  # the name of the model's folder",
        f"version: {json.dumps(card.version)}  # the name of this folder",
        f"# {why}" if why else "",
        f"task: {task.value}  # others: {others}",
        "# ready: false  # keeps the model from bindings that name no version",
        "# license: Apache-2.0",
        "# description: What it tells, and from what.",
    ]


def _files(card: ModelCard) -> list[str]:
    (build,) = card.builds
    return [
        "files:  # several builds of one network are possible: an accelerator takes the first that it reads",
        f"  - {{path: {_key(build.path.name)}, format: {build.format}, sha256: {json.dumps(build.sha256)}}}",
    ]


def _input(entry: InputCard, session: Session, found: _Guess, questions: list[str]) -> str:
    spec = next(spec for spec in session.inputs if spec.name == entry.tensor)
    if isinstance(entry, ImageInput):
        return _picture(entry, spec, found, questions)
    if (
        spec.datatype is Datatype.INT8
        and not entry.quantization
        and len(spec.shape) == 4
        and {1, 3} & set(spec.shape[1:])
    ):
        questions.append(
            f"inputs.{entry.name}: is it a picture? Then kind: image, with quantization: {{scale, zero}} as trained"
        )
    if entry.shape is None and None in spec.shape[1:]:
        questions.append(f"inputs.{entry.name}.shape: of one sample; the file leaves it open ({spec})")
    shape = f"shape: {list(entry.shape)}" if entry.shape else ""
    keys = _keys(f"kind: {entry.kind}", shape, _quantization(entry))
    return "\n".join(
        [
            "  # names: [A, B]  the readings that feed it, in order; normalize: {mean: 0, std: 1}  as in training",
            _line(f"  {_key(entry.name)}: {{{keys}}}", str(spec)),
        ]
    )


def _picture(entry: ImageInput, spec: TensorSpec, found: _Guess, questions: list[str]) -> str:
    """All that matters of a picture; `size` is left to a person where the file leaves it open."""
    keys = "color, resize, decode" if found.from_file else "color, fit, resize, decode, range, mean and std"
    questions.append(f"inputs.{entry.name}: {keys} must be as in training")
    if entry.size is None:
        questions.append(f"inputs.{entry.name}.size: [width, height], which the file leaves open")
    size = f"size: {list(entry.size)}, " if entry.size is not None else ""
    quantization = _quantization(entry)
    return "\n".join(
        [
            "  # pixel p becomes (p/255 * (high - low) + low - mean) / std; all of it as in training",
            *(
                ["  # size: [640, 640]  width and height, needed: the file leaves them open"]
                if not size
                else []
            ),
            f"  {_key(entry.name)}:  # {spec}",
            f"    {{kind: image, layout: {entry.layout}, color: {entry.color}, {size}fit: {found.fit},",
            *([f"     {quantization},"] if quantization else []),
            f"     resize: bilinear, decode: full, range: {_range(entry, spec)}, mean: 0, std: 1}}",
        ]
    )


def _range(entry: ImageInput, spec: TensorSpec) -> str:
    """What 0 and 255 become: as quantized pictures mostly are fed, each pixel is a number of the tensor."""
    said = entry.quantization
    if said is None:
        return "[0, 255]" if spec.datatype is Datatype.UINT8 else "[0, 1]"
    least = -128 if spec.datatype is Datatype.INT8 else 0
    low, high = ((number - said.zero) * said.scale for number in (least, least + 255))
    return f"[{low:.6g}, {high:.6g}]"


def _quantization(entry: InputCard | OutputCard) -> str:
    """Scale and zero of the file, written out for runtimes that do not tell them."""
    said = entry.quantization
    return f"quantization: {{scale: {said.scale!r}, zero: {said.zero}}}" if said is not None else ""


def _keys(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _decoder(found: _Guess, questions: list[str]) -> list[str]:
    if found.decoder:
        return [f"decoder: {found.decoder}"]
    if found.from_file:
        return [f"# decoder comes from the file: {found.from_file}"]
    fitting = {name: one for name, one in DECODERS.items() if one.task is found.task}
    if not fitting:
        return []
    ways = [f"#   {name}: outputs with the roles {', '.join(one.roles)}" for name, one in fitting.items()]
    if found.task in UNDECLARED:
        return ["# decoder: how the outputs are read, where the default is not right:", *ways]
    questions.append(
        f"decoder: task {found.task} needs one of {', '.join(fitting)}, and roles of its outputs"
    )
    return ["# decoder:  # needed, one of these, with the roles of the outputs above:", *ways]


def _labels(build: Build, task: Task, questions: list[str]) -> list[str]:
    if task not in (Task.CLASSIFICATION, Task.DETECTION, Task.SEGMENTATION):
        return []
    if build.labels is not None:
        return [f"# labels come from the file: {', '.join(build.labels[:5])}, …"]
    questions.append("labels: the file names no classes, so results say numbers")
    return ["# labels: labels.txt  # a file beside this card with a name a line, [a, b], or coco80"]


def _rest(task: Task, questions: list[str]) -> list[str]:
    lines = []
    if task is Task.ANOMALY:
        questions.append(
            "score.limit: from which score on it is an anomaly; `try` on good and bad readings tells"
        )
        lines.append("# score: {limit: 1.0}  # the default of decide.raise")
    if task is Task.DETECTION:
        lines.append("# postprocess: {scoreThreshold: 0.5, nmsIou: 0.5}")
    return [
        *lines,
        "# golden:  # inputs with known answers, run at every load; a wrong answer refuses the model",
        "#   - {input: golden/one.jpg, expect: golden/one.json}",
    ]


def _line(text: str, remark: str) -> str:
    return f"{text}  # {remark}"


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name.lower() not in _WORDS else json.dumps(name)


def _joined(lines: list[str]) -> str:
    return "\n".join(line for line in lines if line) + "\n"
