"""What a provider of configuration and a registry can do, whichever they are."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgex_inference.contracts.bus import Bus

Locate = Callable[[], Awaitable[str | None]]
"""Tells where a service answers, None where nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """Paths of a release: our own, the common ones lowest first, and the key that says they are there ("": none)."""

    private: str
    common: tuple[str, ...] = ()
    ready: str = ""

    @property
    def watched(self) -> tuple[str, ...]:
        """Every path whose Writable matters, our own first."""
        return (self.private, *self.common)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A service as a registry has it; `interval` is how often its `path` is asked for."""

    service: str
    host: str
    port: int
    interval: str
    path: str


class Store(Protocol):
    """A key-value store of texts. Every call raises RegistryUnavailable when the server is away."""

    @property
    def name(self) -> str: ...

    async def alive(self) -> None:
        """Returns when the server answers."""

    async def keys(self, path: str) -> Sequence[str]:
        """The whole keys at or below a path; empty where nothing is."""
        ...

    async def values(self, path: str) -> Mapping[str, str]:
        """The texts below a path, by the keys behind it."""
        ...

    async def put(self, path: str, text: str) -> None:
        """Stores one text."""

    async def watch(self, bus: Bus, stem: Stem, changed: Callable[[], Awaitable[None]]) -> None:
        """Awaits `changed` after every change that may matter, until it is cancelled."""

    async def close(self) -> None: ...


class Registry(Protocol):
    """Where services say that they are there. Every call raises RegistryUnavailable when the server is away."""

    @property
    def name(self) -> str: ...

    async def alive(self) -> None:
        """Returns when the server answers."""

    async def register(self, entry: Entry) -> None:
        """Says that a service is there from now on."""

    async def deregister(self, entry: Entry) -> None:
        """Says that it is there no longer."""

    async def find(self, service: str) -> str | None:
        """The base URL of a service, None where it is not registered or has left."""
        ...

    async def close(self) -> None: ...
