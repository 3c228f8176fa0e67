"""Locks between processes and threads alike, by `flock` on small files; a process that dies lets go of its own."""

import errno
import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_READ_ONLY = frozenset((errno.EROFS, errno.EACCES, errno.EPERM))


@dataclass(slots=True, eq=False)
class Lock:
    """A lock that is held until `close`; legal to close twice."""

    path: Path
    handle: int

    def close(self, *, remove: bool = False) -> None:
        """Lets go; `remove` takes the file away, for locks held alone."""
        handle, self.handle = self.handle, -1
        if handle < 0:
            return
        if remove:
            with suppress(OSError):
                self.path.unlink()
        os.close(handle)


def take(path: Path, *, alone: bool) -> Lock | None:
    """The lock, `alone` or beside others who share it; None where somebody is in the way.

    Raises OSError where there can be no such lock. Where nothing can be written nobody takes anything away: a lock
    that is shared is then none at all.
    """
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if alone or error.errno not in _READ_ONLY:
                raise
            return Lock(path, -1)
        if not _locked(handle, alone=alone):
            os.close(handle)
            return None
        if _is(handle, path):
            return Lock(path, handle)
        os.close(handle)  # somebody took the file away between the two


def _locked(handle: int, *, alone: bool) -> bool:
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except BaseException:
        os.close(handle)
        raise
    return True


def _is(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def write_owner(lock: Lock) -> None:
    """Writes down who holds it, for those who wait."""
    with suppress(OSError):
        os.ftruncate(lock.handle, 0)
        os.pwrite(lock.handle, str(os.getpid()).encode(), 0)


def owner(path: Path) -> str:
    """The process that holds a lock, as it wrote itself down; empty where nobody knows."""
    with suppress(OSError, ValueError):
        return str(int(path.read_text()))
    return ""
