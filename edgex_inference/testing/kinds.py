"""The models that the accelerator contract asks for, and what a plug-in may say it can do."""

from enum import StrEnum


class Kind(StrEnum):
    """The models that the suite asks for. All take float32 `x` and give `y` = 2x + 1 unless said otherwise."""

    ANY = "x [N, 4]"
    ONE = "x [1, 4]"
    FIXED = "x [3, 4]: exactly three independent rows"
    MIXED = "x [N, 4] as declared, but each row's answer depends on all rows"
    INTEGERS = "int64 x [N, 2]: y = 2x + 1 in int64"
    SUM = "x [1, 64]: y [1, 1] is the sum of x, as a product with a column of ones"
    CLAMPED = "y = 2x + 1, but not below 0 and not above 6"
    OTHER = "x [1, 4]: y = 3x - 1, in files of the same names as ONE"
    TWO = "float32 a and b [N, 3]: total = a + b, difference = a - b"
    SLOW = "x [1, 4] whose run takes at least 20 ms"
    BROKEN = "a file of the right format that is damaged"


class Capability(StrEnum):
    """What a plug-in can do beyond the common promises; tests of what is not declared do not run."""

    BATCHES = "takes any number of rows"
    FIXED_BATCHES = "finds out that a fixed axis 0 is a batch"
    PROBES = "finds out that a declared batch axis is none"
    INTEGERS = "runs int64"
    SEVERAL = "several inputs and outputs"
    PRODUCTS = "multiplies matrices"
    CLAMPS = "cuts numbers off at limits"
    REPLACED = "loads another model from the path of one that it loaded before"
