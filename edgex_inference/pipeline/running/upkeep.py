"""Looking after the files that bindings are made of: profiles and models that have changed and lie still again."""

import os
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path

from edgex_inference.engine.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What has changed since it was last asked: the profiles folder, and models by name."""

    profiles: bool = False
    models: frozenset[str] = frozenset()


class Watch:
    """Tells once of each change of a stamp, when it is seen a second time: nobody writes any more."""

    def __init__(self, stamp: Callable[[], Hashable]) -> None:
        self._stamp = stamp
        self._known = self._seen = stamp()

    def changed(self) -> bool:
        """Looks anew."""
        before, self._seen = self._seen, self._stamp()
        settled = self._seen == before and self._seen != self._known
        if settled:
            self._known = self._seen
        return settled


class Upkeep:
    """Stamps of a profiles folder and of a store's models; `look` reads the disk and blocks."""

    def __init__(self, profiles: Path, store: Store) -> None:
        self._profiles = Watch(lambda: stamp(profiles))
        self._store = store
        self._models: dict[str, Watch] = {}

    def look(self, models: Iterable[str]) -> Changes:
        """What has changed; of models only those named, each from the first time on that it is named."""
        wanted = frozenset(models)
        known = {name: watch for name, watch in self._models.items() if name in wanted}
        changed = frozenset(name for name, watch in known.items() if watch.changed())
        for name in wanted - known.keys():
            known[name] = Watch(lambda name=name: self._store.mark(name))  # type: ignore[misc]
        self._models = known
        return Changes(profiles=self._profiles.changed(), models=changed)


def stamp(folder: Path) -> Hashable:
    """Changes whenever a file of a folder comes, goes or is written; a folder that is away has one too."""
    try:
        with os.scandir(folder) as entries:
            files = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    except OSError:
        return None
    return frozenset((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in files)
