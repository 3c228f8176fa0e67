"""Keys with values, each with the index of its last change, and readers that wait for the next one."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pybase64

_LONGEST = 600.0


@dataclass(slots=True)
class Value:
    data: bytes
    created: int
    modified: int


@dataclass(slots=True)
class Kv:
    """The store; `index` counts its changes."""

    index: int = 1
    values: dict[str, Value] = field(default_factory=dict)
    _deleted: dict[str, int] = field(default_factory=dict)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def put(self, key: str, data: bytes) -> None:
        self.index += 1
        known = self.values.get(key)
        self.values[key] = Value(data, known.created if known is not None else self.index, self.index)

    def put_tree(self, path: str, tree: Mapping[str, Any]) -> None:
        for key, item in tree.items():
            if isinstance(item, Mapping):
                self.put_tree(f"{path}/{key}", item)
            else:
                text = str(item).lower() if isinstance(item, bool) else str(item)
                self.put(f"{path}/{key}", text.encode())

    def delete(self, key: str, *, recurse: bool) -> None:
        for one in [one for one in self.values if one == key or (recurse and one.startswith(key))]:
            self.index += 1
            del self.values[one]
            self._deleted[one] = self.index

    async def announce(self) -> None:
        """Wakes who waits."""
        async with self._changed:
            self._changed.notify_all()

    def found(self, key: str, *, recurse: bool) -> Iterator[tuple[str, Value]]:
        """What a key names, or with `recurse` what starts with it, in order."""
        for one in sorted(self.values):
            if one == key or (recurse and one.startswith(key)):
                yield one, self.values[one]

    def state(self, key: str, *, recurse: bool) -> int:
        """The index of the last change of what a question is about."""
        changes = [value.modified for _, value in self.found(key, recurse=recurse)]
        changes += [
            at for one, at in self._deleted.items() if one == key or (recurse and one.startswith(key))
        ]
        return max(changes, default=1)

    async def wait(self, key: str, *, recurse: bool, index: int, seconds: float) -> None:
        """Returns when something that a question is about has an index beyond this one, or when time is over."""
        async with self._changed:
            try:
                async with asyncio.timeout(min(seconds, _LONGEST)):
                    await self._changed.wait_for(lambda: self.state(key, recurse=recurse) > index)
            except TimeoutError:
                return


def shown(key: str, value: Value) -> dict[str, Any]:
    """An entry as Consul's answers have it."""
    data = pybase64.b64encode(value.data).decode() if value.data else None
    return {
        "LockIndex": 0,
        "Key": key,
        "Flags": 0,
        "Value": data,
        "CreateIndex": value.created,
        "ModifyIndex": value.modified,
    }
