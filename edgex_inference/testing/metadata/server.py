"""The double as a server: routes, the router's own answers, faults."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import msgspec
import yaml
from aiohttp import hdrs, web

from edgex_inference.contracts.bus import Bus
from edgex_inference.edgex.ids import new_id
from edgex_inference.testing.metadata.calls import CORRELATION, Call, Core, Route, answer
from edgex_inference.testing.metadata.devices import Devices
from edgex_inference.testing.metadata.events import SOURCE, Announcer, Unanswered
from edgex_inference.testing.metadata.generations import Generation, generation
from edgex_inference.testing.metadata.parts import ProfileParts
from edgex_inference.testing.metadata.profiles import Profiles
from edgex_inference.testing.metadata.services import Services, Watchers
from edgex_inference.testing.metadata.state import Faults, Refused, State

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_YAML = "application/x-yaml"
_UNITS = """\
Source: reference to source for all UoM if not specified below
Units:
    temperature:
        Source: www.weather.com
        Values:
            - C
            - F
            - K
    weights:
        Source: www.usa.gov/federal-agencies/weights-and-measures-division
        Values:
            - lbs
            - ounces
            - kilos
            - grams
"""
"""EdgeX's own dictionary of units"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A call that arrived; `path` is as it was sent, percent signs and all."""

    method: str
    path: str
    query: str
    correlation: str


class MetadataDouble:
    """A core-metadata on a free port of the loopback interface; the package's docstring says how to use it.

    `request_timeout` (s) is how long a device service may take to validate a device. `stop` and `start` play an
    outage: the state and the port stay.
    """

    def __init__(
        self,
        bus: Bus | None = None,
        *,
        version: str = "4.0.2",
        base_topic: str = "edgex",
        request_timeout: float = 5.0,
        port: int = 0,
    ) -> None:
        self.state = State(generation(version))
        self.seen: list[Seen] = []
        self.port = port
        self.state.policies.request_timeout = request_timeout
        announcer = Announcer(bus, self.state, base_topic=base_topic)
        self._core = Core(state=self.state, bus=announcer)
        self._runner: web.AppRunner | None = None
        self._stopping = asyncio.Event()

    @property
    def faults(self) -> Faults:
        return self.state.faults

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listens; port 0 takes a free one, which is kept from then on."""
        if self._runner is not None:
            return
        self._stopping.clear()
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = int(runner.addresses[0][1])
        self._runner = runner

    async def stop(self) -> None:
        """Refuses connections from now on."""
        runner, self._runner = self._runner, None
        self._stopping.set()
        await self._core.bus.over()
        if runner is not None:
            await runner.cleanup()

    async def settled(self) -> None:
        """Returns when no call to a device service (EdgeX 2) is under way."""
        await self._core.bus.over()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Calls the double over HTTP, as `call("POST", "/device", [...])`: the status and the decoded answer."""
        data = None if body is None else msgspec.json.encode(body)
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}{self.state.generation.api}{path}", data=data) as response,
        ):
            return response.status, msgspec.json.decode(await response.read())

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._router, self._fail], client_max_size=64 * 1024 * 1024)
        profiles = Profiles(self._core)
        rooms = (
            Services(self._core),
            profiles,
            ProfileParts(self._core, profiles),
            Devices(self._core),
            Watchers(self._core),
        )
        api = self.state.generation.api
        _connect(app, api, [route for room in rooms for route in room.routes()], self._answered)
        common = [
            Route("GET", "/ping", self._ping),
            Route("GET", "/version", self._version),
            Route("GET", "/config", self._config),
            *(() if self.state.generation.first else (Route("GET", "/uom", self._units),)),
            *((Route("GET", "/metrics", self._metrics),) if self.state.generation.two else ()),
        ]
        _connect(app, api, common, self._answered)
        return app

    async def _answered(self, route: Route, request: web.Request) -> web.StreamResponse:
        call = Call(
            request=request,
            correlation=request.headers.get(CORRELATION) or new_id(),
            version=self.state.generation.api_version,
        )
        try:
            return await route.handle(call)
        except Refused as refused:
            return answer(call, refused.status, call.said(refused.status, message=refused.message))
        except Unanswered:
            return _timeout(self.state.generation)

    @web.middleware
    async def _router(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """What EdgeX's router says of unknown paths and methods."""
        self.seen.append(_seen(request))
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed as error:
            if self.state.generation.two:
                return web.Response(status=405, headers={hdrs.CONTENT_TYPE: ""})
            allow = {"Allow": ", ".join(("OPTIONS", *sorted(error.allowed_methods - {"OPTIONS"})))}
            if request.method == hdrs.METH_OPTIONS:
                return web.Response(status=204, headers=allow)
            if request.method == hdrs.METH_HEAD:
                return web.Response(status=405, headers=allow | {hdrs.CONTENT_TYPE: ""})
            return _routed(405, "Method Not Allowed", self.state.generation, allow)
        except web.HTTPNotFound:
            if self.state.generation.two:
                return web.Response(status=404, text="404 page not found\n")
            return _routed(404, "Not Found", self.state.generation, {})

    @web.middleware
    async def _fail(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        faults = self.faults
        if not request.path.startswith(faults.below):
            return await handler(request)
        if faults.hang:
            await self._stopping.wait()
        if faults.unavailable or faults.hang:
            return _timeout(self.state.generation)
        if faults.garbage:
            return web.Response(text="<html>not what you expected", content_type="application/json")
        return await handler(request)

    async def _ping(self, call: Call) -> web.Response:
        now = time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime())
        return self._common(call, {"timestamp": now})

    async def _version(self, call: Call) -> web.Response:
        return self._common(call, {"version": self.state.generation.version})

    async def _metrics(self, call: Call) -> web.Response:
        """EdgeX 2 tells how much memory it takes; a double takes none."""
        names = ("Alloc", "Frees", "LiveObjects", "Mallocs", "Sys", "TotalAlloc")
        return self._common(call, {"metrics": {**{f"mem{name}": 0 for name in names}, "cpuBusyAvg": 0}})

    async def _config(self, call: Call) -> web.Response:
        policies = self.state.policies
        writable = {
            "LogLevel": "INFO",
            "ProfileChange": {
                "StrictDeviceProfileChanges": policies.strict_profile_changes,
                "StrictDeviceProfileDeletes": policies.strict_profile_deletes,
            },
            "UoM": {"Validation": policies.validate_units},
        }
        service = {"Host": "127.0.0.1", "Port": self.port, "MaxResultCount": policies.max_result_count}
        return self._common(call, {"config": {"Service": service, "Writable": writable}})

    def _common(self, call: Call, document: dict[str, Any]) -> web.Response:
        """Answers of the routes that every EdgeX service has; these make up no correlation id, and end without \\n."""
        name = {} if self.state.generation.first else {"serviceName": SOURCE}
        told = {"apiVersion": call.version, **document, **name}
        return web.Response(
            body=msgspec.json.encode(told),
            content_type="application/json",
            headers={CORRELATION: call.request.headers.get(CORRELATION, "")},
        )

    async def _units(self, call: Call) -> web.Response:
        if call.request.headers.get("Accept") != _YAML or self.state.generation.two:
            return answer(call, 200, call.said(200) | {"uom": _lower(yaml.safe_load(_UNITS))})
        headers = {hdrs.CONTENT_TYPE: _YAML, CORRELATION: call.correlation}
        return web.Response(body=_UNITS.encode(), headers=headers)


def _connect(
    app: web.Application,
    api: str,
    routes: Sequence[Route],
    answered: Callable[[Route, web.Request], Awaitable[web.StreamResponse]],
) -> None:
    for route in routes:

        async def handle(request: web.Request, route: Route = route) -> web.StreamResponse:
            return await answered(route, request)

        app.router.add_route(route.method, api + route.path, handle)


def _seen(request: web.Request) -> Seen:
    return Seen(
        method=request.method,
        path=request.rel_url.raw_path,
        query=request.rel_url.raw_query_string,
        correlation=request.headers.get(CORRELATION, ""),
    )


def _routed(status: int, message: str, generation: Generation, headers: dict[str, str]) -> web.Response:
    body = msgspec.json.encode({"message": message}) + b"\n"
    return web.Response(
        status=status, body=body, headers={hdrs.CONTENT_TYPE: generation.router_json, **headers}
    )


def _timeout(generation: Generation) -> web.Response:
    return web.Response(status=503, text=generation.timeout_text, content_type=generation.timeout_type)


def _lower(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key.lower(): _lower(item) for key, item in value.items()}
