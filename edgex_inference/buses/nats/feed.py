"""One subscription context on a NATS connection, with subscriptions of its own on the server.

Sharing them between contexts would save traffic where two contexts want the same topic, and cost what a change
of shared subscriptions costs: messages twice, or none.
"""

from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edgex_inference.buses.fanout import Fanout
from edgex_inference.contracts.messages import Message


class Handle(Protocol):
    """A subscription on the server."""

    def unsubscribe(self) -> Awaitable[None]: ...


class Delivery(Protocol):
    """What a stream wants acknowledged."""

    def ack(self) -> Awaitable[None]: ...

    def ack_sync(self) -> Awaitable[object]: ...

    def in_progress(self) -> Awaitable[None]: ...


@dataclass(slots=True, eq=False)
class Feed:
    """Filters, who reads, the server's subscriptions, and what the stream still waits for by its number there."""

    filters: Sequence[str]
    fanout: Fanout
    bursts: AsyncIterator[Sequence[Message]]
    handles: list[Handle] = field(default_factory=list)
    open: dict[int, Delivery] = field(default_factory=dict)

    def forget(self) -> None:
        """Before it is subscribed on another connection."""
        self.handles, self.open = [], {}
