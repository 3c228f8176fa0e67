"""Whether there is an NVIDIA GPU, asked of its driver and nobody else."""

import ctypes

LIBRARY = "libcuda.so.1"


class Missing(Exception):
    """There is none; the text says how that was found out."""


def find(library: str = LIBRARY) -> str:
    """The name of the first GPU and the driver's version; raises Missing."""
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        raise Missing(
            f"there is no NVIDIA GPU here ({library}, a part of its driver, is not installed)"
        ) from None
    code = driver.cuInit(0)
    amount = ctypes.c_int()
    if code or driver.cuDeviceGetCount(ctypes.byref(amount)) or not amount.value:
        raise Missing(f"there is no NVIDIA GPU here (its driver finds {amount.value}, with error {code})")
    name, version = ctypes.create_string_buffer(256), ctypes.c_int()
    driver.cuDeviceGetName(name, len(name), 0)
    driver.cuDriverGetVersion(ctypes.byref(version))
    cuda = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return f"{name.value.decode(errors='replace')}, driver for CUDA {cuda}"
