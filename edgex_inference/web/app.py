"""The paths that are served. aiohttp is imported when an application is built, so that nobody else pays for it."""

from typing import TYPE_CHECKING

from edgex_inference.web.view import View

if TYPE_CHECKING:
    from aiohttp import web

_BASE = "/api/v3"


def build(view: View, *, max_request_size: int = 0) -> "web.Application":
    """The application over `view`; requests larger than `max_request_size` KB get 413, 0 is no limit."""
    from aiohttp import web

    from edgex_inference.web.pages import Pages, anonymous, guard

    pages = Pages(view)
    app = web.Application(middlewares=[guard(max_request_size)], client_max_size=max_request_size << 10)
    app.on_response_prepare.append(anonymous)
    routes = {
        f"{_BASE}/ping": pages.ping,
        f"{_BASE}/version": pages.version,
        f"{_BASE}/config": pages.config,
        f"{_BASE}/inference/bindings": pages.bindings,
        f"{_BASE}/inference/bindings/{{device}}": pages.device,
        f"{_BASE}/inference/traffic": pages.traffic,
        "/metrics": pages.metrics,
        "/ready": pages.ready,
        "/live": pages.live,
    }
    for path, handler in routes.items():
        app.router.add_get(path, handler, allow_head=False)
    return app
