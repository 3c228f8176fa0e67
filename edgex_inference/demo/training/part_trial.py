"""Trying a trained part detector on conveyors that training never saw, and choosing golden samples."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import TypeAlias

import jax
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgex_inference.demo.training.cards import PART_DETECT, GoldenSample, Trained
from edgex_inference.demo.training.graph import difference
from edgex_inference.demo.training.part_network import (
    COLUMNS,
    ROWS,
    STRIDE,
    Weights,
    answers,
    export,
    prepared,
)
from edgex_inference.demo.world.conveyor import HEIGHT, LABELS, WIDTH, Conveyor, Frame

_THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
_VALIDATION, _TEST = range(20_000, 20_012), range(30_000, 30_012)
_PICTURES = range(0, 120, 3)  # of each conveyor
_NMS_IOU = 0.5
_SURE = 0.06  # how far from the threshold every score of a golden sample is

Run: TypeAlias = Callable[[NDArray[np.float32]], Sequence[jax.Array]]
Maps: TypeAlias = tuple[
    NDArray[np.float32], ...
]  # heatmap [4, 30, 40], extent [2, 30, 40], shift [2, 30, 40]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A part that was found; the box is in 0..1 of the picture."""

    label: str
    score: float
    box: tuple[float, float, float, float]


def finish(weights: Weights) -> Trained:
    """Chooses the threshold by validation, prints what unseen seeds show, adds golden samples."""
    run = jax.jit(partial(answers, weights))
    validation = _seen(run, _VALIDATION)
    threshold = max(_THRESHOLDS, key=lambda limit: _right(validation, limit))
    test = _seen(run, _TEST)
    print(
        f"  counts right: {_right(validation, threshold):.4f} of validation pictures, threshold {threshold}"
    )
    print(
        f"  counts right: {_right(test, threshold):.4f} of {len(test)} pictures of seeds never used",
        flush=True,
    )
    model = export(weights)
    image = _tensor(test[0][0])
    return Trained(
        name="part-detect",
        model=model,
        card=PART_DETECT,
        facts={"threshold": threshold, "difference": difference(model, {"image": image}, run(image))},
        tolerance="{score: 0.02, box: 0.01}",
        golden=_golden(test, threshold),
    )


def detections(maps: Maps, threshold: float) -> list[Detection]:
    """What the card's decoder reads from the maps of one picture, best first."""
    heatmap, extent, shift = maps
    wide = np.pad(heatmap, ((0, 0), (1, 1), (1, 1)))
    around = np.max([wide[:, y : y + ROWS, x : x + COLUMNS] for y in range(3) for x in range(3)], axis=0)
    found = []
    for label, row, column in zip(*np.nonzero((heatmap >= around) & (heatmap >= threshold)), strict=True):
        x = (column + shift[0, row, column]) * STRIDE / WIDTH
        y = (row + shift[1, row, column]) * STRIDE / HEIGHT
        width, height = extent[:, row, column]
        corners = np.clip([x - width / 2, y - height / 2, x + width / 2, y + height / 2], 0, 1)
        box = (float(corners[0]), float(corners[1]), float(corners[2]), float(corners[3]))
        found.append(Detection(label=LABELS[label], score=float(heatmap[label, row, column]), box=box))
    kept: list[Detection] = []
    for candidate in sorted(found, key=lambda detection: -detection.score):
        if all(one.label != candidate.label or _overlap(one.box, candidate.box) <= _NMS_IOU for one in kept):
            kept.append(candidate)
    return kept


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def _tensor(frame: Frame) -> NDArray[np.float32]:
    return prepared(np.asarray(Image.open(BytesIO(frame.jpeg()))).transpose(2, 0, 1)[None])


def _seen(run: Run, seeds: Sequence[int]) -> list[tuple[Frame, Maps]]:
    seen = []
    for seed in seeds:
        conveyor = Conveyor(seed)
        for frame in (conveyor.frame(index) for index in _PICTURES):
            seen.append((frame, tuple(np.asarray(answer[0]) for answer in run(_tensor(frame)))))
    return seen


def _counts_right(frame: Frame, found: Sequence[Detection]) -> bool:
    return Counter(part.label for part in frame.truth) == Counter(one.label for one in found)


def _right(seen: Sequence[tuple[Frame, Maps]], threshold: float) -> float:
    return float(np.mean([_counts_right(frame, detections(maps, threshold)) for frame, maps in seen]))


def _golden(seen: Sequence[tuple[Frame, Maps]], threshold: float) -> tuple[GoldenSample, ...]:
    """Two full pictures with a defect, every count right and no score next to the threshold."""
    samples: list[GoldenSample] = []
    for frame, maps in sorted(seen, key=lambda pair: -len(pair[0].truth)):
        found = detections(maps, threshold)
        near = np.abs(maps[0] - threshold) < _SURE
        right = _counts_right(frame, found) and {one.label for one in found} == set(LABELS)
        if right and not near.any() and len(samples) < 2:
            samples.append(
                GoldenSample(
                    name=f"conveyor-{len(samples) + 1}.jpg", content=frame.jpeg(), expect=_expect(found)
                )
            )
    return tuple(samples)


def _expect(found: Sequence[Detection]) -> dict[str, object]:
    items = [
        {"label": one.label, "score": round(one.score, 4), "box": [round(edge, 4) for edge in one.box]}
        for one in found
    ]
    counts = {f"count.{label}": sum(one.label == label for one in found) for label in LABELS}
    picture = {"image": {"width": WIDTH, "height": HEIGHT}, "items": items}
    return {"count": len(found), **counts, "detections": picture}
