"""core-metadata over REST: its version, whole lists page by page, and device profiles one by one."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from edgex_inference.contracts.errors import MetadataUnavailable
from edgex_inference.edgex.bodies import whole, words
from edgex_inference.edgex.ids import new_id
from edgex_inference.edgex.metadata.records import Kind, Record, name_of
from edgex_inference.edgex.providers.ports import Locate

_PAGE = 500
_SMALL_PAGE = 20
"""Records asked for at once, and where core-metadata's MaxResultCount allows no more than EdgeX's default page."""

_TRIES = 3
"""Readings of a list that changes while it is read; what is missed after that the next reconcile finds."""

_MOST_BYTES = 256 << 20
_LISTS: Mapping[Kind, tuple[str, str]] = {
    "profile": ("deviceprofile", "profiles"),
    "device": ("device", "devices"),
    "service": ("deviceservice", "services"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of something that was written: EdgeX's status of that element, and what it says."""

    status: int
    message: str = ""

    @property
    def ok(self) -> bool:
        return self.status < 300


class MetadataClient:
    """Talks to the core-metadata at `url`; every call raises MetadataUnavailable when it is not to be had.

    `timeout` (s) is for one answer. `version` is asked first: it finds out whether the paths are EdgeX 2's, and where
    core-metadata is by now, as far as `locate` knows better than `url`.
    """

    def __init__(self, url: str, *, timeout: float = 5.0, locate: Locate | None = None) -> None:
        self.url = url
        self._locate = locate
        self.api = "v3"
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Legal at any time, more than once."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def version(self) -> str:
        """The release that runs there, such as `4.0.2`; `/api/v3` does not tell, EdgeX 4 has it too."""
        if self._locate is not None:
            self.url = await self._locate() or self.url
        for api in ("v3", "v2"):
            status, body = await self._call("GET", f"/api/{api}/version")
            if status == 200:
                self.api = api
                found = body.get("version") if isinstance(body, Mapping) else None
                if isinstance(found, str) and body.get("serviceName", "core-metadata") == "core-metadata":
                    return found
                raise self._away("answers, but is no core-metadata: look at Clients.core-metadata")
            if status != 404:
                break
        raise self._away(f"answers GET /version with HTTP {status}")

    async def all(self, kind: Kind) -> Sequence[Record]:
        """Every profile, device or device service, each name once."""
        for _ in range(_TRIES):
            found, total = await self._pages(kind)
            if len(found) == total:
                break
        return tuple(found.values())

    async def profile(self, name: str) -> Record | None:
        """A whole device profile, None when there is none of that name."""
        status, body = await self._call("GET", self._path(f"deviceprofile/name/{quote(name, safe='')}"))
        if status == 404:
            return None
        found = body.get("profile") if isinstance(body, Mapping) else None
        if status != 200 or not isinstance(found, Mapping):
            raise self._away(f"answers GET /deviceprofile/name with HTTP {status}")
        return found

    async def add_profile(self, profile: Record) -> Verdict:
        """Adds a device profile; 409 when its name is taken."""
        return await self._write("POST", profile)

    async def replace_profile(self, profile: Record) -> Verdict:
        """Replaces a device profile; without the `id` that it was read with EdgeX 4.0.2 would lose it."""
        return await self._write("PUT", profile)

    async def _write(self, method: str, profile: Record) -> Verdict:
        asked = [{"apiVersion": self.api, "requestId": new_id(), "profile": profile}]
        status, body = await self._call(method, self._path("deviceprofile"), asked)
        element = body[0] if isinstance(body, list) and body else body
        if not isinstance(element, Mapping):
            raise self._away(f"answers {method} /deviceprofile with HTTP {status}")
        code = element.get("statusCode", status)
        return Verdict(
            status=code if isinstance(code, int) else status, message=str(element.get("message", ""))
        )

    async def _pages(self, kind: Kind) -> tuple[dict[str, Record], int]:
        path, key = _LISTS[kind]
        found: dict[str, Record] = {}
        offset, total, size = 0, 1, _PAGE
        while offset < total:
            status, body = await self._call(
                "GET", self._path(f"{path}/all"), query={"offset": str(offset), "limit": str(size)}
            )
            if status == 400 and size > _SMALL_PAGE:  # more than its MaxResultCount
                size = _SMALL_PAGE
                continue
            if status == 416:  # the list became shorter
                break
            records = (body.get(key) or ()) if isinstance(body, Mapping) else None
            if status != 200 or not isinstance(records, list | tuple):
                raise self._away(f"answers GET /{path}/all with HTTP {status}")
            found.update((name_of(one), one) for one in records if isinstance(one, Mapping) and name_of(one))
            given = body.get("totalCount", len(records)) if isinstance(body, Mapping) else 0
            total = given if isinstance(given, int) else 0
            if not records:
                break
            offset += len(records)
        return found, total

    def _path(self, rest: str) -> str:
        return f"/api/{self.api}/{rest}"

    async def _call(
        self, method: str, path: str, body: object = None, *, query: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and decoded answer; None for an answer that is no JSON, as of EdgeX's time limit."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout))
        headers = {"X-Correlation-ID": new_id()}
        data = None
        if body is not None:
            data, headers["Content-Type"] = msgspec.json.encode(body), "application/json"
        try:
            async with self._session.request(
                method, self.url + path, data=data, params=query, headers=headers
            ) as answer:
                raw = await whole(answer, _MOST_BYTES)
        except TimeoutError as error:
            raise self._away(f"does not answer within {self._timeout:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._away(words(error)) from error
        try:
            decoded = await asyncio.to_thread(msgspec.json.decode, raw) if len(raw) > 65536 else _decoded(raw)
        except msgspec.DecodeError as error:
            if answer.status == 200:
                raise self._away(f"answers with something that is no JSON: {error}") from error
            return answer.status, None
        return answer.status, decoded

    def _away(self, why: str) -> MetadataUnavailable:
        return MetadataUnavailable(f"core-metadata at {self.url} {why}")


def _decoded(raw: bytes) -> Any:
    return msgspec.json.decode(raw)
