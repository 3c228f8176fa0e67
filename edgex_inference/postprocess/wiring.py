"""From a card's roles to the session's output tensors: found and checked once, read at every result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from edgex_inference.config.places import listed, suggest
from edgex_inference.contracts.errors import InferenceFailed, ModelRejected, Steps
from edgex_inference.contracts.models import (
    Build,
    ImageInput,
    ModelCard,
    OutputCard,
    Postprocess,
)
from edgex_inference.contracts.results import Result, Sample
from edgex_inference.contracts.tensors import Array, Datatype, Quantization, Tensors, TensorSpec
from edgex_inference.postprocess.labels import fit

Interpreter: TypeAlias = Callable[[Tensors, Sample], Result]
"""Output tensors of one sample → its result; raises InferenceFailed for tensors that make no sense."""

Floats: TypeAlias = npt.NDArray[np.float32]
T = TypeVar("T", str, int, float)

_REAL = frozenset((Datatype.FP16, Datatype.FP32, Datatype.FP64))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOutput:
    """One output tensor: `name` is the card's, `spec` the session's declaration, which may lie about the shape."""

    model: str
    name: str
    role: str
    spec: TensorSpec
    quantization: Quantization | None
    parameters: Mapping[str, object]

    @property
    def is_real(self) -> bool:
        """Whether the tensor holds real numbers, as they are or quantized."""
        return self.spec.datatype in _REAL or self.quantization is not None

    @property
    def numbers_of_one(self) -> int | None:
        """How many numbers it has for one sample, None where the declaration leaves it open."""
        shape = self.spec.shape
        extents = [extent for extent in shape[1:] if extent is not None]
        if not shape or len(extents) < len(shape) - 1 or shape[0] not in (1, None):
            return None if None in shape else prod(extent or 0 for extent in shape)
        return prod(extents)

    def tensor(self, tensors: Tensors) -> Array:
        """The tensor as the session gave it."""
        found = tensors.get(self.spec.name)
        if found is None:
            raise InferenceFailed(f"model {self.model!r}: the run gave no output {self.spec.name!r}")
        return found

    def numbers(self, tensors: Tensors) -> Floats:
        """The tensor as float32 of any shape, dequantized where the card says how."""
        return real(self.tensor(tensors), self.quantization, self.nonsense)

    def nonsense(self, what: str) -> InferenceFailed:
        """The error for an answer that cannot be read."""
        return InferenceFailed(f"model {self.model!r}: output {self.name!r}: {what}")

    def axis(self, axis: int, rank: int) -> int | None:
        """The declared extent of an axis, where the declaration has this rank and says it."""
        return self.spec.shape[axis] if len(self.spec.shape) == rank else None

    def parameter(self, key: str, kind: type[T], default: T | None = None) -> T | None:
        """One of the role's own settings; raises ModelRejected when it is of another kind."""
        value = self.parameters.get(key, default)
        if value is None:
            return None
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            words = {str: "a text", int: "a whole number", float: "a number"}
            raise ModelRejected(
                self.model, f"{value!r} is not {words[kind]}", card=("outputs", self.name, key)
            )
        return value

    def choice(self, key: str, words: Sequence[str]) -> str | None:
        """One of the role's own settings that is one of these words; raises ModelRejected."""
        value = self.parameter(key, str)
        if value is not None and value not in words:
            reason = f"{value!r} is not {listed(words)}{suggest(value, words)}"
            raise ModelRejected(self.model, reason, card=("outputs", self.name, key))
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What a decoder is made from; `settings` and `labels` are the binding's over the card's."""

    card: ModelCard
    build: Build
    outputs: tuple[ModelOutput, ...]
    settings: Postprocess
    labels: tuple[str, ...] | None

    def rejected(self, reason: str, *card: str, block: Steps = ()) -> ModelRejected:
        """The error for a key of the card, or for the key of a block that stands over it."""
        return ModelRejected(self.card.name, reason, card=card, block=block)

    def find(self, role: str) -> ModelOutput | None:
        """The output of this role, if there is one."""
        return next((output for output in self.outputs if output.role == role), None)

    def every(self, role: str) -> tuple[ModelOutput, ...]:
        """All outputs of this role."""
        return tuple(output for output in self.outputs if output.role == role)

    def need(self, role: str) -> ModelOutput:
        """The output of this role."""
        found = self.find(role)
        if found is None:
            names = listed((output.name for output in self.outputs), last="and")
            raise self.rejected(f"none has role {role}; the model's outputs are {names}", "outputs")
        return found

    def pick(self, *roles: str) -> ModelOutput:
        """The output of one of these roles, else the only one that it can be."""
        for role in roles:
            if found := self.find(role):
                return found
        free = [output for output in self.outputs if not output.role]
        numeric = [output for output in free if output.is_real]
        if len(numeric) == 1 or len(free) == 1:
            return (numeric if len(numeric) == 1 else free)[0]
        names = listed((output.name for output in self.outputs), last="and")
        reason = f"which of {names} has the numbers? Give one of them role: {roles[0]}"
        raise self.rejected(reason, "outputs")

    def image(self) -> ImageInput | None:
        """The picture that the model takes, if it is one."""
        return next((card for card in self.build.inputs if isinstance(card, ImageInput)), None)

    def check_classes(self, classes: int | None) -> None:
        """Raises ModelRejected when the labels are not as many as the declared classes; None is not declared."""
        if classes is not None and self.labels is not None and not self.fits(classes):
            reason = f"{len(self.labels)} labels, but the model has {classes} classes"
            raise self.rejected(reason, "labels", block=("model", "labels"))

    def fits(self, classes: int) -> bool:
        """Whether the labels, if there are any, are as many as these classes."""
        return self.labels is None or fit(self.labels, classes) is not None

    def check_background(self, scores: ModelOutput, classes: int | None) -> int | None:
        """The index of a class that is none, as the card says; raises ModelRejected when there is no such class."""
        background = scores.parameter("background", int)
        if background is not None and (background < 0 or (classes is not None and background >= classes)):
            reason = f"the model has no class {background}"
            raise self.rejected(reason, "outputs", scores.name, "background")
        return background

    def names(self, classes: int) -> tuple[str, ...]:
        """The labels for so many classes, numbers where nobody named them; raises InferenceFailed."""
        if self.labels is None:
            return tuple(map(str, range(classes)))
        found = self.labels if len(self.labels) == classes else fit(self.labels, classes)
        if found is None:
            text = f"the answer has {classes} classes, but there are {len(self.labels)} labels"
            raise InferenceFailed(f"model {self.card.name!r}: {text}")
        return found


def real(array: Array, quantization: Quantization | None, nonsense: Callable[[str], Exception]) -> Floats:
    """Numbers of any type as float32, dequantized; `nonsense` makes the error for what is no number."""
    if array.dtype.kind not in "fiub":
        raise nonsense(f"numbers expected, got {array.dtype}")
    if quantization is not None and array.dtype.kind in "iu":
        return (array.astype(np.float32) - np.float32(quantization.zero)) * np.float32(quantization.scale)
    return array.astype(np.float32, copy=False)


def without_class(scores: Floats, background: int) -> Floats:
    """The scores without one class of the last axis; a view where it is the first or the last."""
    if background == 0:
        return scores[..., 1:]
    if background == scores.shape[-1] - 1:
        return scores[..., :-1]
    return np.delete(scores, background, axis=-1)


def without_batch(array: Array) -> Array:
    """The array of one sample without its batch axis, where it has one."""
    return array[0] if array.ndim and array.shape[0] == 1 else array


def wire(
    card: ModelCard,
    build: Build,
    specs: Sequence[TensorSpec],
    roles: Sequence[str],
    repeated: Sequence[str] = (),
) -> tuple[ModelOutput, ...]:
    """The card's outputs with their specs; without any in the card, every tensor under its own name.

    An output without a role that is named like one has it; only `repeated` roles may be had by several. Raises
    ModelRejected.
    """
    by_name = {spec.name: spec for spec in specs}
    outputs = tuple(
        _wired(card, said, by_name, roles)
        for said in build.outputs or tuple(OutputCard(name=spec.name) for spec in specs)
    )
    taken: dict[str, str] = {}
    for output in outputs:
        if output.role in repeated:
            continue
        if output.role and taken.setdefault(output.role, output.name) != output.name:
            reason = f"{taken[output.role]} has role {output.role} too"
            raise ModelRejected(card.name, reason, card=("outputs", output.name))
    return outputs


def _wired(
    card: ModelCard, said: OutputCard, specs: Mapping[str, TensorSpec], roles: Sequence[str]
) -> ModelOutput:
    tensor = said.tensor or said.name
    if tensor not in specs:
        key = ("outputs", said.name, *(("tensor",) if said.tensor else ()))
        names = listed((repr(name) for name in specs), last="and")
        reason = f"the file has no output {tensor!r}{suggest(tensor, specs)}; it has {names}"
        raise ModelRejected(card.name, reason, card=key)
    if said.role and roles and said.role not in roles:
        reason = f"{said.role!r} is not {listed(roles)}{suggest(said.role, roles)}"
        raise ModelRejected(card.name, reason, card=("outputs", said.name, "role"))
    return ModelOutput(
        model=card.name,
        name=said.name,
        role=said.role or (said.name if said.name in roles else ""),
        spec=specs[tensor],
        quantization=said.quantization,
        parameters=said.parameters,
    )
