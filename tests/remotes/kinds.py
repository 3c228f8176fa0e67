"""The models of the contract suite, as the servers run them; also read inside their environments: numpy alone."""

import time

import numpy as np

MOST = 64
# Name: (inputs, outputs, rows); rows -1 is open, else the exact number. Each tensor: (name, datatype, width).
KINDS = {
    "any": ([("x", "FP32", 4)], [("y", "FP32", 4)], -1),
    "one": ([("x", "FP32", 4)], [("y", "FP32", 4)], 1),
    "fixed": ([("x", "FP32", 4)], [("y", "FP32", 4)], 3),
    "mixed": ([("x", "FP32", 4)], [("y", "FP32", 4)], -1),
    "integers": ([("x", "INT64", 2)], [("y", "INT64", 2)], -1),
    "sum": ([("x", "FP32", 64)], [("y", "FP32", 1)], 1),
    "clamped": ([("x", "FP32", 4)], [("y", "FP32", 4)], 1),
    "two": (
        [("a", "FP32", 3), ("b", "FP32", 3)],
        [("total", "FP32", 3), ("difference", "FP32", 3)],
        -1,
    ),
    "types": (
        [("a", "FP32", 3), ("n", "INT64", 3)],
        [("shifted", "FP32", 3), ("doubled", "INT64", 3)],
        -1,
    ),
    "slow": ([("x", "FP32", 4)], [("y", "FP32", 4)], 1),
    "halves": ([("x", "FP16", 4)], [("y", "FP16", 4)], 1),
    "bytes": ([("x", "UINT8", 4)], [("y", "UINT8", 4)], 1),
    "texts": ([("x", "BYTES", 2)], [("y", "BYTES", 2)], 1),
    "wide": ([("x", "FP32", 65536)], [("y", "FP32", 65536)], 1),
}


def run(name, arrays):
    """The answers of a model."""
    if name == "two":
        return {"total": arrays["a"] + arrays["b"], "difference": arrays["a"] - arrays["b"]}
    if name == "types":
        return {"shifted": (arrays["a"] + arrays["n"]).astype(np.float32), "doubled": 2 * arrays["n"]}
    x = arrays["x"]
    if name == "slow":
        time.sleep(0.02)
    if name == "mixed":
        return {"y": (2 * x + 1 + x.sum(axis=0)).astype(x.dtype)}
    if name == "sum":
        return {"y": x @ np.ones((64, 1), np.float32)}
    if name == "clamped":
        return {"y": np.fmin(np.fmax(2 * x + 1, 0), 6).astype(x.dtype)}
    if name in ("texts", "halves", "bytes"):
        return {"y": x}
    return {"y": (2 * x + 1).astype(x.dtype)}
