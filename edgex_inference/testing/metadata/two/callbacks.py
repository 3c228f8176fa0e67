"""EdgeX 2's core-metadata calls device services over REST where later ones use the bus."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from edgex_inference.edgex.ids import new_id
from edgex_inference.testing.metadata.shapes import Document, Shape
from edgex_inference.testing.metadata.two import records

_log = logging.getLogger(__name__)
_API = "/api/v2"
_PATIENCE = aiohttp.ClientTimeout(total=10)
_CHANGED: Mapping[str, tuple[str, Shape]] = {
    "device": ("device", records.CHANGED_DEVICE),
    "deviceservice": ("service", records.CHANGED_SERVICE),
    "deviceprofile": ("profile", records.PROFILE),
    "provisionwatcher": ("provisionWatcher", records.CHANGED_WATCHER),
}
_PATHS = {"deviceservice": "service", "deviceprofile": "profile", "provisionwatcher": "watcher"}
_TOLD = {
    "device": ("add", "update", "delete"),
    "deviceservice": ("update",),
    "deviceprofile": ("update",),
    "provisionwatcher": ("add", "update", "delete"),
}


class Callbacks:
    """Calls that nobody waits for; `over` does, for those under way."""

    def __init__(self) -> None:
        self._calls: set[asyncio.Task[None]] = set()

    def tell(self, address: str, kind: str, action: str, details: Document, correlation: str) -> None:
        """Tells the device service at `address` of what was done, where EdgeX 2 tells it at all."""
        if action not in _TOLD[kind]:
            return
        path = f"{_API}/callback/{_PATHS.get(kind, kind)}"
        key, shape = _CHANGED[kind]
        body: Document | None = None
        if action == "delete":
            path += f"/name/{details['name']}"
        else:
            record = shape.write(details) if action == "update" else details
            body = {"apiVersion": "v2", "requestId": new_id(), key: record}
        method = {"add": "POST", "update": "PUT", "delete": "DELETE"}[action]
        task = asyncio.create_task(self._call(method, address + path, body, correlation), name=path)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def over(self) -> None:
        """Returns when no call is under way."""
        while self._calls:
            await asyncio.wait(set(self._calls))

    async def refusal(self, address: str, device: Document) -> bool:
        """Whether the device service says no to a device; one that is away or knows no such question says nothing."""
        body = {"apiVersion": "v2", "requestId": new_id(), "device": device}
        status = await _asked("POST", f"{address}{_API}/validate/device", body, new_id())
        return status not in (0, 200, 404)

    async def _call(self, method: str, url: str, body: Document | None, correlation: str) -> None:
        if await _asked(method, url, body, correlation) != 200:
            _log.warning("core-metadata double: %s %s was not taken", method, url)


async def _asked(method: str, url: str, body: Document | None, correlation: str) -> int:
    """The status of the answer; 0 for none."""
    headers: dict[str, str] = {"X-Correlation-ID": correlation}
    data: Any = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = msgspec.json.encode(body)
    try:
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE) as session,
            session.request(method, url, data=data, headers=headers) as answer,
        ):
            return answer.status
    except (aiohttp.ClientError, TimeoutError) as error:
        _log.warning("core-metadata double: %s %s: %s", method, url, error)
        return 0
