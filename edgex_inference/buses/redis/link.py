"""Connections to a Redis server: one that listens, one that publishes. The only module that imports redis."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from edgex_inference.buses.redis.channels import Patterns
from edgex_inference.buses.redis.settings import RedisSettings
from edgex_inference.buses.steady import Loss, Up
from edgex_inference.buses.tls import context_of
from edgex_inference.contracts.errors import BusUnavailable

_IDLE = 15.0
"""Seconds after which a publishing connection without work asks whether the server is there: an idle one is cut."""

_PATIENCE = 3
"""Times ConnectTimeout after which a server that does not answer has gone."""

_GOODBYE = 1.0
"""Seconds that a server has to say goodbye, which TLS waits for."""

_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
_Order = tuple[str, bytes, "asyncio.Future[None]"]


class _Wire(Connection):
    """redis's own, but for certificates, which that takes from files only, and for the end."""

    context: ssl.SSLContext | None = None
    _held: asyncio.StreamWriter | None = None

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "ssl": self.context}

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[no-untyped-call,unused-ignore]
        self._held = self._writer

    async def hang_up(self) -> None:
        """Returns when the socket is closed: redis-py forgets one that it has asked to close, and a read that is
        cancelled asks. A server that hangs is left without a goodbye."""
        with contextlib.suppress(RedisError, OSError):
            await self.disconnect(nowait=True)
        writer, self._held = self._held, None
        if writer is None:
            return
        closed = asyncio.ensure_future(writer.wait_closed())
        try:
            await asyncio.wait({closed}, timeout=_GOODBYE)
        finally:
            writer.transport.abort()
        with contextlib.suppress(OSError):
            await closed


class Link:
    """Connects, and reports messages and the loss of the connection.

    `arrived(channel, payload)` is called once for each message, on the loop; it must not wait.
    """

    def __init__(self, settings: RedisSettings, arrived: Callable[[bytes, bytes], None]) -> None:
        self._settings, self._arrived = settings, arrived
        self._tls = context_of(settings.tls) if settings.tls else None
        self._connections: list[_Wire] = []
        self._listening: Connection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._patterns = Patterns()
        self._answers: dict[str, asyncio.Future[None]] = {}
        self._orders: list[_Order] = []
        self._ordered = asyncio.Event()
        self._asking = asyncio.Lock()
        self._lost: asyncio.Future[Loss] | None = None
        self.connected = False

    async def connect(self, patterns: Callable[[], Sequence[str]]) -> Up | Loss:
        """One attempt; when it succeeds the patterns are in force, also those that were wanted meanwhile."""
        await self.close()
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[Loss] = loop.create_future()
        self._lost = lost
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                listening, publishing = [await self._dial() for _ in range(2)]
                self._listening = listening
                self._tasks = [
                    loop.create_task(self._listen(listening), name="redis-listen"),
                    loop.create_task(self._send(publishing), name="redis-send"),
                ]
                asked: set[str] = set()
                while more := [pattern for pattern in patterns() if pattern not in asked]:
                    await self.adjust(more, ())
                    asked.update(more)
        except (RedisError, OSError, TimeoutError, BusUnavailable) as error:
            loss: Loss = lost.result() if lost.done() else _loss(error)
            await self.close()
            return loss
        except asyncio.CancelledError:
            await self.close()
            raise
        if lost.done():
            loss = lost.result()
            await self.close()
            return loss
        self.connected = True
        return Up(lost)

    async def _dial(self) -> _Wire:
        settings = self._settings
        connection = _Wire(
            host=settings.host,
            port=settings.port,
            password=settings.password or None,
            client_name=settings.client_id,
            socket_timeout=None,
            socket_connect_timeout=settings.connect_timeout,
            socket_keepalive=True,
            socket_keepalive_options=_keepalive(),
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        connection.context = self._tls
        self._connections.append(connection)
        await connection.connect()  # type: ignore[no-untyped-call,unused-ignore]
        return connection

    def _ended(self) -> None:
        self.connected = False
        orders, self._orders = self._orders, []
        for _channel, _payload, out in orders:
            if not out.done():
                out.set_exception(self.unavailable("the connection was lost"))
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(self.unavailable("the connection was lost"))
        self._answers.clear()

    def _lose(self, error: BaseException) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(_loss(error))
        self._ended()

    async def close(self) -> None:
        """Ends what there is of a connection; idempotent."""
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(Loss("down", "closed"))
        self._ended()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        connections, self._connections = self._connections, []
        self._listening = None
        self._patterns.clear()
        await asyncio.gather(*(connection.hang_up() for connection in connections))

    def unavailable(self, detail: str) -> BusUnavailable:
        return BusUnavailable(f"{self._settings.place}: {detail}")

    # -- listening --------------------------------------------------------------------------------------------

    async def adjust(self, more: Sequence[str], fewer: Sequence[str]) -> None:
        """Subscribes to patterns, then leaves others; returns when the server has said that the former hold."""
        connection = self._listening
        if connection is None:
            return
        loop = asyncio.get_running_loop()
        answers = [self._answers.setdefault(pattern, loop.create_future()) for pattern in more]
        try:
            async with self._asking:
                if more:
                    await connection.send_command("PSUBSCRIBE", *more)
                if fewer:
                    await connection.send_command("PUNSUBSCRIBE", *fewer)
        except (RedisError, OSError) as error:
            self._lose(error)
        if answers:
            await asyncio.gather(*answers, return_exceptions=True)

    async def _listen(self, connection: Connection) -> None:
        """Takes everything that has arrived before it lets the loop go on."""
        patterns = self._patterns
        try:
            while True:
                said = await connection.read_response(disable_decoding=True)
                kind = said[0]
                if kind == b"pmessage":
                    if patterns.counts(said[1].decode(), said[2].decode(errors="replace")):
                        self._arrived(said[2], said[3])
                elif kind == b"psubscribe":
                    patterns.add(said[1].decode())
                    answer = self._answers.pop(said[1].decode(), None)
                    if answer is not None and not answer.done():
                        answer.set_result(None)
                elif kind == b"punsubscribe" and said[1] is not None:
                    patterns.remove(said[1].decode())
        except (RedisError, OSError) as error:
            self._lose(error)

    # -- publishing -------------------------------------------------------------------------------------------

    async def publish(self, channel: str, payload: bytes) -> None:
        """Returns when the server has taken it."""
        if not self.connected:
            raise self.unavailable("not connected")
        out: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._orders.append((channel, payload, out))
        self._ordered.set()
        await out

    async def _send(self, connection: Connection) -> None:
        """One write and one read for everything that was published meanwhile."""
        try:
            while True:
                if not await self._wait_for_orders():
                    await self._in_time(connection.send_command("PING"))
                    await self._in_time(connection.read_response())
                    continue
                orders, self._orders = self._orders, []
                try:
                    await self._deliver(connection, orders)
                finally:
                    for _, _, out in orders:
                        if not out.done():
                            out.set_exception(self.unavailable("the connection was lost"))
        except (RedisError, OSError) as error:
            self._lose(error)

    async def _in_time(self, work: Awaitable[object]) -> None:
        """Raises TimeoutError when the server hangs."""
        async with asyncio.timeout(self._settings.connect_timeout * _PATIENCE):
            await work

    async def _wait_for_orders(self) -> bool:
        """False when there are none for a while."""
        if not self._orders:
            self._ordered.clear()
            try:
                async with asyncio.timeout(_IDLE):
                    await self._ordered.wait()
            except TimeoutError:
                return False
        return bool(self._orders)

    async def _deliver(self, connection: Connection, orders: Sequence[_Order]) -> None:
        commands = [("PUBLISH", channel, payload) for channel, payload, _ in orders]
        await self._in_time(connection.send_packed_command(connection.pack_commands(commands)))
        for _, _, out in orders:
            try:
                await self._in_time(connection.read_response())
            except ResponseError as error:
                if not out.done():
                    out.set_exception(self.unavailable(f"does not take what we publish ({error})"))
            else:
                if not out.done():
                    out.set_result(None)


def _keepalive() -> dict[int, int]:
    return {getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)}


def _loss(error: BaseException) -> Loss:
    text = str(error) or type(error).__name__
    if isinstance(error, AuthenticationError | NoPermissionError) or text.startswith(("NOAUTH", "WRONGPASS")):
        return Loss("denied", text)
    if isinstance(error, TimeoutError):
        return Loss("down", "the server does not answer as a Redis server does")
    return Loss("down", text)
