"""Requests and answers in core-keeper's spelling."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

API = "/api/v3"
CORRELATION = "X-Correlation-ID"
_JSON = {"Content-Type": "application/json"}
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("", "0", "f", "F", "false", "FALSE", "False"), False),
}


class Refused(Exception):
    """A call that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call being answered."""

    request: web.Request
    correlation: str

    def flag(self, name: str) -> bool:
        """A switch of the query; raises Refused for a word that is none."""
        text = self.request.query.get(name, "")
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        told = f'strconv.ParseBool: parsing "{text}": invalid syntax'
        raise Refused(400, f"failed to parse querystring {name} into bool. Error:{told}")

    async def body(self) -> dict[str, Any]:
        """The object in the body; raises Refused."""
        try:
            given = msgspec.json.decode(await self.request.read())
        except ValueError as error:
            raise Refused(500, "unexpected EOF") from error
        if not isinstance(given, dict):
            raise Refused(400, "Failed to unmarshal request body as JSON.")
        return given


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path below /api/v3, and who answers there; what it raises is answered by the server."""

    method: str
    path: str
    handle: Callable[[Call], Awaitable[web.Response]]


def answer(call: Call, status: int, **more: Any) -> web.Response:
    """An answer with what every answer has."""
    return told(status, {"apiVersion": "v3", **more, "statusCode": status}, {CORRELATION: call.correlation})


def nothing(call: Call, status: int) -> web.Response:
    """An answer without a body."""
    return web.Response(status=status, headers={CORRELATION: call.correlation, **_JSON})


def told(status: int, document: Any, headers: dict[str, str]) -> web.Response:
    """JSON as Go's encoder ends it."""
    body = msgspec.json.encode(document) + b"\n"
    return web.Response(status=status, body=body, headers={**_JSON, **headers})


def go_number(value: float) -> str:
    """A number after Go has read it as a float64."""
    real = float(value)
    return str(int(real)) if real.is_integer() and abs(real) < 1e21 else repr(real)
