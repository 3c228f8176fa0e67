"""The registry: who is where, and whether it answers."""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from edgex_inference.config import durations
from edgex_inference.testing.keeper.calls import Call, Refused, Route, answer, nothing

_REQUEST = "AddRegistrationRequest"
_DURATION = re.compile(r"([0-9.]+(ns|us|µs|ms|s|m|h))+")
_BAD_INTERVAL = (
    "field should follows the ISO 8601 Durations format, e.g.,100ms, 24h, or be greater than or equal to the "
    "minimum value  "
)


@dataclass(slots=True)
class Registered:
    """A service as it registered, in the order in which answers show it."""

    service: str
    host: str
    port: int
    interval: str
    path: str
    scheme: str
    status: str = "UNKNOWN"
    created: int = 0
    modified: int = 0

    def document(self) -> dict[str, Any]:
        return {
            "created": self.created,
            "modified": self.modified,
            "serviceId": self.service,
            "status": self.status,
            "host": self.host,
            "port": self.port,
            "HealthCheck": {"interval": self.interval, "path": self.path, "type": self.scheme},
        }

    def touch(self, status: str) -> None:
        self.status = status
        self.modified = int(time.time() * 1000)


@dataclass(slots=True)
class Registry:
    """Everybody who registered, and the health checks that are under way."""

    entries: dict[str, Registered] = field(default_factory=dict)
    _checks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def routes(self) -> Sequence[Route]:
        one = "/registry/serviceId/{service}"
        return (
            Route("POST", "/registry", self._add),
            Route("PUT", "/registry", self._update),
            Route("GET", "/registry/all", self._all),
            Route("GET", one, self._get),
            Route("DELETE", one, self._remove),
        )

    def resume(self) -> None:
        """Takes up the health checks of everybody who is there."""
        for entry in self.entries.values():
            self._check(entry)

    async def end(self) -> None:
        checks, self._checks = list(self._checks.values()), {}
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)

    async def _add(self, call: Call) -> web.Response:
        entry = _read(await call.body())
        if entry.service in self.entries:
            raise Refused(409, f"registry with service id '{entry.service}' already exists")
        entry.touch("UNKNOWN")
        entry.created = entry.modified
        self.entries[entry.service] = entry
        self._check(entry)
        return answer(call, 201, serviceName=entry.service)

    async def _update(self, call: Call) -> web.Response:
        entry = _read(await call.body())
        known = self.entries.pop(entry.service, None)
        if known is None:
            raise Refused(404, f"service id '{entry.service}' not found from registry table")
        entry.created = known.created
        entry.touch(entry.status or "UNKNOWN")
        self.entries[entry.service] = entry
        self._check(entry)
        return nothing(call, 204)

    async def _all(self, call: Call) -> web.Response:
        gone = call.flag("deregistered")
        found = [one.document() for one in self.entries.values() if gone or one.status != "HALT"]
        return answer(call, 200, totalCount=len(found), registrations=found)

    async def _get(self, call: Call) -> web.Response:
        known = self.entries.get(call.request.match_info["service"])
        if known is None:
            raise Refused(404, "registration not found by serviceId")
        return answer(call, 200, registration=known.document())

    async def _remove(self, call: Call) -> web.Response:
        service = call.request.match_info["service"]
        if self.entries.pop(service, None) is None:
            raise Refused(404, f"service id '{service}' not found from registry table")
        if (check := self._checks.pop(service, None)) is not None:
            check.cancel()
        return nothing(call, 204)

    def _check(self, entry: Registered) -> None:
        """Starts the health checks of a service over, or ends them."""
        if (running := self._checks.pop(entry.service, None)) is not None:
            running.cancel()
        if entry.status != "HALT":
            self._checks[entry.service] = asyncio.create_task(_watch(entry), name=f"health {entry.service}")


async def _watch(entry: Registered) -> None:
    """Asks every half interval until the service is up for the first time, then every interval."""
    interval = durations.seconds(entry.interval)
    pause = interval / 2
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as session:
        while True:
            await asyncio.sleep(pause)
            up = await _answers(session, f"{entry.scheme}://{entry.host}:{entry.port}{entry.path}")
            entry.touch("UP" if up else "DOWN")
            pause = interval if up else pause


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return 200 <= response.status < 300
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return False


def _read(body: dict[str, Any]) -> Registered:
    given = {key.lower(): value for key, value in (body.get("registration") or {}).items()}
    check = {key.lower(): value for key, value in (given.get("healthcheck") or {}).items()}
    wrong = list(_wrong(body, given, check))
    if wrong:
        raise Refused(400, "; ".join(wrong))
    return Registered(
        service=given["serviceid"],
        host=given["host"],
        port=given["port"],
        interval=check["interval"],
        path=check["path"],
        scheme=check["type"],
        status=given.get("status") or "",
    )


def _wrong(body: dict[str, Any], given: dict[str, Any], check: dict[str, Any]) -> Iterator[str]:
    if not body.get("apiVersion"):
        yield f"{_REQUEST}.BaseRequest.Versionable.ApiVersion field is required"
    for key in ("ServiceId", "Host", "Port"):
        if not given.get(key.lower()):
            yield f"{_REQUEST}.Registration.{key} field is required"
    for key in ("Interval", "Path", "Type"):
        if not check.get(key.lower()):
            yield f"{_REQUEST}.Registration.HealthCheck.{key} field is required"
        elif key == "Interval" and not _DURATION.fullmatch(str(check["interval"])):
            yield f"{_REQUEST}.Registration.HealthCheck.{key} {_BAD_INTERVAL}"
