"""The bus on Redis Pub/Sub: at most once, nothing kept, and no filter finer than a glob."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from edgex_inference.buses.fanout import Fanout, Limits
from edgex_inference.buses.redis.channels import channel_of, escaped, patterns_of, topic_of
from edgex_inference.buses.redis.settings import RedisSettings
from edgex_inference.buses.steady import Loss, Steady, Up, Words
from edgex_inference.buses.topics import mistake_in_topic
from edgex_inference.contracts.errors import EnvelopeError, SetupError
from edgex_inference.contracts.messages import Message
from edgex_inference.telemetry.metrics import Counts

if TYPE_CHECKING:
    from edgex_inference.buses.redis.link import Link

_log = logging.getLogger(__name__)

UNREADABLE_TOPIC = "busTopic"
"""The word that messages are counted under whose channel is no UTF-8."""

_DENIED = "MessageBus.AuthMode and the password of the secret that MessageBus.SecretName names"


class RedisBus:
    """Two connections to a Redis server (6.0 or later): one listens, one publishes.

    Raises SetupError when redis is not installed or the certificates cannot be read.
    """

    def __init__(self, settings: RedisSettings, *, drops: Counts | None = None) -> None:
        self._settings = settings
        self._drops = drops or Counts()
        self._fanout = Fanout(Limits(messages=settings.max_backlog), self._drops, _log)
        self._link = _link(settings, self._arrived)
        words = Words(place=settings.place, name=settings.client_id, denied=_DENIED)
        self._steady = Steady(self._connect, words, _log)
        self._asked: set[str] = set()

    async def open(self) -> None:
        """Starts connecting and returns at once."""
        if self._steady.start():
            for note in self._settings.notes:
                _log.warning("%s", note)

    async def close(self) -> None:
        """Disconnects; subscriptions end with what has arrived."""
        await self._steady.stop()
        await self._link.close()
        self._asked.clear()
        self._fanout.end()

    @property
    def connected(self) -> bool:
        return self._link.connected

    async def _connect(self) -> Up | Loss:
        self._asked.clear()
        return await self._link.connect(self._wanted)

    def _wanted(self) -> Sequence[str]:
        patterns = patterns_of(self._fanout.filters())
        self._asked.update(patterns)
        return patterns

    async def publish(self, message: Message) -> None:
        if mistake := mistake_in_topic(message.topic):
            raise EnvelopeError(message.topic, mistake, reason="topic")
        await self._link.publish(channel_of(message.topic), message.payload)

    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[AsyncIterator[Sequence[Message]]]:
        """While connected the context is entered when the server has answered."""
        subscriber = self._fanout.enter([escaped(topic) for topic in topics])
        try:
            await self._reconcile()
            yield subscriber
        finally:
            self._fanout.leave(subscriber)
            await self._reconcile()

    async def _reconcile(self) -> None:
        """Asks the server for what is missing, then takes back what is too much."""
        if not self._link.connected:
            return
        wanted = patterns_of(self._fanout.filters())
        more = [one for one in wanted if one not in self._asked]
        fewer = sorted(self._asked.difference(wanted))
        self._asked = set(wanted)
        if more or fewer:
            try:
                async with asyncio.timeout(self._settings.connect_timeout):
                    await self._link.adjust(more, fewer)
            except TimeoutError:
                _log.debug("%s: has not answered yet to %s", self._settings.place, more)

    def _arrived(self, channel: bytes, payload: bytes) -> None:
        try:
            topic = topic_of(channel.decode())
        except UnicodeDecodeError:
            self._drops.add(UNREADABLE_TOPIC)
            return
        self._fanout.deliver(Message(topic, payload))

    async def done(self, messages: Sequence[Message]) -> None:
        """Redis wants nothing acknowledged."""


def _link(settings: RedisSettings, arrived: Callable[[bytes, bytes], None]) -> "Link":
    try:
        from edgex_inference.buses.redis.link import Link
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "redis":
            raise
        raise SetupError('redis is missing: pip install "edgex-inference[redis]"') from error
    return Link(settings, arrived)
