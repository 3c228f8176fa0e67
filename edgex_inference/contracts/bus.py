"""The port to a message bus."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias, runtime_checkable

from edgex_inference.contracts.errors import MessageError, TransportError
from edgex_inference.contracts.messages import Message

Refusal: TypeAlias = TransportError | MessageError | None
"""Why a message of many is not out; None when it is."""


class Bus(Protocol):
    """A connection to one message bus, in EdgeX topics (`/`, `+`, `#`) whatever the bus itself uses.

    Guarantees: everything published after a subscription is entered arrives, in order for each topic, while
    the connection holds; payloads are bytes and stay intact; a slow subscriber stalls nobody: its backlog is
    bounded, and what does not fit is dropped, counted and said once. After a lost connection the bus
    reconnects by itself with jittered back-off and subscribes again, with one log line each way. `open` and
    `close` are idempotent; `close` is legal before `open`.
    """

    async def open(self) -> None:
        """Starts connecting and returns at once; an absent server is no error here."""

    async def close(self) -> None:
        """Disconnects; subscriptions end as if their iterators were exhausted."""

    async def publish(self, message: Message) -> None:
        """At QoS ≥ 1 returns on the acknowledgement, at QoS 0 when handed over; raises BusUnavailable.

        Messages leave in the order of the calls, also of calls that wait side by side.
        """

    def subscribe(self, *topics: str) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Message]]]:
        """Yields bursts: one hand-off for all that has arrived; leaving the context unsubscribes."""
        ...

    async def done(self, messages: Sequence[Message]) -> None:
        """Acknowledges messages whose results are out; nothing to do at QoS 0."""

    @property
    def connected(self) -> bool:
        """Whether the server is reachable right now."""
        ...


@runtime_checkable
class Bursts(Protocol):
    """A bus to which many messages at once cost little more than one.

    `at_once`: all of them are begun before it waits for anything, so that what is published next comes behind them.
    """

    at_once: bool

    async def publish_all(self, messages: Sequence[Message]) -> Sequence[Refusal]:
        """As `publish` for each in its turn, begun in this order; one that is refused holds up no other."""
        ...
