"""What the bus asks of an MQTT client, whichever it is, and what both clients share."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from edgex_inference.contracts.bus import Refusal
from edgex_inference.contracts.messages import Message

T = TypeVar("T")

UNREADABLE_TOPIC = "busTopic"
"""The word that messages are counted under whose topic is no UTF-8."""

QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Without it a broker that leaves Nagle on, as mosquitto does, sends a second small packet 40 ms late."""

TRY_PLAIN = "; if its port is a plain one, set MessageBus.Protocol to tcp"
TRY_TLS = "; if its port wants TLS, set MessageBus.Protocol to ssl"


class Arrival(NamedTuple):
    """A message as it came; `mid` is what it is acknowledged by at `qos` ≥ 1."""

    message: Message
    mid: int = 0
    qos: int = 0
    retained: int = 0


@dataclass(frozen=True, slots=True)
class Loss:
    """Why there is no connection; `kind` is `down`, `denied`, or `taken`: another client has our session."""

    kind: str
    text: str


class Link(Protocol):
    """One connection after another; reports bursts of arrivals to the callable that it was made with."""

    lost: "asyncio.Future[Loss] | None"
    connected: bool

    async def connect(self) -> Loss | None:
        """One attempt: None when the broker has welcomed us; then `lost` says when that is over."""

    async def close(self) -> None:
        """Says goodbye, so that the broker does not send our last will; idempotent, legal before `connect`."""

    def subscribe(self, filters: Sequence[str]) -> "asyncio.Future[Sequence[str]]":
        """Resolves to one text for each filter: why it is refused, empty when granted."""
        ...

    def unsubscribe(self, filters: Sequence[str]) -> "asyncio.Future[Sequence[str]]":
        """Resolves when the broker has answered."""
        ...

    async def publish(self, topic: str, payload: bytes) -> None:
        """At QoS 0 returns when there is room for more, else on the acknowledgement."""

    async def publish_all(self, messages: Sequence[Message]) -> Sequence[Refusal]:
        """`publish` for each in its turn, at QoS 0."""
        ...

    def acknowledge(self, mid: int, qos: int) -> None:
        """Nothing to do at QoS 0, or when the connection that the message came on is gone."""


async def aside(name: str, work: Callable[[], T], discard: Callable[[T], None]) -> T:
    """Runs blocking work in a thread that nobody waits for at exit; what comes too late is discarded."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()
    lock, wanted = threading.Lock(), [True]

    def settle(found: T | None, failure: Exception | None) -> None:
        if outcome.done():
            drop(found, failure)
        elif failure is not None:
            outcome.set_exception(failure)
        else:
            outcome.set_result(found)  # type: ignore[arg-type]

    def drop(found: T | None, failure: Exception | None) -> None:
        if failure is None:
            discard(found)  # type: ignore[arg-type]

    def run() -> None:
        found, failure = None, None
        try:
            found = work()
        except Exception as error:  # noqa: BLE001 - it is raised where the outcome is awaited
            failure = error
        with lock:
            if wanted[0]:
                with contextlib.suppress(RuntimeError):  # the loop has gone
                    loop.call_soon_threadsafe(settle, found, failure)
                    return
        drop(found, failure)

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        return await outcome
    except asyncio.CancelledError:
        with lock:
            wanted[0] = False
        if outcome.done() and not outcome.cancelled() and outcome.exception() is None:
            discard(outcome.result())  # it came in the very moment
        raise


def no_delay(sock: Any) -> None:
    """Small packets leave at once."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def is_abrupt(error: Exception) -> bool:
    """Whether a handshake ended as one does with a server that speaks no TLS."""
    return isinstance(error, ssl.SSLError | ConnectionResetError | ConnectionAbortedError) and not isinstance(
        error, ssl.SSLCertVerificationError
    )


def reason(error: Exception) -> str:
    """What went wrong, in words for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return f"its host name is not known: {error.strerror}"
    if isinstance(error, TimeoutError) and not error.strerror:
        return "it does not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
