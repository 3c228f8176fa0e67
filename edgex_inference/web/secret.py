"""`POST /secret`: EdgeX's way to give a service a secret of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from edgex_inference.edgex.ids import is_id
from edgex_inference.web import answers
from edgex_inference.web.view import View

_REFUSED = "JSON decode failed"
"""EdgeX's own words; what follows them says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    name: str
    values: Mapping[str, str]
    request_id: str


async def store(view: View, request: web.Request) -> web.Response:
    """Keeps the values, in memory and at the configuration provider; those that are not named stay."""
    try:
        asked = _read(await request.read(), old=answers.api_version(request) == "v2")
    except ValueError as error:
        return answers.failure(request, 400, f"{_REFUSED}: {error}", answers.echoed(request))
    fault = await view.store_secret(asked.name, asked.values)
    if fault:
        return answers.failure(
            request, 500, f"in force, but gone at the next start: {fault}", answers.echoed(request)
        )
    body: dict[str, Any] = {"apiVersion": answers.api_version(request)}
    if asked.request_id:
        body["requestId"] = asked.request_id
    return answers.json({**body, "statusCode": 201}, answers.echoed(request), status=201)


def _read(raw: bytes, *, old: bool) -> _Asked:
    """Raises ValueError; EdgeX 2.0 calls the name `path`. Keys are taken in any case, as Go does."""
    try:
        found = _keys(msgspec.json.decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from None
    _text(found, "apiVersion")
    request_id = found.get("requestid")
    if request_id not in (None, "") and not (isinstance(request_id, str) and is_id(request_id)):
        raise ValueError("requestId must be a UUID or left out")
    named = "path" if old and "path" in found else "secretName"
    data = found.get("secretdata")
    if not isinstance(data, list) or not data:
        raise ValueError("secretData must be a list of at least one key and value")
    pairs = [_keys(one) for one in data]
    return _Asked(
        name=_text(found, named).strip(),
        values={_text(one, "key"): _text(one, "value") for one in pairs},
        request_id=request_id or "",
    )


def _keys(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} where an object belongs")
    return {key.lower(): item for key, item in value.items()}


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name.lower())
    if not isinstance(value, str) or not value or (not value.strip() and name in ("secretName", "path")):
        raise ValueError(f"{name} must be a text that is not empty")
    return value
