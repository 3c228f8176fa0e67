"""What each page answers."""

import time
from typing import Any

from aiohttp import web

from edgex_inference.config.redact import redact
from edgex_inference.web import answers, openapi, prometheus
from edgex_inference.web.view import View

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Pages:
    """The handlers of GET; EdgeX's own three answer with the caller's correlation id or an empty one."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def ping(self, request: web.Request) -> web.Response:
        body = {
            "apiVersion": answers.api_version(request),
            "timestamp": unix_date(time.time()),
            "serviceName": self._view.service_key,
        }
        return answers.json(body, answers.echoed(request))

    async def version(self, request: web.Request) -> web.Response:
        view = self._view
        body = {
            "apiVersion": answers.api_version(request),
            "version": view.version,
            "serviceName": view.service_key,
            "sdk_version": view.sdk_version,
        }
        return answers.json(body, answers.echoed(request))

    async def config(self, request: web.Request) -> web.Response:
        body = {
            "apiVersion": answers.api_version(request),
            "config": redact(self._view.config()),
            "serviceName": self._view.service_key,
        }
        return answers.json(body, answers.echoed(request))

    async def openapi(self, request: web.Request) -> web.Response:
        found = openapi.document(self._view.version, major=self._view.major)
        return answers.json(found, answers.correlated(request))

    async def bindings(self, request: web.Request) -> web.Response:
        return _bindings(request, [redact(binding) for binding in self._view.bindings()])

    async def device(self, request: web.Request) -> web.Response:
        name = request.match_info["device"]
        found = [redact(binding) for binding in self._view.bindings(name)]
        if found:
            return _bindings(request, found)
        message = f"no binding knows a device {name!r}"
        return answers.failure(request, 404, message, answers.correlated(request))

    async def traffic(self, request: web.Request) -> web.Response:
        body = {"apiVersion": "v3", "statusCode": 200, **self._view.traffic()}
        return answers.json(body, answers.correlated(request))

    async def metrics(self, request: web.Request) -> web.Response:
        points = [*prometheus.process(self._view.version), *await self._view.points()]
        text = prometheus.render(points)
        return web.Response(body=text.encode(), headers={"Content-Type": prometheus.CONTENT_TYPE})

    async def ready(self, request: web.Request) -> web.Response:
        ready, reasons = self._view.ready()
        body = {"apiVersion": "v3", "ready": ready, "reasons": list(reasons)}
        return answers.json(body, answers.correlated(request), status=200 if ready else 503)

    async def live(self, request: web.Request) -> web.Response:
        return answers.json({"apiVersion": "v3", "live": True}, answers.correlated(request))


def unix_date(seconds: float) -> str:
    """`Tue Nov  3 02:10:24 UTC 2026`, whatever the locale."""
    at = time.gmtime(seconds)
    clock = f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}"
    return f"{_DAYS[at.tm_wday]} {_MONTHS[at.tm_mon - 1]} {at.tm_mday:2d} {clock} UTC {at.tm_year}"


def _bindings(request: web.Request, found: list[dict[str, Any]]) -> web.Response:
    body = {"apiVersion": "v3", "statusCode": 200, "totalCount": len(found), "bindings": found}
    return answers.json(body, answers.correlated(request))
