"""Enumerations and small values that all TensorRTs have; members as in the real bindings."""

from enum import IntEnum


class DataType(IntEnum):
    FLOAT, HALF, INT8, INT32, BOOL, UINT8, FP8, BF16, INT64, INT4 = range(10)


class TensorIOMode(IntEnum):
    NONE, INPUT, OUTPUT = range(3)


class TensorLocation(IntEnum):
    DEVICE, HOST = range(2)


class MemoryPoolType(IntEnum):
    WORKSPACE = 0


class HardwareCompatibilityLevel(IntEnum):
    NONE, AMPERE_PLUS, SAME_COMPUTE_CAPABILITY = range(3)


class LayerType(IntEnum):
    CONVOLUTION, ELEMENTWISE, QUANTIZE, DEQUANTIZE = range(4)


class ILogger:
    class Severity(IntEnum):
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def __init__(self):
        self.ready = True

    def log(self, severity, msg):
        raise NotImplementedError


class IProgressMonitor:
    def __init__(self):
        self.ready = True

    def phase_start(self, phase_name, parent_phase, num_steps):
        raise NotImplementedError

    def step_complete(self, phase_name, step):
        raise NotImplementedError

    def phase_finish(self, phase_name):
        raise NotImplementedError


class IOutputAllocator:
    def __init__(self):
        self.ready = True


class IHostMemory(bytes):
    @property
    def nbytes(self):
        return len(self)


def complain(logger, text):
    """Tells the logger an error; the base class of a logger must have been called, as in the real bindings."""
    assert logger.ready
    logger.log(ILogger.Severity.ERROR, text)
