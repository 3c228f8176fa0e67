"""The demo's own MQTT broker: amqtt on the loopback interface, in this process and on this event loop."""

import asyncio
import logging
import socket
from contextlib import suppress

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType

from edgex_inference.contracts.errors import SetupError

USUAL_PORT = 1883
_TRIES = 100
_LISTENER = "default"
_ANYBODY = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}


class EmbeddedBroker:
    """Takes any MQTT 3.1.1 client of this machine, without a password; keeps nothing when it stops."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host
        self._broker: Broker | None = None
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.port = 0

    async def start(self, port: int | None = None) -> int:
        """Returns the port: the given one, else 1883, else the next free one.

        Raises SetupError when the given port, or every port tried, is in use.
        """
        if self._broker is not None:
            return self.port
        for name in ("amqtt", "transitions"):  # they write a line for each client that comes or goes
            logging.getLogger(name).setLevel(logging.CRITICAL)
        listening = self._listen(
            range(USUAL_PORT, USUAL_PORT + _TRIES) if port is None else range(port, port + 1)
        )
        self.port = int(listening.getsockname()[1])
        listeners = {_LISTENER: ListenerConfig(type=ListenerType.EXTERNAL)}
        self._broker = Broker(BrokerConfig(listeners=listeners, plugins=dict(_ANYBODY)))
        await self._broker.start()
        self._server = await asyncio.start_server(self._connected, sock=listening)
        return self.port

    async def stop(self) -> None:
        """Disconnects everybody; twice is the same as once."""
        broker, server = self._broker, self._server
        self._broker = self._server = None
        if server is not None:
            server.close()
        if broker is not None:
            await broker.shutdown()
        for writer in self._clients.values():
            writer.transport.abort()
        if self._clients:
            await asyncio.wait(self._clients)

    def _listen(self, ports: range) -> socket.socket:
        for port in ports:
            with suppress(OSError):
                return socket.create_server((self._host, port))
        wanted = f"port {ports[0]}" if len(ports) == 1 else f"every port from {ports[0]} to {ports[-1]}"
        raise SetupError(f"embedded broker: {wanted} of {self._host} is in use; choose another with --port")

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: the library cancels it at a client's DISCONNECT, which asyncio would log as an error.
        task = asyncio.create_task(self._serve(reader, writer))
        self._clients[task] = writer
        task.add_done_callback(self._clients.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, which the library itself does not always close when the client vanishes."""
        try:
            if self._broker is not None:
                wrapped = StreamReaderAdapter(reader), StreamWriterAdapter(writer)
                await self._broker.external_connected(*wrapped, _LISTENER)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
