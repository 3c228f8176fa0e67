"""core-metadata on the bus: system events, and asking device services whether they take a device."""

import asyncio
import base64
import logging
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from edgex_inference.contracts.bus import Bus
from edgex_inference.contracts.errors import MessageError, TransportError
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import envelope, topics
from edgex_inference.edgex.ids import new_id
from edgex_inference.testing.metadata.shapes import Document
from edgex_inference.testing.metadata.state import Refused, State

_log = logging.getLogger(__name__)
SOURCE = "core-metadata"


class Unanswered(Exception):
    """The device service said nothing within the time of a request."""


class Announcer:
    """What the double says on its bus; without a bus it says nothing and every device is valid.

    It writes envelopes by itself, so that what the project reads was not written by the project.
    """

    def __init__(self, bus: Bus | None, state: State, *, base_topic: str) -> None:
        self._bus = bus
        self._generation = state.generation
        self._base = base_topic
        self._policies = state.policies
        self._faults = state.faults

    async def announce(
        self, kind: str, action: str, owner: str, details: Document, *, profile: str = "", correlation: str
    ) -> None:
        """The system event `<kind>/<action>` to `owner`; one that cannot be sent is logged and forgotten."""
        if self._bus is None or self._faults.silent:
            return
        names = [self._level(name) for name in (owner, profile) if name]
        levels = [self._base, "system-events", SOURCE, kind, action, *names]
        event = {
            "apiVersion": "v3",
            "type": kind,
            "action": action,
            "source": SOURCE,
            "owner": owner,
            "tags": None,
            "details": details,
            "timestamp": time.time_ns(),
        }
        try:
            await self._bus.publish(self._message("/".join(levels), event, correlation))
        except (TransportError, MessageError) as error:
            _log.warning("core-metadata double: a system event is lost: %s", error)

    async def validate(self, device: Document) -> None:
        """Returns when the device's service takes it; raises Refused (500) when not, Unanswered without a word."""
        if self._bus is None:
            return
        request = new_id()
        asked = {"apiVersion": "v3", "requestId": new_id(), "device": device}
        level = self._level(device["serviceName"])
        message = self._message(f"{self._base}/{level}/validate/device", asked, new_id(), request)
        async with self._bus.subscribe(f"{self._base}/response/{level}/{request}") as bursts:
            try:
                async with asyncio.timeout(self._policies.request_timeout):
                    await self._bus.publish(message)
                    answer = await _answer(bursts, request)
            except (TimeoutError, TransportError) as error:
                raise Unanswered from error
        if answer.error_code:
            payload = answer.payload if isinstance(answer.payload, bytes) else b""
            text = payload if self._generation.four else base64.b64decode(payload)
            said = text.decode(errors="replace")
            raise Refused(500, f"Device {device['name']} validation failed: {said}")

    def _level(self, name: str) -> str:
        return topics.escape(name) if self._policies.escape_names else name

    def _message(self, topic: str, payload: Document, correlation: str, request: str = "") -> Message:
        body: Any = payload
        if not self._generation.four:
            body = base64.b64encode(msgspec.json.encode(payload)).decode()
        wrapped = {
            "apiVersion": "v3",
            "receivedTopic": "",
            "correlationID": correlation,
            "requestID": request,
            "errorCode": 0,
            "payload": body,
            "contentType": "application/json",
        }
        return Message(topic, msgspec.json.encode(wrapped))


async def _answer(bursts: AsyncIterator[Sequence[Message]], request: str) -> envelope.Envelope:
    """The first envelope with this request id; Go's refusals have a correlation id of their own."""
    async for messages in bursts:
        for message in messages:
            try:
                found = envelope.read(message)
            except MessageError as error:
                _log.warning("core-metadata double: an answer is no envelope: %s", error)
                continue
            if found.request_id == request:
                return found
    raise TimeoutError
