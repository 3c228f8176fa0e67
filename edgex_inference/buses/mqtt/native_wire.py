"""One connection of our own MQTT client: bytes in as bursts, bytes out once per turn of the loop."""

import asyncio
import socket
from typing import Protocol, cast

from edgex_inference.buses.mqtt.inbox import Burst, Inbox
from edgex_inference.buses.mqtt.link import QUICK_ACK, reason
from edgex_inference.buses.mqtt.packets import PING

_CROWDED = 65_536
"""Bytes written in one turn of the loop from which on publishers wait for the next."""
_HIGH = 262_144
"""Bytes that the kernel does not take from which on publishers wait."""
_FAREWELL = 1.0
"""Seconds that a goodbye may take."""


class Owner(Protocol):
    """Who the connection belongs to."""

    def received(self, wire: "Wire", burst: Burst) -> None:
        """Everything that one reading completed."""

    def roomy(self, wire: "Wire") -> None:
        """There is room for more."""

    def ended(self, wire: "Wire", why: str) -> None:
        """The connection is over; said once, and not after `abort`."""


class Wire(asyncio.BufferedProtocol):
    """Reads into one buffer, hands on bursts, joins what is sent in a turn of the loop into one write."""

    def __init__(self, owner: Owner, inbox: Inbox, sock: socket.socket) -> None:
        self._owner: Owner | None = owner
        self._inbox, self._sock = inbox, sock
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._size = 0
        self._paused = self._deaf = False
        self._room: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._keep_alive = 0.0
        self._asked_at = self._heard_at = self._sent_at = 0.0
        self.closed: asyncio.Future[None] = self._loop.create_future()

    # -- what asyncio calls -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's derive from nothing
        transport.set_write_buffer_limits(high=_HIGH)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._inbox.room()

    def buffer_updated(self, nbytes: int) -> None:
        self._heard_at, self._asked_at = self._loop.time(), 0.0
        burst = self._inbox.advance(nbytes)
        if QUICK_ACK is not None and self._sock.fileno() >= 0:
            self._sock.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)
        if self._owner is not None:
            self._owner.received(self, burst)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._make_room()

    def eof_received(self) -> None:
        """The transport closes itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self.closed.done():
            self.closed.set_result(None)
        self._end(reason(exc) if exc is not None else "the server ended the connection")

    # -- sending ----------------------------------------------------------------------------------------------

    def send(self, *pieces: bytes) -> None:
        """Goes out with everything else of this turn of the loop."""
        if not self._out:
            self._loop.call_soon(self.flush)
        for piece in pieces:
            self._size += len(piece)
        self._out += pieces

    def flush(self) -> None:
        """Writes what waits, at once."""
        if not self._out:
            return
        whole = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._size = 0
        if self._transport is not None and not self._transport.is_closing():
            self._sent_at = self._loop.time()
            self._transport.write(whole)
        if not self._paused:
            self._make_room()

    def crowded(self) -> bool:
        """Whether a publisher should wait."""
        return self._paused or self._size > _CROWDED

    async def room(self) -> None:
        """Returns when there is room, or the connection is over."""
        if self._room is None:
            self._room = self._loop.create_future()
        await asyncio.shield(self._room)

    def _make_room(self) -> None:
        """Those that wait for their turn come before those that have sent and wait to send more."""
        if self._owner is not None:
            self._owner.roomy(self)
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def listen(self, on: bool) -> None:
        """Reads on, or lets the broker wait."""
        if self._transport is None or self._transport.is_closing():
            return
        self._deaf, self._asked_at = not on, 0.0
        if on:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    # -- keeping alive ----------------------------------------------------------------------------------------

    def keep_alive(self, seconds: float) -> None:
        """From now on asks when it is quiet, and ends the connection when no answer comes; 0 is never."""
        self._keep_alive = seconds
        self._heard_at = self._sent_at = self._loop.time()
        if seconds:
            self._tick()

    def _tick(self) -> None:
        now, limit = self._loop.time(), self._keep_alive
        if self._owner is None:
            return
        if self._asked_at and now - self._asked_at >= limit:
            self.abort(f"no answer to a ping for {limit:g} s")
            return
        if not self._asked_at and now - min(self._heard_at, self._sent_at) >= limit / 2:
            self._asked_at = 0.0 if self._deaf else now  # an answer is not heard while reading rests
            self.send(PING)
        self._timer = self._loop.call_later(limit / 4, self._tick)

    # -- the end ----------------------------------------------------------------------------------------------

    def abort(self, why: str) -> None:
        """Ends the connection at once; what waits is lost."""
        if self._transport is not None:
            self._transport.abort()
        self._end(why)

    async def close(self) -> None:
        """Writes what waits, then ends the connection; one that does not take it is cut off after a second."""
        self._owner = None
        self._stop()
        if self._transport is None:
            return
        self.flush()
        self._transport.close()
        await asyncio.wait((self.closed,), timeout=_FAREWELL)
        if self._transport is not None:
            self._transport.abort()
            await asyncio.wait((self.closed,), timeout=_FAREWELL)

    def _end(self, why: str) -> None:
        owner, self._owner = self._owner, None
        self._stop()
        if owner is not None:
            owner.ended(self, why)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._make_room()
