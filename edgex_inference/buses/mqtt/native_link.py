"""Our own MQTT client as a Link: 3.1.1 and 5, QoS 0 and 1, flow control both ways."""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any

from edgex_inference.buses.bursts import one_by_one
from edgex_inference.buses.mqtt import inbox as incoming
from edgex_inference.buses.mqtt import link, packets, properties
from edgex_inference.buses.mqtt.greeting import hello
from edgex_inference.buses.mqtt.inbox import Burst, Control, Inbox, Oversize
from edgex_inference.buses.mqtt.link import Arrival, Loss
from edgex_inference.buses.mqtt.native_turns import Answer, Turns
from edgex_inference.buses.mqtt.native_wire import Wire
from edgex_inference.buses.mqtt.settings import MqttSettings
from edgex_inference.buses.tls import context_of
from edgex_inference.contracts.bus import Refusal
from edgex_inference.contracts.errors import BusUnavailable, EnvelopeError
from edgex_inference.contracts.messages import Message
from edgex_inference.telemetry.metrics import Counts

_log = logging.getLogger(__name__)

TOO_LARGE = "busSize"
"""The word that messages are counted under which are larger than a packet may be."""

_WINDOW = 1000
"""Messages of ours that may be without the broker's acknowledgement."""
_VERSIONS = {"3.1.1": 4, "5": 5}


class NativeLink:
    """All on the loop but the dialling; a fresh Wire serves each connection."""

    def __init__(
        self, settings: MqttSettings, arrived: Callable[[Sequence[Arrival]], None], drops: Counts
    ) -> None:
        self._settings, self._arrived, self._drops = settings, arrived, drops
        self._version = _VERSIONS[settings.version]
        self._tls = context_of(settings.tls) if settings.tls else None
        self._wire: Wire | None = None
        self._dropped: Wire | None = None
        self._welcome: asyncio.Future[Loss | None] | None = None
        self._answers: dict[int, Answer] = {}
        self._asked: dict[int, int] = {}
        self._published: dict[int, str] = {}
        self._queue = Turns()
        self._last_mid = 0
        self._open: set[int] = set()
        self._listening = True
        self._said: set[str] = set()
        self._limits(properties.NONE)
        self.lost: asyncio.Future[Loss] | None = None
        self.connected = False

    # -- connecting -------------------------------------------------------------------------------------------

    async def connect(self) -> Loss | None:
        """One attempt: None when the broker has welcomed us; then `lost` says when that is over."""
        loop = asyncio.get_running_loop()
        self._welcome, self.lost = loop.create_future(), loop.create_future()
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                try:
                    wire = await self._dial()
                except (OSError, ValueError) as error:
                    hint = link.TRY_PLAIN if self._tls and link.is_abrupt(error) else ""
                    return Loss("down", link.reason(error) + hint)
                wire.send(packets.connect(hello(self._settings, self._version, self._most_open)))
                refusal = await self._welcome
        except TimeoutError:
            said = "the server took the connection but does not answer as an MQTT broker does"
            refusal = Loss("down", (said if self._wire else "it does not answer in time") + self._other_port)
        except asyncio.CancelledError:
            self.drop(Loss("down", "closed"))
            raise
        if refusal is not None:
            self.drop(refusal)
        return refusal

    async def _dial(self) -> Wire:
        """Name look-up and TCP in a thread, TLS on the loop."""
        settings = self._settings

        def dial() -> socket.socket:
            sock = socket.create_connection((settings.host, settings.port), settings.connect_timeout)
            link.no_delay(sock)
            sock.setblocking(False)
            return sock

        sock = await link.aside("mqtt-dial", dial, socket.socket.close)
        wire = Wire(self, Inbox(version=self._version, largest=settings.max_packet), sock)
        encrypted: dict[str, Any] = {} if self._tls is None else {
            "ssl": self._tls, "server_hostname": settings.host,
            "ssl_handshake_timeout": settings.connect_timeout, "ssl_shutdown_timeout": 1.0,
        }  # fmt: skip
        self._dropped = wire  # until it is ours for good: `close` waits for its end
        try:
            await asyncio.get_running_loop().create_connection(lambda: wire, sock=sock, **encrypted)
        except ValueError:  # nothing has taken the socket over yet
            sock.close()
            raise
        self._wire, self._dropped = wire, None
        return wire

    @property
    def _most_open(self) -> int:
        """Messages that may be unacknowledged before the broker has to wait: more than one subscriber holds."""
        return 2 * self._settings.max_backlog

    def _limits(self, found: properties.Properties) -> None:
        """What the broker's welcome allows."""

        def value(key: int, otherwise: int) -> int:
            known = found.get(key, otherwise)
            assert isinstance(known, int)
            return known

        settings = self._settings
        self._qos = min(settings.qos, 1, value(properties.MAXIMUM_QOS, 1))
        retained = settings.retained and bool(value(properties.RETAIN_AVAILABLE, 1))
        self._first = packets.publish_first(self._qos, retained)
        self._window = min(_WINDOW, value(properties.RECEIVE_MAXIMUM, _WINDOW))
        self._largest = value(properties.MAXIMUM_PACKET, packets.MOST)
        self._keep_alive = value(properties.SERVER_KEEP_ALIVE, settings.keep_alive)

    def _welcomed(self, wire: Wire, control: Control) -> None:
        code = properties.modern(control.codes[0])
        refusal = None
        if code:
            kind = "denied" if code in properties.DENIED else "down"
            refusal = Loss(kind, _words(code, control.properties))
        else:
            self._limits(control.properties)
            self.connected = True
            wire.keep_alive(self._keep_alive)
        if self._welcome is not None and not self._welcome.done():
            self._welcome.set_result(refusal)

    @property
    def _other_port(self) -> str:
        """What a server that does not answer makes likely where no TLS is spoken."""
        return "" if self._tls is not None else link.TRY_TLS

    def ended(self, wire: Wire, why: str) -> None:
        if wire is not self._wire:
            return
        if self._welcome is not None and not self._welcome.done():
            said = f"the server ended the connection before it answered: {why}{self._other_port}"
            self._welcome.set_result(Loss("down", said))
        self._forget(Loss("down", why))

    def drop(self, loss: Loss) -> None:
        """Ends the connection from our side without a farewell."""
        wire = self._wire
        self._forget(loss)
        if wire is not None:
            self._dropped = wire
            wire.abort(loss.text)

    def _forget(self, loss: Loss) -> None:
        self.connected, self._wire = False, None
        answers, self._answers = self._answers, {}
        self._asked.clear()
        self._published.clear()
        self._open.clear()
        self._listening = True
        for answer in answers.values():
            if not answer.done():
                answer.set_exception(self._unavailable(f"the connection was lost ({loss.text})"))
        self._queue.end(lambda: self._unavailable(f"the connection was lost ({loss.text})"))
        if self.lost is not None and not self.lost.done():
            self.lost.set_result(loss)

    async def close(self) -> None:
        """Says goodbye, so that the broker does not send our last will."""
        wire = self._wire
        if wire is not None and self.connected:
            wire.send(packets.disconnect(self._version))
        self._forget(Loss("down", "closed"))
        for one in (wire, self._dropped):
            if one is not None:
                await one.close()
        self._dropped = None

    def _unavailable(self, detail: str) -> BusUnavailable:
        return BusUnavailable(f"{self._settings.place}: {detail}")

    # -- receiving --------------------------------------------------------------------------------------------

    def received(self, wire: Wire, burst: Burst) -> None:
        for control in burst.controls:
            self._heard(wire, control)
        for passed in burst.oversize:
            self._passed_over(passed)
        arrivals = burst.arrivals
        if arrivals:
            if self._qos or self._open or not self._settings.clean_session:
                self._open.update(arrival.mid for arrival in arrivals if arrival.qos)
                self._hold_back(wire)
            self._arrived(arrivals)
        if burst.mistake is not None and wire is self._wire:
            wire.send(packets.disconnect(self._version, burst.mistake.code))
            wire.flush()
            self._fall(Loss("down", f"it broke the protocol: {burst.mistake}"))

    def _fall(self, loss: Loss) -> None:
        if self._welcome is not None and not self._welcome.done():
            self._welcome.set_result(Loss(loss.kind, loss.text + self._other_port))
        self.drop(loss)

    def _heard(self, wire: Wire, control: Control) -> None:
        match control.kind:
            case incoming.PUBACK:
                self._settle(control)
            case incoming.WELCOME:
                self._welcomed(wire, control)
            case incoming.SUBACK | incoming.UNSUBACK:
                self._answered(control)
            case incoming.PUBREL:
                wire.send(packets.answer(0x70, control.mid))
            case incoming.FAREWELL:
                code = control.codes[0]
                kind = "taken" if code == properties.SESSION_TAKEN else "down"
                self.drop(Loss(kind, _words(code, control.properties)))

    def _passed_over(self, passed: Oversize) -> None:
        self._drops.add(TOO_LARGE)
        level = logging.DEBUG if passed.topic in self._said else logging.WARNING
        if len(self._said) < 1000:
            self._said.add(passed.topic)
        _log.log(
            level,
            "%.300s: a message of %d bytes is larger than %d; dropped (Inference.MaxMessageSize is too small for it)",
            passed.topic,
            passed.size,
            self._settings.max_packet,
        )
        if passed.qos:
            self._open.add(passed.mid)
            self.acknowledge(passed.mid, passed.qos)

    def _hold_back(self, wire: Wire) -> None:
        """Lets the broker wait while too much is unacknowledged, and nothing of ours: its answer must be heard."""
        if self._listening and len(self._open) >= self._most_open and not self._published:
            self._listening = False
            wire.listen(False)

    def acknowledge(self, mid: int, qos: int) -> None:
        """PUBACK, or PUBREC for what an older session of ours asked for at QoS 2."""
        wire = self._wire
        if not qos or wire is None or mid not in self._open:
            return
        wire.send(packets.answer(0x40 if qos == 1 else 0x50, mid))
        self._open.discard(mid)
        if not self._listening and len(self._open) <= self._most_open // 2:
            self._listening = True
            wire.listen(True)

    # -- requests ---------------------------------------------------------------------------------------------

    def subscribe(self, filters: Sequence[str]) -> Answer:
        """Resolves to why each filter is refused, empty when granted."""
        wire, mid = self._connected(), self._new_mid()
        wire.send(packets.subscribe(mid, filters, self._qos, self._version))
        self._asked[mid] = len(filters)
        return self._await(mid)

    def unsubscribe(self, filters: Sequence[str]) -> Answer:
        wire, mid = self._connected(), self._new_mid()
        wire.send(packets.unsubscribe(mid, filters, self._version))
        return self._await(mid)

    def _answered(self, control: Control) -> None:
        answer = self._answers.pop(control.mid, None)
        asked = self._asked.pop(control.mid, len(control.codes))
        if control.kind == incoming.SUBACK and asked != len(control.codes):
            self.drop(Loss("down", f"it answers {len(control.codes)} of {asked} subscriptions"))
        if answer is not None and not answer.done():
            answer.set_result([properties.words(code) if code >= 128 else "" for code in control.codes])

    async def publish(self, topic: str, payload: bytes) -> None:
        """At QoS 0 returns when there is room for more, else on the acknowledgement; leaves in the order of calls."""
        wire = self._connected()
        if self._queue or self._full(wire):
            answer = await self._queue.take(topic, payload)
        else:
            answer = self._post(wire, topic, payload)
        if answer is not None:
            (refusal,) = await answer
            if refusal:
                raise EnvelopeError(topic, f"{self._settings.place} refuses it: {refusal}", reason="refused")
        elif wire.crowded():
            await wire.room()
            if wire is not self._wire:
                raise self._unavailable("the connection was lost")

    async def publish_all(self, messages: Sequence[Message]) -> Sequence[Refusal]:
        """`publish` for each in its turn, at QoS 0; what finds room at once costs no turn of the loop."""
        found: list[Refusal] = []
        for message in messages:
            wire, payload = self._wire, message.payload
            head = packets.plain_publication(message.topic, len(payload), self._first, self._version)
            ready = wire is not None and self.connected and not self._queue and not self._full(wire)
            if wire is None or not ready or len(head) + len(payload) > self._largest:
                found += await one_by_one(lambda one: self.publish(one.topic, one.payload), [message])
            else:
                wire.send(head, payload)
                found.append(None)
        return found

    def _full(self, wire: Wire) -> bool:
        return wire.crowded() or len(self._published) >= self._window

    def _post(self, wire: Wire, topic: str, payload: bytes) -> Answer | None:
        """Hands over now; what the broker will answer at QoS 1."""
        mid = self._new_mid() if self._qos else 0
        head = packets.publication(topic, len(payload), self._first, mid, self._version)
        self._fits(topic, len(head) + len(payload))
        wire.send(head, payload)
        if not mid:
            return None
        self._published[mid] = topic
        if not self._listening:
            self._listening = True
            wire.listen(True)
        return self._await(mid)

    def roomy(self, wire: Wire) -> None:
        """Sends what waits, as far as there is room."""
        self._queue.serve(
            lambda: wire is self._wire and not self._full(wire),
            lambda topic, payload: self._post(wire, topic, payload),
        )

    def _settle(self, control: Control) -> None:
        if self._published.pop(control.mid, None) is None:
            return
        answer = self._answers.pop(control.mid, None)
        if answer is not None and not answer.done():
            code = control.codes[0]
            answer.set_result([_words(code, control.properties) if code >= 128 else ""])
        if self._queue and self._wire is not None:
            self.roomy(self._wire)

    def _fits(self, topic: str, size: int) -> None:
        if size > self._largest:
            raise EnvelopeError(topic, f"{size} bytes, and the broker takes {self._largest}", reason="size")

    def _await(self, mid: int) -> Answer:
        answer: Answer = asyncio.get_running_loop().create_future()
        self._answers[mid] = answer
        return answer

    def _new_mid(self) -> int:
        """The next identifier that is not under way: there are at most as many as the window and few more."""
        while True:
            self._last_mid = self._last_mid % 65_535 + 1
            if self._last_mid not in self._answers:
                return self._last_mid

    def _connected(self) -> Wire:
        if self._wire is None or not self.connected:
            raise self._unavailable("not connected")
        return self._wire


def _words(code: int, found: properties.Properties) -> str:
    """A reason code in words, with what the broker says itself."""
    said = found.get(properties.REASON)
    return properties.words(code) + (f" ({said:.200})" if isinstance(said, str) and said else "")
