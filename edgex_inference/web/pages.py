"""What each page answers, and what is answered where no page does."""

import logging
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from edgex_inference.config.redact import redact
from edgex_inference.web import prometheus
from edgex_inference.web.view import View

_API = "v3"
_CORRELATION = "X-Correlation-ID"
_ECHOED = re.compile(r"[\x20-\x7e]{0,256}")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_log = logging.getLogger(__name__)


class Pages:
    """The handlers; EdgeX's own three answer with the caller's correlation id or an empty one."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def ping(self, request: web.Request) -> web.Response:
        body = {
            "apiVersion": _API,
            "timestamp": unix_date(time.time()),
            "serviceName": self._view.service_key,
        }
        return _json(body, {_CORRELATION: _correlation(request)})

    async def version(self, request: web.Request) -> web.Response:
        view = self._view
        body = {
            "apiVersion": _API,
            "version": view.version,
            "serviceName": view.service_key,
            "sdk_version": view.sdk_version,
        }
        return _json(body, {_CORRELATION: _correlation(request)})

    async def config(self, request: web.Request) -> web.Response:
        shown = redact(self._view.config())
        body = {"apiVersion": _API, "config": shown, "serviceName": self._view.service_key}
        return _json(body, {_CORRELATION: _correlation(request)})

    async def bindings(self, request: web.Request) -> web.Response:
        return _bindings(request, [redact(binding) for binding in self._view.bindings()])

    async def device(self, request: web.Request) -> web.Response:
        name = request.match_info["device"]
        found = [redact(binding) for binding in self._view.bindings(name)]
        if found:
            return _bindings(request, found)
        return _failure(404, f"no binding knows a device {name!r}", _own(request))

    async def traffic(self, request: web.Request) -> web.Response:
        return _json({"apiVersion": _API, "statusCode": 200, **self._view.traffic()}, _own(request))

    async def metrics(self, request: web.Request) -> web.Response:
        points = [*prometheus.process(self._view.version), *await self._view.points()]
        text = prometheus.render(points)
        return web.Response(body=text.encode(), headers={"Content-Type": prometheus.CONTENT_TYPE})

    async def ready(self, request: web.Request) -> web.Response:
        ready, reasons = self._view.ready()
        body = {"apiVersion": _API, "ready": ready, "reasons": list(reasons)}
        return _json(body, _own(request), status=200 if ready else 503)

    async def live(self, request: web.Request) -> web.Response:
        return _json({"apiVersion": _API, "live": True}, _own(request))


def unix_date(seconds: float) -> str:
    """`Tue Nov  3 02:10:24 UTC 2026`, whatever the locale."""
    at = time.gmtime(seconds)
    clock = f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}"
    return f"{_DAYS[at.tm_wday]} {_MONTHS[at.tm_mon - 1]} {at.tm_mday:2d} {clock} UTC {at.tm_year}"


def guard(max_request_size: int) -> Middleware:
    """Answers in EdgeX's form where no page does: unknown path or method, too large (KB, 0: never), a surprise."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if max_request_size and (request.content_length or 0) > max_request_size << 10:
            message = f"request size exceeds Service.MaxRequestSize ({max_request_size} KB)"
            return _failure(413, message, _own(request))
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed as error:
            allow = {"Allow": ", ".join(("OPTIONS", *sorted(error.allowed_methods)))}
            if request.method == "OPTIONS":
                return web.Response(status=204, headers=allow)
            return _json({"message": "Method Not Allowed"}, allow, status=405, end=b"\n")
        except web.HTTPNotFound:
            return _json({"message": "Not Found"}, {}, status=404, end=b"\n")
        except web.HTTPException as error:
            return _failure(error.status, error.reason, _own(request))
        except Exception:  # noqa: BLE001 — a page must not show a surprise, and its text goes to the log
            _log.exception("%s %s failed", request.method, request.path)
            return _failure(500, "internal error, see the service's log", _own(request))

    return guarded


async def anonymous(_request: web.Request, response: web.StreamResponse) -> None:
    """No answer names the library that serves it, as EdgeX's own services do not."""
    response.headers.popall("Server", None)


def _bindings(request: web.Request, found: list[dict[str, Any]]) -> web.Response:
    body = {"apiVersion": _API, "statusCode": 200, "totalCount": len(found), "bindings": found}
    return _json(body, _own(request))


def _failure(status: int, message: str, headers: Mapping[str, str]) -> web.Response:
    return _json({"apiVersion": _API, "message": message, "statusCode": status}, headers, status=status)


def _json(
    body: Mapping[str, Any], headers: Mapping[str, str], *, status: int = 200, end: bytes = b""
) -> web.Response:
    text = msgspec.json.encode(body) + end
    return web.Response(body=text, status=status, headers=headers, content_type="application/json")


def _correlation(request: web.Request) -> str:
    given = request.headers.get(_CORRELATION, "")
    return given if _ECHOED.fullmatch(given) else ""


def _own(request: web.Request) -> dict[str, str]:
    return {_CORRELATION: _correlation(request) or str(uuid.uuid4())}
