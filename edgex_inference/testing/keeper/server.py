"""The double as a server."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote

import msgspec
from aiohttp import web

from edgex_inference.contracts.bus import Bus
from edgex_inference.edgex.ids import new_id
from edgex_inference.testing.keeper.calls import API, CORRELATION, Call, Refused, Route, answer, told
from edgex_inference.testing.keeper.kvs import Kvs, Store
from edgex_inference.testing.keeper.registry import Registry

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_BOOTSTRAPPER = "edgex/v4/core-common-config-bootstrapper"
_VERSION = "4.0.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A call that arrived; `path` is as it was sent, `body` the decoded JSON or None."""

    method: str
    path: str
    query: str
    body: Any
    agent: str

    @property
    def line(self) -> str:
        """Method and decoded path with its query, below /api/v3."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.method} {unquote(self.path).removeprefix(API)}{query}"


class KeeperDouble:
    """A core-keeper on a free port of the loopback interface; the package's docstring says how to use it."""

    def __init__(self, bus: Bus | None = None, *, port: int = 0) -> None:
        self.store = Store()
        self.registry = Registry()
        self.seen: list[Seen] = []
        self.port = port
        self._bus = bus
        self._runner: web.AppRunner | None = None
        self._arrived = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def common(self, parts: Mapping[str, Any], *, ready: bool = True) -> None:
        """The common configuration as core-common-config-bootstrapper leaves it."""
        for part, tree in parts.items():
            self.store.put_tree(f"{_BOOTSTRAPPER}/{part}", tree)
        self.store.put(f"{_BOOTSTRAPPER}/IsCommonConfigReady", str(ready).lower())

    async def start(self) -> None:
        """Listens; port 0 takes a free one, which is kept from then on."""
        if self._runner is not None:
            return
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = int(runner.addresses[0][1])
        self._runner = runner
        self.registry.resume()

    async def stop(self) -> None:
        """Refuses connections from now on."""
        runner, self._runner = self._runner, None
        await self.registry.end()
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
        app = web.Application(middlewares=[self._router], client_max_size=64 << 20)
        common = (Route("GET", "/ping", self._ping), Route("GET", "/version", self._version))
        for route in (*Kvs(self.store, self._bus).routes(), *self.registry.routes(), *common):
            app.router.add_route(route.method, API + route.path, _handler(route))
        return app

    @web.middleware
    async def _router(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Notes every call, and answers unknown ones as EdgeX's router does."""
        raw = await request.read()
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed as error:
            allow = {"Allow": ", ".join(("OPTIONS", *sorted(error.allowed_methods - {"OPTIONS"})))}
            return told(405, {"message": "Method Not Allowed"}, allow)
        except web.HTTPNotFound:
            return told(404, {"message": "Not Found"}, {})
        finally:
            await self._note(request, raw)

    async def _note(self, request: web.Request, raw: bytes) -> None:
        try:
            body = msgspec.json.decode(raw) if raw else None
        except ValueError:
            body = None
        seen = Seen(
            method=request.method,
            path=request.rel_url.raw_path,
            query=request.rel_url.raw_query_string,
            body=body,
            agent=request.headers.get("User-Agent", ""),
        )
        async with self._arrived:
            self.seen.append(seen)
            self._arrived.notify_all()

    async def _ping(self, call: Call) -> web.Response:
        return _plain(call, {"timestamp": time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime())})

    async def _version(self, call: Call) -> web.Response:
        return _plain(call, {"version": _VERSION})


def _handler(route: Route) -> _Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        call = Call(request=request, correlation=request.headers.get(CORRELATION) or new_id())
        try:
            return await route.handle(call)
        except Refused as refused:
            return answer(call, refused.status, message=refused.message)

    return handle


def _plain(call: Call, document: dict[str, Any]) -> web.Response:
    """Answers of the routes that every EdgeX service has; these make up no correlation id, and end without \\n."""
    return web.Response(
        body=msgspec.json.encode({"apiVersion": "v3", **document, "serviceName": "core-keeper"}),
        content_type="application/json",
        headers={CORRELATION: call.request.headers.get(CORRELATION, "")},
    )
