"""HTTP to one of EdgeX's services, with its way of failing: away, or an answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from edgex_inference.contracts.errors import RegistryUnavailable
from edgex_inference.edgex.bodies import whole
from edgex_inference.edgex.ids import new_id

_PATIENCE = 10.0
_MOST = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; `index` is Consul's number of the state that it describes."""

    status: int
    body: bytes
    index: int = 0

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The decoded body; raises RegistryUnavailable where it is no JSON."""
        try:
            return msgspec.json.decode(self.body)
        except (ValueError, RecursionError) as error:
            raise RegistryUnavailable(f"an answer that is no JSON: {self.body[:80]!r}") from error


@dataclass(slots=True)
class Rest:
    """One server, `name` for messages; opens its connections with the first call."""

    name: str
    base: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    _session: aiohttp.ClientSession | None = None

    def __str__(self) -> str:
        return f"{self.name} at {self.base}"

    async def call(
        self, method: str, path: str, *, query: str = "", body: Any = None, patience: float = _PATIENCE
    ) -> Answer:
        """The answer, whatever its status; `path` and `query` are sent as they are.

        Raises RegistryUnavailable when there is none within `patience` seconds. A `body` of bytes goes out as it is,
        anything else as JSON.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession()
        url = URL(f"{self.base}{path}{'?' if query else ''}{query}", encoded=True)
        headers = {"X-Correlation-ID": new_id(), **self.headers}
        data = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        if data is not None and not isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
        limit = aiohttp.ClientTimeout(total=patience)
        try:
            async with self._session.request(
                method, url, data=data, headers=headers, timeout=limit
            ) as answer:
                content = await whole(answer, _MOST)
                index = answer.headers.get("X-Consul-Index", "0")
                return Answer(status=answer.status, body=content, index=int(index) if index.isdigit() else 0)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise RegistryUnavailable(f"{self} does not answer: {reason}") from error

    def failed(self, what: str, answer: Answer) -> RegistryUnavailable:
        """An answer that is no answer, as an error to raise."""
        said = answer.body.decode(errors="replace").strip()[:200]
        return RegistryUnavailable(f"{self}: {what}: status {answer.status} {said}".strip())

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
