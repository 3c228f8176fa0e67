"""Matrix products, in blocks or whole, and products with patches of the columns."""

import math

import numpy as np

from edgex_inference.contracts.tensors import Array
from edgex_inference.importers.kaldi.components.own import first_array
from edgex_inference.importers.kaldi.items import Malformed
from edgex_inference.importers.kaldi.step import MOST_COLUMNS, Made, Step


def affine(step: Step) -> Made:
    return _product(step, step.component.array("LinearParams", 2), step.component.array("BiasParams", 1))


def linear(step: Step) -> Made:
    token = "CuMatrix" if "CuMatrix" in step.component else "Params"
    return _product(step, step.component.array(token, 2), np.zeros(0, np.float32))


def affine_transform(step: Step) -> Made:
    """nnet1's: the matrix, then the vector, behind whatever token."""
    return _product(step, first_array(step.component, 2), first_array(step.component, 1))


def linear_transform(step: Step) -> Made:
    return _product(step, first_array(step.component, 2), np.zeros(0, np.float32))


def _product(step: Step, matrix: Array, bias: Array) -> Made:
    step.fits(matrix.shape[1])
    if bias.size not in (0, matrix.shape[0]):
        raise Malformed(f"has {bias.size} biases for {matrix.shape[0]} outputs")
    return step.plus(step.product(step.value, matrix), bias), matrix.shape[0]


def block_affine(step: Step) -> Made:
    """Each block of the columns has a matrix of its own."""
    matrix, bias = step.component.array("LinearParams", 2), step.component.array("BiasParams", 1)
    blocks = step.component.integer("NumBlocks")
    width = step.divided(blocks, "blocks")
    if matrix.shape[0] % blocks or matrix.shape[1] != width or bias.size != matrix.shape[0]:
        raise Malformed(
            f"has a matrix of {matrix.shape} and {bias.size} biases for {blocks} blocks of {width}"
        )
    outputs = matrix.shape[0] // blocks
    weights = step.weight(matrix.reshape(blocks, outputs, width).transpose(0, 2, 1), "matrix")
    found = step.node("MatMul", step.folded(step.value, blocks, 1, width), weights)
    return step.plus(step.folded(found, matrix.shape[0]), bias), matrix.shape[0]


def repeated_affine(step: Step) -> Made:
    """All blocks of the columns have the same matrix."""
    matrix, bias = step.component.array("LinearParams", 2), step.component.array("BiasParams", 1)
    blocks = step.component.integer("NumRepeats")
    width = step.divided(blocks, "blocks")
    if matrix.shape[1] != width or bias.size != matrix.shape[0]:
        raise Malformed(f"has a matrix of {matrix.shape} and {bias.size} biases for blocks of {width}")
    found = step.plus(step.product(step.folded(step.value, blocks, width), matrix), bias)
    return step.folded(found, blocks * matrix.shape[0]), blocks * matrix.shape[0]


def convolution(step: Step) -> Made:
    """nnet3's ConvolutionComponent: x is the slow axis of the columns, y and z as `InputVectorization` says."""
    said = step.component
    across, down, deep = (said.integer(f"Input{axis}Dim") for axis in "XYZ")
    kernel = said.integer("FiltXDim"), said.integer("FiltYDim")
    strides = said.integer("FiltXStep"), said.integer("FiltYStep")
    step.fits(across * down * deep)
    counts = [_count(*one) for one in zip((across, down), kernel, strides, strict=True)]
    _limit(math.prod(counts) * math.prod(kernel) * deep)
    x = strides[0] * np.arange(counts[0])[:, None, None, None, None] + np.arange(kernel[0])[:, None, None]
    y = strides[1] * np.arange(counts[1])[:, None, None, None] + np.arange(kernel[1])[:, None]
    z = np.arange(deep)
    yzx = said.integer("InputVectorization", 0) == 0
    columns = x * (down * deep) + (z * down + y if yzx else y * deep + z)
    return _patched(step, columns.reshape(math.prod(counts), -1), "FilterParams", "BiasParams")


def convolution_1d(step: Step) -> Made:
    """nnet1's ConvolutionalComponent and nnet2's Convolutional1dComponent: patches of every spliced frame."""
    said = step.component
    size, shift, stride = said.integer("PatchDim"), said.integer("PatchStep"), said.integer("PatchStride")
    if stride < 1 or step.dim % stride:
        raise Malformed(f"divides {step.dim} columns into frames of {stride}")
    frames, count = step.dim // stride, _count(stride, size, shift)
    _limit(count * frames * size)
    patch, frame, column = np.arange(count)[:, None, None], np.arange(frames)[:, None], np.arange(size)
    if said.flag("AppendedConv", False):
        columns = (patch * shift + column) * frames + frame
    else:
        columns = patch * shift + frame * stride + column
    older = "Filters" in said
    return _patched(
        step,
        columns.reshape(count, -1),
        "Filters" if older else "FilterParams",
        "Bias" if older else "BiasParams",
    )


def dct(step: Step) -> Made:
    """nnet2's DctComponent: the first cosine transforms of each block of columns; blocks may be interlaced."""
    said = step.component
    step.fits(said.integer("Dim"))
    size = said.integer("DctDim")
    kept, interlaced = said.integer("DctKeepDim", size), said.flag("Reorder", False)
    if size < 1 or step.dim % size or not 0 < kept <= size or size * kept > MOST_COLUMNS:
        raise Malformed(f"keeps {kept} of {size} transforms of {step.dim} columns")
    if interlaced and kept < size:
        raise Malformed("leaves out some of interlaced blocks (Reorder), which Kaldi itself mixes up")
    waves = np.cos(np.pi / size * np.outer(np.arange(kept), np.arange(size) + 0.5)) * math.sqrt(2 / size)
    waves[0] = math.sqrt(1 / size)
    count = step.dim // size
    value = step.folded(step.value, *((size, count) if interlaced else (count, size)))
    turned = {"perm": (0, 1, 3, 2)}
    found = step.product(step.node("Transpose", value, **turned) if interlaced else value, waves)
    found = step.node("Transpose", found, **turned) if interlaced else found
    return step.folded(found, count * kept), count * kept


def frame_pooling(step: Step) -> Made:
    """nnet1's FramePoolingComponent: weighted sums of the spliced frames, each from an offset on."""
    said = step.component
    width, begins = said.integer("FeatureDim"), said.integers("FrameOffset")
    if width < 1 or step.dim % width or len(said.fields.get("FrameWeight", ())) != len(begins):
        raise Malformed(
            f"divides {step.dim} columns into frames of {width}, or has other weights than offsets"
        )
    count = step.dim // width
    matrix = np.zeros((len(begins), count), np.float32)
    for index, begin in enumerate(begins.tolist()):
        weights = said.array("FrameWeight", 1, index)
        if not 0 <= begin <= count - weights.size:
            raise Malformed(f"sums {weights.size} frames from {begin} on, of {count}")
        matrix[index, begin : begin + weights.size] = weights
    found = step.node("MatMul", step.weight(matrix, "weights"), step.folded(step.value, count, width))
    return step.folded(found, len(begins) * width), len(begins) * width


def _patched(step: Step, columns: Array, filters: str, biases: str) -> Made:
    """Each patch (a row of columns) times every filter; the filters' outputs stand patch by patch."""
    matrix, bias = step.component.array(filters, 2), step.component.array(biases, 1)
    patches, width = columns.shape
    if matrix.shape[1] != width or bias.size not in (0, matrix.shape[0]):
        raise Malformed(f"has filters of {matrix.shape} and {bias.size} biases for patches of {width}")
    found = step.folded(step.gathered(step.value, columns.reshape(-1)), patches, width)
    found = step.plus(step.product(found, matrix), bias)
    return step.folded(found, patches * matrix.shape[0]), patches * matrix.shape[0]


def max_pooling(step: Step) -> Made:
    """nnet3's MaxpoolingComponent, in three axes with z the fast one; nnet2's of one axis."""
    said = step.component
    if "PoolSize" in said:
        size, stride = said.integer("PoolSize"), said.integer("PoolStride")
        return pooled(step, "ReduceMax", (size, size, stride))
    extents = [said.integer(f"Input{axis}Dim") for axis in "XYZ"]
    sizes = [said.integer(f"Pool{axis}Size") for axis in "XYZ"]
    shifts = [said.integer(f"Pool{axis}Step") for axis in "XYZ"]
    step.fits(math.prod(extents))
    counts = [_count(*one) for one in zip(extents, sizes, shifts, strict=True)]
    _limit(math.prod(counts) * math.prod(sizes))
    columns = np.zeros((), np.int64)
    for extent, size, shift, count in zip(extents, sizes, shifts, counts, strict=True):
        places = np.arange(size)[:, None] + shift * np.arange(count)
        # Axes: places within a pool, then pools; each round appends one of both.
        pools = columns.ndim // 2
        columns = columns[(..., None)] * extent
        columns = np.expand_dims(columns, pools) + places.reshape(size, *(1,) * pools, count)
    total = math.prod(counts)
    found = step.folded(step.gathered(step.value, columns.reshape(-1)), math.prod(sizes), total)
    return step.node("ReduceMax", found, axes=(2,), keepdims=0), total


def pooling_1d(op: str, step: Step) -> Made:
    """nnet1's pooling components."""
    said = step.component
    return pooled(step, op, (said.integer("PoolSize"), said.integer("PoolStep"), said.integer("PoolStride")))


def pooled(step: Step, op: str, ways: tuple[int, int, int]) -> Made:
    """Patches of `stride` columns, `size` of them pooled, the next ones `shift` further."""
    size, shift, stride = ways
    if stride < 1 or step.dim % stride:
        raise Malformed(f"divides {step.dim} columns into patches of {stride}")
    count = _count(step.dim // stride, size, shift)
    _limit(count * size * stride)
    patches = np.arange(count)[:, None, None] * shift + np.arange(size)[:, None]
    columns = patches * stride + np.arange(stride)
    found = step.folded(step.gathered(step.value, columns.reshape(-1)), count, size, stride)
    found = step.node(op, found, axes=(3,), keepdims=0)
    return step.folded(found, count * stride), count * stride


def _count(extent: int, size: int, shift: int) -> int:
    if shift < 1 or not 0 < size <= extent:
        raise Malformed(f"moves {size} by {shift} over {extent}")
    return 1 + (extent - size) // shift


def _limit(columns: int) -> None:
    if not 0 < columns <= MOST_COLUMNS:
        raise Malformed(f"makes {columns} columns: at most {MOST_COLUMNS} can be")
