"""MIGraphX's C library by ctypes: handles that end with their owner, status codes as exceptions.

The library prints its own words to the standard error output; a status code is all that it returns.
"""

import ctypes
import os
import re
from collections.abc import Callable, Sequence
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import numpy as np

from edgex_inference.contracts.errors import AcceleratorUnavailable
from edgex_inference.contracts.tensors import Array, Datatype

NAMES = ("libmigraphx_c.so.3", "libmigraphx_c.so")
CURE = "install ROCm's package migraphx (Debian: libmigraphx-c3), or name the library in the option library"
_WORDS = {1: "a wrong parameter", 3: "an unknown target", 4: "an error of its own"}
_DATATYPES = (Datatype.BOOL, Datatype.FP16, Datatype.FP32, Datatype.FP64, Datatype.UINT8, Datatype.INT8,
              Datatype.UINT16, Datatype.INT16, Datatype.INT32, Datatype.INT64, Datatype.UINT32,
              Datatype.UINT64)  # fmt: skip
"""In the library's order, from its number of BOOL on; what lies beyond cannot be fed or read."""

_LACKING = ("FP8 (e4m3fnuz)", "FP8 (e4m3fn)", "FP8 (e5m2)", "BF16", "FP8 (e5m2fnuz)")
"""What lies beyond."""

_MOST = 8
"""Numbers that are looked at to find the one of FP16."""


_loaded: Callable[[str], Any] = ctypes.CDLL
_CACHE = Path("/etc/ld.so.cache")
"""What the loader knows of libraries, their paths among it."""


class Failed(Exception):
    """A call came back with a status other than 0."""

    def __init__(self, call: str, status: int) -> None:
        self.call, self.status = call, status
        said = _WORDS.get(status, "an unknown status")
        super().__init__(
            f"{call.removeprefix('migraphx_')} says status {status}, {said}; its own words are on stderr"
        )


class Handle:
    """A pointer of the library's, destroyed with its owner."""

    def __init__(self, library: "Library", kind: str) -> None:
        self.pointer = ctypes.c_void_p()
        self._destroy: Callable[[ctypes.c_void_p], int] = library.function(f"migraphx_{kind}_destroy")

    def __del__(self) -> None:
        if self.pointer:
            self._destroy(self.pointer)


class Library:
    """The loaded library; its calls release the interpreter lock. Raises Failed."""

    def __init__(self, native: Any) -> None:
        self._native = native
        self._first = self._numbering()

    def function(self, name: str) -> Any:
        return getattr(self._native, name)

    def call(self, name: str, *arguments: object) -> None:
        """Handles among the arguments live until it is over; raises Failed."""
        native = [one.pointer if isinstance(one, Handle) else one for one in arguments]
        status = int(self.function(f"migraphx_{name}")(*native))
        if status:
            raise Failed(name, status)

    def made(self, kind: str, name: str, *arguments: object) -> Handle:
        """What a call makes that wants a place for its handle first; raises Failed."""
        handle = Handle(self, kind)
        self.call(name, ctypes.byref(handle.pointer), *arguments)
        return handle

    def size(self, name: str, of: object) -> int:
        found = ctypes.c_size_t()
        self.call(name, ctypes.byref(found), of)
        return found.value

    def borrowed(self, name: str, *arguments: object) -> ctypes.c_void_p:
        """A pointer that belongs to what it was asked of."""
        found = ctypes.c_void_p()
        self.call(name, ctypes.byref(found), *arguments)
        return found

    def extents(self, shape: ctypes.c_void_p) -> tuple[int, ...]:
        lengths, amount = ctypes.POINTER(ctypes.c_size_t)(), ctypes.c_size_t()
        self.call("shape_lengths", ctypes.byref(lengths), ctypes.byref(amount), shape)
        return tuple(int(lengths[index]) for index in range(amount.value))

    def datatype(self, shape: ctypes.c_void_p) -> Datatype | str:
        """The name alone of an element type that arrays lack."""
        number = ctypes.c_int()
        self.call("shape_type", ctypes.byref(number), shape)
        index = number.value - self._first
        if index < 0:
            return "a tuple or of four bits"
        every = (*_DATATYPES, *_LACKING)
        return every[index] if index < len(every) else "of a type that came later"

    def number(self, datatype: Datatype) -> int:
        """The library's number of an element type that came from it."""
        return self._first + _DATATYPES.index(datatype)

    def shape(self, number: int, extents: Sequence[int]) -> Handle:
        """A shape of the element type of this number."""
        lengths = (ctypes.c_size_t * max(1, len(extents)))(*extents)
        return self.made(
            "shape", "shape_create", ctypes.c_int(number), lengths, ctypes.c_size_t(len(extents))
        )

    def _numbering(self) -> int:
        """The number of BOOL: 7.1 put a type before it under the same name of the library, which tells no version.

        FP16, the next one, is the first that has two bytes.
        """
        for number in range(1, _MOST):
            if self.size("shape_bytes", self.shape(number, (1,))) == 2:
                return number - 1
        raise Failed("shape_bytes", 0)

    def names(self, shapes: Handle) -> Sequence[str]:
        amount = self.size("program_parameter_shapes_size", shapes)
        texts = (ctypes.c_char_p * max(1, amount))()
        self.call("program_parameter_shapes_names", texts, shapes)
        return [(text or b"").decode() for text in list(texts)[:amount]]

    def array(self, argument: ctypes.c_void_p, datatype: Datatype, extents: Sequence[int]) -> Array:
        """A copy of an argument's numbers."""
        address = ctypes.c_void_p()
        self.call("argument_buffer", ctypes.byref(address), argument)
        size = int(np.prod(extents, dtype=np.int64)) * datatype.numpy.itemsize
        data = ctypes.string_at(address.value or 0, size) if size else b""
        return np.frombuffer(bytearray(data), datatype.numpy).reshape(extents)


def file_of(path: str = "") -> Path | None:
    """The file that `opened` would load, None where files do not tell: loading it brings ROCm into the process."""
    if "/" in path:
        return Path(path).resolve() if Path(path).is_file() else None
    try:
        known = _CACHE.read_bytes()
    except OSError:
        known = b""
    folders = [Path(one) for one in os.environ.get("LD_LIBRARY_PATH", "").split(":") if one]
    for name in (path,) if path else NAMES:
        told = re.findall(rb"/[^\0]+/" + re.escape(name.encode()) + rb"(?=\0)", known)
        for there in (*(one / name for one in folders), *(Path(os.fsdecode(one)) for one in told)):
            if there.is_file():
                return there.resolve()
    return None


def opened(path: str, where: str) -> Library:
    """Raises AcceleratorUnavailable."""
    for name in (path,) if path else (*NAMES, find_library("migraphx_c") or NAMES[0]):
        try:
            native = _loaded(name)
        except OSError as error:
            reason = str(error)
            continue
        if not hasattr(native, "migraphx_parse_onnx_buffer"):
            raise AcceleratorUnavailable(where, f"{name} is no libmigraphx_c: {CURE}")
        try:
            return Library(native)
        except Failed as error:
            raise AcceleratorUnavailable(where, f"{name} numbers its element types as none before") from error
    missing = "No such file" in reason or "cannot open shared object" in reason
    raise AcceleratorUnavailable(
        where, f"{path or NAMES[0]} {'is missing' if missing else f'cannot be loaded ({reason})'}: {CURE}"
    )
