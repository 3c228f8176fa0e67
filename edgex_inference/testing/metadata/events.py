"""core-metadata on the bus: system events, and asking device services whether they take a device."""

import asyncio
import base64
import logging
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import cbor2
import msgspec

from edgex_inference.contracts.bus import Bus
from edgex_inference.contracts.errors import MessageError, TransportError
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import envelope, topics
from edgex_inference.edgex.ids import new_id
from edgex_inference.testing.metadata.shapes import Document
from edgex_inference.testing.metadata.state import Refused, State
from edgex_inference.testing.metadata.two.callbacks import Callbacks

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
        self._services = state.services
        self._callbacks = Callbacks()

    async def announce(
        self, kind: str, action: str, owner: str, details: Document, *, profile: str = "", correlation: str
    ) -> None:
        """The system event `<kind>/<action>` to `owner`; one that cannot be sent is logged and forgotten.

        EdgeX 2 calls the device service instead; 2.3 tells everybody of devices as well.
        """
        if self._faults.silent:
            return
        if self._generation.two and owner in self._services:
            address = self._services.get(owner)["baseAddress"]
            self._callbacks.tell(address, kind, action, details, correlation)
        if self._bus is None or self._generation.first or (self._generation.two and kind != "device"):
            return
        names = [self._level(name) for name in (owner, profile) if name]
        levels = [self._base, "system-events", SOURCE, kind, action, *names]
        event = {
            "apiVersion": self._generation.api_version,
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
        if self._generation.two:
            await self._validate_by_call(device)
            return
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
            bare = self._generation.four or self._policies.headers
            text = payload if bare else base64.b64decode(payload)
            said = text.decode(errors="replace")
            raise Refused(500, f"Device {device['name']} validation failed: {said}")

    async def _validate_by_call(self, device: Document) -> None:
        """2.3 asks over REST, and takes silence for consent; 2.1 does not ask."""
        if self._generation.first:
            return
        if await self._callbacks.refusal(self._services.get(device["serviceName"])["baseAddress"], device):
            raise Refused(500, "device validation failed")

    async def over(self) -> None:
        """Returns when no call to a device service is under way."""
        await self._callbacks.over()

    def _level(self, name: str) -> str:
        return topics.escape(name) if self._policies.escape_names else name

    def _message(self, topic: str, payload: Document, correlation: str, request: str = "") -> Message:
        if self._policies.headers:
            return _in_headers(topic, payload, self._generation.api_version, correlation, request)
        body: Any = payload
        if not self._generation.four:
            body = base64.b64encode(msgspec.json.encode(payload)).decode()
        if self._generation.two:
            return Message(topic, msgspec.json.encode(_wrapped_by_2_3(body, correlation)))
        wrapped = {
            "apiVersion": "v3",
            "receivedTopic": "",
            "correlationID": correlation,
            "requestID": request,
            "errorCode": 0,
            "payload": body,
            "contentType": "application/json",
        }
        if self._policies.cbor_messages and self._generation.four:
            return Message(topic, cbor2.dumps(wrapped | {"contentType": "application/cbor"}))
        return Message(topic, msgspec.json.encode(wrapped))


def _in_headers(topic: str, payload: Document, version: str, correlation: str, request: str) -> Message:
    headers = {
        "ApiVersion": version,
        "Content-Type": "application/json",
        "ErrorCode": "0",
        "RequestId": request,
        "X-Correlation-ID": correlation,
    }
    return Message(topic, msgspec.json.encode(payload), headers)


def _wrapped_by_2_3(body: str, correlation: str) -> Document:
    return {
        "ReceivedTopic": "",
        "CorrelationID": correlation,
        "ApiVersion": "v2",
        "RequestID": "",
        "ErrorCode": 0,
        "Payload": body,
        "ContentType": "application/json",
        "QueryParams": {},
    }


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
