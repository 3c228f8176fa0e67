"""Looking after the files that bindings are made of: profiles and models that have changed and lie still again."""

import os
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path

from edgex_inference.bindings.files import is_read
from edgex_inference.contracts.unchanged import state
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
    """Stamps of a profiles folder and of a store's models. `look` reads the disk and blocks, in any thread."""

    def __init__(self, profiles: Path, store: Store) -> None:
        self._profiles = Watch(lambda: stamp(profiles))
        self._store = store
        self._models: dict[str, Watch] = {}

    def follow(self, models: Iterable[str]) -> None:
        """Looks after these models too, as they are now: to be called before anything is made of them."""
        for name in models:
            if name not in self._models:
                self._models[name] = Watch(lambda name=name: self._store.mark(name))  # type: ignore[misc]

    def keep(self, models: Iterable[str]) -> None:
        """Looks after these models alone."""
        for name in self._models.keys() - set(models):
            del self._models[name]

    def look(self) -> Changes:
        """What has changed since the last look, and lies still."""
        models = tuple(self._models.items())
        changed = frozenset(name for name, watch in models if watch.changed())
        return Changes(profiles=self._profiles.changed(), models=changed)


def stamp(folder: Path) -> Hashable:
    """Changes whenever a file of a folder that is read comes, goes or is written; None where there is no folder."""
    try:
        with os.scandir(folder) as entries:
            files = [
                (entry.name, entry.stat()) for entry in entries if is_read(entry.name) and entry.is_file()
            ]
    except OSError:
        return None
    return frozenset((name, *state(stat)) for name, stat in files)
