"""model.yaml → ModelCard: every key checked, every mistake with its line, all at once."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgex_inference.config.places import Node, listed, suggest
from edgex_inference.config.problems import Document
from edgex_inference.config.reader import Cursor, Reader
from edgex_inference.contracts.accelerator import (
    KNOWN_FORMATS,
    REMOTE,
    TENSORFLOW,
    TFLITE,
    TFLITE_EDGETPU,
    Format,
)
from edgex_inference.contracts.errors import Problem, ProfileError
from edgex_inference.contracts.models import (
    NOBODY,
    SETTINGS,
    Build,
    Golden,
    ModelCard,
    Postprocess,
    Priors,
    Score,
    Task,
    serves,
)
from edgex_inference.engine.cards.tensors import maybe, read_inputs, read_outputs, word

CARD = "model.yaml"
SCHEMA = 1
PRECISIONS = ("f32", "f16", "bf16", "int8", "native")

BY_SUFFIX: Mapping[str, str] = {
    ".onnx": "onnx",
    ".tflite": "tflite",
    ".xml": "openvino-ir",
    ".pb": "tensorflow",
    ".pdmodel": "paddle",
    ".xmodel": "xmodel",
    ".blob": "openvino-blob",
}
_COMPILED = "_edgetpu"
"""How Google's compiler ends the names of what it writes."""

FORMAT = re.compile(r"[a-z0-9][a-z0-9.-]*")
SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def read_card(path: Path) -> ModelCard:
    """The card in this file; raises ProfileError with every mistake, OSError when it cannot be read."""
    card, problems = check_card(Document.read(path), path.parent)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors or card is None:
        raise ProfileError(errors)
    return card


def check_card(document: Document, folder: Path) -> tuple[ModelCard | None, Sequence[Problem]]:
    """The card of this document, and what is wrong with it; the card is None after an error."""
    problems = list(document.problems)
    if not document.root.entries:
        if not problems:
            problems.append(document.problem((), f"no model card: a map with schema: {SCHEMA} is expected"))
        return None, problems
    reader = Reader(document.root, problems=problems)
    if (reader.need("schema").integer() or SCHEMA) != SCHEMA:
        reader.at("schema").say(f"is {reader.at('schema').plain()}; this release reads schema {SCHEMA}")
    card = card_in(reader, folder)
    reader.close()
    failed = any(problem.severity == "error" for problem in problems)
    return (None if failed else card), _once(problems)


def card_in(reader: Reader, folder: Path) -> ModelCard:
    """The card as far as it can be read; every mistake goes to the reader's problems, save unknown keys."""
    task = maybe(reader.need("task"), tuple(Task))
    ready = reader.at("ready").boolean()
    decoder = reader.at("decoder").text()
    _parity(reader.at("parity"))
    return ModelCard(
        name=_like_folder(reader.need("name"), folder.parent, "model"),
        version=_like_folder(reader.need("version"), folder, "version"),
        task=task or Task.RAW,
        folder=folder,
        builds=_builds(reader, folder, decoder),
        ready=True if ready is None else ready,
        license=reader.at("license").text() or "",
        description=reader.at("description").text() or "",
        labels=_labels(reader.at("labels")),
        precision=maybe(reader.at("precision"), PRECISIONS),
        postprocess=_postprocess(reader.at("postprocess"), task),
        score=_score(reader, task),
        priors=_priors(reader.at("priors")),
        golden=_golden(reader.at("golden"), folder),
    )


def _like_folder(cursor: Cursor, folder: Path, what: str) -> str:
    """A text that must be the name of the folder that the card lies in."""
    text = cursor.text()
    actual = os.path.basename(os.path.abspath(folder))
    if text is not None and text != actual:
        cursor.say(f"is {text!r}, and the {what}'s folder is called {actual!r}: make them equal")
    return text or ""


def _builds(reader: Reader, folder: Path, decoder: str | None) -> tuple[Build, ...]:
    inputs, outputs = read_inputs(reader.at("inputs")), read_outputs(reader.at("outputs"))
    files = reader.need("files")
    items = files.items()
    if items is not None and not items:
        files.say("must name at least one file")
    found = []
    for item in items or ():
        entry = item.reader()
        if entry is None:
            continue
        away = entry.at("format").plain() == REMOTE
        path = _nowhere(entry, folder) if away else inside(entry.need("path"), folder, folders=True)
        own = entry.at("inputs"), entry.at("outputs")
        base = reader.at("inputs").node, reader.at("outputs").node
        build = Build(
            path=path or folder,
            format=_format(entry.at("format"), path),
            sha256=_sha256(entry.at("sha256")),
            precision=maybe(entry.at("precision"), PRECISIONS),
            inputs=read_inputs(_over(own[0], base[0])) if own[0].given else inputs,
            outputs=read_outputs(_over(own[1], base[1])) if own[1].given else outputs,
            decoder=entry.at("decoder").text() or decoder,
        )
        _parity(entry.at("parity"))
        entry.close()
        found.append(build)
    return tuple(found)


def _nowhere(entry: Reader, folder: Path) -> Path:
    """A model on another machine has no file here: only what its tensors mean."""
    for key in ("path", "sha256"):
        if entry.at(key).given:
            entry.say_key(key, f"does nothing for the format {REMOTE}, which has no file: remove it")
    return folder


def _over(own: Cursor, base: Node | None) -> Cursor:
    """What a file says, laid on what the card says; mistakes of the latter are told once, by `_once`."""
    assert own.node is not None
    node = base.merged(own.node) if base is not None else own.node
    return replace(own, node=node)


def inside(cursor: Cursor, folder: Path, *, folders: bool = False) -> Path | None:
    """An existing file in the model's folder, or a SavedModel's folder; nothing outside it can be named."""
    text = cursor.text()
    if text is None:
        return None
    path = folder / text
    if Path(text).is_absolute() or "\0" in text or ".." in Path(text).parts:
        cursor.say(f"{text!r} must be a path inside the model's folder")
        return None
    if not path.is_file() and not (folders and _is_saved_model(path)):
        others = (one.name for one in path.parent.iterdir()) if path.parent.is_dir() else ()
        cursor.say(f"there is no file {text!r} in the model's folder{suggest(path.name, others)}")
        return None
    if not path.resolve().is_relative_to(folder.resolve()):
        cursor.say(f"{text!r} is a link to a place outside the model's folder")
        return None
    return path


def _format(cursor: Cursor, path: Path | None) -> Format:
    text = cursor.text()
    if text is None:
        guess = format_of(path) if path is not None else None
        if guess is None and path is not None and not cursor.given:
            cursor.say(f"is missing, and {path.name} does not tell it: say {listed(sorted(KNOWN_FORMATS))}")
        return Format(guess or "")
    if not FORMAT.fullmatch(text):
        cursor.say(f"{text!r} is no format such as {listed(sorted(KNOWN_FORMATS))}")
    elif path is not None and path.is_dir() and text not in (TENSORFLOW, REMOTE):
        cursor.say(f"is {text!r}, and {path.name} is a folder: that is how TensorFlow saves (tensorflow)")
    elif text not in KNOWN_FORMATS:
        hint = suggest(text, KNOWN_FORMATS)
        if hint:
            cursor.say(f"{text!r} is not a format that this release knows{hint}", severity="warning")
    return Format(text)


def format_of(path: Path) -> Format | None:
    """What the suffix tells, and of a folder that TensorFlow saved it; None where nothing does."""
    if path.is_dir():
        return TENSORFLOW if _is_saved_model(path) else None
    known = BY_SUFFIX.get(path.suffix.lower())
    if known == TFLITE and path.stem.lower().endswith(_COMPILED):
        return TFLITE_EDGETPU
    return Format(known) if known is not None else None


def _is_saved_model(path: Path) -> bool:
    """Whether a folder is one model; its files then are one build."""
    return any((path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt"))


def _sha256(cursor: Cursor) -> str | None:
    text = cursor.text()
    if text is not None and not SHA256.fullmatch(text):
        cursor.say("must be 64 hexadecimal digits")
        return None
    return text.lower() if text is not None else None


def _labels(cursor: Cursor) -> tuple[str, ...] | str | None:
    if isinstance(cursor.plain(), list):
        labels = cursor.texts()
        if labels == ():
            cursor.say("must name at least one label")
        for index, label in enumerate(labels or ()):
            if label in (labels or ())[:index] and label.lower() != NOBODY:
                message = f"{label!r} stands twice: results cannot tell these classes apart"
                (cursor.items() or [])[index].say(message, severity="warning")
        return labels
    return cursor.text()


def _postprocess(cursor: Cursor, task: Task | None) -> Postprocess:
    reader = cursor.reader()
    if reader is None:
        return Postprocess()
    found = Postprocess(
        score_threshold=reader.at("scoreThreshold").number(0, 1),
        nms_iou=reader.at("nmsIou").number(0, 1),
        classes=reader.at("classes").texts(),
        min_area=reader.at("minArea").number(low=0),
        top=reader.at("top").integer(low=1),
        soft_nms=reader.at("softNms").number(0.01, 100),
        class_agnostic=reader.at("classAgnostic").boolean(),
        multi_label=reader.at("multiLabel").boolean(),
    )
    reader.close()
    wrong = {problem.path for problem in reader.problems}
    for key in SETTINGS if task is not None else ():
        useless = reader.at(key).given and task is not None and not serves(key, task)
        if useless and reader.at(key).path not in wrong:
            reader.say_key(key, f"does nothing for task {task}: remove it")
    return found


def _score(card: Reader, task: Task | None) -> Score | None:
    reader = card.at("score").reader()
    if reader is None:
        return None
    if task not in (None, Task.ANOMALY):
        card.say_key("score", f"does nothing for task {task}: remove it")
    score = Score(
        metric=word(reader.at("metric"), ("mse", "mae", "max")),
        direction=word(reader.at("direction"), ("higherIsWorse", "lowerIsWorse")),
        limit=reader.at("limit").number(),
    )
    reader.close()
    return score


def _priors(cursor: Cursor) -> Priors | None:
    reader = cursor.reader()
    if reader is None:
        return None
    steps = [step.integer(low=1) for step in reader.need("steps").items() or ()]
    sizes = [_sizes(size) for size in reader.need("sizes").items() or ()]
    if steps and sizes and len(steps) != len(sizes):
        reader.at("sizes").say(f"must have a list for each of the {len(steps)} steps, not {len(sizes)}")
    variances = reader.at("variances").numbers(low=0, length=2)
    clip = reader.at("clip").boolean()
    reader.close()
    return Priors(
        steps=tuple(step for step in steps if step),
        sizes=tuple(size for size in sizes if size),
        variances=(variances[0], variances[1]) if variances else (0.1, 0.2),
        clip=True if clip is None else clip,
    )


def _sizes(cursor: Cursor) -> tuple[float | tuple[float, float], ...]:
    """The anchors of one step: a number is a square, a list is width and height."""
    found: list[float | tuple[float, float]] = []
    for item in cursor.items() or ():
        if isinstance(item.plain(), list):
            pair = item.numbers(low=0, length=2)
            found += [(pair[0], pair[1])] if pair else []
        else:
            side = item.number(low=0)
            found += [side] if side is not None else []
    return tuple(found)


def _golden(cursor: Cursor, folder: Path) -> tuple[Golden, ...]:
    found = []
    for reader in cursor.readers():
        given, expect = inside(reader.need("input"), folder), inside(reader.need("expect"), folder)
        tolerance = reader.at("tolerance").reader()
        allowed = {key: entry.number(low=0) for key, entry in tolerance.each()} if tolerance else {}
        reader.close()
        if given is not None and expect is not None:
            kept = {key: number for key, number in allowed.items() if number is not None}
            found.append(Golden(input=given, expect=expect, tolerance=kept))
    return tuple(found)


def _parity(cursor: Cursor) -> None:
    """Written by conversion and training for people; checked, not used."""
    reader = cursor.reader()
    if reader is not None:
        for key in ("source", "calibration", "converter", "checkedOn"):
            reader.at(key).text()
        for key in ("difference", "tolerance"):
            reader.at(key).number(low=0)
        reader.at("samples").integer(low=1)
        reader.close()


def _once(problems: Sequence[Problem]) -> Sequence[Problem]:
    """A mistake that several builds inherit is told once, at its first path."""
    seen: dict[object, Problem] = {}
    for problem in problems:
        last = problem.path.rpartition(".")[2] if problem.line else problem.path
        seen.setdefault((problem.line, problem.column, problem.message, last), problem)
    return sorted(seen.values(), key=lambda problem: (problem.line, problem.column))
