"""The table of decoders: what a card calls them, which task they belong to, and the function that each one is."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from math import prod
from typing import Protocol, runtime_checkable

import numpy as np

from edgex_inference.config.places import listed, suggest
from edgex_inference.contracts.errors import InferenceFailed, ModelRejected
from edgex_inference.contracts.models import SETTINGS, Build, ModelCard, Postprocess, Task, serves
from edgex_inference.contracts.results import Result, Sample, Stack
from edgex_inference.contracts.tensors import Datatype, Tensors, TensorSpec
from edgex_inference.postprocess import anomaly, classification, plain, segmentation
from edgex_inference.postprocess.detection import (
    builtin,
    centernet,
    detr,
    fastestdet,
    ssd,
    yolov5,
    yolov8,
    yolox,
)
from edgex_inference.postprocess.labels import resolve
from edgex_inference.postprocess.prospect import Promised, Prospect
from edgex_inference.postprocess.wiring import Interpreter, ModelOutput, Wiring, wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """One way to read a model's tensors; `roles` are what its outputs may be, `repeated` those of several at once.

    `synthetic`: no real model was at hand to prove it, only tensors that were encoded as such models write them.
    """

    task: Task
    roles: tuple[str, ...]
    make: Callable[[Wiring], Interpreter]
    repeated: tuple[str, ...] = ()
    synthetic: bool = False


_END_TO_END = Decoder(
    task=Task.DETECTION, roles=builtin.END_TO_END_ROLES, make=builtin.end_to_end, synthetic=True
)

DECODERS: dict[str, Decoder] = {
    "softmax": Decoder(task=Task.CLASSIFICATION, roles=classification.ROLES, make=classification.softmax),
    "logits": Decoder(task=Task.CLASSIFICATION, roles=classification.ROLES, make=classification.logits),
    "multilabel": Decoder(
        task=Task.CLASSIFICATION, roles=classification.ROLES, make=classification.multilabel
    ),
    "centernet": Decoder(task=Task.DETECTION, roles=centernet.ROLES, make=centernet.make),
    "fastestdet": Decoder(task=Task.DETECTION, roles=fastestdet.ROLES, make=fastestdet.make),
    "rfb": Decoder(task=Task.DETECTION, roles=ssd.ROLES, make=ssd.rfb),
    "ssd": Decoder(task=Task.DETECTION, roles=ssd.ROLES, make=ssd.ssd),
    "builtin-nms": Decoder(
        task=Task.DETECTION, roles=builtin.ROLES, make=builtin.builtin_nms, synthetic=True
    ),
    "yolov5": Decoder(
        task=Task.DETECTION, roles=yolov5.ROLES, make=yolov5.make, repeated=("grid",), synthetic=True
    ),
    "yolov8": Decoder(task=Task.DETECTION, roles=yolov8.ROLES, make=yolov8.make, synthetic=True),
    "yolov10": _END_TO_END,
    "end2end": _END_TO_END,
    "yolox": Decoder(task=Task.DETECTION, roles=yolox.ROLES, make=yolox.make, synthetic=True),
    "detr": Decoder(task=Task.DETECTION, roles=detr.ROLES, make=detr.make, synthetic=True),
    "argmax": Decoder(
        task=Task.SEGMENTATION, roles=segmentation.ROLES, make=segmentation.argmax, synthetic=True
    ),
    "class-map": Decoder(
        task=Task.SEGMENTATION, roles=segmentation.ROLES, make=segmentation.class_map, synthetic=True
    ),
    "mask": Decoder(task=Task.SEGMENTATION, roles=segmentation.ROLES, make=segmentation.mask),
    "l2": Decoder(task=Task.EMBEDDING, roles=("vector",), make=plain.unit_embedding, synthetic=True),
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
    Task.SEGMENTATION: Decoder(
        task=Task.SEGMENTATION, roles=segmentation.ROLES, make=segmentation.undeclared, synthetic=True
    ),
    Task.EMBEDDING: Decoder(task=Task.EMBEDDING, roles=("vector",), make=plain.embedding, synthetic=True),
    Task.RAW: Decoder(task=Task.RAW, roles=(), make=plain.raw),
}
"""What is done where the card names no decoder; a task without a row needs one."""

TASKS = frozenset(known.task for known in (*DECODERS.values(), *UNDECLARED.values()))
"""The tasks whose tensors can be read."""


@runtime_checkable
class Together(Protocol):
    """A decoder for which many samples at once cost little more than one; raises InferenceFailed for all of them."""

    def many(self, tensors: Sequence[Tensors], samples: Sequence[Sample]) -> Sequence[Result]: ...


@runtime_checkable
class Stacked(Protocol):
    """A decoder that reads a burst as it came, without taking it apart; None where it cannot."""

    def stacked(self, tensors: Tensors, stack: Stack) -> Sequence[Result] | None: ...


@dataclass(frozen=True, slots=True)
class Reader:
    """A decoder at work; what is not finite in its arithmetic is judged in the result."""

    head: Interpreter
    together: Together | None = None
    stack: Stacked | None = None

    @classmethod
    def of(cls, head: Interpreter) -> "Reader":
        """With the decoder's own ways of reading many at once, where it has them."""
        together = head if isinstance(head, Together) else None
        return cls(head, together, head if isinstance(head, Stacked) else None)

    def __call__(self, tensors: Tensors, sample: Sample) -> Result:
        """The result of one sample; raises InferenceFailed for tensors that make no sense."""
        with np.errstate(all="ignore"):
            return self.head(tensors, sample)

    def many(
        self, tensors: Sequence[Tensors], samples: Sequence[Sample]
    ) -> Sequence[Result | InferenceFailed]:
        """The results of a burst, or for each what is wrong with it alone."""
        with np.errstate(all="ignore"):
            if self.together is not None and len(samples) > 1:
                with suppress(InferenceFailed):
                    return self.together.many(tensors, samples)
            return [self._tried(one, sample) for one, sample in zip(tensors, samples, strict=True)]

    def stacked(self, tensors: Tensors, stack: Stack) -> Sequence[Result | InferenceFailed]:
        """The results of samples that ran as one: axis 0 of each tensor counts them."""
        if self.stack is not None:
            with np.errstate(all="ignore"), suppress(InferenceFailed):
                found = self.stack.stacked(tensors, stack)
                if found is not None:
                    return found
        samples = stack.samples()
        each = [{name: array[at : at + 1] for name, array in tensors.items()} for at in range(len(samples))]
        return self.many(each, samples)

    def _tried(self, tensors: Tensors, sample: Sample) -> Result | InferenceFailed:
        try:
            return self.head(tensors, sample)
        except InferenceFailed as error:
            return error


_ALSO_CALLED = {
    "yolov6": "yolov5", "yolov7": "yolov5", "yolov9": "yolov8", "yolov11": "yolov8", "yolo11": "yolov8",
    "yolov12": "yolov8", "yolo12": "yolov8", "yolo8": "yolov8", "yolo5": "yolov5", "rtdetr": "detr", "rt-detr": "detr",
    "mobilenet-ssd": "ssd", "sigmoid": "mask",
}  # fmt: skip
"""What people call heads that are read like another one."""


def build(
    card: ModelCard,
    build: Build,
    specs: Sequence[TensorSpec],
    *,
    settings: Postprocess,
    labels: tuple[str, ...] | str | None,
) -> Reader:
    """The function from one sample's output tensors to its result, or from those of a burst.

    `specs` are the session's outputs; `settings` and `labels` are the binding's and go before the card's. Shapes of
    answers are judged when they come, since declared ones may lie. Raises ModelRejected with the card's key and
    the fix; the function raises InferenceFailed.
    """
    merged = _merged(settings, card.postprocess)
    _check(card, merged)
    return Reader.of(decoder(card, build).make(_wiring(card, build, specs, merged, labels)))


def _wiring(
    card: ModelCard,
    build: Build,
    specs: Sequence[TensorSpec],
    settings: Postprocess,
    labels: tuple[str, ...] | str | None,
) -> Wiring:
    chosen = decoder(card, build)
    names = resolve(labels if labels is not None else card.labels, card.folder, card.name)
    return Wiring(
        card=card,
        build=build,
        outputs=wire(card, build, specs, chosen.roles, chosen.repeated),
        settings=settings,
        labels=names or build.labels,
    )


def decoder(card: ModelCard, build: Build) -> Decoder:
    """What the card says how to read this file's tensors; raises ModelRejected."""
    name, task = build.decoder, card.task
    fitting = [known for known, decoder in DECODERS.items() if decoder.task is task]
    if not fitting and task not in UNDECLARED:
        raise ModelRejected(card.name, f"{task} is not yet supported", card=("task",))
    if name is None:
        if task in UNDECLARED:
            return UNDECLARED[task]
        reason = f"is missing: task {task} needs {listed(fitting)}"
        raise ModelRejected(card.name, reason, card=("decoder",))
    if name not in DECODERS:
        known = f"one of {listed(fitting)}" if fitting else f"needed for task {task}: remove it"
        also = _ALSO_CALLED.get(name.lower(), "")
        hint = f" (did you mean {also}?)" if also in fitting else suggest(name, fitting)
        reason = f"{name!r} is not {known}{hint}"
        raise ModelRejected(card.name, reason, card=("decoder",))
    if DECODERS[name].task is not task:
        belongs = f"{name} belongs to task {DECODERS[name].task}, but the card says task {task}"
        raise ModelRejected(card.name, belongs, card=("decoder",))
    return DECODERS[name]


def _merged(first: Postprocess, second: Postprocess) -> Postprocess:
    if first.nms_iou is not None and first.soft_nms is None:
        second = replace(second, soft_nms=None)
    said = ((key.name, getattr(first, key.name), getattr(second, key.name)) for key in fields(Postprocess))
    return Postprocess(**{name: one if one is not None else two for name, one, two in said})


def _check(card: ModelCard, settings: Postprocess) -> None:
    """A setting that would do nothing is a mistake of whoever wrote it."""
    for field, key in zip(fields(Postprocess), SETTINGS, strict=True):
        if getattr(settings, field.name) is not None and not serves(key, card.task):
            raise _useless(card, key, f"does nothing for task {card.task}: remove it")
    for key, value in (
        ("scoreThreshold", settings.score_threshold),
        ("nmsIou", settings.nms_iou),
        ("minArea", settings.min_area),
    ):
        if value is not None and not 0 <= value <= 1:
            raise _useless(card, key, f"{value:g} is not in 0..1")
    if settings.soft_nms is not None and not settings.soft_nms > 0:
        raise _useless(card, "softNms", f"{settings.soft_nms:g} is not above 0")
    if settings.top is not None and settings.top < 1:
        raise _useless(card, "top", f"{settings.top} is not at least 1")


def _useless(card: ModelCard, key: str, reason: str) -> ModelRejected:
    steps = ("postprocess", key)
    return ModelRejected(card.name, reason, card=steps, block=steps)


def prospect(
    card: ModelCard,
    build: Build,
    specs: Sequence[TensorSpec],
    *,
    labels: tuple[str, ...] | str | None,
    batched: bool,
) -> Prospect:
    """What results of `build` will hold, as far as the model's declaration tells.

    `batched` says that axis 0 is a batch axis. Raises ModelRejected as `build` does.
    """
    wiring = _wiring(card, build, specs, Postprocess(), labels)
    outputs = {output.name: _sample(output, batched) for output in wiring.outputs}
    real = [outputs[output.name].size for output in wiring.outputs if output.is_real]
    return Prospect(
        tensors=outputs,
        values=None if None in real else sum(size or 0 for size in real),
        labels=wiring.labels,
        contributions=card.task is Task.ANOMALY and anomaly.gives_contributions(wiring),
    )


def _sample(output: ModelOutput, batched: bool) -> Promised:
    shape = output.spec.shape[1:] if batched else output.spec.shape
    size = None if None in shape else prod(extent or 0 for extent in shape)
    quantized = output.quantization is not None
    return Promised(datatype=Datatype.FP32 if quantized else output.spec.datatype, size=size)
