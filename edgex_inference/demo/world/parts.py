"""Drawing of bolts, nuts and washers, sound or defective, as small anti-aliased pictures."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Points = NDArray[np.float64]  # [n, 2], x and y in pixels, the part's center at (0, 0)
Pixels = NDArray[np.float32]

_SUPERSAMPLING = 3
_HEX_HOLE = 0.5
_WASHER_HOLE = 0.52


class Kind(StrEnum):
    """What a part is; a bolt lies on its side or stands on its head."""

    BOLT = "bolt"
    STANDING_BOLT = "standing bolt"
    NUT = "nut"
    WASHER = "washer"


class Flaw(StrEnum):
    """What is wrong with a defective part."""

    CRACK = "crack"
    CHIP = "chip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part on the belt: x along the belt and y across it in pixels, size (the longest) in pixels."""

    kind: Kind
    x: float
    y: float
    size: float
    angle: float
    color: tuple[float, float, float]
    flaw: Flaw | None
    grain: int  # seed of the jags of a flaw and of the surface

    @property
    def label(self) -> str:
        """The name that the truth uses: `defect` for a flawed part of any kind."""
        if self.flaw is not None:
            return "defect"
        return "bolt" if self.kind is Kind.STANDING_BOLT else str(self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprite:
    """A drawn part, placed at column `left`, row `top`.

    `color` is [h, w, 3] in 0..255; `cover` and `flaw` are [h, w], shares of each pixel in 0..1.
    """

    color: Pixels
    cover: Pixels
    flaw: Pixels
    left: int
    top: int


@dataclass(slots=True)
class _Drawing:
    """Polygons in drawing order; tones 0..1."""

    outline: list[Points] = field(default_factory=list)
    holes: list[Points] = field(default_factory=list)
    tones: list[tuple[Points, float]] = field(default_factory=list)
    flaws: list[tuple[Points, bool]] = field(default_factory=list)  # True: the belt shows through


def draw(part: Part, light: float) -> Sprite:
    """Draws a part lit from the direction `light` (radians, in the picture's plane)."""
    drawing = _SHAPES[part.kind](part, light - part.angle)
    if part.flaw is not None:
        drawing.flaws.append(_flaw(part))
    reach = int(part.size / 2) + 3
    left, top = math.floor(part.x) - reach, math.floor(part.y) - reach
    frame = _Frame(part=part, side=2 * reach + 1, left=left, top=top)
    cover, flaw, tone = frame.blank(), frame.blank(), frame.blank()
    for points in drawing.outline:
        frame.fill(cover, points, 255)
    for points in drawing.holes:
        frame.fill(cover, points, 0)
    for points, shade in drawing.tones:
        frame.fill(tone, points, round(255 * min(max(shade, 0.0), 1.0)))
    for points, through in drawing.flaws:
        frame.fill(flaw, points, 255)
        frame.fill(cover if through else tone, points, 0 if through else 10)
    grain = np.random.default_rng(part.grain).normal(1.0, 0.035, (frame.side, frame.side, 1))
    color = frame.reduced(tone)[..., None] * 255.0 * np.asarray(part.color) * grain
    return Sprite(
        color=color.astype(np.float32),
        cover=frame.reduced(cover),
        flaw=frame.reduced(flaw),
        left=left,
        top=top,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """The supersampled square that a part is drawn into."""

    part: Part
    side: int
    left: int
    top: int

    def blank(self) -> Image.Image:
        return Image.new("L", (self.side * _SUPERSAMPLING, self.side * _SUPERSAMPLING))

    def fill(self, image: Image.Image, points: Points, value: int) -> None:
        cos, sin = math.cos(self.part.angle), math.sin(self.part.angle)
        turned = points @ np.array([[cos, sin], [-sin, cos]])
        placed = (turned + np.array([self.part.x - self.left, self.part.y - self.top])) * _SUPERSAMPLING
        ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in placed], fill=value)

    def reduced(self, image: Image.Image) -> Pixels:
        return np.asarray(image.reduce(_SUPERSAMPLING), dtype=np.float32) / 255.0


def _ring(radius: float, corners: int, start: float = 0.0) -> Points:
    angles = start + np.arange(corners) * (2 * math.pi / corners)
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def _box(x0: float, y0: float, x1: float, y1: float) -> Points:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _hexagon(radius: float, light: float) -> _Drawing:
    """A hexagon's chamfered top: six facets around a flat face."""
    corners = _ring(radius, 6)
    drawing = _Drawing(outline=[corners])
    for index in range(6):
        facing = (index + 0.5) * math.pi / 3
        shade = 0.55 + 0.22 * math.cos(facing - light)
        drawing.tones.append((np.stack([corners[index], corners[(index + 1) % 6], np.zeros(2)]), shade))
    drawing.tones.append((_ring(0.82 * radius, 36), 0.74))
    return drawing


def _nut(part: Part, light: float) -> _Drawing:
    radius = part.size / 2
    drawing = _hexagon(radius, light)
    drawing.tones += [(_ring((_HEX_HOLE + 0.07) * radius, 30), 0.45)]
    drawing.holes.append(_ring(_HEX_HOLE * radius, 30))
    return drawing


def _standing_bolt(part: Part, light: float) -> _Drawing:
    radius = part.size / 2
    drawing = _hexagon(radius, light)
    shift = 0.06 * radius * np.array([math.cos(light), math.sin(light)])
    drawing.tones += [
        (_ring(0.56 * radius, 30), 0.30),
        (_ring(0.50 * radius, 30), 0.68),
        (_ring(0.40 * radius, 30) + shift, 0.95),
    ]
    return drawing


def _washer(part: Part, light: float) -> _Drawing:
    radius = part.size / 2
    shift = 0.04 * radius * np.array([math.cos(light), math.sin(light)])
    drawing = _Drawing(outline=[_ring(radius, 48)], holes=[_ring(_WASHER_HOLE * radius, 36)])
    drawing.tones = [
        (_ring(radius, 48), 0.52),
        (_ring(0.95 * radius, 48) + shift, 0.80),
        (_ring((_WASHER_HOLE + 0.05) * radius, 36) - shift, 0.50),
    ]
    return drawing


def _bolt(part: Part, light: float) -> _Drawing:
    """A bolt on its side: a faceted head at the left, a threaded shaft."""
    half, head, wide = part.size / 2, part.size * 0.26, part.size * 0.23
    shaft, neck = wide * 0.52, -part.size / 2 + part.size * 0.26
    tip = np.array(
        [
            [neck, -shaft],
            [half - 2, -shaft],
            [half, -shaft + 2],
            [half, shaft - 2],
            [half - 2, shaft],
            [neck, shaft],
        ]
    )
    drawing = _Drawing(outline=[_box(-half, -wide, -half + head, wide), tip])
    up = math.sin(light)
    for low, high, facing in ((-1.0, -0.5, -1.0), (-0.5, 0.5, 0.0), (0.5, 1.0, 1.0)):
        drawing.tones.append((_box(-half, low * wide, neck, high * wide), 0.66 + 0.2 * up * facing))
    for low, high, facing in ((-1.0, -0.4, -1.0), (-0.4, 0.3, 0.0), (0.3, 1.0, 1.0)):
        shade = 0.62 + 0.12 * (facing == 0.0) + 0.2 * up * facing
        drawing.tones.append((_box(neck, low * shaft, half, high * shaft), shade))
    for x in np.arange(neck + 0.25 * part.size, half - 1, 3.0):
        lean = np.array([[x, -shaft], [x + 1.2, -shaft], [x + 2.2, shaft], [x + 1.0, shaft]])
        drawing.tones.append((lean, 0.38))
    return drawing


def _flaw(part: Part) -> tuple[Points, bool]:
    rng = np.random.default_rng(part.grain)
    if part.flaw is Flaw.CHIP:
        return _chip(part, rng), True
    return _crack(part, rng), False


def _chip(part: Part, rng: np.random.Generator) -> Points:
    """A piece that is missing at the rim, as an irregular polygon around a point of the outline."""
    radius = part.size / 2
    angle = rng.uniform(0, 2 * math.pi)
    center = 0.90 * radius * np.array([math.cos(angle), math.sin(angle)])
    corners = _ring(1.0, 9, rng.uniform(0, 1)) * (0.50 * radius * rng.uniform(0.75, 1.15, (9, 1)))
    points: Points = corners + center
    return points


def _crack(part: Part, rng: np.random.Generator) -> Points:
    """A jagged dark line from rim to rim, or from rim to hole."""
    radius = part.size / 2
    if part.kind is Kind.BOLT:
        side = rng.choice([-1.0, 1.0])
        start = np.array([rng.uniform(-0.15, 0.1) * radius, -side * 0.27 * radius])
        end = np.array([rng.uniform(0.3, 0.5) * radius, side * 0.27 * radius])
    else:
        angle = rng.uniform(0, 2 * math.pi)
        inner = {Kind.NUT: 0.42, Kind.WASHER: 0.44, Kind.STANDING_BOLT: -0.75}[part.kind]
        start = 1.02 * radius * np.array([math.cos(angle), math.sin(angle)])
        end = inner * radius * np.array([math.cos(angle + 0.3), math.sin(angle + 0.3)])
    return _jagged(start, end, max(4.0, 0.1 * part.size), rng)


def _jagged(start: Points, end: Points, width: float, rng: np.random.Generator) -> Points:
    along = end - start
    across = np.array([-along[1], along[0]]) / np.hypot(*along)
    steps = np.linspace(0, 1, 6)
    sway = rng.choice([-1.0, 1.0]) * np.array([0, 1, -1, 1, -1, 0]) * rng.uniform(0.5, 1.0, 6) * 1.3
    middle = start + steps[:, None] * along + sway[:, None] * across
    half = 0.5 * width * np.array([1.0, 1.0, 0.9, 0.9, 0.8, 0.8])[:, None] * across
    points: Points = np.concatenate([middle + half, (middle - half)[::-1]])
    return points


_SHAPES = {Kind.BOLT: _bolt, Kind.STANDING_BOLT: _standing_bolt, Kind.NUT: _nut, Kind.WASHER: _washer}

FLAWS: Mapping[Kind, tuple[Flaw, ...]] = {
    Kind.BOLT: (Flaw.CRACK,),  # bolts break across; they do not chip
    Kind.STANDING_BOLT: (Flaw.CRACK,),
    Kind.NUT: (Flaw.CRACK, Flaw.CHIP),
    Kind.WASHER: (Flaw.CRACK, Flaw.CHIP),
}
"""How each kind of part can be defective."""
