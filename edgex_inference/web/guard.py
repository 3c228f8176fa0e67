"""What stands around every page: size, time, other origins, unknown paths, surprises."""

import asyncio
import logging
from contextlib import nullcontext

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from edgex_inference.config.schema import CorsConfiguration, Service
from edgex_inference.web import answers
from edgex_inference.web.view import View

_ASKED = "Access-Control-Request-Method"

_log = logging.getLogger(__name__)


def guard(view: View, service: Service, *, largest: int) -> Middleware:
    """Answers in EdgeX's form where no page does; `largest` is a body's limit in KB when Service has none."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        limit = service.max_request_size
        if limit and (request.content_length or 0) > limit << 10:
            return _too_large(request, limit, largest)
        try:
            async with asyncio.timeout(service.request_timeout) if service.request_timeout else nullcontext():
                return await handler(request)
        except TimeoutError:
            return web.Response(status=503, text="request timeout")
        except web.HTTPMethodNotAllowed as error:
            return _not_allowed(request, error, old=view.major == "2")
        except web.HTTPNotFound:
            if view.major == "2" and answers.api_version(request) == "v2":
                return web.Response(status=404, text="404 page not found\n")
            return answers.json({"message": "Not Found"}, {}, status=404, end=b"\n")
        except web.HTTPRequestEntityTooLarge:
            return _too_large(request, limit, largest)
        except web.HTTPException as error:
            return answers.failure(request, error.status, error.reason, answers.correlated(request))
        except Exception:  # noqa: BLE001 — a page must not show a surprise, and its text goes to the log
            _log.exception("%s %s failed", request.method, request.path)
            message = "internal error, see the service's log"
            return answers.failure(request, 500, message, answers.correlated(request))

    return guarded


def _not_allowed(request: web.Request, error: web.HTTPMethodNotAllowed, *, old: bool) -> web.Response:
    if old and answers.api_version(request) == "v2":
        return web.Response(status=405)
    allow = {"Allow": ", ".join(("OPTIONS", *sorted(error.allowed_methods)))}
    if request.method == "OPTIONS":
        return web.Response(status=204, headers=allow)
    return answers.json({"message": "Method Not Allowed"}, allow, status=405, end=b"\n")


def _too_large(request: web.Request, limit: int, largest: int) -> web.Response:
    setting = f"Service.MaxRequestSize ({limit} KB)" if limit else f"Inference.MaxMessageSize ({largest} KB)"
    message = f"request size exceeds {setting}"
    return answers.failure(request, 413, message, answers.correlated(request))


def cors(settings: CorsConfiguration) -> Middleware:
    """What a browser asks for and is told when a page of another origin calls; EdgeX's own rules."""

    @web.middleware
    async def told(request: web.Request, handler: Handler) -> web.StreamResponse:
        foreign = settings.enable_cors and request.headers.get("Origin", "") != ""
        before = request.method == "OPTIONS" and request.headers.get(_ASKED, "") != ""
        answer = web.Response() if before else await handler(request)
        if foreign:
            answer.headers.update(_headers(settings, before=before))
        return answer

    return told


def _headers(settings: CorsConfiguration, *, before: bool) -> dict[str, str]:
    """`before`: the browser asks whether it may; empty settings are not told."""
    told = {"Access-Control-Allow-Origin": settings.cors_allowed_origin}
    if settings.cors_allow_credentials:
        told["Access-Control-Allow-Credentials"] = "true"
    if before:
        told["Access-Control-Allow-Methods"] = settings.cors_allowed_methods
        told["Access-Control-Allow-Headers"] = settings.cors_allowed_headers
        told["Access-Control-Max-Age"] = str(settings.cors_max_age or "")
    else:
        told["Access-Control-Expose-Headers"] = settings.cors_expose_headers
    return {name: value for name, value in told.items() if value} | {"Vary": "Origin"}


async def anonymous(_request: web.Request, response: web.StreamResponse) -> None:
    """No answer names the library that serves it, as EdgeX's own services do not."""
    response.headers.popall("Server", None)
