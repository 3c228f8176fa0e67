"""JetStream: the stream, its consumers, publishing with an acknowledgement."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy, StreamConfig

from edgex_inference.buses.nats.feed import Handle
from edgex_inference.buses.nats.settings import NatsSettings
from edgex_inference.buses.nats.subjects import topic_of, wildcard_of
from edgex_inference.contracts.errors import EnvelopeError

_RETRY_PAUSE = 0.25
_TOO_LARGE = 10054
_DELIVER = {
    "new": DeliverPolicy.NEW,
    "all": DeliverPolicy.ALL,
    "last": DeliverPolicy.LAST,
    "lastpersubject": DeliverPolicy.LAST_PER_SUBJECT,
}

Take = Callable[[Msg], Awaitable[None]]


class StreamMissing(Exception):
    """There is no stream or consumer to be had; the text says what to do."""


class Streams:
    """JetStream over one connection."""

    def __init__(self, client: Client, settings: NatsSettings) -> None:
        assert settings.stream is not None
        self._client, self._settings, self._wanted = client, settings, settings.stream
        self._context = client.jetstream(timeout=settings.connect_timeout)
        self._manager = client.jsm(timeout=settings.connect_timeout)
        self._taken: set[str] = set()

    async def provision(self) -> None:
        """Makes the stream where there is none for Subject; raises StreamMissing when that is not to be."""
        wanted = self._wanted
        subject = wildcard_of(wanted.subject)
        if await self._stream_of(subject) is not None:
            return
        if not wanted.provision:
            raise StreamMissing(
                f"no stream has the subject {subject!r}: make one, or set MessageBus.Optional.AutoProvision to true"
            )
        try:
            await self._manager.add_stream(StreamConfig(name=wanted.name, subjects=[subject]))
        except nats.js.errors.ServerError as error:
            raise StreamMissing(_told(f"the stream {wanted.name!r} cannot be made", error)) from error
        except nats.js.errors.APIError as error:
            raise StreamMissing(
                _told(f"the stream {wanted.name!r} with the subject {subject!r} cannot be made", error)
                + "; check MessageBus.Optional.Subject"
            ) from error

    async def _stream_of(self, subject: str) -> str | None:
        try:
            return await self._manager.find_stream_name_by_subject(subject)
        except nats.js.errors.NotFoundError:
            return None
        except nats.js.errors.ServiceUnavailableError as error:
            raise StreamMissing(
                "JetStream is not turned on: add a jetstream block to its configuration"
            ) from error

    async def subscribe(self, subject: str, take: Take, *, needed: bool) -> Handle | None:
        """A consumer of what is under the subject; None where no stream has it and it is not `needed`."""
        stream = await self._stream_of(subject)
        if stream is None:
            if not needed:
                return None
            raise StreamMissing(
                f"no stream has the subject {subject!r} that we subscribe to: add it to the stream's subjects, "
                "or set MessageBus.Optional.Subject so that it has"
            )
        base = self._wanted.durable or self._settings.queue_group
        info = await (self._durable(stream, subject, base) if base else self._consumer(stream, subject, ""))
        bound = await self._context.subscribe_bind(
            stream=stream, config=info.config, consumer=info.name, cb=take, manual_ack=True
        )
        return _Consumer(bound, info.name, self._taken)

    async def _durable(self, stream: str, subject: str, base: str) -> ConsumerInfo:
        """A consumer that the server keeps: called like Durable, or after its subject where that name is taken."""
        digest = hashlib.blake2b(subject.encode(), digest_size=4).hexdigest()
        for name in (base, f"{base}-{digest}", *(f"{base}-{digest}-{number}" for number in range(2, 100))):
            if name in self._taken:
                continue
            try:
                info: ConsumerInfo = await self._manager.consumer_info(stream, name)
            except nats.js.errors.NotFoundError:
                info = await self._consumer(stream, subject, name)
            if info.config.filter_subject != subject:
                continue
            if info.push_bound and not info.config.deliver_group:
                raise nats.errors.Error(f"another client reads with the durable name {name!r}")
            self._taken.add(name)
            return info
        raise StreamMissing(
            f"the durable names from {base!r} on are all taken by consumers of other subjects"
        )

    async def _consumer(self, stream: str, subject: str, name: str) -> ConsumerInfo:
        config = ConsumerConfig(
            durable_name=name or None,
            filter_subject=subject,
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=_DELIVER[self._wanted.deliver],
            deliver_subject=self._client.new_inbox(),
            deliver_group=self._settings.queue_group or None,
        )
        return await self._manager.add_consumer(stream, config=config)

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        """Returns when the stream has stored it; raises EnvelopeError where no stream wants it, ever."""
        for attempt in range(self._wanted.retries + 1):
            try:
                await self._context.publish(subject, payload, headers=headers or None)
                return
            except nats.js.errors.NoStreamResponseError as error:
                if attempt == self._wanted.retries:
                    raise EnvelopeError(
                        topic_of(subject),
                        f"no stream takes it: {subject!r} is outside the subjects of every stream; add it to one, "
                        f"or set MessageBus.Optional.Subject ({self._wanted.subject!r}) so that it is inside",
                        reason="stream",
                    ) from error
                await asyncio.sleep(_RETRY_PAUSE)
            except nats.js.errors.APIError as error:
                if error.err_code == _TOO_LARGE:
                    raise EnvelopeError(
                        topic_of(subject),
                        f"{len(payload)} bytes, more than the stream takes; raise the stream's max_msg_size",
                        reason="size",
                    ) from error
                raise


@dataclass(frozen=True, slots=True)
class _Consumer:
    """A subscription to a consumer, whose name is free again when it is left."""

    bound: Handle
    name: str
    taken: set[str]

    async def unsubscribe(self) -> None:
        self.taken.discard(self.name)
        await self.bound.unsubscribe()


def _told(what: str, error: nats.js.errors.APIError) -> str:
    return f"{what} ({error.description or error.code})"
