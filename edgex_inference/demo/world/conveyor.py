"""A virtual camera over a conveyor: pictures of moving parts, and the truth about them, by seed.

A light barrier feeds the belt in batches and the belt's encoder triggers the camera, so from one picture
to the next the belt moves by one `PITCH` (give or take the encoder's jitter) and a part crosses the picture's
edge within one step. A part counts as visible truth when more than half of its area is inside the picture and
not covered by other parts; the feeder keeps a distance from that half (see `_UNSURE`), so no picture is
decided by luck.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgex_inference.demo.world.parts import FLAWS, Kind, Part, Pixels, Sprite, draw

WIDTH, HEIGHT = 320, 240
LABELS = ("bolt", "nut", "washer", "defect")
FRAMES_PER_SECOND = 5

PITCH = 40  # pixels of belt between two pictures; the picture's width is a multiple of it
_BATCH = 5 * PITCH  # length of belt that one batch of parts occupies, with a gap at its end
_SLOTS = 4
_RAIL = 13  # height of the rails above and below the belt
_MARGIN = 24  # how far parts of a batch may reach over its ends (into gaps)
_JITTER = 1.5
_UNSURE = (0.34, 0.66)  # no part shows a share of itself between these, in any picture
_FLAW_SHOWN = 0.9  # a counted defective part shows at least this share of its flaw
_TRIES = 60
_APART = 0.86  # centers of parts are at least this share of the sum of their half sizes apart

_STEEL = ((0.80, 0.83, 0.88), (0.70, 0.73, 0.77), (0.90, 0.91, 0.93))
_BRASS = ((0.88, 0.72, 0.38), (0.80, 0.62, 0.33))


@dataclass(frozen=True, slots=True, kw_only=True)
class TruePart:
    """A part that counts as visible: its label and its box (x0, y0, x1, y1) in 0..1 of the picture."""

    label: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture [240, 320, 3] uint8 RGB, taken `seconds` after the start, and what is truly on it."""

    index: int
    seconds: float
    picture: NDArray[np.uint8]
    truth: tuple[TruePart, ...]

    def jpeg(self, quality: int = 85) -> bytes:
        """The picture as the camera sends it."""
        buffer = io.BytesIO()
        Image.fromarray(self.picture).save(buffer, format="JPEG", quality=quality)
        return buffer.getvalue()


class Conveyor:
    """Every picture of one production run; equal seeds give equal pictures, in any order of asking."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        rng = np.random.default_rng([seed, 1])
        self._phases = rng.uniform(0, 2 * math.pi, 8)
        self._belt = _belt_texture(rng)
        self._noise = rng.uniform(2.5, 6.0)

    def frame(self, index: int) -> Frame:
        """The picture number `index` (0 and up), five a second."""
        if index < 0:
            raise ValueError(f"a conveyor has no picture {index}: they count from 0")
        seconds = index / FRAMES_PER_SECOND
        rng = np.random.default_rng([self.seed, 2, index])
        start = index * PITCH + rng.uniform(-_JITTER, _JITTER)
        parts = self._parts_near(start)
        sprites = [draw(_shifted(part, -start), self._light(seconds)) for part in parts]
        canvas = self._background(start)
        for sprite in sprites:
            _compose(canvas, sprite)
        self._illuminate(canvas, seconds)
        canvas += rng.normal(0, 1, canvas.shape).astype(np.float32) * (
            self._noise * np.sqrt(0.3 + canvas / 180)
        )
        picture = np.clip(canvas + 0.5, 0, 255).astype(np.uint8)
        return Frame(index=index, seconds=seconds, picture=picture, truth=_truth(parts, sprites))

    def _parts_near(self, start: float) -> list[Part]:
        first = math.floor((start - _MARGIN - 2) / _BATCH)
        last = math.floor((start + WIDTH + _MARGIN + 2) / _BATCH)
        return [part for batch in range(first, last + 1) for part in _feed(self.seed, batch)]

    def _light(self, seconds: float) -> float:
        return float(self._phases[0] + 0.3 * math.sin(0.11 * seconds + self._phases[1]))

    def _background(self, start: float) -> Pixels:
        columns = (np.arange(WIDTH) + round(start)) % self._belt.shape[1]
        canvas: Pixels = self._belt[:, columns].copy()
        for rows, shade in ((slice(0, _RAIL), 1.0), (slice(HEIGHT - _RAIL, HEIGHT), 0.9)):
            canvas[rows] = np.array([112.0, 116.0, 124.0]) * shade
        canvas[_RAIL : _RAIL + 3] *= 0.5
        canvas[HEIGHT - _RAIL - 2 : HEIGHT - _RAIL] *= 0.6
        return canvas

    def _illuminate(self, canvas: Pixels, seconds: float) -> None:
        """Multiplies the light on: drift, a turning gradient, vignette, and a soft shadow that wanders by."""
        p = self._phases
        x, y = _GRID
        drift = 1.0 + 0.16 * math.sin(0.23 * seconds + p[2]) + 0.06 * math.sin(1.7 * seconds + p[3])
        turn = 0.05 * seconds + p[4]
        gradient = 1.0 + 0.22 * (x * math.cos(turn) + y * math.sin(turn))
        vignette = 1.0 - 0.20 * (x * x + y * y)
        place = 2.4 * math.sin(0.31 * seconds + p[5])
        shadow = 1.0 - 0.32 * np.exp(-(((x * math.cos(p[6]) + y * math.sin(p[6]) - place) / 0.45) ** 2))
        tint = 1.0 + 0.04 * np.array([math.sin(p[7]), 0.0, -math.sin(p[7])])
        canvas *= ((drift * gradient * vignette * shadow)[..., None] * tint).astype(np.float32)


_GRID = np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT))


def _belt_texture(rng: np.random.Generator) -> Pixels:
    """A loop of rubber belt, 3 picture widths long: weave, stains, scratches and one seam."""
    length = 3 * WIDTH
    base = np.array(
        [[44, 62, 54], [52, 54, 60], [38, 46, 62], [64, 62, 58]][int(rng.integers(4))], dtype=np.float64
    )
    coarse = rng.normal(0, 1, (HEIGHT // 8, length // 8)).astype(np.float32)
    cloud = np.asarray(Image.fromarray(coarse).resize((length, HEIGHT), Image.Resampling.BICUBIC))
    weave = 2.5 * np.sin(np.arange(HEIGHT) * 2.1)[:, None] + rng.normal(0, 2.5, (HEIGHT, length))
    shade = 1.0 + (4.0 * cloud + weave) / 60.0
    y, x = np.mgrid[0:HEIGHT, 0:length]
    for _ in range(int(rng.integers(4, 10))):
        cx, cy, reach = rng.uniform(0, length), rng.uniform(20, HEIGHT - 20), rng.uniform(6, 26)
        shade *= 1.0 - rng.uniform(0.1, 0.4) * np.exp(
            -(((x - cx) / reach) ** 2 + ((y - cy) / reach / 0.7) ** 2)
        )
    for _ in range(int(rng.integers(4, 12))):
        cx, cy, lean = rng.uniform(0, length), rng.uniform(20, HEIGHT - 20), rng.uniform(-1, 1)
        near = (np.abs(y - cy - lean * (x - cx)) < 0.7) & (np.abs(x - cx) < rng.uniform(5, 30))
        shade = shade + 0.25 * near
    shade[:, (x[0] % length) < 3] *= 0.55
    texture: Pixels = np.clip(shade[..., None] * base, 0, 255).astype(np.float32)
    return texture


def _shifted(part: Part, by: float) -> Part:
    return replace(part, x=part.x + by)


def _compose(canvas: Pixels, sprite: Sprite) -> None:
    """Lays a part and its soft shadow over the picture."""
    soft = _blurred(np.pad(sprite.cover, 4))
    _blend(canvas, soft * 0.42, sprite.top - 4 + 3, sprite.left - 4 + 2, None)
    _blend(canvas, sprite.cover, sprite.top, sprite.left, sprite.color)


def _blurred(mask: Pixels) -> Pixels:
    """A box blur over 5 pixels each way; the patch's rim is empty, so that rolling over it does no harm."""
    for axis in (0, 1):
        mask = np.stack([np.roll(mask, by, axis) for by in range(-2, 3)]).mean(0, dtype=np.float32)
    return mask


def _blend(canvas: Pixels, cover: Pixels, top: int, left: int, color: Pixels | None) -> None:
    rows, columns, inner = _inside(cover.shape, top, left, canvas.shape)
    share = cover[inner][..., None]
    canvas[rows, columns] *= 1.0 - share
    if color is not None:
        canvas[rows, columns] += share * color[inner]


def _inside(
    shape: Sequence[int], top: int, left: int, area: Sequence[int]
) -> tuple[slice, slice, tuple[slice, slice]]:
    """Where a patch meets an area: rows and columns of the area, and the same place within the patch."""
    y0, y1 = min(max(top, 0), area[0]), max(min(top + shape[0], area[0]), 0)
    x0, x1 = min(max(left, 0), area[1]), max(min(left + shape[1], area[1]), 0)
    y1, x1 = max(y0, y1), max(x0, x1)
    return slice(y0, y1), slice(x0, x1), (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))


def _truth(parts: Sequence[Part], sprites: Sequence[Sprite]) -> tuple[TruePart, ...]:
    found = []
    shown = np.ones((HEIGHT, WIDTH), dtype=np.float32)
    for part, sprite in reversed(list(zip(parts, sprites, strict=True))):
        rows, columns, inner = _inside(sprite.cover.shape, sprite.top, sprite.left, shown.shape)
        cover = sprite.cover[inner]
        if float((cover * shown[rows, columns]).sum()) > 0.5 * float(sprite.cover.sum()):
            found.append(TruePart(label=part.label, box=_box(cover, rows.start, columns.start)))
        shown[rows, columns] *= 1.0 - cover
    return tuple(reversed(found))


def _box(cover: Pixels, top: int, left: int) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(cover.max(1) > 0.5), np.flatnonzero(cover.max(0) > 0.5)
    return (
        float(left + columns[0]) / WIDTH,
        float(top + rows[0]) / HEIGHT,
        float(left + columns[-1] + 1) / WIDTH,
        float(top + rows[-1] + 1) / HEIGHT,
    )


@lru_cache(maxsize=256)
def _feed(seed: int, batch: int) -> tuple[Part, ...]:
    """The parts of one batch, in the order in which they lie on one another (the last on top)."""
    rng = np.random.default_rng([seed, 3, batch + 1_000_000])
    wanted = int(rng.choice([1, 2, 3, 4, 5], p=[0.13, 0.3, 0.3, 0.18, 0.09]))
    parts: list[Part] = []
    for _ in range(_TRIES):
        if len(parts) == wanted:
            break
        candidate = _candidate(rng, batch, parts)
        apart = all(_apart(part, candidate) for part in parts)
        if apart and _crisp([*parts, candidate], batch):
            parts.append(candidate)
    return tuple(parts)


def _apart(a: Part, b: Part) -> bool:
    return math.hypot(a.x - b.x, a.y - b.y) > _APART * (a.size + b.size) / 2


def _candidate(rng: np.random.Generator, batch: int, parts: Sequence[Part]) -> Part:
    kind = (Kind.BOLT, Kind.STANDING_BOLT, Kind.NUT, Kind.WASHER)[
        int(rng.choice(4, p=[0.26, 0.12, 0.31, 0.31]))
    ]
    size = float(rng.uniform(*((44, 60) if kind is Kind.BOLT else (30, 44))))
    offset = rng.uniform(-7, 7)
    slot = int(rng.integers(_SLOTS))
    y = rng.uniform(_RAIL + 5 + size / 2, HEIGHT - _RAIL - 5 - size / 2)
    if parts and rng.random() < 0.55:  # aim at a neighbour, to lie on it in part
        near = parts[int(rng.integers(len(parts)))]
        slot = min(max(int((near.x % _BATCH) // PITCH) + int(rng.integers(-1, 2)), 0), _SLOTS - 1)
        y = near.y + rng.choice([-1.0, 1.0]) * rng.uniform(0.3, 0.95) * (near.size + size) / 2
        y = min(max(y, _RAIL + 5 + size / 2), HEIGHT - _RAIL - 5 - size / 2)
    color = (_STEEL if rng.random() < 0.62 else _BRASS)[int(rng.integers(2))]
    return Part(
        kind=kind,
        x=batch * _BATCH + slot * PITCH + PITCH / 2 + offset,
        y=float(y),
        size=size,
        angle=float(rng.uniform(0, 2 * math.pi)),
        color=tuple(float(c * rng.uniform(0.94, 1.06)) for c in color),  # type: ignore[arg-type]
        flaw=FLAWS[kind][int(rng.integers(len(FLAWS[kind])))] if rng.random() < 0.22 else None,
        grain=int(rng.integers(2**31)),
    )


def _crisp(parts: Sequence[Part], batch: int) -> bool:
    """Whether every picture shows clearly more or less than half of a part, and each flaw that counts."""
    length = _BATCH + 2 * _MARGIN
    shown = np.ones((HEIGHT, length), dtype=np.float32)
    for part in reversed(parts):
        sprite = draw(_shifted(part, _MARGIN - batch * _BATCH), 0.0)
        if sprite.left < -3 or sprite.left + sprite.cover.shape[1] > length + 3:
            return False
        rows, columns, inner = _inside(sprite.cover.shape, sprite.top, sprite.left, shown.shape)
        cover = _by_column(sprite.cover[inner], shown[rows, columns], sprite.cover)
        flaw = _by_column(sprite.flaw[inner], shown[rows, columns], sprite.flaw) if part.flaw else None
        if not _crisp_at_edges(cover, flaw, columns.start):
            return False
        shown[rows, columns] *= 1.0 - sprite.cover[inner]
    return True


def _by_column(mask: Pixels, free: Pixels, whole: Pixels) -> Pixels:
    """The share of the whole mask that shows in each column."""
    shares: Pixels = (mask * free).sum(0) / whole.sum()
    return shares


def _crisp_at_edges(cover: Pixels, flaw: Pixels | None, left: int) -> bool:
    slack = math.ceil(_JITTER)
    edges = range(_MARGIN - PITCH - left, _MARGIN + _BATCH + 2 * PITCH - left, PITCH)
    for cut in (min(max(edge + s, 0), cover.size) for edge in edges for s in (-slack, slack)):
        for side in (slice(0, cut), slice(cut, None)):
            share = float(cover[side].sum())
            if _UNSURE[0] < share < _UNSURE[1]:
                return False
            if share > 0.5 and flaw is not None and float(flaw[side].sum()) < _FLAW_SHOWN:
                return False
    return True
