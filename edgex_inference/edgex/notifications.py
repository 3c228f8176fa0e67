"""support-notifications over REST: what a person should hear of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
import msgspec

from edgex_inference.contracts.errors import NotificationsUnavailable
from edgex_inference.edgex.bodies import whole, words
from edgex_inference.edgex.dialect import Major
from edgex_inference.edgex.ids import new_id

Severity = Literal["MINOR", "NORMAL", "CRITICAL"]

_CATEGORY = "inference"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """EdgeX's own words; `labels` are what subscriptions choose by, of letters, digits and `-_~:;=` only."""

    content: str
    labels: Sequence[str]
    severity: Severity


class NotificationClient:
    """POSTs to the support-notifications at `url` as `sender`; `major` tells its paths. `timeout` in seconds."""

    def __init__(self, url: str, sender: str, *, timeout: float = 5.0) -> None:
        self.url = url
        self.major: Major | None = None
        self._sender = sender
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Legal at any time, more than once."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def post(self, notification: Notification) -> str:
        """Why it was refused, empty when it was taken; raises NotificationsUnavailable when it may be tried again."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        api = "v2" if self.major == "2" else "v3"
        try:
            async with self._session.post(
                f"{self.url}/api/{api}/notification",
                data=msgspec.json.encode([_request(notification, api, self._sender)]),
                headers={"Content-Type": "application/json", "X-Correlation-ID": new_id()},
            ) as answer:
                body = await whole(answer, _MOST_BYTES)
        except TimeoutError as error:
            raise self._away("does not answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._away(words(error)) from error
        status, message = _verdict(answer.status, body)
        if status >= 500 or status == 429:
            raise self._away(f"answers with HTTP {status}{message and f': {message}'}")
        return "" if status < 300 else f"HTTP {status}{message and f': {message}'}"

    def _away(self, why: str) -> NotificationsUnavailable:
        return NotificationsUnavailable(f"support-notifications at {self.url} {why}")


def _request(notification: Notification, api: str, sender: str) -> Any:
    return {
        "apiVersion": api,
        "requestId": new_id(),
        "notification": {
            "category": _CATEGORY,
            "labels": notification.labels,
            "content": notification.content,
            "contentType": "text/plain",
            "sender": sender,
            "severity": notification.severity,
        },
    }


def _verdict(status: int, body: bytes) -> tuple[int, str]:
    """What became of the one notification, and what EdgeX says to it: of a 207 the element counts."""
    try:
        found: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return (status, "") if status != 207 else (502, "no JSON")
    element = found[0] if isinstance(found, list) and found else found
    if not isinstance(element, dict):
        return (status, "") if status != 207 else (502, "nothing is said of the notification")
    code, message = element.get("statusCode", status), element.get("message")
    return (code if isinstance(code, int) else status), f"{message:.300}" if isinstance(message, str) else ""
