"""A device service of the suite's own: validates its device, answers commands, publishes, and hears results."""

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, urlsplit

import paho.mqtt.client as paho

PATIENCE = 30.0


class Heard:
    """An event of the service under test."""

    def __init__(self, envelope: Any) -> None:
        payload = envelope["payload"]
        whole = json.loads(base64.b64decode(payload)) if isinstance(payload, str) else payload
        self.correlation = str(envelope["correlationID"])
        self.event = whole["event"]
        self.values = {one["resourceName"]: one.get("value") for one in self.event["readings"]}
        self.types = {one["resourceName"]: one["valueType"] for one in self.event["readings"]}


class DeviceService:
    """`name` owns the device `device` of profile `profile`; `level` is what a GET of its resource Level reads."""

    def __init__(self, name: str, bus: SplitResult, host: str, *, key: str, major: str) -> None:
        self.name, self.profile, self.device = name, name, f"{name}-1"
        self.level, self.asked = 20.0, 0
        self.heard: list[Heard] = []
        self._key, self._major = key, major
        self._changed = threading.Condition()
        here = "127.0.0.1" if host in ("127.0.0.1", "localhost") else ""
        self._server = ThreadingHTTPServer((here, 0), _handler(self))
        self.address = f"http://{host}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._subscribed = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, f"{name}-{uuid.uuid4().hex[:6]}")
        if bus.username:
            self._client.username_pw_set(bus.username, bus.password)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _client, _userdata, message: self._arrived(message)
        self._client.connect(bus.hostname or "", bus.port or 1883, keepalive=10)
        self._client.loop_start()
        assert self._subscribed.wait(PATIENCE), "the bus does not let anybody subscribe"

    def publish(self, value: float) -> str:
        """An event of the resource Load, as a device service of this EdgeX publishes it; its correlation id."""
        common = {"deviceName": self.device, "profileName": self.profile, "origin": time.time_ns()}
        reading = {"id": str(uuid.uuid4()), **common, "resourceName": "Load", "valueType": "Float32"}
        event = {
            "apiVersion": "v3",
            "id": str(uuid.uuid4()),
            "sourceName": "Load",
            **common,
            "readings": [{**reading, "value": f"{value:e}"}],
        }
        correlation = str(uuid.uuid4())
        self._send(
            f"edgex/events/device/{self.name}/{self.profile}/{self.device}/Load",
            correlationID=correlation,
            payload={"apiVersion": "v3", "requestId": str(uuid.uuid4()), "event": event},
        )
        return correlation

    def wait(
        self, wanted: Callable[[Heard], bool], what: str, seconds: float = PATIENCE, *, since: int = 0
    ) -> Heard:
        """The first event of the service that is wanted, without the first `since`; AssertionError when it is late."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                found = next((one for one in self.heard[since:] if wanted(one)), None)
                if found is not None:
                    return found
                left = deadline - time.monotonic()
                last = [one.values for one in self.heard[-3:]]
                assert left > 0, f"{what}: not within {seconds:g} s; heard last: {last}"
                self._changed.wait(left)

    def infer(self, value: float, seconds: float = PATIENCE) -> Heard:
        """The result of an event with this value, published again every second until it comes."""
        deadline = time.monotonic() + seconds
        sent: set[str] = set()
        while True:
            sent.add(self.publish(value))
            try:
                return self.wait(
                    lambda one: one.correlation in sent and "Wear" in one.values,
                    f"the result of {value}",
                    1.0,
                )
            except AssertionError:
                if time.monotonic() > deadline:
                    raise

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, Any]:
        """What core-command is answered."""
        self.asked += 1
        *_, device, command = urlsplit(path).path.split("/")
        if (device, command) != (self.device, "Level"):
            return 404, {"apiVersion": "v3", "message": f"no {command} of {device}", "statusCode": 404}
        common = {"deviceName": device, "profileName": self.profile, "origin": time.time_ns()}
        reading = {"id": str(uuid.uuid4()), **common, "resourceName": "Level", "valueType": "Float32"}
        event = {
            "apiVersion": "v3",
            "id": str(uuid.uuid4()),
            "sourceName": command,
            **common,
            "readings": [{**reading, "value": f"{self.level:e}"}],
        }
        return 200, {"apiVersion": "v3", "statusCode": 200, "event": event}

    def _connected(self, client: paho.Client, *_: object) -> None:
        topics = (f"edgex/events/device/{self._key}/#", f"edgex/{self.name}/validate/device")
        client.subscribe([(topic, 1) for topic in topics])

    def _arrived(self, message: paho.MQTTMessage) -> None:
        envelope = json.loads(message.payload)
        if message.topic.endswith("/validate/device"):
            self._send(
                f"edgex/response/{self.name}/{envelope['requestID']}",
                correlationID=envelope["correlationID"],
                requestID=envelope["requestID"],
                payload=None,
            )
            return
        with self._changed:
            self.heard.append(Heard(envelope))
            self._changed.notify_all()

    def _send(self, topic: str, *, payload: Any, **fields: str) -> None:
        if payload is not None and self._major == "3":
            payload = base64.b64encode(json.dumps(payload).encode()).decode()
        head = {"apiVersion": "v3", "receivedTopic": "", "requestID": "", "errorCode": 0, **fields}
        whole = {**head, "payload": payload, "contentType": "application/json"}
        self._client.publish(topic, json.dumps(whole), 1)


def _handler(service: DeviceService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = service.answer(self.path)
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            """Says nothing: the table is what is read."""

    return Handler
