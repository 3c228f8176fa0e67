"""SSD's layers: priors, which depend on shapes only, and the head that turns offsets into boxes."""

import json
import math
from collections.abc import Sequence

import numpy as np

from edgex_inference.contracts.tensors import Array
from edgex_inference.importers.caffe.prototxt import Message
from edgex_inference.importers.caffe.step import Step, Value

_MOST_PRIORS = 1 << 18


def prior_box(step: Step) -> Sequence[Value]:
    """[1, 2, 4 · boxes]: corners as shares of the picture, and their variances; the same for every picture."""
    said, (features, picture) = step.param("prior_box_param"), step.several(2)
    if len(features.shape) != 4 or len(picture.shape) != 4:
        step.refuse(f"lays boxes over {features.shape} in {picture.shape}: both need 4 axes")
    rows, columns = step.fixed(features.shape[2:])
    sizes = _sizes(step, said)
    if rows * columns * len(sizes) > _MOST_PRIORS:
        step.refuse(f"lays {rows * columns * len(sizes)} boxes: at most {_MOST_PRIORS} are made")
    height, width = _pair(said, "img_size", "img_h", "img_w") or step.fixed(picture.shape[2:])
    steps = _pair(said, "step", "step_h", "step_w")
    down, across = steps or (height / rows, width / columns)
    offset = said.number("offset", 0.5)
    y, x = np.meshgrid(
        (np.arange(rows) + offset) * down, (np.arange(columns) + offset) * across, indexing="ij"
    )
    centers = np.stack((x, y), -1)[:, :, None, :]
    halves = np.array(sizes)[None, None] / 2
    corners = np.concatenate((centers - halves, centers + halves), -1) / (width, height, width, height)
    if said.flag("clip", False):
        corners = corners.clip(0, 1)
    variances = list(said.numbers("variance")) or [0.1]
    if len(variances) not in (1, 4):
        step.refuse(f"has {len(variances)} variances: 1 or 4 belong")
    spread = np.broadcast_to(np.array(variances), (corners.size // 4, 4))
    return [step.known(np.stack((corners.reshape(-1), spread.reshape(-1)))[None], "priors")]


def _sizes(step: Step, said: Message) -> list[tuple[float, float]]:
    """Width and height of the boxes of one place, in Caffe's order; Caffe cuts sizes to whole pixels."""
    small, large = said.numbers("min_size"), said.numbers("max_size")
    if (
        not small
        or (large and len(large) != len(small))
        or min(*small, *large, math.inf) < 1
        or len(small) > 1000
    ):
        step.refuse(
            f"has {len(small)} sizes min_size and {len(large)} max_size: as many, from 1 on, or none of these"
        )
    ratios = [1.0]
    for ratio in said.numbers("aspect_ratio"):
        if ratio <= 0 or len(ratios) > 1000:
            step.refuse(f"has an aspect_ratio of {ratio:g}")
        if any(abs(ratio - one) < 1e-6 for one in ratios):
            continue
        ratios += [ratio, 1 / ratio] if said.flag("flip", True) else [ratio]
    found = list[tuple[float, float]]()
    for index, whole in enumerate(small):
        size = math.floor(whole)
        found.append((size, size))
        if large:
            found.append((math.sqrt(size * math.floor(large[index])),) * 2)
        found += [(size * math.sqrt(ratio), size / math.sqrt(ratio)) for ratio in ratios[1:]]
    return found


def _pair(said: Message, both: str, height: str, width: str) -> tuple[float, float] | None:
    if both in said:
        return said.number(both, 0), said.number(both, 0)
    if height in said or width in said:
        return said.number(height, 0), said.number(width, 0)
    return None


def detection_output(step: Step) -> Sequence[Value]:
    """Boxes [batch, n, 4] and scores [batch, n, classes]: suppression is the caller's, who can set its thresholds."""
    said, inputs = step.param("detection_output_param"), step.inputs
    if len(inputs) != 3:
        step.refuse(f"has {len(inputs)} inputs where 3 belong (offsets, scores, priors)")
    offsets, scores, priors = inputs
    if priors.known is None or priors.known.shape[:2] != (1, 2) or priors.known.shape[2] % 4:
        step.refuse("has priors that are computed from the input: only those of PriorBox can be brought over")
    if not said.flag("share_location", True):
        step.refuse("has boxes for each class (share_location: false), which no decoder here reads")
    anchors, classes = priors.known[0].reshape(2, -1, 4).astype(np.float64), said.integer("num_classes", 0)
    count = anchors.shape[1]
    if offsets.sample != count * 4 or classes < 1 or scores.sample != count * classes:
        step.refuse(
            f"has {offsets.sample} offsets and {scores.sample} scores for {count} priors and {classes} classes"
        )
    step.metadata |= _settings(said) | {"caffe.head": _head(step, said)}
    boxes = _decoded(step, step.reshape(offsets, (offsets.shape[0], count, 4)), anchors, said)
    return [boxes, step.reshape(scores, (scores.shape[0], count, classes))]


def _settings(said: Message) -> dict[str, str]:
    """What Caffe's own suppression was told, for the card of the model."""
    nms = said.message("nms_param")
    return {
        "caffe.background": str(said.integer("background_label_id", 0)),
        "caffe.scoreThreshold": f"{said.number('confidence_threshold', 0):g}",
        "caffe.nmsIou": f"{nms.number('nms_threshold', 0.3):g}",
        "caffe.topK": str(nms.integer("top_k", -1)),
        "caffe.keepTopK": str(said.integer("keep_top_k", -1)),
    }


def _head(step: Step, said: Message) -> str:
    """As JSON what the two outputs are made of, for whoever compares them with a runtime that has the layer itself."""
    top, bottoms = step.layer.tops[0] if step.layer.tops else step.layer.name, step.layer.bottoms
    return json.dumps(
        {
            "boxes": f"{top}_boxes",
            "scores": f"{top}_scores",
            "offsets": bottoms[0],
            "confidences": bottoms[1],
            "priors": bottoms[2],
            "code": _code(said),
            "variances": not said.flag("variance_encoded_in_target", False),
            "clip": said.flag("clip", False),
        }
    )


def _code(said: Message) -> str:
    code = said.text("code_type", "CORNER")
    return {"1": "CORNER", "2": "CENTER_SIZE"}.get(code, code)


def _decoded(step: Step, offsets: Value, anchors: Array, said: Message) -> Value:
    """Corners as shares of the picture."""
    code = _code(said)
    corners, variances = anchors
    if said.flag("variance_encoded_in_target", False):
        variances = np.ones_like(variances)
    sizes = corners[:, 2:] - corners[:, :2]
    if code == "CORNER":
        return _clipped(step, _affine(step, offsets, variances, corners), said)
    if code != "CENTER_SIZE":
        step.refuse(f"codes boxes as {code}: CENTER_SIZE and CORNER can be brought over")
    places = _columns(step, offsets, 0)
    centers = _affine(step, places, variances[:, :2] * sizes, corners[:, :2] + sizes / 2)
    spread = _affine(step, _columns(step, offsets, 2), variances[:, 2:], np.zeros_like(sizes))
    half = step.node("Mul", (step.node("Exp", (spread,), spread.shape), _row(step, sizes / 2)), spread.shape)
    ends = [step.node(op, (centers, half), centers.shape) for op in ("Sub", "Add")]
    return _clipped(step, step.node("Concat", ends, offsets.shape, axis=2), said)


def _clipped(step: Step, boxes: Value, said: Message) -> Value:
    if not said.flag("clip", False):
        return boxes
    return step.node("Clip", (boxes, step.scalar(0), step.scalar(1)), boxes.shape)


def _columns(step: Step, value: Value, first: int) -> Value:
    ends = [step.graph.shape(first), step.graph.shape(first + 2), step.graph.shape(2)]
    return step.node("Slice", (value, *ends), (*value.shape[:2], 2))


def _affine(step: Step, value: Value, factor: Array, offset: Array) -> Value:
    scaled = step.node("Mul", (value, _row(step, factor)), value.shape)
    return step.node("Add", (scaled, _row(step, offset)), value.shape) if offset.any() else scaled


def _row(step: Step, array: Array) -> str:
    return step.weight(array[None].astype(np.float32), "priors")
