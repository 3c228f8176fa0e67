"""Consul, as EdgeX 2 and 3 use it: a key-value store and the registry of an agent."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import pybase64

from edgex_inference.config.durations import seconds
from edgex_inference.contracts.bus import Bus
from edgex_inference.contracts.errors import RegistryUnavailable
from edgex_inference.edgex.providers.ports import Entry, Stem
from edgex_inference.edgex.providers.rest import Answer, Rest

log = logging.getLogger(__name__)

_WAIT = 60
"""Seconds that Consul holds a question back while nothing changes."""

_MISSING, _FORBIDDEN = 404, 403


class Consul:
    """One Consul agent; `token` is its ACL token where it wants one, `retry` seconds pass between failed watches."""

    def __init__(self, base: str, token: str = "", *, retry: float = 5.0) -> None:
        self._rest = Rest("Consul", base, {"X-Consul-Token": token} if token else {})
        self._retry = retry
        self._read: dict[str, Mapping[str, str]] = {}

    @property
    def name(self) -> str:
        return self._rest.name

    def __str__(self) -> str:
        return str(self._rest)

    async def alive(self) -> None:
        answer = await self._rest.call("GET", "/v1/status/leader")
        if not answer.ok:
            raise self._rest.failed("status", answer)

    async def keys(self, path: str) -> Sequence[str]:
        answer = await self._checked("reading", "GET", _kv(path), query="keys")
        return _at_or_below(path, answer.json() if answer.ok else ())

    async def values(self, path: str) -> Mapping[str, str]:
        answer = await self._checked("reading", "GET", _kv(path), query="recurse")
        self._read[path] = found = _texts(path, answer)
        return found

    async def put(self, path: str, text: str) -> None:
        await self._checked("storing", "PUT", _kv(path), body=text.encode())

    async def watch(self, bus: Bus, stem: Stem, changed: Callable[[], Awaitable[None]]) -> None:
        lock = asyncio.Lock()
        async with asyncio.TaskGroup() as group:
            for path in stem.watched:
                group.create_task(self._follow(path, lock, changed), name=f"Consul {path}")

    async def _follow(self, part: str, lock: asyncio.Lock, changed: Callable[[], Awaitable[None]]) -> None:
        """Asks again as soon as Consul answers, which it does when something writable of the part has changed."""
        path, index, away = f"{part}/Writable", 0, False
        read = self._read.get(part)  # by the start, which may be long ago; None: it was all put there then
        known = None if read is None else _below("Writable/", read)
        while True:
            try:
                query = f"recurse&index={index}&wait={_WAIT}s"
                answer = await self._checked("watching", "GET", _kv(path), query=query, patience=2 * _WAIT)
            except RegistryUnavailable as error:
                if not away:
                    log.warning("changes of the configuration are not heard of: %s", error)
                away = True
                await asyncio.sleep(self._retry)
                continue
            if away:
                log.info("%s is back", self)
            away = False
            found = _texts(path, answer)
            index = answer.index if answer.index >= index else 0  # a number that falls means a new count
            if known is not None and found != known:
                async with lock:
                    await changed()
            known = found
            if not index:
                await asyncio.sleep(self._retry)  # no server that holds a question back

    async def register(self, entry: Entry) -> None:
        service = {"Name": entry.service, "Address": entry.host, "Port": entry.port}
        await self._checked("registering", "PUT", "/v1/agent/service/register", body=service)
        if not seconds(entry.interval):
            return  # Consul has no check without an interval: the service counts as there
        check = {
            "ID": entry.service,
            "Name": f"Health Check: {entry.service}",
            "Notes": "Check the health of the API",
            "ServiceID": entry.service,
            "HTTP": f"http://{entry.host}:{entry.port}{entry.path}",
            "Interval": entry.interval,
        }
        await self._checked("registering", "PUT", "/v1/agent/check/register", body=check)

    async def deregister(self, entry: Entry) -> None:
        path = f"/v1/agent/service/deregister/{quote(entry.service, safe='')}"
        await self._checked("deregistering", "PUT", path)

    async def find(self, service: str) -> str | None:
        answer = await self._checked("asking", "GET", "/v1/agent/services")
        known = answer.json()
        found = known.get(service) if isinstance(known, dict) else None
        if not isinstance(found, dict) or not found.get("Address") or not found.get("Port"):
            return None
        return f"http://{found['Address']}:{found['Port']}"

    async def close(self) -> None:
        await self._rest.close()

    async def _checked(self, what: str, method: str, path: str, **more: Any) -> Answer:
        answer = await self._rest.call(method, path, **more)
        if answer.status == _FORBIDDEN:
            hint = "put its ACL token into InsecureSecrets, SecretName consul, key token"
            raise RegistryUnavailable(f"{self} refuses {what} (status 403): {hint}")
        if not answer.ok and not (method == "GET" and answer.status == _MISSING):
            raise self._rest.failed(f"{what} {path}", answer)
        return answer


def _kv(path: str) -> str:
    return f"/v1/kv/{quote(path)}"


def _at_or_below(path: str, keys: Any) -> list[str]:
    """Consul matches prefixes of texts, here whole levels count."""
    return [key for key in keys if key == path or key.startswith(f"{path}/")]


def _below(prefix: str, texts: Mapping[str, str]) -> dict[str, str]:
    return {key[len(prefix) :]: text for key, text in texts.items() if key.startswith(prefix)}


def _texts(path: str, answer: Answer) -> dict[str, str]:
    found = answer.json() if answer.ok else ()
    stored = {str(one["Key"]): one.get("Value") or "" for one in found}
    return {
        key[len(path) :].lstrip("/"): pybase64.b64decode(stored[key]).decode(errors="replace")
        for key in _at_or_below(path, stored)
        if not key.endswith("/")
    }
