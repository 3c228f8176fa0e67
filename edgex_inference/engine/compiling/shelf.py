"""Folders and locks of artefacts on disk."""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from edgex_inference.engine.compiling import locks, provenance
from edgex_inference.engine.compiling.locks import Lock
from edgex_inference.engine.compiling.orders import Order
from edgex_inference.engine.compiling.provenance import Provenance

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG))
_SHORT = 16
_LITTLE = 1 << 20
"""Bytes: a disk with less room is full."""


class Shelf:
    """Entries below a folder, `most` bytes of them.

    `<entry>.making` is locked by who makes it, `<entry>.using` by all who use it; its time is that of the last use.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self._most = folder, most

    def place(self, order: Order) -> Path:
        """Where the artefact of an order lies, if it was made."""
        return self.folder / order.folder / order.key[:_SHORT]

    def prepare(self, order: Order) -> Path:
        """The place, with the folders above it; raises OSError, also where others may put files there."""
        place = self.place(order)
        place.parent.mkdir(parents=True, exist_ok=True)
        above = self.folder.parent
        for folder in (above, self.folder, place.parent.parent, place.parent):
            mode = folder.stat().st_mode
            sticky = folder == above and mode & stat.S_ISVTX  # in /tmp nobody takes away what is another's
            if mode & stat.S_IWOTH and not sticky:
                reason = "it can be written by everybody, and artefacts are code"
                raise PermissionError(errno.EPERM, reason, os.fspath(folder))
        return place

    def making(self, order: Order) -> Lock | None:
        """The right to make it, None while somebody else has it; raises OSError."""
        lock = locks.take(_beside(self.place(order), "making"), alone=True)
        if lock is not None:
            locks.write_owner(lock)
        return lock

    def maker(self, order: Order) -> str:
        return locks.owner(_beside(self.place(order), "making"))

    def using(self, order: Order) -> Lock | None:
        """The mark of one more user, None while it is taken away; raises OSError."""
        path = _beside(self.place(order), "using")
        lock = locks.take(path, alone=False)
        with suppress(OSError):
            os.utime(path)
        return lock

    def others(self, order: Order) -> list[Mapping[str, str]]:
        """The tools of artefacts of the same that were made with others, the newest first; not of other devices."""
        found = []
        with suppress(OSError):
            for folder in self.place(order).parent.iterdir():
                if folder.name != self.place(order).name and not folder.name.startswith("."):
                    with suppress(provenance.Damaged):
                        said = provenance.read(folder)
                        if said is not None and _meant_for(said, order):
                            found.append((said.date, said.tools))
        return [tools for _, tools in sorted(found, key=lambda one: one[0], reverse=True)]

    @contextmanager
    def workshop(self, order: Order) -> Iterator[Path]:
        """A folder to make it in, beside its place; what others left behind in theirs goes. Raises OSError."""
        place = self.place(order)
        for left in place.parent.glob(f".{place.name}-*"):
            shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def publish(self, entry: Path, order: Order) -> None:
        """Puts a whole entry in its place at once; raises OSError."""
        entry.rename(self.place(order))

    def remove(self, place: Path) -> None:
        """Takes an entry away at once; those who have loaded it keep what they have. Raises OSError."""
        if not place.exists():
            return
        gone = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        place.rename(gone / place.name)
        shutil.rmtree(gone, ignore_errors=True)

    def make_room(self) -> None:
        """Takes away what was used longest ago, until no more than `most` is there; never what is in use.

        What makers left behind that were ended half-way goes as well.
        """
        self._sweep()
        entries = []
        for path in self.folder.glob("*/*/*.using"):
            place = path.with_suffix("")
            with suppress(OSError):
                entries.append((path.stat().st_mtime_ns, place, provenance.size(place)))
        total = sum(size for _, _, size in entries)
        for _, place, size in sorted(entries, key=lambda one: one[0]):
            if total <= self._most:
                return
            with suppress(OSError):
                total -= size if self._evicted(place) else 0

    def _sweep(self) -> None:
        for left in self.folder.glob("*/*/.*-*"):
            place = left.with_name(left.name[1:].rpartition("-")[0])
            with suppress(OSError):
                making = locks.take(_beside(place, "making"), alone=True)
                if making is not None:
                    shutil.rmtree(left, ignore_errors=True)
                    making.close(remove=not place.exists())

    def _evicted(self, place: Path) -> bool:
        using = locks.take(_beside(place, "using"), alone=True)
        if using is None:
            return False
        making = None
        try:
            making = locks.take(_beside(place, "making"), alone=True)
            if making is None:
                return False
            self.remove(place)
            return True
        finally:
            gone = making is not None
            if making is not None:
                making.close(remove=True)
            using.close(remove=gone)


def without_room(error: BaseException, work: Path) -> bool:
    """Whether a compiler failed for want of a place to write to."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return True
        cause = cause.__cause__ or cause.__context__
    with suppress(OSError):
        return shutil.disk_usage(work).free < _LITTLE
    return False


def _meant_for(said: Provenance, order: Order) -> bool:
    """Whether an artefact is for the device of an order, or was to be: another machine calls its own by its kind."""
    device, usual = (order.request.device or "").upper(), order.accelerator.default_device.upper()
    same = said.tools.get("device") == order.made_with.get("device")
    return same and (said.device.upper() == device or device == usual)


def _beside(place: Path, what: str) -> Path:
    return place.with_name(f"{place.name}.{what}")
