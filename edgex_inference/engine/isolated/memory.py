"""Tensors in memory that two processes share: a file without a name, gone with the last of them."""

import mmap
import os
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from edgex_inference.contracts.tensors import Array, Tensors
from edgex_inference.engine.isolated.frames import Cell

_ALIGNED = 64
"""Bytes; what vector units like best, and what DLPack asks for."""

_LEAST = 1 << 16


class Memory:
    """Memory that this side writes into and the other reads; replaced by a larger one when it has to grow."""

    def __init__(self) -> None:
        self._map: mmap.mmap | None = None
        self._fd, self._told = -1, False

    def write(self, tensors: Tensors) -> tuple[list[Cell], int | None]:
        """Where each tensor lies now, and the descriptor of a memory that the other side does not know yet.

        `told` says that it has been sent. Raises TypeError for an object array with anything but texts, bytes, numbers,
        lists and maps.
        """
        parts: list[tuple[str, Array, bytes | None]] = []
        cells: list[Cell] = []
        end = 0
        for name, one in tensors.items():
            packed = msgspec.msgpack.encode(one.ravel().tolist()) if one.dtype == object else None
            size = one.nbytes if packed is None else len(packed)
            cells.append(Cell(name, one.dtype.str, one.shape, end, size))
            parts.append((name, one, packed))
            end += -(-size // _ALIGNED) * _ALIGNED
        if self._map is None or end > len(self._map):
            self._grow(end)
        assert self._map is not None
        for cell, (_, one, packed) in zip(cells, parts, strict=True):
            if packed is not None:
                self._map[cell.start : cell.start + cell.size] = packed
            elif cell.size:
                _view(self._map, cell)[...] = one
        return cells, None if self._told else self._fd

    def told(self) -> None:
        """The other side has been sent what `write` gave."""
        self._told = True

    def close(self) -> None:
        """The other side may go on reading what it knows."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd, self._map = -1, None

    def _grow(self, size: int) -> None:
        self.close()
        self._fd = os.memfd_create("edgex-inference", os.MFD_CLOEXEC)
        length = max(_LEAST, 1 << (size - 1).bit_length() if size else 0)
        os.ftruncate(self._fd, length)
        self._map = mmap.mmap(self._fd, length)
        self._told = False


class Glass:
    """The other side's memory, to be looked at."""

    def __init__(self) -> None:
        self._map: mmap.mmap | None = None

    def know(self, fd: int | None) -> None:
        """Takes a new memory over, if there is one; the descriptor is closed."""
        if fd is None:
            return
        try:
            self._map = mmap.mmap(fd, os.fstat(fd).st_size, prot=mmap.PROT_READ)
        finally:
            os.close(fd)

    def read(self, cells: Sequence[Cell], *, copied: bool) -> dict[str, Array]:
        """The tensors; those that are not copied change with the next run."""
        return {cell.name: self._array(cell, copied=copied) for cell in cells}

    def _array(self, cell: Cell, *, copied: bool) -> Array:
        assert self._map is not None
        if cell.dtype == "|O":
            items = msgspec.msgpack.decode(self._map[cell.start : cell.start + cell.size])
            found: Array = np.empty(len(items), dtype=object)
            found[:] = items
            return found.reshape(cell.shape)
        view = _view(self._map, cell)
        return view.copy() if copied else view


def _view(memory: mmap.mmap, cell: Cell) -> Array:
    dtype: np.dtype[Any] = np.dtype(cell.dtype)
    count = int(np.prod(cell.shape, dtype=np.int64))
    if not count:
        return np.empty(cell.shape, dtype)
    return np.frombuffer(memory, dtype, count, cell.start).reshape(cell.shape)
