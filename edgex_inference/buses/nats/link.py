"""One connection after another to a NATS server. This and `streams` are the only modules that import nats."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from edgex_inference.buses.nats.feed import Delivery, Feed
from edgex_inference.buses.nats.settings import NatsSettings
from edgex_inference.buses.nats.streams import StreamMissing, Streams
from edgex_inference.buses.nats.subjects import has, parent_of, single_subject, wildcard_of
from edgex_inference.buses.steady import Loss, Up
from edgex_inference.buses.tls import context_of
from edgex_inference.buses.topics import disjoint_cover
from edgex_inference.contracts.errors import BusUnavailable, EnvelopeError

_PING_INTERVAL, _PINGS = 10, 2
"""A server that answers no ping for this many seconds, this many times, has gone."""

_FULL = 1024 * 1024
"""Bytes that may wait to be written before a publisher waits too."""

_DENIED = ("authorization", "authentication", "permissions violation", "user authentication")

Arrived = Callable[[Feed, Msg], Awaitable[None]]


class Link:
    """Connects, subscribes feeds, publishes, and reports the loss of the connection."""

    def __init__(self, settings: NatsSettings, arrived: Arrived, slow: Callable[[], None]) -> None:
        """`arrived` is called for each message, `slow` for each that the library had no room for."""
        self._settings, self._arrived, self._slow = settings, arrived, slow
        self._tls = context_of(settings.tls) if settings.tls else None
        self._client: Client | None = None
        self._streams: Streams | None = None
        self._lost: asyncio.Future[Loss] | None = None
        self._trouble: BaseException | None = None
        self.connected = False

    # -- connecting -------------------------------------------------------------------------------------------

    async def connect(self, feeds: Callable[[], tuple[Feed, ...]]) -> Up | Loss:
        """One attempt; when it succeeds all feeds are subscribed."""
        await self.close()
        if missing := _unreadable(self._settings):
            return Loss("setup", missing)
        lost: asyncio.Future[Loss] = asyncio.get_running_loop().create_future()
        self._lost = lost
        self._trouble = None
        client = self._client = Client()
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                await client.connect(**self._options())
            async with asyncio.timeout(self._settings.connect_timeout):
                if self._settings.stream is not None:
                    self._streams = Streams(client, self._settings)
                    await self._streams.provision()
                await self._attach_all(client, feeds)
        except StreamMissing as error:
            return await self._given_up(Loss("setup", str(error)))
        except (nats.errors.Error, OSError, ValueError, TimeoutError) as error:
            return await self._given_up(_loss(self._trouble if _says_nothing(error) else error))
        except asyncio.CancelledError:
            await self.close()
            raise
        if lost.done():
            return await self._given_up(lost.result())
        self.connected = True
        return Up(lost, f"; it takes messages of up to {client.max_payload} bytes (max_payload)")

    async def _given_up(self, loss: Loss) -> Loss:
        await self.close()
        return loss

    def _options(self) -> dict[str, Any]:
        settings = self._settings
        options: dict[str, Any] = {
            "servers": f"{'tls' if self._tls else 'nats'}://{_bracketed(settings.host)}:{settings.port}",
            "name": settings.client_id,
            "allow_reconnect": False,
            "max_reconnect_attempts": 1,
            "reconnect_time_wait": 0,
            "connect_timeout": settings.connect_timeout,
            "ping_interval": _PING_INTERVAL,
            "max_outstanding_pings": _PINGS,
            "pending_size": _FULL,
            "flush_timeout": _PING_INTERVAL * _PINGS,
            "error_cb": self._erred,
            "closed_cb": self._closed,
        }
        if self._tls is not None:
            options |= {"tls": self._tls, "tls_hostname": settings.host}
        if settings.username:
            options |= {"user": settings.username, "password": settings.password}
        if settings.nkey_seed_file:
            options["nkeys_seed"] = settings.nkey_seed_file
        if settings.credentials_file:
            options["user_credentials"] = settings.credentials_file
        return options

    async def _erred(self, error: Exception) -> None:
        if isinstance(error, nats.errors.SlowConsumerError):
            self._slow()
        else:
            self._trouble = error

    async def _closed(self) -> None:
        self._lose(_loss(self._trouble))

    def _lose(self, loss: Loss) -> None:
        self.connected = False
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(loss)

    async def close(self) -> None:
        """Says goodbye where there is somebody to say it to; idempotent."""
        client, self._client = self._client, None
        self._streams = None
        self._lose(Loss("down", "closed"))
        if client is not None:
            # one that never got as far as a connection asserts that it did
            with contextlib.suppress(nats.errors.Error, OSError, TimeoutError, AssertionError):
                async with asyncio.timeout(1.0):
                    await client.close()

    def unavailable(self, detail: str) -> BusUnavailable:
        return BusUnavailable(f"{self._settings.place}: {detail}")

    # -- subscribing ------------------------------------------------------------------------------------------

    async def attach(self, feed: Feed) -> None:
        """Subscribes a feed; returns when the server has it. What fails ends the connection, to begin anew."""
        client = self._client
        if client is None or not self.connected:
            return
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                await self._attach(feed)
                await settled(client)
        except (StreamMissing, nats.errors.Error, OSError, TimeoutError) as error:
            self._lose(Loss("setup", str(error)) if isinstance(error, StreamMissing) else _loss(error))

    async def _attach_all(self, client: Client, feeds: Callable[[], tuple[Feed, ...]]) -> None:
        """Also those that are entered while others are attached; what was left meanwhile is given back."""
        done: set[Feed] = set()
        while fresh := [feed for feed in feeds() if feed not in done]:
            for feed in fresh:
                await self._attach(feed)
            await settled(client)
            done.update(fresh)
        for feed in done.difference(feeds()):
            await self.detach(feed)

    async def _attach(self, feed: Feed) -> None:
        """Several subscriptions in core NATS; one consumer of a stream, since several would mix up the order."""
        feed.forget()
        if self._streams is None:
            for text in disjoint_cover(feed.filters):
                await self._subscribe(feed, wildcard_of(text))
                if parent := parent_of(text):
                    await self._subscribe(feed, wildcard_of(parent))
            return
        subject = single_subject(feed.filters)
        await self._subscribe(feed, subject)
        parents = {parent for text in feed.filters if (parent := parent_of(text))}
        for parent in map(wildcard_of, disjoint_cover(parents)):
            if not has(subject, parent):
                await self._subscribe(feed, parent, needed=False)

    async def _subscribe(self, feed: Feed, subject: str, *, needed: bool = True) -> None:
        async def take(message: Msg) -> None:
            await self._arrived(feed, message)

        if self._streams is not None:
            handle = await self._streams.subscribe(subject, take, needed=needed)
        else:
            assert self._client is not None
            handle = await self._client.subscribe(subject, queue=self._settings.queue_group, cb=take)
        if handle is not None:
            feed.handles.append(handle)

    async def detach(self, feed: Feed) -> None:
        handles, feed.handles = feed.handles, []
        for handle in handles:
            with contextlib.suppress(nats.errors.Error, OSError):
                await handle.unsubscribe()

    async def acknowledge(self, delivery: Delivery) -> None:
        """Nothing where the connection has gone: the stream delivers again."""
        with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
            await (delivery.ack_sync() if self._settings.exactly_once else delivery.ack())

    # -- publishing -------------------------------------------------------------------------------------------

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> None:
        """In core NATS returns when handed over, else when the stream has stored it."""
        client = self._client
        if client is None or not self.connected:
            raise self.unavailable("not connected")
        self._check_size(subject, len(payload) + _length(headers), client.max_payload)
        try:
            if self._streams is not None:
                await self._streams.publish(subject, payload, dict(headers))
                return
            await client.publish(subject, payload, headers=dict(headers) or None)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise self.unavailable(f"not sent ({_text(error)})") from error
        if not self.connected:
            raise self.unavailable("the connection was lost")

    def _check_size(self, subject: str, size: int, most: int) -> None:
        """The server would end the connection."""
        if size > most:
            raise EnvelopeError(
                subject,
                f"{size} bytes with headers, more than the {most} that {self._settings.place} takes; "
                "raise max_payload in the server's configuration",
                reason="size",
            )


async def settled(client: Client) -> None:
    """Returns when the server has all that was asked so far: nats-py's ping overtakes what is not written yet."""
    while client.pending_data_size and client.is_connected:  # noqa: ASYNC110 - there is nothing to wait for
        await asyncio.sleep(0)
    await client.flush()


def _length(headers: Mapping[str, str]) -> int:
    """Bytes of the header block."""
    if not headers:
        return 0
    return len("NATS/1.0\r\n\r\n") + sum(
        len(f"{key}: {value}\r\n".encode()) for key, value in headers.items()
    )


def _unreadable(settings: NatsSettings) -> str:
    """Which file of keys cannot be read, and why; "" when all can."""
    for option, name in (
        ("NKeySeedFile", settings.nkey_seed_file),
        ("CredentialsFile", settings.credentials_file),
    ):
        try:
            if name:
                Path(name).read_bytes()
        except OSError as error:
            return f"MessageBus.Optional.{option}: {name}: {error.strerror}"
    return ""


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _says_nothing(error: BaseException) -> bool:
    return isinstance(error, nats.errors.NoServersError | TimeoutError)


def _loss(error: BaseException | None) -> Loss:
    text = _text(error)
    denied = any(word in text.lower() for word in _DENIED)
    return Loss("denied" if denied else "down", text)


def _text(error: BaseException | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if error is None or isinstance(error, TimeoutError):
        return "the server does not answer as a NATS server does"
    if isinstance(error, nats.errors.UnexpectedEOF):
        return "the server ended the connection"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).removeprefix("nats: ") or type(error).__name__
