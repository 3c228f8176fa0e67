"""The paths that are served. aiohttp is imported when an application is built, so that nobody else pays for it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from edgex_inference.config.schema import Inference, Service
from edgex_inference.web.view import View

if TYPE_CHECKING:
    from aiohttp import web

    from edgex_inference.web.pages import Pages

    Handler = Callable[[web.Request], Awaitable[web.Response]]
    Common = Mapping[str, tuple[str, Handler]]

_BASE = "/api/v3"


def build(
    view: View, service: Service | None = None, *, largest: int = Inference().max_message_size
) -> "web.Application":
    """The application over `view`, within the limits of `service`; `largest` KB is a body's limit where it has none."""
    from aiohttp import web

    from edgex_inference.web.guard import anonymous, cors, guard
    from edgex_inference.web.pages import Pages

    service, pages = service or Service(), Pages(view)
    app = web.Application(
        middlewares=[cors(service.cors_configuration), guard(view, service, largest=largest)],
        client_max_size=(service.max_request_size or largest) << 10,
    )
    app.on_response_prepare.append(anonymous)
    common = _common(view, pages, service)
    for name, (method, handler) in common.items():
        app.router.add_route(method, f"{_BASE}/{name}", handler)
    for path, handler in _own(pages).items():
        app.router.add_route("GET", path, handler)
    app.router.add_route("*", "/api/v2/{common}", _of_edgex_2(view, common))
    return app


def _common(view: View, pages: "Pages", service: Service) -> "Common":
    """EdgeX's endpoints, the same below /api/v2 and /api/v3: method and handler by name."""
    from edgex_inference.web.secret import store
    from edgex_inference.web.trigger import trigger

    async def secret(request: "web.Request") -> "web.Response":
        return await store(view, request)

    async def infer(request: "web.Request") -> "web.Response":
        return await trigger(view, request, timeout=service.request_timeout)

    return {
        "ping": ("GET", pages.ping),
        "version": ("GET", pages.version),
        "config": ("GET", pages.config),
        "secret": ("POST", secret),
        "trigger": ("POST", infer),
    }


def _own(pages: "Pages") -> "Mapping[str, Handler]":
    return {
        f"{_BASE}/openapi.json": pages.openapi,
        f"{_BASE}/inference/bindings": pages.bindings,
        f"{_BASE}/inference/bindings/{{device}}": pages.device,
        f"{_BASE}/inference/traffic": pages.traffic,
        "/metrics": pages.metrics,
        "/ready": pages.ready,
        "/live": pages.live,
    }


def _of_edgex_2(view: View, common: "Common") -> "Handler":
    """Whether EdgeX 2 is spoken to may turn out while the service runs, so it is asked each time."""
    from aiohttp import web

    async def answer(request: web.Request) -> web.Response:
        found = common.get(request.match_info["common"]) if view.major == "2" else None
        if found is None:
            raise web.HTTPNotFound
        method, handler = found
        if request.method != method:
            raise web.HTTPMethodNotAllowed(request.method, [method])
        return await handler(request)

    return answer
