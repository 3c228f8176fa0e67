"""paho's client as a Link: one TCP connection after another, driven from the event loop."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from edgex_inference.buses.bursts import one_by_one
from edgex_inference.buses.mqtt import link
from edgex_inference.buses.mqtt.link import QUICK_ACK, UNREADABLE_TOPIC, Arrival, Loss, aside
from edgex_inference.buses.mqtt.paho_client import BurstClient
from edgex_inference.buses.mqtt.settings import MqttSettings
from edgex_inference.buses.section import Tls
from edgex_inference.buses.tls import context_of
from edgex_inference.contracts.bus import Refusal
from edgex_inference.contracts.errors import BusUnavailable
from edgex_inference.contracts.messages import Message
from edgex_inference.telemetry.metrics import Counts

_PACKETS_AT_ONCE = 256
_TAKEN = (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_AGAIN)
_DENIED = (134, 135)  # what paho makes of CONNACK 4 (bad user name or password) and 5 (not authorized)


class PahoLink:
    """Connects, and reports messages and the loss of the connection; all on the loop but the dialling.

    A fresh paho client serves each connection, unless the broker keeps the session: then paho keeps its half.
    """

    def __init__(
        self, settings: MqttSettings, arrived: Callable[[Sequence[Arrival]], None], drops: Counts
    ) -> None:
        self._settings, self._arrived, self._drops = settings, arrived, drops
        self._tls = _tls_context(settings.tls) if settings.tls else None
        self._client: BurstClient | None = None
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._welcome: asyncio.Future[Loss | None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flushing = self._writing = False
        self.lost: asyncio.Future[Loss] | None = None
        self.connected = False

    # -- connecting -------------------------------------------------------------------------------------------

    async def connect(self) -> Loss | None:
        """One attempt: None when the broker has welcomed us; then `lost` says when that is over."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._settings.clean_session:
            self._client = self._new_client()
        client = self._client
        client.start_afresh()
        self._welcome, self.lost = loop.create_future(), loop.create_future()
        try:
            try:
                await _dial(client)
            except (OSError, ValueError) as error:
                hint = link.TRY_PLAIN if self._tls and link.is_abrupt(error) else ""
                return Loss("down", link.reason(error) + hint)
            self._attach(client)
            async with asyncio.timeout(self._settings.connect_timeout):
                refusal = await self._welcome
        except TimeoutError:
            said = "the server took the connection but does not answer as an MQTT broker does"
            refusal = Loss("down", said + self._other_port)
        except asyncio.CancelledError:
            self.drop(Loss("down", "closed"))
            raise
        if refusal is not None:
            self.drop(refusal)
        return refusal

    def _new_client(self) -> BurstClient:
        settings = self._settings
        client = BurstClient(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=settings.clean_session,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = settings.connect_timeout
        client.max_inflight_messages_set(1000)
        if settings.username:
            client.username_pw_set(settings.username, settings.password or None)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if settings.will_topic:
            client.will_set(settings.will_topic, settings.will_payload, settings.qos, settings.retained)
        client.on_message = lambda _client, _userdata, message: self._took(message)
        client.on_connect = lambda _client, _userdata, _flags, code, _properties: self._welcomed(code)
        client.on_disconnect = lambda _client, _userdata, _flags, code, _properties: self._ended(str(code))
        client.on_subscribe = lambda _client, _userdata, mid, codes, _properties: self._answer(mid, codes)
        client.on_unsubscribe = lambda _client, _userdata, mid, codes, _properties: self._answer(mid, codes)
        if settings.qos:  # at QoS 0 paho would build a reason code and properties for each message
            client.on_publish = lambda _client, _userdata, mid, code, _properties: self._answer(mid, ())
        client.on_socket_open = lambda _client, _userdata, sock: link.no_delay(sock)
        client.connect_async(settings.host, settings.port, settings.keep_alive)
        return client

    def _attach(self, client: BurstClient) -> None:
        loop = asyncio.get_running_loop()
        self._socket = client.socket()  # type: ignore[assignment]  # no websockets here
        if self._socket is None:
            return
        self._loop = loop
        loop.add_reader(self._socket, self._read)
        client.on_socket_close = lambda closing, _userdata, _sock: self._closing(closing)
        self._tick()
        self._flush()

    def _closing(self, client: object) -> None:
        if client is self._client:  # an earlier client may be collected at any time
            self._detach()

    def _detach(self) -> None:
        if self._socket is not None and self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
        self._socket, self._writing = None, False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _welcomed(self, code: Any) -> None:
        if self._welcome is None or self._welcome.done():
            return
        if code.is_failure:
            self._welcome.set_result(Loss("denied" if code.value in _DENIED else "down", str(code)))
        else:
            self.connected = True
            self._welcome.set_result(None)

    def _ended(self, reason: str) -> None:
        loss = Loss("down", reason)
        if self._welcome is not None and not self._welcome.done():
            said = f"the server ended the connection before it answered: {reason}{self._other_port}"
            self._welcome.set_result(Loss("down", said))
        self._forget(loss)

    def drop(self, loss: Loss) -> None:
        """Ends the connection from our side without a farewell."""
        self._detach()
        if self._client is not None and (sock := self._client.socket()) is not None:
            sock.close()
        self._forget(loss)

    @property
    def _other_port(self) -> str:
        """What a server that does not answer makes likely where no TLS is spoken."""
        return "" if self._tls is not None else link.TRY_TLS

    def _forget(self, loss: Loss) -> None:
        self.connected = False
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            if not answer.done():
                answer.set_exception(self.unavailable(f"the connection was lost ({loss.text})"))
        self._make_room()
        if self.lost is not None and not self.lost.done():
            self.lost.set_result(loss)

    async def close(self) -> None:
        """Says goodbye, so that the broker does not send our last will."""
        client = self._client
        if client is not None and self.connected:
            with contextlib.suppress(OSError):
                client.flush()
                client.direct = not client.unsent
                client.disconnect()
        self.drop(Loss("down", "closed"))
        self._client = None

    def unavailable(self, detail: str) -> BusUnavailable:
        return BusUnavailable(f"{self._settings.place}: {detail}")

    def _took(self, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._drops.add(UNREADABLE_TOPIC)
            self.acknowledge(message.mid, message.qos)
            return
        received = Message(topic, bytes(message.payload))
        self._arrived((Arrival(received, message.mid, message.qos, message.retain),))

    # -- reading and writing ----------------------------------------------------------------------------------

    def _read(self) -> None:
        client = self._client
        if client is None or self._socket is None:
            return
        client.dry = False
        for _ in range(_PACKETS_AT_ONCE):
            client.asked = 0
            client.loop_read()
            if client.dry or not client.asked or self._socket is None:
                break
        else:
            asyncio.get_running_loop().call_soon(self._read)
        if self._socket is not None and QUICK_ACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)
        self._flush()

    def _soon(self) -> None:
        """Writes once for everything that this turn of the loop has to send."""
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        client, sock = self._client, self._socket
        if client is None or sock is None:
            return
        try:
            empty = client.flush()
        except OSError as error:
            self.drop(Loss("down", link.reason(error)))
            return
        if self._socket is None:
            return
        if empty:
            self._make_room()
        if empty == self._writing:
            self._writing = not empty
            loop = asyncio.get_running_loop()
            if empty:
                loop.remove_writer(sock)
            else:
                loop.add_writer(sock, self._flush)

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def _tick(self) -> None:
        client = self._client
        if client is None or self._socket is None:
            return
        pause = min(1.0, self._settings.keep_alive / 4) or 1.0
        self._timer = asyncio.get_running_loop().call_later(pause, self._tick)
        client.loop_misc()
        self._flush()

    # -- requests ---------------------------------------------------------------------------------------------

    def _request(self, rc: MQTTErrorCode, mid: int | None) -> asyncio.Future[Any]:
        if rc not in _TAKEN or mid is None:
            raise self.unavailable(f"not sent ({rc.name})")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[mid] = answer
        self._soon()
        return answer

    def _answer(self, mid: int, codes: Sequence[Any]) -> None:
        answer = self._answers.pop(mid, None)
        if answer is not None and not answer.done():
            answer.set_result([str(code) if code.is_failure else "" for code in codes])

    def subscribe(self, filters: Sequence[str]) -> asyncio.Future[Any]:
        """Resolves to why each filter is refused, empty when granted."""
        return self._request(*self._connected().subscribe([(text, self._settings.qos) for text in filters]))

    def unsubscribe(self, filters: Sequence[str]) -> asyncio.Future[Any]:
        return self._request(*self._connected().unsubscribe(list(filters)))

    async def publish(self, topic: str, payload: bytes) -> None:
        """At QoS 0 returns when the kernel has room for more, else on the acknowledgement."""
        settings = self._settings
        sent = self._connected().publish(topic, payload, settings.qos, settings.retained)
        if settings.qos:
            await self._request(sent.rc, sent.mid)
            return
        if sent.rc not in _TAKEN:
            raise self.unavailable(f"not sent ({sent.rc.name})")
        self._soon()
        if self._crowded():
            if self._room is None:
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._room)
            if not self.connected:
                raise self.unavailable("the connection was lost")

    async def publish_all(self, messages: Sequence[Message]) -> Sequence[Refusal]:
        return await one_by_one(lambda one: self.publish(one.topic, one.payload), messages)

    def _crowded(self) -> bool:
        client = self._client
        return client is not None and (len(client.unsent) > 65_536 or client.want_write())

    def acknowledge(self, mid: int, qos: int) -> None:
        if qos and self._client is not None and self.connected:
            self._client.ack(mid, qos)
            self._soon()

    def _connected(self) -> BurstClient:
        if self._client is None or not self.connected:
            raise self.unavailable("not connected")
        return self._client


async def _dial(client: BurstClient) -> None:
    """Name look-up, TCP and TLS."""

    def discard(_: object) -> None:
        if (late := client.socket()) is not None:
            late.close()

    await aside("mqtt-dial", client.reconnect, discard)


class _ClosedOnFailure(ssl.SSLSocket):
    """paho leaves a socket open whose handshake fails."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _tls_context(tls: Tls) -> ssl.SSLContext:
    context = context_of(tls)
    context.sslsocket_class = _ClosedOnFailure
    return context
