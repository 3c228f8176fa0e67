"""Anomaly: one score, higher is worse, from a reconstruction or from the model itself."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from edgex_inference.contracts.errors import InferenceFailed
from edgex_inference.contracts.models import ImageInput, InputCard, NumbersInput, Score
from edgex_inference.contracts.results import Anomaly, Sample
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
    "mse": lambda difference: np.mean(difference * difference, axis=-1),
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
        made = self.reconstruction.numbers(tensors)
        real_one = without_batch(self.target.numbers(tensors)) if self.target else self._prepared(sample)
        if made.size != real_one.size or not made.size:
            what = f"shape {made.shape} cannot be compared with {real_one.shape} of the {self._other}"
            raise self.reconstruction.nonsense(what)
        difference = made.reshape(-1) - real_one.reshape(-1)
        metric = _METRICS[self.score.metric]
        score = float(metric(difference))
        contributions, channels = self._contributions(metric, difference, real_one.shape)
        return Anomaly(
            score=-score if self.score.direction == "lowerIsWorse" else score,
            contributions=contributions,
            channels=channels,
        )

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
        self, metric: Callable[[Floats], Floats], difference: Floats, shape: tuple[int, ...]
    ) -> tuple[Floats | None, tuple[str, ...]]:
        if isinstance(self.input, ImageInput) or not shape:
            return None, ()
        names = self.input.names if self.input else ()
        rows = difference.reshape(shape)
        if len(names) == shape[-1] != shape[0]:
            rows = np.moveaxis(rows, -1, 0)
        errors = metric(rows.reshape(len(rows), -1))
        total = errors.sum()
        shares = (errors / total if total != 0 else errors).astype(np.float32, copy=False)
        return shares, names if len(names) == len(shares) else ()


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
        raise wiring.rejected(
            f"outputs.{made.name}: which input is it compared with? Say input: NAME, or give an output role: target"
        )
    return Reconstruction(
        reconstruction=made,
        target=target,
        input=inputs[0] if len(inputs) == 1 else None,
        score=wiring.card.score or Score(),
    )


def score(wiring: Wiring) -> Interpreter:
    """The model's own score, negated where the card says lowerIsWorse."""
    said = wiring.card.score or Score()
    return Scored(
        output=wiring.pick("score", "scores"), sign=-1.0 if said.direction == "lowerIsWorse" else 1.0
    )


def isolation_forest(wiring: Wiring) -> Interpreter:
    """scikit-learn's decision function, in which negative is anomalous: always negated, 0 is the border."""
    return Scored(output=wiring.pick("score", "scores"), sign=-1.0)
