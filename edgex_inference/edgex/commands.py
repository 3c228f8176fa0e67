"""Reading a device through core-command: what it shows now, without an event on the bus."""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from edgex_inference.contracts.errors import EnvelopeError, SourceUnavailable
from edgex_inference.contracts.events import Event
from edgex_inference.edgex import events
from edgex_inference.edgex.bodies import whole
from edgex_inference.edgex.dialect import Major
from edgex_inference.edgex.envelope import Envelope
from edgex_inference.edgex.ids import new_id
from edgex_inference.edgex.providers.ports import Locate

_MOST_BYTES = 64 << 20
_AGAIN = 30.0
"""Seconds between two questions where core-command is."""


class CommandClient:
    """GETs through the core-command at `url`, or where `locate` knows it; `major` tells its paths and words."""

    def __init__(self, url: str, *, locate: Locate | None = None) -> None:
        self.url = url
        self._locate = locate
        self._asked_at = float("-inf")
        self.major: Major | None = None
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Legal at any time, more than once."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, device: str, command: str, query: Mapping[str, str], *, timeout: float) -> Event:
        """The event that the device answers with; raises SourceUnavailable, EnvelopeError for a strange answer.

        Nothing of it goes to the bus. `timeout` is in seconds.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession()
        await self._look_up()
        api, push, give = ("v2", "no", "yes") if self.major == "2" else ("v3", "false", "true")
        path = f"/api/{api}/device/name/{quote(device, safe='')}/{quote(command, safe='')}"
        asked = {**query, "ds-pushevent": push, "ds-returnevent": give}
        where = f"{device}: GET {command} from core-command at {self.url}"
        try:
            async with self._session.get(
                self.url + path,
                params=asked,
                headers={"X-Correlation-ID": new_id()},
                timeout=aiohttp.ClientTimeout(total=timeout),
            ) as answer:
                body = await whole(answer, _MOST_BYTES)
        except TimeoutError as error:
            raise SourceUnavailable(f"{where}: no answer within {timeout:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SourceUnavailable(f"{where}: {error}") from error
        if answer.status != 200:
            raise SourceUnavailable(f"{where}: HTTP {answer.status}{_said(body)}")
        found = events.read(Envelope(topic=where, content_type=answer.content_type, payload=body or None))
        if found is None:
            raise EnvelopeError(where, "the answer holds no event", reason="event")
        return found

    async def _look_up(self) -> None:
        """Asks the registry now and then where core-command is by now."""
        now = time.monotonic()
        if self._locate is not None and now - self._asked_at >= _AGAIN:
            self._asked_at = now
            self.url = await self._locate() or self.url


def _said(body: bytes) -> str:
    """What an EdgeX error says."""
    try:
        found: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return ""
    message = found.get("message") if isinstance(found, dict) else None
    return f": {message:.300}" if isinstance(message, str) else ""
