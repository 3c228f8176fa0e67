"""Real numbers become elements of a tensor: type, quantization, and what does not fit."""

from dataclasses import dataclass

import numpy as np

from edgex_inference.contracts.models import Normalize
from edgex_inference.contracts.tensors import Array, Datatype, Quantization


class Unfit(ValueError):
    """This input cannot become a tensor; `reason` is what it is counted under, `at` the first bad element.

    `missing`: it is a NaN written as a text, which devices do where they have no number.
    """

    def __init__(self, reason: str, detail: str, at: int = 0, *, missing: bool = False) -> None:
        self.reason, self.detail, self.at, self.missing = reason, detail, at, missing
        super().__init__(detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Elements:
    """How real numbers become a tensor's elements.

    Quantized: q = round(x / scale + zero), clipped to the type. Integers without quantization: rounded, and refused
    beyond the type's limits. Booleans: 0 and 1 only. NaN and infinities are refused for every type; `nan`: floats may
    be NaN, as models of trees take what is missing.
    """

    datatype: Datatype
    quantization: Quantization | None = None
    nan: bool = False

    def encode(self, numbers: Array) -> Array:
        """A new or the same array with the tensor's element type; raises Unfit (`nan`, `range`)."""
        kind = self.datatype.numpy.kind
        if kind == "f":
            return self._floats(numbers)
        _finite(numbers)
        if kind == "b":
            _refuse(numbers, (numbers != 0) & (numbers != 1), "is neither 0 nor 1")
            return numbers.astype(np.bool_)
        if self.quantization is not None:
            return self._quantized(numbers, self.quantization)
        return self._integers(numbers)

    def _floats(self, numbers: Array) -> Array:
        with np.errstate(over="ignore"):
            floats = numbers.astype(self.datatype.numpy)
        if not np.isfinite(floats).all():
            _finite(np.nan_to_num(numbers, posinf=np.inf, neginf=-np.inf) if self.nan else numbers)
            _refuse(numbers, np.isinf(floats), f"does not fit {self.datatype}")
        return floats

    def _quantized(self, numbers: Array, quantization: Quantization) -> Array:
        limits = np.iinfo(self.datatype.numpy)
        steps = np.rint(numbers / quantization.scale + quantization.zero)
        return np.clip(steps, limits.min, limits.max).astype(self.datatype.numpy)

    def _integers(self, numbers: Array) -> Array:
        limits = np.iinfo(self.datatype.numpy)
        if numbers.dtype.kind == "b":
            return numbers.astype(self.datatype.numpy)
        if numbers.dtype.kind == "f":
            numbers = np.rint(numbers)
            outside = (numbers < float(limits.min)) | (numbers >= float(limits.max + 1))
        else:
            outside = (numbers < limits.min) | (numbers > limits.max)
        _refuse(numbers, outside, f"does not fit {self.datatype} ({limits.min} to {limits.max})")
        return numbers.astype(self.datatype.numpy)


def normalized(numbers: Array, normalize: Normalize, *, rows: int = 0) -> Array:
    """(x - mean) / std in 64 bits: over the last axis, else element by element, else over the first axis.

    `rows`: how many leading axes count samples. Raises Unfit (`length`) when mean and std fit none of these.
    """
    shape = numbers.shape[rows:]
    mean, std = _spread(shape, normalize.mean), _spread(shape, normalize.std)
    scaled: Array = (numbers - mean) / std
    return scaled


def _spread(shape: tuple[int, ...], values: tuple[float, ...]) -> Array:
    array = np.array(values)
    if len(values) == 1 or (shape and len(values) == shape[-1]):
        return array
    if len(values) == np.prod(shape):
        return array.reshape(shape)
    if shape and len(values) == shape[0]:
        return array.reshape(-1, *(1 for _ in shape[1:]))
    raise Unfit("length", f"{len(values)} values of normalize do not fit a tensor of shape {list(shape)}")


def _finite(numbers: Array) -> None:
    if numbers.dtype.kind == "f":
        _refuse(numbers, ~np.isfinite(numbers), "is no finite number", "nan")


def _refuse(numbers: Array, bad: Array, complaint: str, reason: str = "range") -> None:
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise Unfit(reason, f"{numbers.flat[at]} {complaint}", at)
