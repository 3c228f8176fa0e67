"""What was read of a file, kept for as long as the file is what it was: a start asks for the same ones many times."""

import os
import time
from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import TypeVar

_SETTLED = 2.0
"""Seconds: clocks of file systems are coarse."""

Found = TypeVar("Found")
_Read = Callable[[Path], Found]


def state(stat: os.stat_result) -> tuple[int, ...]:
    """What tells a file from what it was: another one, written, or with other rights."""
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def while_unchanged(most: int) -> Callable[[_Read[Found]], _Read[Found]]:
    """Keeps what a function reads of a file, of `most` files; raises OSError, and what the function raises.

    A file that was written just now may be written again within the same tick of the clock: it is read each time.
    """

    def keeping(read: _Read[Found]) -> _Read[Found]:
        @lru_cache(maxsize=most)
        def kept(path: Path, _state: tuple[int, ...]) -> Found:
            return read(path)

        @wraps(read)
        def asked(path: Path) -> Found:
            stat = path.stat()
            if time.time() - max(stat.st_mtime, stat.st_ctime) < _SETTLED:
                return read(path)
            return kept(path, state(stat))

        return asked

    return keeping
