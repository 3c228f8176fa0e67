"""Resizing of 8-bit pictures by separable taps, in numpy.

All positions are half-pixel centers: output i of n lies at start + (i + 0.5) · length / n - 0.5 of the source. No
filter is widened when shrinking (no antialias) but `area`, whose cells are as wide as they are. The answers are those
of OpenCV's INTER_LINEAR, INTER_CUBIC and INTER_AREA within one level of 255 and of Pillow's NEAREST exactly. Written
here because OpenCV takes 150 MB of disk for this one function; with JPEG decoding the whole step takes 1.5 times as
long as with it, and equally long where the reduced JPEG scale hits the model's size.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgex_inference.contracts.tensors import Array

Method = Literal["bilinear", "area", "nearest", "bicubic"]
Pixels = npt.NDArray[np.uint8]

_STRIP = 64
"""output rows at a time: the intermediate sums stay in a second-level cache"""
_CUBIC = -0.75
"""the free parameter of the cubic kernel, as OpenCV and PyTorch have it"""
_PIXEL: dict[tuple[int, str], np.dtype[Any]] = {
    (1, "u"): np.dtype(np.uint8),
    (4, "u"): np.dtype(np.uint32),
    (1, "f"): np.dtype(np.float32),
    (4, "f"): np.dtype(np.complex128),
}
"""channels and kind → an element as wide as a whole pixel, so that one gather moves all its channels"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The part of one axis that is read, in pixels of the source (fractions allowed), and how many come out."""

    start: float
    length: float
    out: int


@dataclass(frozen=True, slots=True, eq=False)
class _Taps:
    """`index` [taps, out] counts from `low`; `weights` [taps, out·channels] is None for a plain gather."""

    low: int
    high: int
    index: npt.NDArray[np.intp]
    weights: npt.NDArray[np.float32] | None

    @property
    def is_identity(self) -> bool:
        return self.weights is None and np.array_equal(self.index[0], np.arange(self.high - self.low))


def resize(pixels: Pixels, across: Span, down: Span, method: Method) -> Pixels:
    """The part `across` × `down` of [height, width, 1 or 4] as [down.out, across.out, channels]."""
    height, width, channels = pixels.shape
    rows = _taps(method, down, height, 1)
    columns = _taps(method, across, width, channels)
    flat = pixels.reshape(height, width * channels)[:, columns.low * channels : columns.high * channels]
    flat = flat[rows.low : rows.high]
    if rows.is_identity and columns.is_identity:
        return np.ascontiguousarray(flat).reshape(down.out, across.out, channels)
    resized = np.empty((down.out, across.out * channels), np.uint8)
    for top in range(0, down.out, _STRIP):
        strip = slice(top, top + _STRIP)
        mixed = _mix_columns(_mix_rows(flat, rows, strip), columns, channels)
        if mixed.dtype != np.uint8:
            mixed += 0.5
            if method == "bicubic":
                np.clip(mixed, 0, 255, out=mixed)
        resized[strip] = mixed
    return resized.reshape(down.out, across.out, channels)


def _mix_rows(flat: Pixels, taps: _Taps, strip: slice) -> Array:
    if taps.weights is None:
        return flat[taps.index[0, strip]]
    weights = taps.weights[:, strip, None]
    mixed: Array = flat[taps.index[0, strip]] * weights[0]
    for index, weight in zip(taps.index[1:, strip], weights[1:], strict=True):
        mixed += flat[index] * weight
    return mixed


def _mix_columns(rows: Array, taps: _Taps, channels: int) -> Array:
    whole = rows.view(_PIXEL[channels, rows.dtype.kind])
    if taps.weights is None:
        gathered: Array = whole.take(taps.index[0], axis=1, mode="clip").view(rows.dtype)
        return gathered
    mixed: Array = whole.take(taps.index[0], axis=1, mode="clip").view(rows.dtype) * taps.weights[0]
    for index, weight in zip(taps.index[1:], taps.weights[1:], strict=True):
        mixed += whole.take(index, axis=1, mode="clip").view(rows.dtype) * weight
    return mixed


@lru_cache(maxsize=128)
def _taps(method: Method, span: Span, size: int, channels: int) -> _Taps:
    """Which pixels of an axis of `size` each output reads, never beyond the span, and how much of each."""
    low = min(max(int(np.floor(span.start + 1e-6)), 0), size - 1)
    high = min(max(int(np.ceil(span.start + span.length - 1e-6)), low + 1), size)
    step = span.length / span.out
    if method == "nearest":
        centers = span.start + (np.arange(span.out) + 0.5) * step
        first, weights = np.floor(centers + 1e-9), np.ones((1, span.out))
    elif method == "area" and step > 1:
        first, weights = _area(span, step)
    else:
        first, weights = _kernel(method, span, step)
    index = np.clip(first + np.arange(len(weights))[:, None], low, high - 1).astype(np.intp) - low
    if np.all((weights == 0) | (weights == 1)):
        index = np.take_along_axis(index, weights.argmax(axis=0)[None], axis=0)
        return _Taps(low, high, index, None)
    return _Taps(low, high, index, np.repeat(weights, channels, axis=1).astype(np.float32))


def _kernel(method: Method, span: Span, step: float) -> tuple[Array, Array]:
    """First pixel and weights of the two or four taps around each center."""
    centers = span.start + (np.arange(span.out) + 0.5) * step - 0.5
    first = np.floor(centers + 1e-9)
    t = np.maximum(centers - first, 0.0)
    if method != "bicubic":
        return first, np.stack([1 - t, t])
    near = np.stack([t, 1 - t])
    far = near + 1
    inner = ((_CUBIC + 2) * near - (_CUBIC + 3)) * near * near + 1
    outer = ((_CUBIC * far - 5 * _CUBIC) * far + 8 * _CUBIC) * far - 4 * _CUBIC
    return first - 1, np.stack([outer[0], inner[0], inner[1], outer[1]])


def _area(span: Span, step: float) -> tuple[Array, Array]:
    """First pixel of each cell and the share of the cell that each pixel covers."""
    begin = span.start + np.arange(span.out) * step
    first = np.floor(begin + 1e-9)
    pixels = first + np.arange(int(np.ceil(step)) + 1)[:, None]
    cover = np.clip(np.minimum(pixels + 1, begin + step) - np.maximum(pixels, begin), 0, None)
    cover[cover < 1e-9] = 0
    return first, cover / cover.sum(axis=0)
