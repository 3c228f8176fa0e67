"""Small doubles of core-command and core-data beside a test: as much as our service and `make live` ask of them.

core-command finds a device's service in core-metadata and passes the command on; core-data keeps what is on the bus.
"""

import base64
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import paho.mqtt.client as paho

from tests.ports import free_port

Answer = tuple[int, Any]
_NAMED = "/api/v3/device/name/"


class Double:
    """An HTTP server on a free port of the loopback interface that can be away; `start` brings it back."""

    def __init__(self, answer: Callable[[str, str], Answer]) -> None:
        self._answer = answer
        self._server: ThreadingHTTPServer | None = None
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self._answer))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def restart(self) -> None:
        self.stop()
        self.start()


def command(metadata: str) -> Double:
    """A core-command that asks the core-metadata at this address where a device is."""

    def answer(method: str, path: str) -> Answer:
        split = urlsplit(path)
        device, _, name = split.path.removeprefix(_NAMED).partition("/")
        if method != "GET" or not split.path.startswith(_NAMED) or not name:
            return 404, {"message": "Not Found"}
        status, found = _get(f"{metadata}{_NAMED}{device}")
        if status != 200:
            return status, found
        owner = found["device"]["serviceName"]
        status, found = _get(f"{metadata}/api/v3/deviceservice/name/{quote(owner, safe='')}")
        if status != 200:
            return status, found
        return _get(f"{found['service']['baseAddress']}{_NAMED}{device}/{name}?{split.query}")

    return Double(answer)


class Data:
    """A core-data on the broker at this port; `double` is its HTTP side."""

    def __init__(self, bus: int) -> None:
        self._events: list[Any] = []
        self._lock = threading.Lock()
        subscribed = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, "core-data")
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("edgex/events/device/#", 1)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = lambda _client, _userdata, message: self._keep(message.payload)
        self._client.connect("127.0.0.1", bus)
        self._client.loop_start()
        assert subscribed.wait(60)
        self.double = Double(self._answer)

    def close(self) -> None:
        self.double.stop()
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def kept(self) -> int:
        with self._lock:
            return len(self._events)

    def _keep(self, raw: bytes) -> None:
        payload = json.loads(raw)["payload"]
        if isinstance(payload, str):
            payload = json.loads(base64.b64decode(payload))
        with self._lock:
            self._events.append(payload["event"])

    def _answer(self, method: str, path: str) -> Answer:
        split = urlsplit(path)
        parts = [unquote(part) for part in split.path.removeprefix("/api/v3/").split("/")]
        with self._lock:
            match method, parts:
                case "DELETE", ["event", "device", "name", device]:
                    self._events = [one for one in self._events if one["deviceName"] != device]
                    return 202, {"apiVersion": "v3", "statusCode": 202}
                case "GET", ["reading", "device", "name", device, "resourceName", resource]:
                    limit = int(parse_qs(split.query).get("limit", ["20"])[0])
                    return 200, _readings(self._events, device, resource, limit)
        return 404, {"message": "Not Found"}


def _readings(events: list[Any], device: str, resource: str, limit: int) -> Mapping[str, Any]:
    """The newest first, as core-data has them."""
    found = [
        reading
        for event in reversed(events)
        for reading in event["readings"]
        if event["deviceName"] == device and reading["resourceName"] == resource
    ]
    return {"apiVersion": "v3", "statusCode": 200, "totalCount": len(found), "readings": found[:limit]}


def _get(url: str) -> Answer:
    """What another service answers; 503 where there is none, as core-command says it."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())
    except OSError as error:
        return 503, {
            "apiVersion": "v3",
            "message": f"failed to send a http request: {error}",
            "statusCode": 503,
        }


def _handler(answer: Callable[[str, str], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            status, body = answer(self.command, self.path)
            raw = json.dumps(body).encode()
            with suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

        do_GET = do_DELETE = _serve

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler
