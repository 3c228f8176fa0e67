"""GPUs that are not there: their memory is the host's, and what a stream was given is done when somebody waits.

Hence a result that is read too early is not there, always. The environment variable NVIDIA_STAND_IN says which GPUs
there are and what goes wrong, anew at every call: `gpus=2 compute=8.6 driver=absent fault=700 from=1`.

Faults: `deserialize`, `context`, `build` (TensorRT gives None); `enqueue` (False; `enqueue-700` breaks the GPU too),
a CUDA error number, `hang`: only in runs on an input whose first number is 1000; `memory`: allocations of `from`
bytes or more fail.
"""

import ctypes
import itertools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

FATAL = 1000
STICKY = frozenset({700, 702, 709, 719, 999})
NEVER = threading.Event()
_numbers = itertools.count(0x1000)
_here = threading.local()


def setting(name: str, otherwise: str = "") -> str:
    said = dict(word.split("=", 1) for word in os.environ.get("NVIDIA_STAND_IN", "").split())
    return said.get(name, otherwise)


@dataclass(eq=False)
class Stream:
    device: int
    work: list[Callable[[], int]] = field(default_factory=list)


class World:
    """Everything that is allocated in this process; `broken` is the error that a device will not forget."""

    def __init__(self) -> None:
        self.blocks: dict[int, ctypes.Array[ctypes.c_char]] = {}
        self.kinds: dict[int, str] = {}
        self.streams: dict[int, Stream] = {}
        self.events: dict[int, int | None] = {}
        self.broken: dict[int, int] = {}

    def reset(self) -> None:
        self.__init__()  # type: ignore[misc]

    @property
    def device(self) -> int:
        return getattr(_here, "device", 0)

    @device.setter
    def device(self, number: int) -> None:
        _here.device = number

    @property
    def error(self) -> int:
        """What every call on the device of this thread answers once it is broken."""
        return 35 if setting("driver") == "absent" else self.broken.get(self.device, 0)

    def allocate(self, kind: str, size: int) -> int:
        block = ctypes.create_string_buffer(size)
        address = ctypes.addressof(block)
        self.blocks[address], self.kinds[address] = block, kind
        return address

    def free(self, kind: str, address: int) -> int:
        if self.kinds.get(address) != kind:
            return 1
        del self.blocks[address], self.kinds[address]
        return 0

    def holds(self, address: int, size: int) -> bool:
        """Whether these bytes lie within one block."""
        return any(start <= address and address + size <= start + len(b) for start, b in self.blocks.items())

    def stream(self) -> int:
        handle = next(_numbers)
        self.streams[handle] = Stream(self.device)
        return handle

    def event(self) -> int:
        handle = next(_numbers)
        self.events[handle] = None
        return handle

    def give(self, handle: int, work: Callable[[], int]) -> int:
        """Puts work into a stream; that of another device than the thread's is refused, as CUDA does."""
        found = self.streams.get(handle)
        if self.error or found is None or found.device != self.device:
            return self.error or 400
        found.work.append(work)
        return 0

    def flush(self, handle: int) -> int:
        """Does what the stream was given, in order; the first failure breaks the device or ends the rest."""
        found = self.streams.get(handle)
        if found is None:
            return 400
        work, found.work = found.work, []
        for one in work:
            code = self.broken.get(found.device, 0) or one()
            if code:
                if code in STICKY:
                    self.broken[found.device] = code
                return code
        return self.broken.get(found.device, 0)


WORLD = World()
