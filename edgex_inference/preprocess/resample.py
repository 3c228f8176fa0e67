"""Resizing of 8-bit pictures by separable taps, in numpy.

All positions are half-pixel centers: output i of n lies at start + (i + 0.5) · length / n - 0.5 of the source. No
filter is widened when shrinking (no antialias), only the cells of `area` are as wide as they are. Models are trained
with what OpenCV makes of a picture, and a detector's score moves by 0.003 with the rounding of single pixels, so
`bilinear` repeats INTER_LINEAR bit by bit: weights of 11 bits, 4 bits dropped between the axes. `area` (when shrinking)
and `bicubic` are within one level of INTER_AREA and INTER_CUBIC; `area` that enlarges either axis is `bilinear`.
Written here because OpenCV takes 150 MB of disk for this one function.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgex_inference.contracts.tensors import Array

Method = Literal["bilinear", "area", "nearest", "bicubic"]
Pixels = npt.NDArray[np.uint8]
Index = npt.NDArray[np.intp]

_STRIP = 32
"""output rows at a time: the intermediate sums stay in a second-level cache"""
_CUBIC = -0.75
"""the free parameter of the cubic kernel, as OpenCV and PyTorch have it"""
_ONE = 2048
"""a weight of 1 in fixed point"""
_PIXEL: dict[int, np.dtype[Any]] = {1: np.dtype(np.uint8), 4: np.dtype(np.uint32)}
"""channels → an element as wide as a whole pixel, so that one gather moves all its channels"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The part of one axis that is read, in pixels of the source (fractions allowed), and how many come out."""

    start: float
    length: float
    out: int

    @property
    def step(self) -> float:
        """Source pixels for each output."""
        return self.length / self.out

    @property
    def is_plain(self) -> bool:
        """Whole source pixels, one for each output."""
        return self.step == 1 and float(self.start).is_integer()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Taps:
    """Which pixels of low…high each output reads: `index` [taps, out] counts from `low`, `weights` [taps, out].

    Weights are int32 in parts of 2048 for `bilinear`, float32 otherwise, each repeated for every channel.
    """

    low: int
    high: int
    index: Index
    weights: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Strip:
    """Some output rows: the source rows that they need, and at which of those each tap [taps, rows] finds its own."""

    rows: slice
    needed: Index
    at: Index
    weights: Array


def resize(pixels: Pixels, across: Span, down: Span, method: Method) -> Pixels:
    """The part `across` × `down` of [height, width, 1 or 4] as [down.out, across.out, channels]."""
    if across.is_plain and down.is_plain:
        left, top = int(across.start), int(down.start)
        return np.ascontiguousarray(pixels[top : top + down.out, left : left + across.out])
    if method == "area" and min(across.step, down.step) < 1:
        method = "bilinear"
    height, width, channels = pixels.shape
    columns, rows = _taps(method, across, width, channels), _taps(method, down, height, 0)
    whole = pixels.reshape(height, width * channels).view(_PIXEL[channels])
    whole = whole[rows.low : rows.high, columns.low : columns.high]
    if method == "nearest":
        picked = whole[rows.index[0]].take(columns.index[0], axis=1)
        nearest: Pixels = picked.view(np.uint8).reshape(down.out, across.out, channels)
        return nearest
    mix = _fixed if method == "bilinear" else _floating
    resized = np.empty((down.out, across.out * channels), np.uint8)
    for strip in _strips(method, down, height):
        resized[strip.rows] = mix(whole[strip.needed], columns, strip)
    return resized.reshape(down.out, across.out, channels)


def _fixed(rows: Array, columns: _Taps, strip: _Strip) -> Array:
    """Two taps each way in integers, rounded where OpenCV rounds."""
    wide = _gathered(rows, columns.index[0]) * columns.weights[0]
    wide += _gathered(rows, columns.index[1]) * columns.weights[1]
    wide >>= 4
    mixed: Array = wide[strip.at[0]]
    mixed *= strip.weights[0]
    mixed >>= 16
    lower = wide[strip.at[1]]
    lower *= strip.weights[1]
    lower >>= 16
    mixed += lower
    mixed += 2
    mixed >>= 2
    return mixed


def _floating(rows: Array, columns: _Taps, strip: _Strip) -> Array:
    wide = _gathered(rows, columns.index[0]) * columns.weights[0]
    for index, weights in zip(columns.index[1:], columns.weights[1:], strict=True):
        wide += _gathered(rows, index) * weights
    mixed: Array = wide[strip.at[0]] * strip.weights[0]
    for at, weights in zip(strip.at[1:], strip.weights[1:], strict=True):
        mixed += wide[at] * weights
    mixed += 0.5
    return np.clip(mixed, 0, 255, out=mixed)


def _gathered(rows: Array, index: Index) -> Pixels:
    return rows.take(index, axis=1, mode="clip").view(np.uint8)


@lru_cache(maxsize=64)
def _strips(method: Method, down: Span, size: int) -> tuple[_Strip, ...]:
    taps = _taps(method, down, size, 0)
    strips = []
    for top in range(0, down.out, _STRIP):
        rows = slice(top, top + _STRIP)
        needed, at = np.unique(taps.index[:, rows], return_inverse=True)
        at = at.reshape(len(taps.index), -1)
        strips.append(_Strip(rows=rows, needed=needed, at=at, weights=taps.weights[:, rows, None]))
    return tuple(strips)


@lru_cache(maxsize=128)
def _taps(method: Method, span: Span, size: int, channels: int) -> _Taps:
    """Taps along an axis of `size` that never read beyond the span; `channels` 0 is the axis of rows."""
    low = min(max(int(np.floor(span.start + 1e-6)), 0), size - 1)
    high = min(max(int(np.ceil(span.start + span.length - 1e-6)), low + 1), size)
    step, start = span.step, span.start - low
    centers = (np.arange(span.out) + 0.5) * step - 0.5 + start
    if method == "nearest":
        first, weights = np.floor(centers + 0.5 + 1e-9), np.ones((1, span.out), np.float32)
    elif method == "area":
        first, weights = _area(start + np.arange(span.out) * step, step)
    elif method == "bicubic":
        first, weights = _cubic(centers)
    else:
        first, weights = _linear(centers, high - low, rows=channels == 0)
    index = np.clip(first + np.arange(len(weights))[:, None], 0, high - low - 1).astype(np.intp)
    return _Taps(low=low, high=high, index=index, weights=np.repeat(weights, channels or 1, axis=1))


def _linear(centers: Array, size: int, *, rows: bool) -> tuple[Array, Array]:
    """First pixel and the two weights in parts of 2048, from positions in 32 bits as OpenCV has them."""
    near = centers.astype(np.float32)
    first = np.floor(near)
    share = near - first
    if not rows:  # beyond the outermost centers OpenCV weighs columns 1 and 0, but mixes a row with itself
        share[(first < 0) | (first >= size - 1)] = 0
        first = np.clip(first, 0, size - 1)
    weights = np.rint(np.stack([1 - share, share]) * np.float32(_ONE)).astype(np.int32)
    return first, weights


def _cubic(centers: Array) -> tuple[Array, Array]:
    """First pixel and weights of the four taps around each center."""
    first = np.floor(centers + 1e-9)
    t = np.maximum(centers - first, 0.0)
    near = np.stack([t, 1 - t])
    far = near + 1
    inner = ((_CUBIC + 2) * near - (_CUBIC + 3)) * near * near + 1
    outer = ((_CUBIC * far - 5 * _CUBIC) * far + 8 * _CUBIC) * far - 4 * _CUBIC
    weights = np.stack([outer[0], inner[0], inner[1], outer[1]])
    return first - 1, weights.astype(np.float32)


def _area(begin: Array, step: float) -> tuple[Array, Array]:
    """First pixel of each cell and the share of the cell that each pixel covers."""
    first = np.floor(begin + 1e-9)
    pixels = first + np.arange(int(np.ceil(step)) + 1)[:, None]
    cover = np.clip(np.minimum(pixels + 1, begin + step) - np.maximum(pixels, begin), 0, None)
    cover[cover < 1e-9] = 0
    return first, (cover / cover.sum(axis=0)).astype(np.float32)
