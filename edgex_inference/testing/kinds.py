"""The models that the accelerator contract asks for, and what a plug-in may say it can do."""

from enum import StrEnum

import numpy as np

from edgex_inference.contracts.tensors import Array


class Kind(StrEnum):
    """The models that the suite asks for. All take float32 `x` and give `y` = 2x + 1 unless said otherwise."""

    ANY = "x [N, 4]"
    ONE = "x [1, 4]"
    FIXED = "x [3, 4]: exactly three independent rows"
    OPEN = "x [N, L]: both extents are open"
    MIXED = "x [N, 4] as declared, but each row's answer depends on all rows"
    INTEGERS = "int64 x [N, 2]: y = 2x + 1 in int64"
    HALVES = "float16 x [1, 4]: y = 2x + 1 in float16"
    SHORTS = "int16 x [1, 4]: y = 2x + 1 in int16"
    WORDS = "uint16 x [1, 4]: y = 2x + 1 in uint16"
    BRAINS = "bfloat16 x [1, 4]: y = x, in a type that arrays lack"
    TEXTS = "texts x [N]: y = x"
    SUM = "x [1, 64]: y [1, 1] is the sum of x, as a product with a column of ones"
    QUANTIZED = "x [1, 64]: y [1, 8] is x · WEIGHTS, quantized to int8 as WEIGHTS says"
    CLAMPED = "y = 2x + 1, but not below 0 and not above 6"
    OTHER = "x [1, 4]: y = 3x - 1, in files of the same names as ONE"
    TWO = "float32 a and b [N, 3]: total = a + b, difference = a - b"
    TYPES = "float32 a [N, 3] and int64 n [N, 3]: shifted = a + n in float32, doubled = n + n in int64"
    SLOW = "x [1, 4] whose run takes at least 20 ms, in six nodes or more"
    BROKEN = "a file of the right format that is damaged"


class Capability(StrEnum):
    """What a plug-in can do beyond the common promises; tests of what is not declared do not run."""

    BATCHES = "takes any number of rows"
    FIXED_BATCHES = "finds out that a fixed axis 0 is a batch"
    PROBES = "finds out that a declared batch axis is none"
    OPEN_EXTENTS = "runs with any length of an open axis"
    SHAPES = "fixes open extents where it is asked to"
    INTEGERS = "runs int64"
    HALVES = "takes and gives float16"
    SHORTS = "takes and gives int16 and uint16"
    NAMES_TYPES = "names the element type that it cannot take"
    TEXTS = "takes and gives texts"
    SEVERAL = "several inputs and outputs"
    PRODUCTS = "multiplies matrices"
    QUANTIZED = "runs files that are quantized to int8, and says so"
    CLAMPS = "cuts numbers off at limits"
    REPLACED = "loads another model from the path of one that it loaded before"
    COUNTS = "its placement counts the nodes of the graph"


STEP_GIVEN, STEP_WEIGHTS, STEP_ANSWER = 1 / 128, 1 / 64, 1 / 32
"""The steps of QUANTIZED's int8 numbers, all with zero point 0: its input, WEIGHTS and its output."""

WEIGHTS: Array = ((np.arange(64)[:, None] * (np.arange(8) + 1) % 5 - 2) / 8).astype(np.float32)
"""[64, 8], each a whole number of steps."""
