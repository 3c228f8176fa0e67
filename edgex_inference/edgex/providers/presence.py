"""What EdgeX knows of a running service: its entry in the registry, and its configuration at the provider."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edgex_inference.config import durations
from edgex_inference.config.load import Loaded
from edgex_inference.contracts.bus import Bus
from edgex_inference.contracts.errors import ConfigurationError, RegistryUnavailable
from edgex_inference.edgex.providers.boot import Booted, Provided, token_of
from edgex_inference.edgex.providers.consul import Consul
from edgex_inference.edgex.providers.keeper import Keeper
from edgex_inference.edgex.providers.patience import Patience
from edgex_inference.edgex.providers.ports import Entry, Registry, Store

log = logging.getLogger(__name__)

_FAREWELL = 3.0
"""Seconds that the registry has to take note of the end."""


@dataclass(slots=True)
class Presence:
    """The registry and the provider that a service was started with; both may be none."""

    loaded: Loaded
    provided: Provided | None = None
    registry: Registry | None = None
    patience: Patience = field(default_factory=Patience)
    trouble: str = ""
    """Why the provider or the registry is not to be had; empty while both are."""
    _entry: Entry | None = None
    _away: bool = False

    async def register(self, port: int) -> None:
        """Says that the service answers on this port; raises SetupError when the time for a start is over."""
        registry = self.registry
        if registry is None:
            return
        service = self.loaded.config.service
        entry = Entry(
            service=self.loaded.service_key,
            host=service.host,
            port=port,
            interval=durations.text(service.health_check_interval),
            path=f"/api/{'v2' if self.loaded.config.inference.edgex_version == '2' else 'v3'}/ping",
        )

        async def attempt() -> None:
            await registry.alive()
            await registry.register(entry)

        await self.patience.until(attempt)
        self._entry = entry
        log.info("registered with %s as %s at %s:%d", registry, entry.service, entry.host, entry.port)

    async def deregister(self) -> None:
        """Says that the service is gone; idempotent, and an absent registry delays nothing."""
        entry, self._entry = self._entry, None
        if self.registry is None or entry is None:
            return
        try:
            async with asyncio.timeout(_FAREWELL):
                await self.registry.deregister(entry)
        except (RegistryUnavailable, TimeoutError) as error:
            reason = str(error) or f"no answer within {_FAREWELL:g} s"
            log.warning("%s still lists %s: %s", self.registry.name, entry.service, reason)

    async def url_of(self, service: str) -> str | None:
        """Where another service answers, by the registry; None without one, and where it is not registered.

        Raises RegistryUnavailable when the registry is away.
        """
        return await self.registry.find(service) if self.registry is not None else None

    async def find(self, service: str) -> str | None:
        """`url_of`, for who goes on with the address that it has: None where the registry is away, too."""
        try:
            found = await self.url_of(service)
        except RegistryUnavailable as error:
            log.log(
                logging.DEBUG if self._away else logging.WARNING, "%s is not looked up: %s", service, error
            )
            self._away = True
            return None
        self._away = False
        return found

    async def keep(self, values: Mapping[str, str]) -> bool:
        """Stores texts below our own part, such as `Writable/LogLevel`; False without a provider.

        Raises RegistryUnavailable when the provider is away.
        """
        if self.provided is None:
            return False
        for key, text in values.items():
            await self.provided.store.put(f"{self.provided.stem.private}/{key}", text)
        return True

    async def watch(self, bus: Bus, apply: Callable[[Loaded], None]) -> None:
        """Hands over the configuration whenever a Writable key has changed, until it is cancelled."""
        provided = self.provided
        if provided is None:
            return

        async def changed() -> None:
            try:
                apply(await provided.read())
            except ConfigurationError as error:
                for problem in error.problems:
                    log.error("%s", problem)
                log.error("the configuration has mistakes: what was in force stays")
            except RegistryUnavailable as error:
                log.warning("a change of the configuration is not taken up: %s", error)

        await provided.store.watch(bus, provided.stem, changed)

    async def attend(self) -> None:
        """Asks the provider and the registry as often as they ask us whether they are there, until cancelled."""
        store = self.provided.store if self.provided is not None else None
        others: dict[str, Store | Registry] = {
            str(one): one for one in (store, self.registry) if one is not None
        }
        away: dict[str, str] = {}
        while others:
            await asyncio.sleep(self.loaded.config.service.health_check_interval)
            for name, one in others.items():
                quiet = isinstance(one, Consul) and one is store  # its standing question says so itself
                try:
                    await one.alive()
                except RegistryUnavailable as error:
                    if name not in away and not quiet:
                        log.warning("%s: what it said last goes on", error)
                    away[name] = str(error)
                else:
                    if away.pop(name, "") and not quiet:
                        log.info("%s is back", name)
            self.trouble = "; ".join(away.values())

    async def leave(self) -> None:
        """The end of a service: says that it is gone, and lets go of every connection."""
        await self.deregister()
        await self.close()

    async def close(self) -> None:
        """Lets go of every connection; legal at any time, more than once."""
        for one in (self.registry, self.provided.store if self.provided is not None else None):
            if one is not None:
                await one.close()


def presence(booted: Booted) -> Presence:
    """What a service has around it as it was started; -r says whether it registers."""
    loaded = booted.loaded
    return Presence(
        loaded=loaded,
        provided=booted.provided,
        registry=_registry(loaded) if loaded.registry else None,
        patience=booted.patience,
    )


def _registry(loaded: Loaded) -> Registry:
    section = loaded.config.registry
    base = f"http://{section.host}:{section.port}"
    return Keeper(base) if section.type == "keeper" else Consul(base, token_of(loaded))
