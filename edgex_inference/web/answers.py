"""How an answer is written: EdgeX's bodies, its error object, the correlation id."""

import re
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

CORRELATION = "X-Correlation-ID"
_ECHOED = re.compile(r"[\x20-\x7e]{0,256}")


def api_version(request: web.Request) -> str:
    """`v2` below /api/v2, else `v3`."""
    return "v2" if request.path.startswith("/api/v2/") else "v3"


def echoed(request: web.Request) -> dict[str, str]:
    """The caller's correlation id or an empty one, as EdgeX's common endpoints answer."""
    given = request.headers.get(CORRELATION, "")
    return {CORRELATION: given if _ECHOED.fullmatch(given) else ""}


def correlated(request: web.Request) -> dict[str, str]:
    """The caller's correlation id or a new one, as EdgeX's other endpoints answer."""
    return {CORRELATION: echoed(request)[CORRELATION] or str(uuid.uuid4())}


def json(
    body: Mapping[str, Any], headers: Mapping[str, str], *, status: int = 200, end: bytes = b""
) -> web.Response:
    """A body as JSON."""
    text = msgspec.json.encode(body) + end
    return web.Response(body=text, status=status, headers=headers, content_type="application/json")


def failure(
    request: web.Request, status: int, message: str, headers: Mapping[str, str], **more: Any
) -> web.Response:
    """EdgeX's error object."""
    body = {"apiVersion": api_version(request), "message": message, "statusCode": status, **more}
    return json(body, headers, status=status)
