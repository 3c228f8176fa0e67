"""The bus on ZeroMQ: we bind a port to publish on, and listen to every publisher that is named; at most once."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from edgex_inference.buses.fanout import Fanout, Limits
from edgex_inference.buses.topics import mistake_in_topic
from edgex_inference.buses.zeromq.settings import ZeroMqSettings
from edgex_inference.contracts.errors import BusUnavailable, EnvelopeError, SetupError
from edgex_inference.contracts.messages import Message
from edgex_inference.telemetry.metrics import Counts

if TYPE_CHECKING:
    from edgex_inference.buses.zeromq.sockets import Ear, Sockets

_log = logging.getLogger(__name__)

UNREADABLE_TOPIC = "busTopic"
"""The word that messages are counted under that have no topic, or one that is no UTF-8."""

_BIND_PAUSE = 5.0


class ZeroMqBus:
    """Connected while our port is bound and at least one publisher is there.

    A publisher that appears later is listened to then; what it published before is lost, as is what a subscriber is
    too slow for: ZeroMQ drops without a word. Raises SetupError when pyzmq is not installed.
    """

    def __init__(self, settings: ZeroMqSettings, *, drops: Counts | None = None) -> None:
        self._settings = settings
        self._drops = drops or Counts()
        self._fanout = Fanout(Limits(messages=settings.max_backlog), self._drops, _log)
        self._make = _sockets()
        self._sockets: Sockets | None = None
        self._task: asyncio.Task[None] | None = None
        self._asked: set[bytes] = set()

    # -- lifetime ---------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Starts connecting and returns at once."""
        if self._sockets is not None:
            return
        self._sockets = self._make()
        self._sockets.listen(self._settings.publishers, self._arrived, self._changed)
        self._reconcile()
        self._task = asyncio.create_task(self._begin(self._sockets), name="zeromq-bus")

    async def _begin(self, sockets: "Sockets") -> None:
        """Binds our port, then says which publishers do not answer."""
        settings, said = self._settings, False
        while settings.publish_port and (fault := sockets.bind(settings.bind_host, settings.publish_port)):
            if not said:
                said = True
                _log.error(
                    "ZeroMQ: cannot publish on port %d (%s); free it or set MessageBus.Optional.PublishPort; "
                    "trying again every %g s",
                    *(settings.publish_port, fault, _BIND_PAUSE),
                )
            await asyncio.sleep(_BIND_PAUSE)
        if settings.publish_port:
            _log.info("ZeroMQ: publishing on port %d", settings.publish_port)
        await asyncio.sleep(settings.connect_timeout)
        for ear in sockets.ears:
            if not ear.connected:
                _log.warning("ZeroMQ publisher %s: cannot connect; trying until it works", ear.address.url)

    async def close(self) -> None:
        """Ends all connections; subscriptions end with what has arrived."""
        sockets, self._sockets = self._sockets, None
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if sockets is not None:
            await sockets.close()
        self._asked.clear()
        self._fanout.end()

    @property
    def connected(self) -> bool:
        sockets = self._sockets
        if sockets is None or (self._settings.publish_port and sockets.mouth is None):
            return False
        return any(ear.connected for ear in sockets.ears)

    def _changed(self, ear: "Ear") -> None:
        if self._sockets is None:
            return
        if ear.connected:
            _log.info("ZeroMQ publisher %s: connected", ear.address.url)
        else:
            _log.warning("ZeroMQ publisher %s: connection lost; reconnecting", ear.address.url)

    # -- publishing -------------------------------------------------------------------------------------------

    async def publish(self, message: Message) -> None:
        if mistake := mistake_in_topic(message.topic):
            raise EnvelopeError(message.topic, mistake, reason="topic")
        mouth = self._sockets.mouth if self._sockets is not None else None
        if mouth is None:
            port = self._settings.publish_port
            raise BusUnavailable(
                f"ZeroMQ: port {port} is not open"
                if port
                else "ZeroMQ: nothing can be published: set MessageBus.Optional.PublishPort"
            )
        mouth.say(message.topic.encode(), message.payload)
        await asyncio.sleep(0)  # readers get their turn, as they would while a socket is written

    # -- subscribing ------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[AsyncIterator[Sequence[Message]]]:
        """Entered when every publisher has the subscription, as far as that can be known."""
        subscriber = self._fanout.enter(topics)
        try:
            if self._reconcile():
                await self._settled()
            yield subscriber
        finally:
            self._fanout.leave(subscriber)
            self._reconcile()

    def _reconcile(self) -> bool:
        """Asks all publishers for what is missing, takes back what is too much; whether anything was missing."""
        if self._sockets is None:
            return False
        wanted = {_prefix(text) for text in self._fanout.filters()}
        more, fewer = wanted - self._asked, self._asked - wanted
        self._asked = wanted
        for ear in self._sockets.ears:
            ear.adjust(more, fewer)
        return bool(more)

    async def _settled(self) -> None:
        assert self._sockets is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.settle):
                await asyncio.gather(*(ear.settled() for ear in self._sockets.ears))

    def _arrived(self, topic: bytes, payload: bytes) -> None:
        try:
            text = topic.decode()
        except UnicodeDecodeError:
            text = ""
        if not text:
            self._drops.add(UNREADABLE_TOPIC)
            return
        self._fanout.deliver(Message(text, payload))

    async def done(self, messages: Sequence[Message]) -> None:
        """ZeroMQ wants nothing acknowledged."""


def _prefix(text: str) -> bytes:
    """What topics that pass a filter begin with: ZeroMQ compares beginnings, byte by byte."""
    if text == "#":
        return b""
    if text.endswith("/#") and "+" not in text:
        return text.removesuffix("/#").encode()
    return text.partition("+")[0].encode()


def _sockets() -> "type[Sockets]":
    try:
        from edgex_inference.buses.zeromq.sockets import Sockets
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "zmq":
            raise
        raise SetupError('pyzmq is missing: pip install "edgex-inference[zeromq]"') from error
    return Sockets
