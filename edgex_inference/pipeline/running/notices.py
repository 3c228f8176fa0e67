"""What a binding that does not answer says to each device: once, and again with keepAlive."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any

from edgex_inference.contracts.bindings import Binding
from edgex_inference.contracts.errors import MessageError, TransportError
from edgex_inference.pipeline.emission import INACTIVE, Outlet

log = logging.getLogger(__name__)

_MOST_DEVICES = 10_000
"""Devices that are remembered as told."""


class Notices:
    """Publishes `inactive` with its reason for devices whose events are refused."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._told: dict[str, bool] = {}
        self._repeating: asyncio.Task[None] | None = None
        self._outgoing: set[asyncio.Task[None]] = set()

    def tell(self, binding: Binding, device: str, reason: str, *, origin: int) -> None:
        """Tells a device, unless it knows."""
        if not self._told.get(device) and len(self._told) < _MOST_DEVICES:
            self._told[device] = True
            self._start(self._publish(binding, device, reason, origin))

    def repeat(self, binding: Binding, reason: str) -> None:
        """A new reason: every device is told anew with its next event, and again with keepAlive."""
        self.forget()
        keep_alive = binding.publish.keep_alive
        if keep_alive is not None:
            self._repeating = asyncio.create_task(
                self._repeat(binding, reason, keep_alive), name=f"{binding.name} keepAlive"
            )

    def farewell(self, binding: Binding, devices: Iterable[str], reason: str) -> None:
        """Tells the devices that a binding answered so far that it does so no more."""
        self._start(self._tell_all(binding, tuple(devices), reason))

    def forget(self) -> None:
        """The reason does not hold any more."""
        self._told.clear()
        if self._repeating is not None:
            self._repeating.cancel()
            self._repeating = None

    def forget_one(self, device: str) -> None:
        """What a device was told does not hold any more."""
        self._told.pop(device, None)

    def close(self) -> None:
        """Ends what repeats."""
        if self._repeating is not None:
            self._repeating.cancel()
            self._repeating = None

    async def drain(self) -> None:
        """Returns when everything said so far is out."""
        if self._outgoing:
            await asyncio.wait(tuple(self._outgoing))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="status")
        self._outgoing.add(task)
        task.add_done_callback(self._outgoing.discard)

    async def _repeat(self, binding: Binding, reason: str, keep_alive: float) -> None:
        while True:
            await asyncio.sleep(keep_alive)
            await self._tell_all(binding, tuple(self._told), reason)

    async def _tell_all(self, binding: Binding, devices: tuple[str, ...], reason: str) -> None:
        for device in devices:
            await self._publish(binding, device, reason, self._outlet.wall_clock())

    async def _publish(self, binding: Binding, device: str, reason: str, origin: int) -> None:
        messages = self._outlet.sender.status(binding, device, INACTIVE, reason, origin=origin)
        try:
            await self._outlet.publish(messages)
        except TransportError:
            self._told.pop(device, None)  # its next event tries again
        except MessageError as error:
            log.debug("binding %s: status not published: %s", binding.name, error)
