"""Layers that move numbers without changing them."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from edgex_inference.importers.caffe.prototxt import Message
from edgex_inference.importers.caffe.step import FixedBatch, Shape, Step, Value


def same(step: Step) -> Sequence[Value]:
    """Split: each top is the bottom."""
    return [step.only] * max(len(step.layer.tops), 1)


def dropout(step: Step) -> Sequence[Value]:
    """The bottom; where a fork did not scale when it trained, what training dropped on average."""
    said, value = step.param("dropout_param"), step.only
    if said.flag("scale_train", True):
        return [value]
    return [step.node("Mul", (value, step.scalar(1 - said.number("dropout_ratio", 0.5))), value.shape)]


def nothing(step: Step) -> Sequence[Value]:
    """Silence: its bottoms are no outputs of the net."""
    return []


def parameter(step: Step) -> Sequence[Value]:
    """A learned blob as it is."""
    dims = step.param("parameter_param").message("shape").integers("dim")
    return [step.known(step.blob(0, "array", tuple(dims)), "array")]


def concat(step: Step) -> Sequence[Value]:
    said, inputs = step.param("concat_param"), step.inputs
    if not inputs:
        step.refuse("has no inputs")
    shape = inputs[0].shape
    axis = step.axis("axis", _axis(said, "concat_dim"), len(shape))
    if any(one.shape[:axis] + one.shape[axis + 1 :] != shape[:axis] + shape[axis + 1 :] for one in inputs):
        if any(None in one.shape for one in inputs):
            raise FixedBatch
        step.refuse(
            f"joins blobs that differ besides axis {axis}: " + ", ".join(str(one.shape) for one in inputs)
        )
    known = [one.known for one in inputs if one.known is not None]
    if len(known) == len(inputs):
        return [step.known(np.concatenate(known, axis), "joined")]
    total = sum(step.fixed(tuple(one.shape[axis] for one in inputs)))
    return [step.node("Concat", inputs, (*shape[:axis], total, *shape[axis + 1 :]), axis=axis)]


def slice_(step: Step) -> Sequence[Value]:
    """Parts along an axis: at the points, or equal ones."""
    said, value, count = step.param("slice_param"), step.only, len(step.layer.tops)
    axis = step.axis("axis", _axis(said, "slice_dim"), len(value.shape))
    extent, points = step.fixed((value.shape[axis],))[0], list(said.integers("slice_point"))
    if points and len(points) != count - 1:
        step.refuse(f"has {len(points)} slice points for {count} tops")
    if not points and extent % count:
        step.refuse(f"makes {count} equal parts of {extent}, which does not divide")
    bounds = [0, *points, extent] if points else list(range(0, extent + 1, extent // count))
    if any(end <= begin for begin, end in pairwise(bounds)):
        step.refuse(f"has slice points {points} in an extent of {extent}")
    return [_part(step, value, {axis: part}) for part in pairwise(bounds)]


def _part(step: Step, value: Value, parts: dict[int, tuple[int, int]]) -> Value:
    shape: Shape = tuple(
        parts[axis][1] - parts[axis][0] if axis in parts else extent
        for axis, extent in enumerate(value.shape)
    )
    if shape == value.shape:
        return value
    numbers = [step.graph.shape(*(parts[axis][end] for axis in parts)) for end in (0, 1)]
    return step.node("Slice", (value, *numbers, step.graph.shape(*parts)), shape)


def crop(step: Step) -> Sequence[Value]:
    """The first blob, cut to the extents of the second from `axis` on."""
    said, (value, model) = step.param("crop_param"), step.several(2)
    rank = len(value.shape)
    axis, offsets = step.axis("axis", said.integer("axis", 2), rank), list(said.integers("offset"))
    if len(model.shape) != rank or len(offsets) not in (0, 1, rank - axis):
        step.refuse(f"cuts {rank} axes to {len(model.shape)} with {len(offsets)} offsets from axis {axis}")
    if len(offsets) < 2:
        offsets = (offsets or [0]) * (rank - axis)
    parts = {}
    for index, offset in zip(range(axis, rank), offsets, strict=True):
        given, wanted = step.fixed((value.shape[index], model.shape[index]))
        if not 0 <= offset <= given - wanted:
            step.refuse(f"cuts {wanted} at {offset} out of {given} on axis {index}")
        parts[index] = (offset, offset + wanted)
    return [_part(step, value, parts)]


def flatten(step: Step) -> Sequence[Value]:
    said, value = step.param("flatten_param"), step.only
    rank = len(value.shape)
    first = step.axis("axis", said.integer("axis", 1), rank)
    last = step.axis("end_axis", said.integer("end_axis", -1), rank)
    if last < first:
        step.refuse(f"flattens from axis {first} to {last}")
    if first == 0 and last > 0:
        step.fixed(value.shape)
        flat: Shape = (math.prod(step.fixed(value.shape[: last + 1])),)
    else:
        flat = value.shape[:1] if last == 0 else (math.prod(step.fixed(value.shape[first : last + 1])),)
    return [step.reshape(value, (*value.shape[:first], *flat, *value.shape[last + 1 :]))]


def reshape(step: Step) -> Sequence[Value]:
    """0 keeps an extent, −1 is what remains; an extent in front that means the batch stays open."""
    said, value = step.param("reshape_param"), step.only
    rank, dims = len(value.shape), list(said.message("shape").integers("dim"))
    axis = step.axis("axis", said.integer("axis", 0), rank, end=True)
    covered = said.integer("num_axes", -1)
    end = rank if covered == -1 else axis + covered
    if not axis <= end <= rank or dims.count(-1) > 1 or any(one < -1 for one in dims):
        step.refuse(f"reshapes axes {axis} to {end} of {rank} into {dims}")
    wanted: list[int | None] = [
        _kept(step, value, axis + index, end) if one == 0 else one for index, one in enumerate(dims)
    ]
    shape = [*value.shape[:axis], *wanted, *value.shape[end:]]
    if value.shape[:1] == (None,) and axis == 0 and shape:
        shape = _with_batch(step, value, shape)
    return [step.reshape(value, _filled(step, value, shape))]


def _kept(step: Step, value: Value, axis: int, end: int) -> int | None:
    if axis >= end:
        step.refuse(f"keeps axis {axis}, which is none of those it reshapes")
    return value.shape[axis]


def _with_batch(step: Step, value: Value, shape: list[int | None]) -> list[int | None]:
    """The first extent is the batch if it is the prototxt's batch, or −1, and a sample's numbers are the rest's."""
    rest = [extent for extent in shape[1:] if extent is not None]
    if shape[0] is None or (shape[0] == step.batch and (-1 in rest or math.prod(rest) == value.sample)):
        return [None, *shape[1:]]
    if shape[0] == -1 and math.prod(rest) == value.sample:
        return [None, *shape[1:]]
    raise FixedBatch


def _filled(step: Step, value: Value, shape: list[int | None]) -> Shape:
    """With −1 counted out; raises Refused where the numbers do not fit."""
    if (None in shape) != (None in value.shape):
        raise FixedBatch
    total = math.prod(extent for extent in value.shape if extent is not None)
    rest = math.prod(extent for extent in shape if extent is not None and extent != -1)
    if rest < 1 or (total % rest if -1 in shape else total != rest):
        step.refuse(f"makes {shape} of {value.shape}: the numbers do not fit")
    return tuple(total // rest if extent == -1 else extent for extent in shape)


def permute(step: Step) -> Sequence[Value]:
    """The axes named first, the others behind them in their order."""
    value, order = step.only, list(step.param("permute_param").integers("order"))
    rank = len(value.shape)
    order += [axis for axis in range(rank) if axis not in order]
    if sorted(order) != list(range(rank)):
        step.refuse(f"orders axes {order} of a blob with {rank}")
    if order[0] != 0:
        step.fixed(value.shape)
    return [step.node("Transpose", (value,), tuple(value.shape[axis] for axis in order), perm=order)]


def tile(step: Step) -> Sequence[Value]:
    said, value = step.param("tile_param"), step.only
    axis, count = step.axis("axis", said.integer("axis", 1), len(value.shape)), said.integer("tiles", 0)
    extent = step.fixed((value.shape[axis],))[0]
    repeats = step.graph.shape(*(count if index == axis else 1 for index in range(len(value.shape))))
    return [
        step.node("Tile", (value, repeats), (*value.shape[:axis], extent * count, *value.shape[axis + 1 :]))
    ]


def shuffle_channel(step: Step) -> Sequence[Value]:
    """Channels dealt out as cards to `group` hands: ShuffleNet's layer."""
    value, group = step.only, step.param("shuffle_channel_param").integer("group", 1)
    if len(value.shape) != 4 or group < 1 or (value.shape[1] or 0) % group:
        step.refuse(f"deals the channels of {value.shape} to {group} groups, which does not divide")
    batch, channels, height, width = value.shape
    each = (channels or 0) // group
    grouped = step.reshape(value, (batch, group, each, height, width))
    dealt = step.node("Transpose", (grouped,), (batch, each, group, height, width), perm=(0, 2, 1, 3, 4))
    return [step.reshape(dealt, value.shape)]


def interp(step: Step) -> Sequence[Value]:
    """DeepLab's bilinear resize: the corners of both pictures lie on each other."""
    said, value = step.param("interp_param"), step.only
    if len(value.shape) != 4:
        step.refuse(f"works on a blob with {len(value.shape)} axes: 4 can be brought over")
    if said.integer("pad_beg", 0) or said.integer("pad_end", 0):
        step.refuse("cuts or pads before it resizes (pad_beg, pad_end): use a Crop layer")
    extents = tuple(
        _resized(step, said, extent or 0, key)
        for extent, key in zip(value.shape[2:], ("height", "width"), strict=True)
    )
    return [_resize(step, value, extents, mode="linear", coordinate_transformation_mode="align_corners")]


def _resized(step: Step, said: Message, extent: int, key: str) -> int:
    if key in said:
        return said.integer(key, 0)
    shrink, zoom = said.integer("shrink_factor", 1), said.integer("zoom_factor", 1)
    if shrink < 1 or zoom < 1:
        step.refuse("has a zoom_factor or shrink_factor below 1")
    shrunk = (extent - 1) // shrink + 1
    return shrunk + (shrunk - 1) * (zoom - 1)


def upsample(step: Step) -> Sequence[Value]:
    """Every number repeated `scale` times along rows and columns."""
    if len(step.inputs) == 2:
        step.refuse(
            "puts numbers where a Pooling found the largest (a mask): use Deconvolution or plain enlargement"
        )
    said, value = step.param("upsample_param"), step.only
    factor = said.integer("scale", 2)
    if len(value.shape) != 4 or factor < 1:
        step.refuse(f"enlarges a blob of {value.shape} {factor} times: 4 axes can be brought over")
    extents = tuple((extent or 0) * factor for extent in value.shape[2:])
    return [
        _resize(
            step,
            value,
            extents,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
    ]


def _resize(step: Step, value: Value, extents: tuple[int, ...], **ways: str) -> Value:
    # By factors, not by extents: those of the batch and of the channels stay open.
    factors = [1.0, 1.0]
    for wanted, given in zip(extents, value.shape[2:], strict=True):
        factors.append((wanted + 0.25) / (given or 1) if wanted % (given or 1) else wanted / (given or 1))
    return step.node(
        "Resize", (value, "", step.graph.constant(factors)), (*value.shape[:2], *extents), **ways
    )


def _axis(said: Message, older: str) -> int:
    return said.integer("axis", said.integer(older, 1))
