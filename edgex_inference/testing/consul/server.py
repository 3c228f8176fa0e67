"""The double as a server."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import msgspec
from aiohttp import web

from edgex_inference.config import durations
from edgex_inference.testing.consul.agent import Agent
from edgex_inference.testing.consul.kv import Kv, shown

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_WAIT = "5m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A call that arrived: method, path with its query, and the body as text."""

    line: str
    body: str
    token: str


class ConsulDouble:
    """A Consul agent on a free port of the loopback interface; `token` is the ACL token that it insists on."""

    def __init__(self, *, token: str = "", port: int = 0) -> None:
        self.kv = Kv()
        self.agent = Agent()
        self.seen: list[Seen] = []
        self.token = token
        self.port = port
        self._runner: web.AppRunner | None = None
        self._arrived = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put_tree(self, path: str, tree: Mapping[str, Any]) -> None:
        """Stores every leaf of a tree below a path."""
        self.kv.put_tree(path, tree)

    async def put(self, key: str, text: str) -> None:
        """Stores one value, as a person does in Consul's page."""
        self.kv.put(key, text.encode())
        await self.kv.announce()

    def text(self, key: str) -> str | None:
        known = self.kv.values.get(key)
        return known.data.decode() if known is not None else None

    async def start(self) -> None:
        """Listens; port 0 takes a free one, which is kept from then on."""
        if self._runner is not None:
            return
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = int(runner.addresses[0][1])
        self._runner = runner

    async def stop(self) -> None:
        """Refuses connections from now on."""
        runner, self._runner = self._runner, None
        await self.agent.end()
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def until(self, enough: Callable[[Sequence[Seen]], bool]) -> None:
        """Waits until enough calls have arrived."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: enough(self.seen))

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=1 << 20)
        app.router.add_get("/v1/kv/{key:.*}", self._read)
        app.router.add_put("/v1/kv/{key:.*}", self._write)
        app.router.add_delete("/v1/kv/{key:.*}", self._delete)
        app.router.add_get("/v1/status/leader", self._leader)
        app.router.add_get("/v1/agent/services", self._services)
        app.router.add_get("/v1/agent/checks", self._checks)
        app.router.add_get("/v1/health/checks/{service}", self._health)
        app.router.add_put("/v1/agent/service/register", self._register)
        app.router.add_put("/v1/agent/check/register", self._register_check)
        app.router.add_put("/v1/agent/service/deregister/{service}", self._deregister)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Notes every call; those without the token get no further, but for the status."""
        body = (await request.read()).decode(errors="replace")
        token = request.headers.get("X-Consul-Token", "")
        async with self._arrived:
            self.seen.append(Seen(line=f"{request.method} {request.path_qs}", body=body, token=token))
            self._arrived.notify_all()
        if self.token and token != self.token and not request.path.startswith("/v1/status"):
            return web.Response(status=403, text="Permission denied: anonymous token lacks permission")
        return await handler(request)

    async def _read(self, request: web.Request) -> web.Response:
        key, query = request.match_info["key"], request.query
        recurse = "recurse" in query or "keys" in query
        index = int(query.get("index", "0"))
        if index:
            seconds = durations.seconds(query.get("wait", _WAIT))
            await self.kv.wait(key, recurse=recurse, index=index, seconds=seconds)
        headers = {"X-Consul-Index": str(self.kv.state(key, recurse=recurse))}
        found = list(self.kv.found(key, recurse=recurse))
        if not found:
            return web.Response(status=404, headers=headers)
        if "keys" in query:
            return _json([one for one, _ in found], headers)
        return _json([shown(one, value) for one, value in found], headers)

    async def _write(self, request: web.Request) -> web.Response:
        self.kv.put(request.match_info["key"], await request.read())
        await self.kv.announce()
        return _json(True)

    async def _delete(self, request: web.Request) -> web.Response:
        self.kv.delete(request.match_info["key"], recurse="recurse" in request.query)
        await self.kv.announce()
        return _json(True)

    async def _leader(self, request: web.Request) -> web.Response:
        return _json("127.0.0.1:8300")

    async def _services(self, request: web.Request) -> web.Response:
        return _json(self.agent.documents())

    async def _checks(self, request: web.Request) -> web.Response:
        return _json({id: one.document() for id, one in self.agent.checks.items()})

    async def _health(self, request: web.Request) -> web.Response:
        service = request.match_info["service"]
        return _json([one.document() for one in self.agent.checks.values() if one.service == service])

    async def _register(self, request: web.Request) -> web.Response:
        self.agent.register(msgspec.json.decode(await request.read()))
        return web.Response()

    async def _register_check(self, request: web.Request) -> web.Response:
        self.agent.check(msgspec.json.decode(await request.read()))
        return web.Response()

    async def _deregister(self, request: web.Request) -> web.Response:
        service = request.match_info["service"]
        if not self.agent.deregister(service):
            return web.Response(status=404, text=f'Unknown service ID "{service}"')
        return web.Response()


def _json(document: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    body = msgspec.json.encode(document)
    return web.Response(body=body, content_type="application/json", headers=headers)
