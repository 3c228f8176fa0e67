"""The bus on NATS: core, at most once; JetStream, at least once with explicit acknowledgement."""

import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgex_inference.buses.fanout import BACKLOG, Fanout, Limits
from edgex_inference.buses.nats.feed import Delivery, Feed
from edgex_inference.buses.nats.settings import NatsSettings
from edgex_inference.buses.nats.subjects import escaped, mistake_in_levels, subject_of, topic_of
from edgex_inference.buses.steady import Loss, Steady, Up, Words
from edgex_inference.buses.topics import mistake_in_filter, mistake_in_topic
from edgex_inference.contracts.errors import EnvelopeError, SetupError
from edgex_inference.contracts.messages import Message
from edgex_inference.telemetry.metrics import Counts

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from edgex_inference.buses.nats.link import Link

_log = logging.getLogger(__name__)

_DENIED = (
    "MessageBus.AuthMode, the secret of MessageBus.SecretName, Optional.NKeySeedFile and CredentialsFile"
)
_ID = "Nats-Msg-Id"


@dataclass(slots=True, eq=False)
class _Receipt:
    """A message that its stream wants acknowledged."""

    message: Message
    feed: Feed
    number: int
    delivery: Delivery


class NatsBus:
    """One connection to a NATS server, each subscription context with subscriptions of its own.

    With a stream, delivery is at least once: what `done` has not been told of is delivered again after a while, but
    not to a subscriber that still works on it. Raises SetupError when nats-py is not installed or certificates cannot
    be read.
    """

    def __init__(self, settings: NatsSettings, *, drops: Counts | None = None) -> None:
        self._settings = settings
        self._drops = drops or Counts()
        self._feeds: list[Feed] = []
        self._receipts: dict[int, _Receipt] = {}
        self._link = _link(settings, self._arrived, lambda: self._drops.add(BACKLOG))
        words = Words(place=settings.place, name=settings.client_id, denied=_DENIED)
        self._steady = Steady(self._connect, words, _log)

    async def open(self) -> None:
        """Starts connecting and returns at once."""
        if self._steady.start():
            for note in self._settings.notes:
                _log.warning("%s", note)

    async def close(self) -> None:
        """Disconnects; subscriptions end with what has arrived."""
        await self._steady.stop()
        await self._link.close()
        self._receipts.clear()
        for feed in self._feeds:
            feed.fanout.end()

    @property
    def connected(self) -> bool:
        return self._link.connected

    async def _connect(self) -> Up | Loss:
        self._receipts.clear()
        return await self._link.connect(lambda: tuple(self._feeds))

    # -- publishing -------------------------------------------------------------------------------------------

    async def publish(self, message: Message) -> None:
        mistake = mistake_in_topic(message.topic) or mistake_in_levels(message.topic)
        if mistake:
            raise EnvelopeError(message.topic, mistake, reason="topic")
        headers = message.headers
        if self._settings.exactly_once:
            headers = {**headers, _ID: self._message_id(message)}
        await self._link.publish(subject_of(message.topic), message.payload, headers)

    def _message_id(self, message: Message) -> str:
        """EdgeX's id with a digest behind it: results of one event share its correlation id, and all must pass."""
        digest = hashlib.blake2b(message.topic.encode() + b"\0" + message.payload, digest_size=8).hexdigest()
        return f"{self._settings.client_id}-{message.headers.get('X-Correlation-ID', '')}-{digest}"

    # -- subscribing ------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[AsyncIterator[Sequence[Message]]]:
        """While connected the context is entered when the server has it."""
        feed = self._feed([_checked(topic) for topic in topics])
        self._feeds.append(feed)
        try:
            await self._link.attach(feed)
            yield feed.bursts
        finally:
            self._feeds.remove(feed)
            await self._link.detach(feed)
            feed.fanout.end()

    def _feed(self, filters: Sequence[str]) -> Feed:
        fanout = Fanout(Limits(messages=self._settings.max_backlog), self._drops, _log)
        return Feed(filters, fanout, fanout.enter(filters))

    async def _arrived(self, feed: Feed, said: "Msg") -> None:
        number = 0
        if self._settings.stream is not None and said.reply:
            number = said.metadata.sequence.stream
            if number in feed.open:  # it has taken us longer than the stream waits
                await said.in_progress()
                return
        message = Message(topic_of(said.subject), said.data, said.headers or {})
        taken = feed.fanout.deliver(message)
        if not number:
            return
        if taken:
            feed.open[number] = said
            self._receipts[id(message)] = _Receipt(message, feed, number, said)
        else:
            await said.ack()

    async def done(self, messages: Sequence[Message]) -> None:
        """Acknowledges to the stream; in core NATS there is nothing to do."""
        for message in messages:
            receipt = self._receipts.get(id(message))
            if receipt is None or receipt.message is not message:
                continue
            del self._receipts[id(message)]
            receipt.feed.open.pop(receipt.number, None)
            await self._link.acknowledge(receipt.delivery)


def _checked(topic: str) -> str:
    mistake = mistake_in_filter(topic) or mistake_in_levels(topic)
    if mistake:
        raise SetupError(f"cannot subscribe to {topic!r}: {mistake}")
    return escaped(topic)


def _link(
    settings: NatsSettings,
    arrived: "Callable[[Feed, Msg], Awaitable[None]]",
    slow: Callable[[], None],
) -> "Link":
    try:
        from edgex_inference.buses.nats.link import Link
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "nats":
            raise
        raise SetupError('nats-py is missing: pip install "edgex-inference[nats]"') from error
    return Link(settings, arrived, slow)
