"""The folder of compiled models: made where it can be, done without where it cannot, which is said once."""

import logging
import os
import shutil
from pathlib import Path

log = logging.getLogger(__name__)

_told: set[tuple[Path, str]] = set()


class Cache:
    """One folder. The runtime itself is silent when a disk is full: it takes back what it could not write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._before = self._blobs()

    @classmethod
    def made(cls, folder: Path) -> "Cache | None":
        """None where there can be no such folder."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            complain(folder, error.strerror or str(error))
            return None
        return cls(folder)

    def check(self, *, loaded: bool) -> None:
        """After compiling: was the model kept, or `loaded` from here?"""
        if loaded or self._blobs() - self._before:
            _told.difference_update({one for one in _told if one[0] == self.folder})
            return
        complain(self.folder, "nothing could be kept there", f" ({_state(self.folder)})")

    def complain(self, reason: str) -> None:
        """It was of no use."""
        complain(self.folder, reason)

    def _blobs(self) -> frozenset[tuple[str, int, int]]:
        try:
            return frozenset(
                (one.name, one.stat().st_size, one.stat().st_mtime_ns)
                for one in os.scandir(self.folder)
                if one.is_file()
            )
        except OSError:
            return frozenset()


def complain(folder: Path, reason: str, detail: str = "") -> None:
    """Says once for each reason that models are compiled without the cache."""
    if (folder, reason) not in _told:
        _told.add((folder, reason))
        log.warning("openvino works without its cache %s: %s%s", folder, reason, detail)


def _state(folder: Path) -> str:
    try:
        free = shutil.disk_usage(folder).free >> 20
    except OSError as error:
        return error.strerror or str(error)
    return f"{free} MiB are free"
