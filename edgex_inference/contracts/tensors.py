"""Named arrays and their declarations, in the words of the Open Inference Protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Tensors = Mapping[str, Array]
"""Tensor name → array. Where a model has a batch axis it is axis 0, and one sample has length 1 there."""


class Datatype(StrEnum):
    """Element types, spelled as the Open Inference Protocol spells them."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    FP32 = "FP32"
    FP64 = "FP64"
    BYTES = "BYTES"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy element type; BYTES is an array of Python objects."""
        return _NUMPY[self]

    @classmethod
    def of(cls, dtype: npt.DTypeLike) -> "Datatype":
        """Raises ValueError for an element type that the protocol lacks."""
        found = np.dtype(dtype)
        if found.kind in "OSU":
            return cls.BYTES
        for datatype, candidate in _NUMPY.items():
            if candidate == found:
                return datatype
        raise ValueError(f"element type {found} has no Open Inference Protocol datatype")


_NUMPY: dict[Datatype, np.dtype[Any]] = {
    Datatype.BOOL: np.dtype(np.bool_),
    Datatype.UINT8: np.dtype(np.uint8),
    Datatype.UINT16: np.dtype(np.uint16),
    Datatype.UINT32: np.dtype(np.uint32),
    Datatype.UINT64: np.dtype(np.uint64),
    Datatype.INT8: np.dtype(np.int8),
    Datatype.INT16: np.dtype(np.int16),
    Datatype.INT32: np.dtype(np.int32),
    Datatype.INT64: np.dtype(np.int64),
    Datatype.FP16: np.dtype(np.float16),
    Datatype.FP32: np.dtype(np.float32),
    Datatype.FP64: np.dtype(np.float64),
    Datatype.BYTES: np.dtype(object),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """q = round(x / scale + zero), clipped to the element type; x = (q - zero) * scale."""

    scale: float
    zero: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """A declared tensor; None in `shape` is an extent that each call may choose.

    `quantization` is what the file says the whole numbers stand for; None where it, or the runtime, does not tell.
    """

    name: str
    datatype: Datatype
    shape: tuple[int | None, ...]
    quantization: Quantization | None = None

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape fits, extent by extent."""
        return len(shape) == len(self.shape) and all(
            want is None or want == have for want, have in zip(self.shape, shape, strict=True)
        )

    def __str__(self) -> str:
        return f"{self.name} {self.datatype}[{', '.join('?' if n is None else str(n) for n in self.shape)}]"


def misfit(specs: Sequence[TensorSpec], tensors: Tensors) -> str:
    """What is wrong with these arrays for these inputs, in one sentence; empty when they fit."""
    names = [spec.name for spec in specs]
    missing = [name for name in names if name not in tensors]
    if missing:
        return f"the input {', '.join(missing)} is missing"
    foreign = [str(name) for name in tensors if name not in names]
    if foreign:
        return f"there is no input {', '.join(foreign)} (inputs are {', '.join(names)})"
    for spec in specs:
        array: object = tensors[spec.name]
        if not isinstance(array, np.ndarray):
            return f"{spec.name} is a {type(array).__name__}, not an array"
        if array.dtype != spec.datatype.numpy:
            return f"{spec.name} has element type {array.dtype.str}, the model wants {spec}"
        if not spec.accepts(array.shape):
            return f"{spec.name} has shape {list(array.shape)}, the model wants {spec}"
    return ""


_FEW = 4096


def holds_nan(array: Array) -> bool:
    """Whether there is a NaN among floating-point numbers; infinities are none. About a µs for 1,000 of them."""
    # The sum of squares is NaN for a NaN only, and the quicker of the two while BLAS takes one thread for it.
    told = np.vdot(array, array) if array.size <= _FEW else array.min()
    return bool(told != told)


def nan_for_a_chip(specs: Sequence[TensorSpec], tensors: Tensors) -> str:
    """What must not be given to a chip though it fits, in words; empty where there is nothing."""
    floats = (spec.name for spec in specs if spec.datatype.numpy.kind == "f")
    name = next((name for name in floats if holds_nan(tensors[name])), "")
    return f"{name} holds NaN, of which a chip may make a plausible number" if name else ""
