"""The functions of cuda.bindings.runtime that the plug-in uses, with their names and parameters, on no GPU."""

import ctypes
from enum import IntEnum
from types import SimpleNamespace

from nvidia_stand_in.gpu import WORLD, setting

cudaHostAllocDefault, cudaStreamNonBlocking, cudaEventBlockingSync, cudaEventDisableTiming = 0, 1, 1, 2
_TEXTS = {
    2: ("cudaErrorMemoryAllocation", "out of memory"),
    35: ("cudaErrorInsufficientDriver", "CUDA driver version is insufficient for CUDA runtime version"),
    100: ("cudaErrorNoDevice", "no CUDA-capable device is detected"),
    700: ("cudaErrorIllegalAddress", "an illegal memory access was encountered"),
    999: ("cudaErrorUnknown", "unknown error"),
}


class cudaError_t(int):
    """Any number: the real one is an enumeration of all of them."""


class cudaMemcpyKind(IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class cudaDeviceAttr(IntEnum):
    cudaDevAttrComputeCapabilityMajor = 75
    cudaDevAttrComputeCapabilityMinor = 76


class _Handle:
    def __init__(self, number):
        self._number = number

    def __int__(self):
        return self._number


def _answer(code, *values):
    return (cudaError_t(code), *(value if not code else None for value in values))


def cudaGetDeviceCount():
    amount = int(setting("gpus", "1"))
    return _answer(35 if setting("driver") == "absent" else 0 if amount else 100, amount)


def cudaGetDeviceProperties(device):
    return _answer(WORLD.error, SimpleNamespace(name=b"Stand-in GPU"))


def cudaDeviceGetAttribute(attr, device):
    major, minor = setting("compute", "8.6").split(".")
    wanted = major if attr == cudaDeviceAttr.cudaDevAttrComputeCapabilityMajor else minor
    return _answer(WORLD.error, int(wanted))


def cudaSetDevice(device):
    if device >= int(setting("gpus", "1")):
        return _answer(101)
    WORLD.device = device
    return _answer(WORLD.error)


def cudaStreamCreateWithFlags(flags):
    return _answer(WORLD.error, _Handle(WORLD.stream()))


def cudaEventCreateWithFlags(flags):
    return _answer(WORLD.error, _Handle(WORLD.event()))


def cudaMemcpyAsync(dst, src, count, kind, stream):
    if not (WORLD.holds(dst, count) and WORLD.holds(src, count)):
        return _answer(1)

    def copy():
        if not (WORLD.holds(dst, count) and WORLD.holds(src, count)):
            return 700  # freed before it was used
        ctypes.memmove(dst, src, count)
        return 0

    return _answer(WORLD.give(int(stream), copy))


def cudaEventRecord(event, stream):
    WORLD.events[int(event)] = int(stream)
    return _answer(WORLD.error)


def cudaEventSynchronize(event):
    stream = WORLD.events.get(int(event))
    return _answer(WORLD.error or (WORLD.flush(stream) if stream is not None else 0))


def cudaStreamSynchronize(stream):
    return _answer(WORLD.error or WORLD.flush(int(stream)))


def _allocate(kind, size):
    full = setting("fault") == "memory" and size >= int(setting("from", "1"))
    code = WORLD.error or (2 if full else 0)
    return _answer(code, 0 if code else WORLD.allocate(kind, size))


def cudaHostAlloc(size, flags):
    return _allocate("host", size)


def cudaMalloc(size):
    return _allocate("device", size)


def cudaFreeHost(ptr):
    return _answer(WORLD.free("host", ptr))


def cudaFree(devPtr):
    return _answer(WORLD.free("device", devPtr))


def cudaEventDestroy(event):
    return _answer(0 if WORLD.events.pop(int(event), 0) != 0 else 400)


def cudaStreamDestroy(stream):
    return _answer(0 if WORLD.streams.pop(int(stream), None) is not None else 400)


def cudaGetErrorName(error):
    return _answer(0, _TEXTS.get(int(error), (f"cudaError{int(error)}", ""))[0].encode())


def cudaGetErrorString(error):
    return _answer(0, _TEXTS.get(int(error), ("", f"error {int(error)}"))[1].encode())
