"""Which part of a picture lies where in the model's picture, and the way back."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from edgex_inference.contracts.results import Geometry

Fit = Literal["stretch", "letterbox", "crop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """`size` is the model's width and height in pixels, `roi` the corners x0, y0, x1, y1 in 0..1 of the source."""

    size: tuple[int, int]
    fit: Fit = "stretch"
    roi: tuple[float, float, float, float] | None = None
    reduce: bool = True
    """whether a JPEG may be decoded at a smaller scale"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A region of the source (x, y, width, height in its pixels) and its place in the model's picture."""

    region: tuple[float, float, float, float]
    place: tuple[int, int, int, int]
    eighths: int
    """the smallest JPEG scale m/8 at which the region has at least as many pixels as its place"""
    geometry: Geometry


@lru_cache(maxsize=256)
def placement(framing: Framing, width: int, height: int) -> Placement:
    """Where a source of this size (after EXIF rotation) goes.

    The region of interest is rounded to whole source pixels. `crop` takes the largest region around its center that
    has the model's aspect, `letterbox` centers the whole region and rounds the margins on the left and top down.
    """
    region = _region(framing.roi, width, height)
    if framing.fit == "crop":
        region = _cropped(region, framing.size)
    place = _letterboxed(region, framing.size) if framing.fit == "letterbox" else (0, 0, *framing.size)
    eighths = 8
    if framing.reduce:
        wanted = max(8 * place[2] / region[2], 8 * place[3] / region[3])
        eighths = min(max(math.ceil(wanted - 1e-9), 1), 8)
    return Placement(
        region=region, place=place, eighths=eighths,
        geometry=_geometry(region, place, framing.size, (width, height)),
    )  # fmt: skip


def _region(
    roi: tuple[float, float, float, float] | None, width: int, height: int
) -> tuple[float, float, float, float]:
    if roi is None:
        return 0, 0, width, height
    left, right = _pixels(roi[0], roi[2], width)
    top, bottom = _pixels(roi[1], roi[3], height)
    return left, top, right - left, bottom - top


def _pixels(low: float, high: float, size: int) -> tuple[int, int]:
    first = min(max(round(low * size), 0), size - 1)
    return first, min(max(round(high * size), first + 1), size)


def _cropped(
    region: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    x, y, width, height = region
    scale = min(width / size[0], height / size[1])
    wide, high = min(scale * size[0], width), min(scale * size[1], height)  # rounding must not reach beyond
    return x + (width - wide) / 2, y + (height - high) / 2, wide, high


def _letterboxed(
    region: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    scale = min(size[0] / region[2], size[1] / region[3])
    width = min(max(round(region[2] * scale), 1), size[0])
    height = min(max(round(region[3] * scale), 1), size[1])
    return (size[0] - width) // 2, (size[1] - height) // 2, width, height


def _geometry(
    region: tuple[float, float, float, float],
    place: tuple[int, int, int, int],
    size: tuple[int, int],
    source: tuple[int, int],
) -> Geometry:
    """source = (input · size - place) / place size · region size + region start, in shares of the source."""
    scale = tuple(size[i] / place[2 + i] * region[2 + i] / source[i] for i in (0, 1))
    shift = tuple((region[i] - place[i] / place[2 + i] * region[2 + i]) / source[i] for i in (0, 1))
    return Geometry(
        width=source[0],
        height=source[1],
        scale=(scale[0], scale[1]),
        shift=(shift[0], shift[1]),
        seen=(
            place[0] / size[0],
            place[1] / size[1],
            (place[0] + place[2]) / size[0],
            (place[1] + place[3]) / size[1],
        ),
    )
