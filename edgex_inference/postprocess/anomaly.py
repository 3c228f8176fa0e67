"""Anomaly: one score, higher is worse, from a reconstruction or from the model itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from edgex_inference.contracts.errors import InferenceFailed
from edgex_inference.contracts.models import ImageInput, InputCard, NumbersInput, Score
from edgex_inference.contracts.results import Anomaly, Sample, Stack
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.postprocess.wiring import (
    Floats,
    Interpreter,
    ModelOutput,
    Wiring,
    real,
    without_batch,
)

ROLES = ("score", "scores", "label", "reconstruction", "target")

_METRICS: dict[str, Callable[[Floats], Floats]] = {
    "mse": lambda difference: np.einsum("...i,...i->...", difference, difference) / difference.shape[-1],
    "mae": lambda difference: np.mean(np.abs(difference), axis=-1),
    "max": lambda difference: np.max(np.abs(difference), axis=-1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstruction:
    """How far the model's picture of its input, or of what it calls target, is from the real one.

    Channels are the readings that feed the input ([n] or [n, …]), or single elements where it has one axis and
    no names; each channel's contribution is its own error's share of all channels' errors.
    """

    reconstruction: ModelOutput
    target: ModelOutput | None
    input: InputCard | None
    score: Score

    def __call__(self, tensors: Tensors, sample: Sample) -> Anomaly:
        """Raises InferenceFailed where the two cannot be compared."""
        (found,) = self.many((tensors,), (sample,))
        return found

    def many(self, tensors: Sequence[Tensors], samples: Sequence[Sample]) -> Sequence[Anomaly]:
        """All of a burst at once, which costs little more than one: the numbers are few and numpy's calls dear.

        Raises InferenceFailed where one of them cannot be compared or is shaped unlike the others.
        """
        made = self._joined([self.reconstruction.numbers(one) for one in tensors])
        if self.target:
            others = self._joined([without_batch(self.target.numbers(one)) for one in tensors])
        else:
            others = self._joined([self._prepared(one) for one in samples])
        return self._compared(made, others)

    def stacked(self, tensors: Tensors, stack: Stack) -> Sequence[Anomaly] | None:
        """As `many` for what is one array already; None where it compares with what the stack does not have."""
        card = self.input
        numbers = (stack.numbers or {}).get(card.name) if card is not None else None
        if self.target or numbers is None:
            return None
        shape = numbers.shape[1:]
        if isinstance(card, NumbersInput) and card.shape and prod(card.shape) == prod(shape):
            numbers = numbers.reshape(len(numbers), *card.shape)
        return self._compared(self.reconstruction.numbers(tensors), numbers)

    def _compared(self, made: Floats, others: Floats) -> Sequence[Anomaly]:
        if made.size != others.size or not made.size:
            what = f"shape {made.shape[1:]} cannot be compared with {others.shape[1:]} of the {self._other}"
            raise self.reconstruction.nonsense(what)
        count = len(others)
        differences = made.reshape(count, -1) - others.reshape(count, -1)
        metric = _METRICS[self.score.metric]
        sign = -1.0 if self.score.direction == "lowerIsWorse" else 1.0
        shares, channels = self._contributions(metric, differences, others.shape[1:])
        return [
            Anomaly(
                score=sign * score, contributions=None if shares is None else shares[at], channels=channels
            )
            for at, score in enumerate(metric(differences).tolist())
        ]

    def _joined(self, arrays: Sequence[Floats]) -> Floats:
        shape = arrays[0].shape
        if any(array.shape != shape for array in arrays):
            raise self.reconstruction.nonsense("the samples of a burst differ in shape")
        if not shape:
            return np.array(arrays)
        return np.concatenate(arrays).reshape(len(arrays), *shape)

    @property
    def _other(self) -> str:
        return f"target {self.target.name!r}" if self.target else "input"

    def _prepared(self, sample: Sample) -> Floats:
        """The real numbers that the model was given, shaped as the card says where it says."""
        card = self.input
        assert card is not None
        numbers = (sample.numbers or {}).get(card.name)
        if numbers is None:
            tensor = sample.tensors.get(card.tensor or card.name)
            if tensor is None:
                raise InferenceFailed(
                    f"the sample has no input {card.name!r} to compare the reconstruction with"
                )
            numbers = real(tensor, card.quantization, self.reconstruction.nonsense)
        if isinstance(card, NumbersInput) and card.shape and prod(card.shape) == numbers.size:
            return numbers.reshape(card.shape)
        return without_batch(numbers)

    def _contributions(
        self, metric: Callable[[Floats], Floats], differences: Floats, shape: tuple[int, ...]
    ) -> tuple[Floats | None, tuple[str, ...]]:
        """Shares [samples, channels] of differences [samples, numbers of one], and the channels' names."""
        if isinstance(self.input, ImageInput) or not shape:
            return None, ()
        names = self.input.names if self.input else ()
        samples = len(differences)
        rows = differences.reshape(samples, *shape)
        if len(names) == shape[-1] != shape[0]:
            rows = np.moveaxis(rows, -1, 1)
        errors = metric(rows.reshape(samples, rows.shape[1], -1))
        totals = errors.sum(axis=1, keepdims=True)
        shares = np.where(totals != 0, errors / totals, errors).astype(np.float32, copy=False)
        return shares, names if len(names) == shares.shape[1] else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The model's own score."""

    output: ModelOutput
    sign: float

    def __call__(self, tensors: Tensors, sample: Sample) -> Anomaly:
        """Raises InferenceFailed for anything but one number."""
        numbers = self.output.numbers(tensors)
        if numbers.size != 1:
            raise self.output.nonsense(f"shape {numbers.shape}, expected one score")
        return Anomaly(score=self.sign * float(numbers.reshape(-1)[0]))


def undeclared(wiring: Wiring) -> Interpreter:
    """No decoder in the card: a reconstruction where an output has that role, else the model's own score."""
    return reconstruction(wiring) if wiring.find("reconstruction") else score(wiring)


def reconstruction(wiring: Wiring) -> Interpreter:
    """Raises ModelRejected where it is not clear what to compare with what."""
    made, target = wiring.pick("reconstruction"), wiring.find("target")
    inputs = wiring.build.inputs
    name = made.parameter("input", str)
    if name is not None:
        inputs = tuple(card for card in inputs if card.name == name)
    if target is None and len(inputs) != 1:
        reason = "which input is it compared with? Say input: NAME, or give an output role: target"
        raise wiring.rejected(reason, "outputs", made.name)
    _check_sizes(wiring, made, target, inputs)
    return Reconstruction(
        reconstruction=made,
        target=target,
        input=inputs[0] if len(inputs) == 1 else None,
        score=wiring.card.score or Score(),
    )


def _check_sizes(
    wiring: Wiring, made: ModelOutput, target: ModelOutput | None, inputs: tuple[InputCard, ...]
) -> None:
    """Two tensors that are compared must have as many numbers, as far as their declarations tell."""
    have = made.numbers_of_one
    if target is not None:
        other, what = target.numbers_of_one, f"output {target.name}"
    else:
        other, what = _numbers_of(inputs[0]), f"input {inputs[0].name}"
    if have is not None and other is not None and have != other:
        reason = f"its {have} numbers cannot be compared with the {other} of {what}"
        raise wiring.rejected(reason, "outputs", made.name)


def _numbers_of(card: InputCard) -> int | None:
    if isinstance(card, NumbersInput):
        return None if card.shape is None else prod(card.shape)
    return None if card.size is None else prod(card.size) * (1 if card.color == "gray" else 3)


def gives_contributions(wiring: Wiring) -> bool:
    """Whether a result says each channel's share: of a reconstruction of numbers, compared with an input."""
    decoder = wiring.build.decoder
    if decoder != "reconstruction" and (decoder is not None or wiring.find("reconstruction") is None):
        return False
    made = wiring.pick("reconstruction")
    name = made.parameter("input", str)
    inputs = [card for card in wiring.build.inputs if name in (None, card.name)]
    return not (len(inputs) == 1 and isinstance(inputs[0], ImageInput))


def score(wiring: Wiring) -> Interpreter:
    """The model's own score, negated where the card says lowerIsWorse."""
    said = wiring.card.score or Score()
    return Scored(
        output=wiring.pick("score", "scores"), sign=-1.0 if said.direction == "lowerIsWorse" else 1.0
    )


def isolation_forest(wiring: Wiring) -> Interpreter:
    """scikit-learn's decision function, in which negative is anomalous: always negated, 0 is the border."""
    return Scored(output=wiring.pick("score", "scores"), sign=-1.0)
