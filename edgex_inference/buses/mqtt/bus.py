"""The bus on an MQTT broker: stays connected, subscribes the least, acknowledges what is done."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from edgex_inference.buses.bursts import one_by_one, side_by_side
from edgex_inference.buses.fanout import Fanout, Limits
from edgex_inference.buses.mqtt.link import Arrival, Link, Loss
from edgex_inference.buses.mqtt.native_link import NativeLink
from edgex_inference.buses.mqtt.settings import MqttSettings
from edgex_inference.buses.topics import covers, disjoint_cover, matches, mistake_in_topic
from edgex_inference.contracts.bus import Refusal
from edgex_inference.contracts.errors import BusUnavailable, EnvelopeError, SetupError
from edgex_inference.contracts.messages import Message
from edgex_inference.telemetry.metrics import Counts

_log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE, _DENIED_PAUSE = 0.1, 10.0, 30.0
_STEADY = 5.0
"""Seconds after which a connection counts as good: shorter ones do not shorten the next pause."""


@dataclass(slots=True, eq=False)
class _Receipt:
    """A message that the broker wants acknowledged, and how many subscribers still work on it."""

    message: Message
    mid: int
    qos: int
    open: int


class MqttBus:
    """One connection to an MQTT broker, through the client that the settings name.

    Delivery is at least once at QoS ≥ 1: a publish that fails as the connection breaks may have arrived, and
    messages that a slow subscriber cannot take are acknowledged and counted. With `clean_session` off enter the
    subscriptions before `open`: the broker sends what it kept at once.

    Raises SetupError when paho-mqtt is not installed or the certificates cannot be read.
    """

    def __init__(self, settings: MqttSettings, *, drops: Counts | None = None) -> None:
        self._settings = settings
        self._drops = drops or Counts()
        self._fanout = Fanout(Limits(messages=settings.max_backlog), self._drops, _log)
        self._link = _link(settings, self._arrived, self._drops)
        self._task: asyncio.Task[None] | None = None
        self._asked: set[str] = set()
        self._refused: dict[str, None] = {}
        self._leaving: dict[str, dict[str, bytes]] = {}
        self._receipts: dict[int, _Receipt] = {}
        self._said: set[str] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._random = random.Random()

    # -- lifetime ---------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Starts connecting and returns at once."""
        if self._task is None:
            for note in self._settings.notes:
                _log.warning("%s", note)
            self._task = asyncio.create_task(self._stay_connected(), name="mqtt-bus")

    async def close(self) -> None:
        """Disconnects; subscriptions end with what has arrived."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._link.close()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._receipts.clear()
        self._fanout.end()

    @property
    def connected(self) -> bool:
        return self._link.connected

    @property
    def refused(self) -> Sequence[str]:
        """Filters that the broker does not let us subscribe to; asked for again every 30 s."""
        return tuple(self._refused)

    async def _stay_connected(self) -> None:
        attempt = 0
        clock = asyncio.get_running_loop().time
        while True:
            loss, began = await self._link.connect(), clock()
            if loss is None:
                self._up()
                assert self._link.lost is not None
                loss = await self._link.lost
                attempt = 0 if clock() - began >= _STEADY else attempt
                self._receipts.clear()
                self._down(loss, brief=clock() - began < _STEADY and attempt > 2)
            else:
                self._failed(loss)
            await asyncio.sleep(pause(attempt, denied=loss.kind == "denied", chance=self._random.random()))
            attempt += 1

    def _up(self) -> None:
        _log.info("%s: connected as %r", self._settings.place, self._settings.client_id)
        self._said.clear()
        if self._settings.clean_session:
            self._asked.clear()
        self._refused.clear()
        self._leaving.clear()
        self._fanout.forget()
        self._reconcile(self._fanout.filters())

    def _down(self, loss: Loss, *, brief: bool) -> None:
        self._said.add(loss.kind)
        brief = brief or loss.kind == "taken"
        hint = f"; does another client use the id {self._settings.client_id!r}?" if brief else ""
        _log.warning("%s: connection lost (%s)%s; reconnecting", self._settings.place, loss.text, hint)

    def _failed(self, loss: Loss) -> None:
        if loss.kind in self._said:
            return
        self._said.add(loss.kind)
        settings = self._settings
        if loss.kind == "down":
            _log.warning("%s: cannot connect (%s); trying until it works", settings.place, loss.text)
            return
        _log.error(
            "%s: refuses the user %r (%s); check MessageBus.AuthMode (%s) and the secret %r (MessageBus.SecretName) "
            "or Optional.Username and Password; trying again every %d s",
            *(
                settings.place,
                settings.username,
                loss.text,
                settings.auth_mode,
                settings.secret_name,
                _DENIED_PAUSE,
            ),
        )

    # -- publishing -------------------------------------------------------------------------------------------

    async def publish(self, message: Message) -> None:
        if mistake := mistake_in_topic(message.topic):
            raise EnvelopeError(message.topic, mistake, reason="topic")
        await self._link.publish(message.topic, message.payload)

    @property
    def at_once(self) -> bool:
        return self._settings.qos > 0 and self._settings.client == "native"

    async def publish_all(self, messages: Sequence[Message]) -> Sequence[Refusal]:
        if self._settings.qos:
            return await side_by_side(self.publish, messages)
        if any(mistake_in_topic(message.topic) for message in messages):
            return await one_by_one(self.publish, messages)
        return await self._link.publish_all(messages)

    # -- subscribing ------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[AsyncIterator[Sequence[Message]]]:
        """While connected the context is entered when the broker has answered."""
        subscriber = self._fanout.enter(topics)
        try:
            answer = self._reconcile(topics)
            if answer is not None:
                await asyncio.wait({answer}, timeout=self._settings.connect_timeout)
            yield subscriber
        finally:
            await self.done(self._fanout.leave(subscriber))
            self._reconcile()

    def _reconcile(self, entering: Sequence[str] = ()) -> "asyncio.Future[Sequence[str]] | None":
        """Asks the broker for what is missing, then takes back what is too much; returns the former's answer.

        What covers a new subscriber's filters is asked for again, so that it gets what the broker retains.
        """
        if not self._link.connected:
            return None
        wanted = set(disjoint_cover(self._fanout.filters()))
        missing = wanted - self._asked
        missing |= {wide for wide in wanted if any(covers(wide, text) for text in entering)}
        surplus = sorted(self._asked - wanted)
        self._asked = wanted
        answer = None
        with suppress(BusUnavailable):  # the next connection starts from what is wanted then
            if missing:
                answer = self._link.subscribe(sorted(missing))
                answer.add_done_callback(partial(self._subscribed, sorted(missing)))
            if surplus:
                self._leaving.update((text, {}) for text in surplus)
                self._link.unsubscribe(surplus).add_done_callback(partial(self._unsubscribed, surplus))
        return answer

    def _subscribed(self, filters: Sequence[str], answer: "asyncio.Future[Sequence[str]]") -> None:
        if answer.cancelled() or answer.exception() is not None:
            return
        for text, refusal in zip(filters, answer.result(), strict=False):
            if not refusal:
                self._refused.pop(text, None)
            elif text not in self._refused:
                self._refused[text] = None
                _log.error(
                    "%s: refuses the subscription to %r (%s) that %s needs; check what the user %r may read; "
                    "asking again every %d s",
                    self._settings.place,
                    text,
                    refusal,
                    ", ".join(repr(one) for one in self._fanout.filters() if covers(text, one))
                    or "a subscriber",
                    self._settings.username,
                    _DENIED_PAUSE,
                )
        if self._refused and self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(_DENIED_PAUSE, self._ask_again)

    def _ask_again(self) -> None:
        self._retry = None
        self._asked.difference_update(self._refused)
        self._reconcile()

    def _unsubscribed(self, filters: Sequence[str], answer: "asyncio.Future[Sequence[str]]") -> None:
        if not answer.cancelled():
            answer.exception()
        for text in filters:
            self._leaving.pop(text, None)

    # -- receiving --------------------------------------------------------------------------------------------

    def _arrived(self, arrivals: Sequence[Arrival]) -> None:
        """Hands a burst to the subscribers; what nobody takes is acknowledged at once."""
        if not (self._leaving or any(one.qos or one.retained for one in arrivals)):
            self._fanout.deliver_all([one.message for one in arrivals])
            return
        for message, mid, qos, retained in arrivals:
            if self._leaving and not retained and self._repeated(message.topic, message.payload):
                taken = 0
            else:
                taken = self._fanout.deliver(message, retained=bool(retained))
            if not qos:
                continue
            if taken:
                self._receipts[id(message)] = _Receipt(message, mid, qos, taken)
            else:
                self._link.acknowledge(mid, qos)

    def _repeated(self, topic: str, payload: bytes) -> bool:
        """While one filter replaces another the broker may send a message for each: the second is dropped."""
        for pattern, last in self._leaving.items():
            if matches(pattern, topic):
                if last.get(topic) == payload:
                    del last[topic]
                    return True
                last[topic] = payload
        return False

    async def done(self, messages: Sequence[Message]) -> None:
        """A message that several subscribers got is acknowledged when each of them is done with it."""
        for message in messages:
            receipt = self._receipts.get(id(message))
            if receipt is None or receipt.message is not message:
                continue
            receipt.open -= 1
            if receipt.open <= 0:
                del self._receipts[id(message)]
                self._link.acknowledge(receipt.mid, receipt.qos)


def pause(attempt: int, *, denied: bool, chance: float) -> float:
    """Seconds before the next attempt: doubling from 0.1 to 10 with jitter; `chance` is in 0..1."""
    longest = _DENIED_PAUSE if denied else min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempt, 20))
    return longest * (0.5 + 0.5 * chance)


def _link(settings: MqttSettings, arrived: Callable[[Sequence[Arrival]], None], drops: Counts) -> Link:
    if settings.client == "native":
        return NativeLink(settings, arrived, drops)
    try:
        from edgex_inference.buses.mqtt.paho_link import PahoLink
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "paho":
            raise
        raise SetupError(
            "Inference.MqttClient is 'paho', but paho-mqtt is missing: "
            'pip install "edgex-inference[mqtt]", or set it to native'
        ) from error
    return PahoLink(settings, arrived, drops)
