"""Means and deviations over frames: gathered in periods, pooled over a window around each frame or over all."""

import numpy as np

from edgex_inference.importers.kaldi.descriptor import Node
from edgex_inference.importers.kaldi.feeding import Value, shown
from edgex_inference.importers.kaldi.files import Component
from edgex_inference.importers.kaldi.items import Malformed
from edgex_inference.importers.kaldi.spans import Some, Span
from edgex_inference.importers.kaldi.step import Made, Step

EXTRACTION, POOLING = "StatisticsExtractionComponent", "StatisticsPoolingComponent"
_WHOLE = 1000
"""Frames to the right from which on a pool is that of an utterance."""
_FARTHEST = 100_000
_END = np.iinfo(np.int64).max


def _periods(component: Component) -> tuple[int, int]:
    """Of StatisticsExtraction: it takes each so-many-th frame, and gathers over so many."""
    each, over = component.integer("InputPeriod", 1), component.integer("OutputPeriod", 1)
    if not 0 < each <= over <= _FARTHEST or over % each:
        raise Malformed(f"gathers each {each}th of {over} frames (InputPeriod, OutputPeriod)")
    return each, over


def gathered_reach(component: Component) -> Span:
    over = _periods(component)[1]
    return 1 - over, over - 1


def gathers(component: Component) -> Some:
    each, over = _periods(component)

    def there(fed: Span) -> Span:
        """It has the period of its first frame whole; the last ends with what it is fed, where others stop reading."""
        return _down(-_down(-fed[0], each), over), fed[1]

    return Some((over - each, 0), there)


def statistics(step: Step) -> Made:
    """StatisticsExtractionComponent: how many frames there are in each period, their sums and the sums of squares."""
    said = step.component
    step.fits(said.integer("InputDim"))
    each, over = _periods(said)
    one = step.node("Add", step.node("Mul", step.columns(step.value, 0, 1), step.number(0)), step.number(1))
    parts = [one, step.value]
    # Kaldi writes this token with a slip of the pen.
    if said.flag("IncludeVarinance", True):
        parts.append(step.node("Mul", step.value, step.value))
    value, dim = step.node("Concat", *parts, axis=2), 1 + step.dim * (len(parts) - 1)
    return (_summed(step, Value(value, dim, step.given), each, over) if over > 1 else value), dim


def _summed(step: Step, value: Value, each: int, over: int) -> str:
    """Sums of each period, as every frame of it sees them; frames that are not there count as nothing."""
    shape, begin = step.graph.shape, _down(step.span[0], over)
    value = shown(step.graph, value, (begin, step.span[1] + over - 1), step.span)
    count = step.node("Sub", _count(step, value.name), shape(over - 1))
    whole = step.node("Mul", _groups(step, count, over), shape(over))
    cut = step.node("Slice", value.name, shape(0), whole, shape(1), shape(each))
    cut = step.node("Reshape", cut, shape(0, -1, over // each, value.dim))
    sums = step.node("ReduceSum", cut, shape(2), keepdims=0)
    return _spread(step, sums, count, step.span[0] - begin, over)


def pools_all(component: Component) -> bool:
    """Whether a StatisticsPoolingComponent makes one frame of an utterance."""
    return component.integer("LeftContext") >= 0 and component.integer("RightContext") >= _WHOLE


def _window(component: Component) -> tuple[int, int, int]:
    """Of StatisticsPooling: it takes each so-many-th frame, so far to the left and to the right."""
    period = component.integer("InputPeriod", 1)
    left, right = component.integer("LeftContext"), component.integer("RightContext")
    if not 0 < period <= _FARTHEST or min(left, right) < 0 or max(left, right) > _FARTHEST:
        raise Malformed(f"pools each {period}th frame from {left} before to {right} behind")
    if left % period or right % period or not left + right:
        raise Malformed(f"pools {left} frames before and {right} behind, which are no multiples of {period}")
    return period, left, right


def pooled_reach(component: Component) -> Span:
    period, left, right = _window(component)
    return 1 - period - left, right


def pools(component: Component) -> Some:
    period, left, right = _window(component)

    def there(fed: Span) -> Span:
        return -_down(right - fed[0], period), fed[1] + left - (period - 1)

    return Some((right, -left), there)


def statistics_pooling(step: Step) -> Made:
    """Means, and deviations where asked, over all frames that there are or over a window around each."""
    said = step.component
    step.fits(said.integer("InputDim"))
    logs = said.integer("NumLogCountFeatures", 0)
    if not 0 <= logs <= 10_000:
        raise Malformed(f"has {logs} columns of the number of frames (NumLogCountFeatures)")
    if not pools_all(said):
        return _windowed(step, *_window(said))
    if said.integer("InputPeriod", 1) != 1:
        raise Malformed("skips frames of a whole utterance (InputPeriod), which cannot be brought over")
    sums = step.node("ReduceSum", step.value, step.graph.shape(1), keepdims=1)
    return _described(step, sums)


def _windowed(step: Step, period: int, left: int, right: int) -> Made:
    """Each frame sees the window around the last frame before it that is a multiple of the period."""
    shape, begin = step.graph.shape, _down(step.span[0], period)
    value = shown(
        step.graph, Value(step.value, step.dim, step.given), (begin - left, step.span[1] + right), step.span
    ).name
    count = step.node("Sub", _count(step, value), shape(left + right))
    if period > 1:
        value = step.node("Slice", value, shape(0), shape(_END), shape(1), shape(period))
    size = (left + right) // period + 1
    value = step.node("Transpose", value, perm=(0, 2, 1))
    means = step.node("AveragePool", value, kernel_shape=(size,), strides=(1,))
    sums = step.node("Mul", step.node("Transpose", means, perm=(0, 2, 1)), step.number(size))
    found, dim = _described(step, sums)
    return _spread(step, found, count, step.span[0] - begin, period), dim


def averaged(step: Step) -> Made:
    """nnet1's SimpleSentenceAveragingComponent: each frame is the mean over the run, or the sum."""
    said = step.component
    found = step.node("ReduceSum", step.value, step.graph.shape(1), keepdims=1)
    if not said.flag("OnlySumming", False):
        count = step.node("Cast", _count(step, step.value), to=1)
        found = step.node("Div", found, step.node("Add", count, step.number(said.number("Shrinkage", 0))))
    return step.node("Expand", found, step.node("Shape", step.value)), step.dim


def _described(step: Step, sums: str) -> Made:
    """The logarithm of how many frames there are, the mean, the mean of squares or the deviation."""
    said, width = step.component, step.dim - 1
    count = step.columns(sums, 0, 1)
    mean = step.node("Div", step.columns(sums, 1, step.dim), count)
    logs = said.integer("NumLogCountFeatures", 0)
    parts = [step.node("Log", count)] * logs
    if not said.flag("OutputStddevs", False):
        parts.append(mean)
    elif width % 2:
        raise Malformed(f"is fed {width} columns of means and squares")
    else:
        half = width // 2
        center, square = step.columns(mean, 0, half), step.columns(mean, half, width)
        variance = step.node("Sub", square, step.node("Mul", center, center))
        floor = step.number(max(said.number("VarianceFloor", 1e-10), 0))
        parts += [center, step.node("Sqrt", step.node("Max", variance, floor))]
    return (step.node("Concat", *parts, axis=2) if len(parts) > 1 else parts[0]), logs + width


def _count(step: Step, value: str) -> str:
    """How many frames a value has: [1]."""
    return step.node("Shape", value, start=1, end=2)


def _groups(step: Step, count: str, over: int) -> str:
    """How many periods so many frames are, the last of which may be short."""
    shape = step.graph.shape
    return step.node("Div", step.node("Add", count, shape(over - 1)), shape(over))


def _spread(step: Step, groups: str, count: str, first: int, over: int) -> str:
    """Of periods each as often as it has frames, from a place in the first one on; `count` frames with those before."""
    if over == 1:
        return groups
    start, one = (step.graph.constant(number, np.int64) for number in (first, 1))
    number = step.node("Range", start, step.node("Squeeze", count), one)
    return step.node("Gather", groups, step.node("Div", number, step.graph.shape(over)), axis=1)


def _down(frame: int, period: int) -> int:
    """The multiple of a period at a frame or before it."""
    return frame // period * period


def check_read(component: Component, one: Node, reader: Component | None) -> None:
    """Raises Malformed where a node of these statistics is read in frames that Kaldi does not have."""
    if component.kind == POOLING and not pools_all(component):
        period = _window(component)[0]
        if one.every % period or one.offset % period:
            raise Malformed(f"has each {period}th frame only, and is read without Round(…, {period})")
    over = _periods(component)[1] if component.kind == EXTRACTION else 1
    if over > 1:
        pooled = reader is not None and reader.kind == POOLING and not one.offset % over and one.every == 1
        if not pooled or reader is None or reader.integer("InputPeriod", 1) % over:
            raise Malformed(
                f"gathers over {over} frames, and what reads it does not pool each {over}th of its own"
            )
