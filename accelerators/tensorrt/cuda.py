"""CUDA's runtime as this plug-in needs it: calls that raise, and memory on both sides of the bus."""

import ctypes
from types import ModuleType
from typing import Any

import numpy as np

from edgex_inference.contracts.tensors import Array

OUT_OF_MEMORY = 2
_ABSENT = {
    35: "the NVIDIA driver is missing or too old: install the current one",
    100: "the NVIDIA driver finds no GPU on this machine",
}
_LOST = frozenset({46, 100, 101, 201, 214, 220, 226, 401, 700, 702, 709, *range(714, 722), 999})
"""Error numbers after which nothing works until the device, and mostly the process, begins anew."""


class CudaError(Exception):
    """A call into CUDA that failed; stays inside this plug-in."""

    def __init__(self, call: str, code: int, name: str, text: str) -> None:
        self.code = code
        super().__init__(f"{call}: {text or name} ({name}, CUDA error {code})")

    @property
    def lost(self) -> bool:
        """Whether the device is gone, or in a state that only reopening can end."""
        return self.code in _LOST

    @property
    def absent(self) -> str:
        """The sentence for a machine without a GPU or driver; empty for other errors."""
        return _ABSENT.get(self.code, "")


class Cuda:
    """The module `cuda.bindings.runtime`, whose functions give tuples that begin with an error."""

    def __init__(self, native: ModuleType) -> None:
        self._native = native
        self._up = native.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._down = native.cudaMemcpyKind.cudaMemcpyDeviceToHost

    def count(self) -> int:
        """How many GPUs there are; raises CudaError without a driver."""
        return int(self._call("cudaGetDeviceCount"))

    def describe(self, number: int) -> str:
        """The GPU's name."""
        name = self._call("cudaGetDeviceProperties", number).name
        return (name.decode(errors="replace") if isinstance(name, bytes) else str(name)).rstrip("\0")

    def compute(self, number: int) -> str:
        """The GPU's compute capability: `8.6`."""
        names = self._native.cudaDeviceAttr
        wanted = (names.cudaDevAttrComputeCapabilityMajor, names.cudaDevAttrComputeCapabilityMinor)
        return ".".join(str(self._call("cudaDeviceGetAttribute", one, number)) for one in wanted)

    def use(self, number: int) -> None:
        """Makes the GPU that of the calling thread."""
        self._call("cudaSetDevice", number)

    def stream(self) -> Any:
        return self._call("cudaStreamCreateWithFlags", self._native.cudaStreamNonBlocking)

    def event(self) -> Any:
        """An event that is waited for asleep: spinning would cost a core for each run in flight."""
        flags = self._native.cudaEventBlockingSync | self._native.cudaEventDisableTiming
        return self._call("cudaEventCreateWithFlags", flags)

    def upload(self, buffer: "Buffer", size: int, stream: Any) -> None:
        self._call("cudaMemcpyAsync", buffer.device, buffer.host, size, self._up, stream)

    def download(self, buffer: "Buffer", size: int, stream: Any) -> None:
        self._call("cudaMemcpyAsync", buffer.host, buffer.device, size, self._down, stream)

    def wait(self, event: Any, stream: Any) -> None:
        """Ends when everything that the stream was given has ended; raises what went wrong in it."""
        self._call("cudaEventRecord", event, stream)
        self._call("cudaEventSynchronize", event)

    def settle(self, stream: Any) -> None:
        """As `wait` after a run that failed half-way: memory may be used again afterwards."""
        self._call("cudaStreamSynchronize", stream)

    def allocate(self, size: int) -> tuple[int, int]:
        """Pinned memory of the host and memory of the device."""
        host = int(self._call("cudaHostAlloc", size, self._native.cudaHostAllocDefault))
        try:
            return host, int(self._call("cudaMalloc", size))
        except CudaError:
            self._native.cudaFreeHost(host)
            raise

    def free(self, host: int, device: int) -> None:
        """Never raises: after a lost device there is nothing to give back."""
        self._native.cudaFreeHost(host)
        self._native.cudaFree(device)

    def destroy(self, stream: Any, event: Any) -> None:
        """Never raises."""
        self._native.cudaEventDestroy(event)
        self._native.cudaStreamDestroy(stream)

    def _call(self, name: str, *arguments: Any) -> Any:
        error, *answer = getattr(self._native, name)(*arguments)
        if int(error):
            raise CudaError(name, int(error), *self._words(error))
        return answer[0] if answer else None

    def _words(self, error: Any) -> tuple[str, str]:
        said = []
        for ask in (self._native.cudaGetErrorName, self._native.cudaGetErrorString):
            _, text = ask(error)
            said.append(text.decode() if isinstance(text, bytes) else str(text))
        return said[0], said[1]


class Buffer:
    """Memory of one tensor on both sides, which grows with what it must hold; not for two threads at once."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self.host = self.device = self.size = 0

    def fit(self, size: int) -> None:
        """Holds at least `size` bytes afterwards; nothing of before is kept."""
        if size <= self.size:
            return
        self.release()
        self.host, self.device = self._cuda.allocate(size)
        self.size = size

    def view(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """The host's side as an array."""
        amount = int(np.prod(shape, dtype=np.int64))
        raw = (ctypes.c_byte * (amount * dtype.itemsize)).from_address(self.host)
        found: Array = np.frombuffer(memoryview(raw), dtype=dtype, count=amount).reshape(shape)
        return found

    def release(self) -> None:
        """Gives the memory back."""
        if self.size:
            self._cuda.free(self.host, self.device)
        self.host = self.device = self.size = 0
