"""core-keeper of EdgeX 4: a key-value store and a registry behind one address."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from edgex_inference.config.sources.held import text_of
from edgex_inference.contracts.bus import Bus
from edgex_inference.contracts.errors import EnvelopeError, RegistryUnavailable, SetupError, TransportError
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import envelope
from edgex_inference.edgex.providers.ports import Entry, Stem
from edgex_inference.edgex.providers.rest import Answer, Rest
from edgex_inference.edgex.topics import escape

log = logging.getLogger(__name__)

_API = "/api/v3"
_CHANGES = "edgex/configs"
"""Where core-keeper publishes every change, whatever the bus's base topic is."""

_WRONG, _MISSING = 400, 404
_GLANCE = 0.2
"""Seconds between two glances at whether the bus is there."""


class Keeper:
    """One core-keeper, asked the way EdgeX's own client asks it."""

    def __init__(self, base: str) -> None:
        self._rest = Rest("core-keeper", base)

    @property
    def name(self) -> str:
        return self._rest.name

    def __str__(self) -> str:
        return str(self._rest)

    async def alive(self) -> None:
        answer = await self._rest.call("GET", f"{_API}/ping")
        if not answer.ok:
            raise self._rest.failed("ping", answer)

    async def keys(self, path: str) -> Sequence[str]:
        found = await self._read(path, "keyOnly=true")
        return [str(key) for key in found]

    async def values(self, path: str) -> Mapping[str, str]:
        found = await self._read(path, "plaintext=true")
        return {
            str(one["key"])[len(path) :].lstrip("/"): text_of(one.get("value", ""))
            for one in found
            if isinstance(one, dict) and "key" in one
        }

    async def put(self, path: str, text: str) -> None:
        body = {"apiVersion": "", "requestId": "", "value": text}
        answer = await self._rest.call("PUT", _key(path), query="flatten=false", body=body)
        self._refuse(path, answer)
        if not answer.ok:
            raise self._rest.failed(f"storing {path}", answer)

    async def _read(self, path: str, query: str) -> Sequence[Any]:
        answer = await self._rest.call("GET", _key(path), query=query)
        if answer.status == _MISSING:
            return ()
        self._refuse(path, answer)
        found = answer.json() if answer.ok else None
        if not isinstance(found, dict) or not isinstance(found.get("response"), list):
            raise self._rest.failed(f"reading {path}", answer)
        return list(found["response"])

    def _refuse(self, path: str, answer: Answer) -> None:
        """Raises SetupError for a key that can never be stored: trying again would not help."""
        if answer.status == _WRONG:
            said = answer.body.decode(errors="replace").strip()
            raise SetupError(f"{self.name} refuses the key {path}: {said}")

    async def watch(self, bus: Bus, stem: Stem, changed: Callable[[], Awaitable[None]]) -> None:
        topics = [f"{_CHANGES}/{stem.private}/#", *(f"{_CHANGES}/{path}/Writable/#" for path in stem.common)]
        async with bus.subscribe(*topics) as bursts:
            while not bus.connected:  # core-keeper is asked once the subscription can work  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            for path in reversed(stem.common):
                await self._quietly(self.keys(f"{path}/Writable"))
            returns = asyncio.create_task(_after_outages(bus, changed), name="bus outages")
            try:
                async for burst in bursts:
                    try:
                        await bus.done(burst)
                    except TransportError as error:
                        log.debug("not acknowledged: %s", error)
                    for message in burst:
                        if await self._matters(message, stem):
                            await changed()
            finally:
                returns.cancel()

    async def _matters(self, message: Message, stem: Stem) -> bool:
        """Whether a change is to be taken up, asking what EdgeX's own services ask before they do."""
        read = _change(message)
        if read is None:
            return False
        key, value = read
        path = next((one for one in stem.watched if key == one or key.startswith(f"{one}/")), None)
        if path is None:
            return False
        if not f"{key}/".startswith(f"{path}/Writable/"):
            log.warning(
                "%s has changed in %s: it is taken up at the next start",
                key[len(path) + 1 :].replace("/", ".") or key,
                self.name,
            )
            return False
        stored = await self._quietly(self.values(f"{path}/Writable"))
        if stored is None:
            return False
        below = key[len(f"{path}/Writable") :].lstrip("/")
        if below in stored and isinstance(value, str | int | float) and stored[below] != text_of(value):
            return False  # an older message: the newer one is on its way
        return path == stem.private or not await self._overridden(path, below, stem)

    async def _overridden(self, path: str, below: str, stem: Stem) -> bool:
        """Whether a higher part has a common key too, so that its change means nothing here."""
        await self._quietly(self.keys(f"{path}/Writable"))
        for other in (*stem.common[stem.common.index(path) + 1 :], stem.private):
            key = f"{other}/Writable/{below}"
            if key in (await self._quietly(self.keys(f"{other}/Writable")) or ()):
                log.warning("%s changed for all, and %s says otherwise: no effect here", below, other)
                return True
        return False

    async def _quietly(self, call: Awaitable[Any]) -> Any:
        try:
            return await call
        except RegistryUnavailable as error:
            log.warning("a change of the configuration is not taken up: %s", error)
            return None

    async def register(self, entry: Entry) -> None:
        path = f"{_API}/registry/serviceId/{quote(entry.service, safe='')}"
        known = await self._rest.call("GET", path)
        if not known.ok and known.status != _MISSING:
            raise self._rest.failed(f"asking for {entry.service}", known)
        await self._enter("PUT" if known.ok else "POST", entry, "")

    async def deregister(self, entry: Entry) -> None:
        await self._enter("PUT", entry, "HALT")

    async def _enter(self, method: str, entry: Entry, status: str) -> None:
        registration = {
            "serviceId": entry.service,
            "status": status,
            "host": entry.host,
            "port": entry.port,
            "HealthCheck": {"interval": entry.interval, "path": entry.path, "type": "http"},
        }
        body = {"apiVersion": "v3", "requestId": "", "registration": registration}
        answer = await self._rest.call(method, f"{_API}/registry", body=body)
        if not answer.ok:
            raise self._rest.failed(f"registering {entry.service}", answer)

    async def find(self, service: str) -> str | None:
        answer = await self._rest.call("GET", f"{_API}/registry/serviceId/{quote(service, safe='')}")
        if answer.status == _MISSING:
            return None
        found = answer.json() if answer.ok else None
        entry = found.get("registration") if isinstance(found, dict) else None
        if not isinstance(entry, dict) or not entry.get("host") or not entry.get("port"):
            raise self._rest.failed(f"asking for {service}", answer)
        return None if entry.get("status") == "HALT" else f"http://{entry['host']}:{entry['port']}"

    async def close(self) -> None:
        await self._rest.close()


async def _after_outages(bus: Bus, changed: Callable[[], Awaitable[None]]) -> None:
    """Changes that nobody could hear of: the configuration is read again whenever the bus is back."""
    away = False
    while True:
        await asyncio.sleep(_GLANCE)
        if away and bus.connected:
            await changed()
        away = not bus.connected


def _key(path: str) -> str:
    """EdgeX's client escapes a key as one level of the path, slashes and all."""
    return f"{_API}/kvs/key/{escape(path)}"


def _change(message: Message) -> tuple[str, Any] | None:
    """Key and value of a message about a change; None where it is something else."""
    try:
        payload = envelope.read(message).payload
        told = msgspec.json.decode(payload) if isinstance(payload, bytes) else payload
    except (EnvelopeError, ValueError, RecursionError) as error:
        log.debug("%s: no change of a configuration: %s", message.topic, error)
        return None
    key = told.get("key") if isinstance(told, dict) else None
    return (key, told.get("value")) if isinstance(key, str) and isinstance(told, dict) else None
