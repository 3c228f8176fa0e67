"""The table of decoders: what a card calls them, which task they belong to, and the function that each one is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from edgex_inference.config.places import listed, suggest
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.models import Build, ModelCard, Postprocess, Task
from edgex_inference.contracts.results import Result, Sample
from edgex_inference.contracts.tensors import Datatype, Tensors, TensorSpec
from edgex_inference.postprocess import anomaly, classification, plain
from edgex_inference.postprocess.detection import centernet, fastestdet, rfb
from edgex_inference.postprocess.labels import resolve
from edgex_inference.postprocess.wiring import Interpreter, Wiring, wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """One way to read a model's tensors; `roles` are what its outputs may be."""

    task: Task
    roles: tuple[str, ...]
    make: Callable[[Wiring], Interpreter]


DECODERS: dict[str, Decoder] = {
    "softmax": Decoder(task=Task.CLASSIFICATION, roles=classification.ROLES, make=classification.softmax),
    "logits": Decoder(task=Task.CLASSIFICATION, roles=classification.ROLES, make=classification.logits),
    "multilabel": Decoder(
        task=Task.CLASSIFICATION, roles=classification.ROLES, make=classification.multilabel
    ),
    "centernet": Decoder(task=Task.DETECTION, roles=centernet.ROLES, make=centernet.make),
    "fastestdet": Decoder(task=Task.DETECTION, roles=fastestdet.ROLES, make=fastestdet.make),
    "rfb": Decoder(task=Task.DETECTION, roles=rfb.ROLES, make=rfb.make),
    "reconstruction": Decoder(task=Task.ANOMALY, roles=anomaly.ROLES, make=anomaly.reconstruction),
    "score": Decoder(task=Task.ANOMALY, roles=anomaly.ROLES, make=anomaly.score),
    "isolation-forest": Decoder(task=Task.ANOMALY, roles=anomaly.ROLES, make=anomaly.isolation_forest),
}

UNDECLARED: dict[Task, Decoder] = {
    Task.CLASSIFICATION: Decoder(
        task=Task.CLASSIFICATION, roles=classification.ROLES, make=classification.undeclared
    ),
    Task.ANOMALY: Decoder(task=Task.ANOMALY, roles=anomaly.ROLES, make=anomaly.undeclared),
    Task.REGRESSION: Decoder(task=Task.REGRESSION, roles=(), make=plain.regression),
    Task.RAW: Decoder(task=Task.RAW, roles=(), make=plain.raw),
}
"""What is done where the card names no decoder; a task without a row needs one."""

_SPELLED = {
    "score_threshold": "scoreThreshold",
    "nms_iou": "nmsIou",
    "classes": "classes",
    "min_area": "minArea",
    "top": "top",
}


def build(
    card: ModelCard,
    build: Build,
    specs: Sequence[TensorSpec],
    *,
    settings: Postprocess,
    labels: tuple[str, ...] | str | None,
) -> Interpreter:
    """The function from one sample's output tensors to its result.

    `specs` are the session's outputs; `settings` and `labels` are the binding's and go before the card's. Shapes of
    answers are judged when they come, since declared ones may lie. Raises ModelRejected with the card's key and
    the fix; the function raises InferenceFailed.
    """
    decoder = _decoder(card, build)
    merged = _merged(settings, card.postprocess)
    _check(card, merged)
    head = decoder.make(
        Wiring(
            card=card,
            build=build,
            outputs=wire(card, build, specs, decoder.roles),
            settings=merged,
            labels=resolve(labels if labels is not None else card.labels, card.folder) or build.labels,
        )
    )

    def interpret(tensors: Tensors, sample: Sample) -> Result:
        with np.errstate(all="ignore"):  # what is not finite is judged in the result
            return head(tensors, sample)

    return interpret


def _decoder(card: ModelCard, build: Build) -> Decoder:
    name, task = build.decoder, card.task
    fitting = [known for known, decoder in DECODERS.items() if decoder.task is task]
    if not fitting and task not in UNDECLARED:
        raise ModelRejected(card.name, f"task: {task} is not yet supported")
    if name is None:
        if task in UNDECLARED:
            return UNDECLARED[task]
        raise ModelRejected(card.name, f"decoder is missing: task {task} needs {listed(fitting)}")
    if name not in DECODERS:
        known = f"one of {listed(fitting)}" if fitting else f"needed for task {task}: remove it"
        raise ModelRejected(card.name, f"decoder: {name!r} is not {known}{suggest(name, fitting)}")
    if DECODERS[name].task is not task:
        belongs = f"{name} belongs to task {DECODERS[name].task}, but the card says task {task}"
        raise ModelRejected(card.name, f"decoder: {belongs}")
    return DECODERS[name]


def _merged(first: Postprocess, second: Postprocess) -> Postprocess:
    said = ((key.name, getattr(first, key.name), getattr(second, key.name)) for key in fields(Postprocess))
    return Postprocess(**{name: one if one is not None else two for name, one, two in said})


def _check(card: ModelCard, settings: Postprocess) -> None:
    """A setting that would do nothing is a mistake of whoever wrote it; `top` is meant by classifications too."""
    for field, key in _SPELLED.items():
        value = getattr(settings, field)
        useful = card.task is Task.DETECTION or (card.task is Task.CLASSIFICATION and key == "top")
        if value is not None and not useful:
            raise ModelRejected(card.name, f"postprocess.{key} does nothing for task {card.task}: remove it")
    for key, value in (
        ("scoreThreshold", settings.score_threshold),
        ("nmsIou", settings.nms_iou),
        ("minArea", settings.min_area),
    ):
        if value is not None and not 0 <= value <= 1:
            raise ModelRejected(card.name, f"postprocess.{key}: {value:g} is not in 0..1")
    if settings.top is not None and settings.top < 1:
        raise ModelRejected(card.name, f"postprocess.top: {settings.top} is not at least 1")


def tensors(card: ModelCard, build: Build, specs: Sequence[TensorSpec]) -> dict[str, Datatype]:
    """The outputs under the card's names with their element types, dequantized ones being FP32.

    Raises ModelRejected for an output that the session does not have.
    """
    outputs = wire(card, build, specs, _decoder(card, build).roles)
    return {output.name: Datatype.FP32 if output.quantization else output.spec.datatype for output in outputs}
