"""One SUB socket on one publisher, and the mouth that the others listen to. The only module that imports zmq."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Iterable, Sequence

import zmq
from zmq.utils.monitor import parse_monitor_message

from edgex_inference.buses.zeromq.settings import Address

_AT_ONCE = 1000
"""Messages taken in a row before the loop goes on."""

_PROBE = b"\0edgex-inference/"
"""A subscription that asks our own publishers whether they have the ones before it; EdgeX's never answer."""

_RECONNECT, _LONGEST_RECONNECT = 100, 10_000
_LINGER = 500

Arrived = Callable[[bytes, bytes], None]


class _Polled:
    """A socket that is emptied whenever something may have come: its descriptor tells of changes only once."""

    def __init__(self, socket: "zmq.Socket[bytes]", take: Callable[[Sequence[bytes]], None]) -> None:
        self._socket, self._take = socket, take
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(socket.fileno(), self.drain)
        self._loop.call_soon(self.drain)  # until the first look it tells of nothing

    def drain(self) -> None:
        """To be called after every other use of the socket, too."""
        for _ in range(_AT_ONCE):
            if self._socket.closed:
                return
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._take(frames)
        self._loop.call_soon(self.drain)

    def close(self) -> None:
        if not self._socket.closed:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()


class Ear:
    """Listens to one publisher for as long as it lives, through as many connections as it takes."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        address: Address,
        arrived: Arrived,
        changed: Callable[["Ear"], None],
    ) -> None:
        """`arrived(topic, payload)` for each message, `changed` when `connected` has changed."""
        self.address = address
        self.connected = False
        self._arrived, self._changed = arrived, changed
        self._probes: dict[bytes, asyncio.Future[None]] = {}
        socket = self._socket = context.socket(zmq.SUB)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.IPV6, 1),
            (zmq.RECONNECT_IVL, _RECONNECT),
            (zmq.RECONNECT_IVL_MAX, _LONGEST_RECONNECT),
            (zmq.TCP_KEEPALIVE, 1),
            (zmq.TCP_KEEPALIVE_IDLE, 10),
            (zmq.TCP_KEEPALIVE_INTVL, 5),
            (zmq.TCP_KEEPALIVE_CNT, 3),
        ):
            socket.setsockopt(option, value)
        watched = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        monitor: zmq.Socket[bytes] = socket.get_monitor_socket(watched)
        self._messages, self._events = _Polled(socket, self._take), _Polled(monitor, self._hear)
        socket.connect(address.url)

    def adjust(self, more: Iterable[bytes], fewer: Iterable[bytes]) -> None:
        """Subscribes to prefixes of topics, and leaves others."""
        for prefix in more:
            self._socket.setsockopt(zmq.SUBSCRIBE, prefix)
        for prefix in fewer:
            self._socket.setsockopt(zmq.UNSUBSCRIBE, prefix)
        self._messages.drain()

    async def settled(self) -> None:
        """Returns when the publisher says that it has every subscription made so far; EdgeX's own never say so."""
        probe = _PROBE + uuid.uuid4().hex.encode()
        answer = self._probes[probe] = asyncio.get_running_loop().create_future()
        self.adjust((probe,), ())
        try:
            await answer
        finally:
            del self._probes[probe]
            if not self._socket.closed:
                self.adjust((), (probe,))

    def _take(self, frames: Sequence[bytes]) -> None:
        answer = self._probes.get(frames[0])
        if answer is not None:
            if not answer.done():
                answer.set_result(None)
        elif len(frames) == 2:
            self._arrived(frames[0], frames[1])
        else:
            self._arrived(b"", frames[-1])

    def _hear(self, frames: Sequence[bytes]) -> None:
        event = parse_monitor_message(list(frames))["event"]
        connected = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
        if connected != self.connected:
            self.connected = connected
            self._changed(self)

    def close(self) -> None:
        self.connected = False
        if not self._socket.closed:
            self._socket.disable_monitor()
        self._events.close()
        self._messages.close()


class Mouth:
    """What others connect to, to hear us. Raises zmq.ZMQError where the port is taken."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", host: str, port: int) -> None:
        socket = self._socket = context.socket(zmq.XPUB)
        socket.setsockopt(zmq.LINGER, _LINGER)
        socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        try:
            socket.bind(f"tcp://{host}:{port}")
        except zmq.ZMQError:
            socket.close()
            raise
        self._asked = _Polled(socket, self._answer)

    def _answer(self, frames: Sequence[bytes]) -> None:
        """One of ours wants to know whether we have its subscriptions."""
        if frames[0].startswith(b"\x01" + _PROBE):
            self._socket.send_multipart((frames[0][1:], b""), zmq.NOBLOCK)

    def say(self, topic: bytes, payload: bytes) -> None:
        """Hands it to everyone who listens; who is too slow misses it."""
        self._socket.send_multipart((topic, payload), zmq.NOBLOCK)
        self._asked.drain()

    def close(self) -> None:
        self._asked.close()


class Sockets:
    """The sockets of one bus."""

    def __init__(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.ears: list[Ear] = []
        self.mouth: Mouth | None = None

    def listen(self, addresses: Iterable[Address], arrived: Arrived, changed: Callable[[Ear], None]) -> None:
        self.ears += [Ear(self._context, address, arrived, changed) for address in addresses]

    def bind(self, host: str, port: int) -> str:
        """Why the port cannot be had, "" when it can."""
        try:
            self.mouth = Mouth(self._context, host, port)
        except zmq.ZMQError as error:
            return error.strerror or str(error)
        return ""

    async def close(self) -> None:
        for ear in self.ears:
            ear.close()
        self.ears.clear()
        if self.mouth is not None:
            self.mouth.close()
            self.mouth = None
        with contextlib.suppress(zmq.ZMQError):
            await asyncio.to_thread(self._context.term)
