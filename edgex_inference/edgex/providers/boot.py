"""The start of a service: its configuration from wherever it lies, within the time that a start may take."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgex_inference.config import environment
from edgex_inference.config.flags import Flags, Provider, provider_of
from edgex_inference.config.load import Loaded, load, service_key
from edgex_inference.config.places import Node
from edgex_inference.config.sources import documents
from edgex_inference.config.sources.addresses import Address, addresses
from edgex_inference.config.sources.held import Held, Outside, Part
from edgex_inference.contracts.errors import ConfigurationError, RegistryUnavailable
from edgex_inference.edgex.providers.consul import Consul
from edgex_inference.edgex.providers.keeper import Keeper
from edgex_inference.edgex.providers.patience import Patience
from edgex_inference.edgex.providers.ports import Stem, Store
from edgex_inference.edgex.providers.rest import Rest

log = logging.getLogger(__name__)

_BOOTSTRAPPER = "core-common-config-bootstrapper"
_SECRET = "consul"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where this process was started, and with what."""

    flags: Flags
    environ: Mapping[str, str]
    directory: Path

    @classmethod
    def of(cls, flags: Flags) -> "Origin":
        """The process's own environment and working directory."""
        return cls(flags=flags, environ=os.environ, directory=Path.cwd())

    def load(self, outside: Outside | None = None) -> Loaded:
        return load(self.flags, environ=self.environ, directory=self.directory, outside=outside)

    @property
    def settled(self) -> Flags:
        """The flags with the environment over them; its mistakes are `load`'s to tell."""
        return environment.replace_flags(self.flags, self.environ)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """A provider that is in use: where in it our configuration lies, and what of it came from elsewhere."""

    store: Store
    stem: Stem
    origin: Origin
    files: Mapping[str, bytes]

    async def read(self) -> Loaded:
        """Everything as it is stored now; raises ConfigurationError and RegistryUnavailable."""
        common = await common_parts(self.store, self.stem)
        held = Held(provider=self.store.name, common=common, alone=not self.stem.common)
        await self.store.keys(self.stem.private)
        return self.load(replace(held, private=await _part(self.store, self.stem.private)))

    def load(self, held: Held) -> Loaded:
        return self.origin.load(Outside(files=self.files, held=held))


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted:
    """The configuration to start with; `provided` None: it came from files."""

    loaded: Loaded
    provided: Provided | None
    patience: Patience
    origin: Origin

    async def again(self) -> Loaded:
        """The configuration as it is now; raises SetupError or RegistryUnavailable where it is out of reach."""
        if self.provided is not None:
            return await self.provided.read()
        once = Patience(replace(self.patience.startup, duration=0.0))
        return self.origin.load(Outside(files=await _fetched(self.origin, once, ())))


async def boot(origin: Origin) -> Booted:
    """Finds the configuration; raises ConfigurationError for mistakes, SetupError when time is over."""
    startup, problems = environment.startup(origin.environ)
    if problems:
        raise ConfigurationError(problems)
    patience = Patience(startup)
    flags = origin.settled
    try:
        provider = provider_of(flags)
    except ValueError:
        return Booted(
            loaded=origin.load(), provided=None, patience=patience, origin=origin
        )  # which tells the mistake
    if provider is None:
        files = await _fetched(origin, patience, ())
        loaded = origin.load(Outside(files=files))
        return Booted(loaded=loaded, provided=None, patience=patience, origin=origin)
    store = await _store(origin, provider, patience)
    try:
        return await _boot(origin, store, patience)
    except BaseException:
        await store.close()
        raise


async def _store(origin: Origin, provider: Provider, patience: Patience) -> Store:
    return (
        Keeper(provider.url) if provider.type == "keeper" else Consul(provider.url, token_of(_alone(origin)))
    )


def token_of(loaded: Loaded | None) -> str:
    """Consul's ACL token among the insecure secrets; "" where there is none."""
    secrets = loaded.config.writable.insecure_secrets.values() if loaded is not None else ()
    return next((one.secret_data.get("token", "") for one in secrets if one.secret_name == _SECRET), "")


def _alone(origin: Origin) -> Loaded | None:
    """What this process knows before it has asked anybody; mistakes are told once everything is there."""
    try:
        return origin.load(Outside(held=Held(provider="")))
    except ConfigurationError:
        return None


async def _boot(origin: Origin, store: Store, patience: Patience) -> Booted:
    flags = origin.settled
    await patience.until(store.alive)
    stem = await patience.until(lambda: _stem(origin, store))
    log.info("configuration from %s below %s", store, stem.private)
    if stem.ready:
        await patience.until(lambda: _ready(store, stem))
    common = await patience.until(lambda: common_parts(store, stem))
    if len(stem.common) > 1:
        await patience.until(lambda: store.keys(stem.common[-1]))
    held = Held(provider=store.name, common=common, alone=not stem.common)
    files = await _fetched(origin, patience, tuple(held.common_nodes()))
    provided = Provided(store=store, stem=stem, origin=origin, files=files)
    loaded = await patience.until(lambda: _private(provided, held, flags.overwrite))
    return Booted(loaded=loaded, provided=provided, patience=patience, origin=origin)


async def _stem(origin: Origin, store: Store) -> Stem:
    """Where the releases keep what; which of them put Consul up shows in what it holds."""
    key = service_key(origin.settled)[0]
    if isinstance(store, Keeper):
        return stem("edgex/v4", key)
    alone = _alone(origin)
    version = alone.config.inference.edgex_version if alone is not None else "auto"
    if version == "auto" and not await store.keys(f"edgex/v3/{_BOOTSTRAPPER}"):
        version = "2" if await store.keys("edgex/core/2.0") else "3"
    return Stem(private=f"edgex/appservices/2.0/{key}") if version == "2" else stem("edgex/v3", key)


def stem(base: str, key: str) -> Stem:
    """The paths of EdgeX 3 and 4."""
    common = f"{base}/{_BOOTSTRAPPER}"
    return Stem(
        private=f"{base}/{key}",
        common=(f"{common}/all-services", f"{common}/app-services"),
        ready=f"{common}/IsCommonConfigReady",
    )


async def _ready(store: Store, stem: Stem) -> None:
    said = next(iter((await store.values(stem.ready)).values()), "")
    if said != "true":
        raise RegistryUnavailable(
            f"{store.name}: the common configuration is not ready ({stem.ready} is {said or 'not there'}): "
            f"has {_BOOTSTRAPPER} run?"
        )


async def common_parts(store: Store, stem: Stem) -> tuple[Part, ...]:
    """The common configuration, asked part by part as EdgeX's services do."""
    parts = []
    for path in stem.common:
        await store.keys(path)
        parts.append(await _part(store, path))
    return tuple(parts)


async def _part(store: Store, path: str) -> Part:
    return Part(path=path, values=await store.values(path))


async def _private(provided: Provided, held: Held, overwrite: bool) -> Loaded:
    """Our own part: put there as far as it is missing, or wholly with -o; then read, unless it is all ours."""
    store, path = provided.store, provided.stem.private
    stored = bool(await store.keys(path))
    ours = provided.load(held)  # tells mistakes before they are stored
    written = 0
    for key, text in ours.private.items():
        known = await store.keys(f"{path}/{key}")
        if overwrite or not known:
            await store.put(f"{path}/{key}", text)
            written += 1
    if not stored or overwrite:
        log.info("private configuration: %d keys put into %s, environment included", written, store.name)
        return ours
    await store.keys(path)
    private = await _part(store, path)
    await store.keys(path)
    new = f", {written} new ones put there" if written else ""
    log.info("private configuration: %d keys from %s%s", len(private.values), store.name, new)
    return provided.load(replace(held, private=private))


async def _fetched(origin: Origin, patience: Patience, known: tuple[Node, ...]) -> dict[str, bytes]:
    """The files that are named by an address; a file named by a path may hold the secret for one."""
    flags = origin.settled
    common = flags.common_config
    wanted = addresses(flags)
    roots = list(known)
    if common and not any(one.url == common for one in wanted):
        roots.append(documents.common_part(documents.read(origin.directory / common)).root)
    found: dict[str, bytes] = {}
    for one in wanted:
        headers = one.headers(roots)
        found[one.url] = await patience.until(lambda one=one, headers=headers: _get(one, headers, patience))  # type: ignore[misc]
        if one.url == common:
            roots.append(documents.common_part(documents.parse(found[one.url], one.url)).root)
    return found


async def _get(address: Address, headers: Mapping[str, str], patience: Patience) -> bytes:
    rest = Rest(address.origin, address.url, headers)
    try:
        answer = await rest.call("GET", "", patience=patience.startup.file_timeout)
    finally:
        await rest.close()
    if not answer.ok:
        raise rest.failed("no file", answer)
    log.info("%s: read %d bytes from %s", address.origin, len(answer.body), address.url)
    return answer.body
