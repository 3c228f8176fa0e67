"""Typed outcomes of tasks; geometry in 0..1 of the source picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from edgex_inference.contracts.tensors import Tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """How a model's picture lies in its source: source = input · scale + shift, for x and y, all in 0..1.

    `width` and `height` are the source picture's pixels, after EXIF rotation.
    """

    width: int
    height: int
    scale: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)
    seen: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    """x0, y0, x1, y1 in 0..1 of the model's picture: what shows the source; the rest are a letterbox's margins"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """`scores` float32 [classes] in 0..1; `labels` as many, or empty when nobody named them."""

    scores: npt.NDArray[np.float32]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """`boxes` float32 [n, 4] as x0, y0, x1, y1 in 0..1 of the source, best first; `classes` indexes `labels`."""

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]
    labels: tuple[str, ...]
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """`values` float32 [n]."""

    values: npt.NDArray[np.float32]


class Anomaly(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """`score`: higher is worse whatever the model's direction; `contributions` one share for each channel, or none."""

    score: float
    contributions: npt.NDArray[np.float32] | None = None
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """`shares` float32 [classes] of the picture that the model saw, in 0..1; `area` is what any of them covers."""

    shares: npt.NDArray[np.float32]
    labels: tuple[str, ...]
    area: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """`vector` float32 [n]."""

    vector: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """The output tensors of one sample under the card's names, without the batch axis."""

    tensors: Tensors


Result = Classification | Detections | Regression | Anomaly | Segmentation | Embedding | Raw


class Sample(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One inference's input: tensors as the session declares them, a batch axis having length 1."""

    tensors: Tensors
    geometry: Geometry | None = None
    origin: int = 0
    """capture time in ns: the newest of the inputs"""
    numbers: Mapping[str, npt.NDArray[np.float32]] | None = None
    """the prepared real-valued inputs under the card's names, kept where a decoder compares against them"""


class Stack(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Many samples as one: axis 0 of `tensors` and of `numbers` counts them, `origins` has one for each."""

    tensors: Tensors
    origins: Sequence[int]
    numbers: Mapping[str, npt.NDArray[np.float32]] | None = None

    def samples(self) -> Sequence[Sample]:
        """Each for itself."""
        return [
            Sample(
                tensors={name: array[at : at + 1] for name, array in self.tensors.items()},
                origin=origin,
                numbers=self.numbers and {name: array[at : at + 1] for name, array in self.numbers.items()},
            )
            for at, origin in enumerate(self.origins)
        ]
