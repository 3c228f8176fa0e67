"""Pooling as Caffe rounds it: up, with a last window that may hang over the edge."""

from collections.abc import Sequence
from dataclasses import replace

from edgex_inference.importers.caffe.layers.convolution import Sliding, sliding
from edgex_inference.importers.caffe.prototxt import Message
from edgex_inference.importers.caffe.step import Step, Value


def pooling(step: Step) -> Sequence[Value]:
    """The windows' ends are written out, since runtimes round up in ways of their own."""
    said, value = step.param("pooling_param"), step.only
    if len(value.shape) != 4:
        step.refuse(f"works on a blob with {len(value.shape)} axes: 4 can be brought over")
    if len(step.layer.tops) > 1:
        step.refuse("has a second top (the places of the largest), which no accelerator here computes")
    method = said.choice("pool", ("MAX", "AVE", "STOCHASTIC"))
    if method == "STOCHASTIC":
        step.refuse("pools at random: train with MAX or AVE")
    if said.flag("global_pooling", False):
        op = "GlobalMaxPool" if method == "MAX" else "GlobalAveragePool"
        return [step.node(op, (value,), (*value.shape[:2], 1, 1))]
    ways = sliding(step, said, 2)
    if any(pad >= size for pad, size in zip(ways.pad, ways.kernel, strict=True)):
        step.refuse("has a pad as large as its kernel")
    given = tuple(extent or 0 for extent in value.shape[2:])
    extents = tuple(_count(step, said, ways, index, extent) for index, extent in enumerate(given))
    shape = (*value.shape[:2], *extents)
    ends = tuple(
        (count - 1) * stride + size - extent - pad
        for count, stride, size, extent, pad in zip(
            extents, ways.stride, ways.kernel, given, ways.pad, strict=True
        )
    )
    if method == "MAX":
        return [_pool(step, "MaxPool", value, shape, (ways, ends))]
    return [_average(step, value, shape, ways, ends)]


def _average(
    step: Step, value: Value, shape: tuple[int | None, ...], ways: Sliding, ends: tuple[int, ...]
) -> Value:
    """Caffe divides by what of the window lies in the padded blob: the pad counts, what hangs over does not."""
    over = tuple(max(end - pad, 0) for end, pad in zip(ends, ways.pad, strict=True))
    if not any(over):
        return _pool(step, "AveragePool", value, shape, (ways, ends), count_include_pad=1)
    if any(ways.pad):
        height, width = ways.pad
        pads = step.graph.shape(0, 0, height, width, 0, 0, height, width)
        padded = tuple((extent or 0) + 2 * pad for extent, pad in zip(value.shape[2:], ways.pad, strict=True))
        value = step.node("Pad", (value, pads), (*value.shape[:2], *padded))
        ways = replace(ways, pad=(0, 0))
        ends = tuple(end - pad for end, pad in zip(ends, (height, width), strict=True))
    return _pool(step, "AveragePool", value, shape, (ways, ends), count_include_pad=0)


def _pool(
    step: Step,
    op: str,
    value: Value,
    shape: tuple[int | None, ...],
    windows: tuple[Sliding, tuple[int, ...]],
    **more: int,
) -> Value:
    """A window that ends before the edge has no pad there."""
    ways, ends = windows
    pads = (*ways.pad, *(max(end, 0) for end in ends))
    return step.node(op, (value,), shape, kernel_shape=ways.kernel, strides=ways.stride, pads=pads, **more)


def _rounds_up(said: Message) -> bool:
    """`round_mode` is Caffe's, `ceil_mode` its forks'."""
    if "ceil_mode" in said:
        return said.flag("ceil_mode", True)
    return said.choice("round_mode", ("CEIL", "FLOOR")) == "CEIL"


def _count(step: Step, said: Message, ways: Sliding, axis: int, extent: int) -> int:
    """How many windows an axis has; one that would begin behind the blob is left out where anything is padded."""
    size, stride, pad = ways.kernel[axis], ways.stride[axis], ways.pad[axis]
    room = extent + 2 * pad - size
    count = (-(-room // stride) if _rounds_up(said) else room // stride) + 1
    if (count - 1) * stride < extent + pad:
        return count
    if not any(ways.pad):
        step.refuse(
            "has a last window that lies outside of the blob: say round_mode: FLOOR if that was meant"
        )
    return count - 1
