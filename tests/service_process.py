"""`edgex-inference` as a process of its own, in a folder of its own, and a bare MQTT client opposite to it."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from tests.ports import free_port

PATIENCE = 60.0
ORIGIN = 1_795_418_138_745_047_301
RESULTS = "edgex/events/device/app-inference/#"


def command() -> str:
    """The installed command beside this interpreter."""
    path = Path(sys.executable).with_name("edgex-inference")
    assert path.is_file(), "edgex-inference is not installed in this environment: make setup-test"
    return str(path)


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what would configure the service, and with `more`."""
    ours = re.compile(r"(EDGEX_|MESSAGEBUS_|INFERENCE_|WRITABLE_|SERVICE_|TRIGGER_|CLIENTS_|PYTHONPATH$)")
    kept = {name: text for name, text in os.environ.items() if not ours.match(name)}
    ours = {"EDGEX_SECURITY_SECRET_STORE": "false", "PYTHONUNBUFFERED": "1"}
    return kept | ours | {"INFERENCE_AUTOACCELERATORS": "onnxruntime,litert"} | dict(more)


class Watched:
    """Things that threads add to and a test waits for."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._changed = threading.Condition()

    def add(self, item: Any) -> None:
        with self._changed:
            self.items.append(item)
            self._changed.notify_all()

    def wait(self, enough: Callable[[Sequence[Any]], Any], what: str, seconds: float = PATIENCE) -> Any:
        """What `enough` says of all items, as soon as it is true; AssertionError after `seconds`."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not (found := enough(self.items)):
                left = deadline - time.monotonic()
                assert left > 0, (
                    f"{what}: not after {seconds:g} s; {len(self.items)} so far: {str(self.items[-2:])[:2000]}"
                )
                self._changed.wait(left)
            return found


class Service:
    """One process of the service; `port` is its HTTP port once it is up.

    `output` is where it writes; unless given, `lines` has what it wrote. `program` is what is run instead of the
    installed command.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        output: int | None = None,
        program: Sequence[str] = (),
    ) -> None:
        self.lines = Watched()
        self._process = subprocess.Popen(
            [*(program or (command(),)), *arguments],
            cwd=folder,
            env=environment({"XDG_STATE_HOME": str(folder / "state"), **(env or {})}),
            stdout=subprocess.PIPE if output is None else output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        given = (env or {}).get("SERVICE_PORT", "")
        self._port = int(given) if given.isdigit() else 0

    def _read(self) -> None:
        if self._process.stdout is None:
            return
        with self._process.stdout as lines:
            for line in lines:
                self.lines.add(line.rstrip("\n"))
        self.lines.add("(end of output)")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return "\n".join(self.lines.items)

    @property
    def port(self) -> int:
        if not self._port:
            line = self.said("has started; ")
            self._port = int(re.search(r"has started; .*:(\d+)\"", line)[1])  # type: ignore[index]
        return self._port

    def said(self, text: str, times: int = 1, seconds: float = PATIENCE) -> str:
        """The line in which the service said this for the `times`-th time, as soon as it has."""

        def found(lines: Sequence[str]) -> str:
            have = [line for line in lines if text in line]
            gone = lines and lines[-1] == "(end of output)"
            assert len(have) >= times or not gone, f"ended before {text!r}: {lines}"
            return have[times - 1] if len(have) >= times else ""

        return str(self.lines.wait(found, f"the service says {text!r}", seconds))

    def count(self, text: str) -> int:
        return sum(text in line for line in self.lines.items)

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON body of an HTTP answer."""
        try:
            with urllib.request.urlopen(f"http://localhost:{self.port}{path}", timeout=PATIENCE) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def until(self, enough: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """Asks again until the answer is true; AssertionError when the process ends or time is up."""
        deadline = time.monotonic() + seconds
        while not (found := self._ask(enough)):
            assert time.monotonic() < deadline, f"{what}: not after {seconds:g} s\n{self.log}"
            assert not self._ended(0.02), f"{what}: the service ended\n{self.log}"
        return found

    def _ask(self, enough: Callable[[], Any]) -> Any:
        try:
            return enough()
        except urllib.error.URLError:  # not listening yet
            return None

    def ready(self) -> "Service":
        """Waits until /ready says yes: connected, every binding running."""
        self.until(lambda: self.get("/ready")[0] == 200, "ready")
        return self

    def binding(self, name: str) -> Any:
        """The row of a binding on the page."""
        rows = self.get("/api/v3/inference/bindings")[1]["bindings"]
        return next(row for row in rows if row["binding"] == name)

    def counted(self, name: str, counter: str, at_least: int) -> Any:
        """The counters of a binding as soon as one of them has this height."""

        def enough() -> Any:
            counters = self.binding(name)["counters"]
            return counters if counters[counter] >= at_least else None

        return self.until(enough, f"{name}: {counter} ≥ {at_least}")

    def tell(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit code; everything that it said is in `log` then."""
        code = self._process.wait(seconds)
        self._reader.join(PATIENCE)
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = PATIENCE) -> int:
        self.tell(number)
        return self.wait(seconds)

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        if "pytest" in sys.modules:  # which shows it where a test fails
            print(f"what the service said (it ended with {self._process.returncode}):\n{self.log}")

    def _ended(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Got:
    """A message that the client received; `event` is what the envelope holds."""

    topic: str
    payload: bytes

    @property
    def envelope(self) -> Any:
        return json.loads(self.payload)

    @property
    def correlation(self) -> str:
        return str(self.envelope["correlationID"])

    @property
    def event(self) -> Any:
        payload = self.envelope["payload"]
        if isinstance(payload, str):
            payload = json.loads(base64.b64decode(payload))
        return payload["event"]

    @property
    def values(self) -> dict[str, Any]:
        """Reading name → its text or object."""
        return {
            one["resourceName"]: one["objectValue"] if one["valueType"] == "Object" else one["value"]
            for one in self.event["readings"]
        }

    @property
    def is_status(self) -> bool:
        return "InferenceStatus" in self.values


class Client:
    """Device and consumer in one: publishes events, collects results in `got` and statuses in `told`."""

    def __init__(self, port: int, *, qos: int = 1, user: str = "", password: str = "") -> None:
        self.got, self.told = Watched(), Watched()
        self.qos = qos
        self._subscribed = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, f"peer-{uuid.uuid4().hex[:8]}")
        if user:
            self._client.username_pw_set(user, password)
        self._client.max_queued_messages_set(0)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(RESULTS, self.qos)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _client, _userdata, message: self._arrived(message)
        self._client.connect("127.0.0.1", port, keepalive=10)
        self._client.loop_start()
        assert self._subscribed.wait(PATIENCE)

    def _arrived(self, message: paho.MQTTMessage) -> None:
        one = Got(message.topic, message.payload)
        (self.told if one.is_status else self.got).add(one)

    def wait_subscribed(self) -> None:
        assert self._subscribed.wait(PATIENCE)

    def listen(self, topic: str) -> None:
        """Takes another topic's events for results as well."""
        self._subscribed.clear()
        self._client.subscribe(topic, self.qos)
        assert self._subscribed.wait(PATIENCE)

    def forget_subscription(self) -> None:
        """Before a broker's restart: `wait_subscribed` waits for the next subscription then."""
        self._subscribed.clear()

    def send(self, topic: str, payload: bytes | str) -> paho.MQTTMessageInfo:
        return self._client.publish(topic, payload, self.qos)

    def send_event(self, device: str, *readings: Mapping[str, Any], **names: str) -> str:
        """Publishes an AddEventRequest as EdgeX 4 does; returns its correlation id."""
        topic, payload, correlation = message(device, *readings, **names)
        self.send(topic, payload)
        return correlation

    @property
    def results(self) -> list[Got]:
        return list(self.got.items)

    def wait_results(self, amount: int, seconds: float = PATIENCE) -> list[Got]:
        """All results as soon as there are so many."""
        self.got.wait(lambda items: len(items) >= amount, f"{amount} results", seconds)
        return self.results

    def status(self, device: str, binding: str, text: str, seconds: float = PATIENCE) -> Got:
        """The status event with this text."""

        def enough(items: Sequence[Got]) -> Got | None:
            return next((one for one in items if _tells(one, device, binding, text)), None)

        found: Got = self.told.wait(enough, f"{device}: {binding}: {text}", seconds)
        return found

    def close(self) -> None:
        self._client.disconnect()  # its thread ends by itself, up to a second later


def _tells(one: Got, device: str, binding: str, text: str) -> bool:
    return one.topic.endswith(f"/{device}/{binding}") and one.values.get("InferenceStatus") == text


def reading(resource: str, value: Any, kind: str = "Float32") -> dict[str, Any]:
    return {"resourceName": resource, "valueType": kind, "value": value}


def message(
    device: str, *readings: Mapping[str, Any], profile: str = "pump", source: str = "all"
) -> tuple[str, bytes, str]:
    """Topic, payload and correlation id of an event as device services of EdgeX 4 publish it."""
    correlation = str(uuid.uuid4())
    common = {"deviceName": device, "profileName": profile, "origin": ORIGIN}
    event = {
        "apiVersion": "v3",
        "id": str(uuid.uuid4()),
        "sourceName": source,
        **common,
        "readings": [{"id": str(uuid.uuid4()), **common, **one} for one in readings],
    }
    envelope = {
        "apiVersion": "v3",
        "receivedTopic": "",
        "correlationID": correlation,
        "requestID": "",
        "errorCode": 0,
        "payload": {"apiVersion": "v3", "requestId": str(uuid.uuid4()), "event": event},
        "contentType": "application/json",
    }
    topic = f"edgex/events/device/device-test/{profile}/{device}/{source}"
    return topic, json.dumps(envelope).encode(), correlation


class World:
    """A folder with configuration, profiles and models, and what runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[Service | Client] = []
        for name in ("profiles", "models"):
            (folder / name).mkdir(parents=True)

    def configure(self, port: int, *lines: str, qos: int = 0) -> None:
        """Writes configuration.toml for a broker on this port; `lines` come first and may set top tables."""
        text = "\n".join(
            [
                *lines,
                "[Service]\nPort = 0",
                f'[MessageBus]\nHost = "127.0.0.1"\nPort = {port}',
                f'[MessageBus.Optional]\nQos = "{qos}"',
            ]
        )
        (self.folder / "configuration.toml").write_text(text)

    def model(self, name: str, files: Iterable[Path], card: str, version: str = "1") -> Path:
        """A model's folder with copies of the files and this card, whose head is written here."""
        folder = self.folder / "models" / name / version
        folder.mkdir(parents=True)
        for file in files:
            shutil.copy(file, folder)
        (folder / "model.yaml").write_text(f'schema: 1\nname: {name}\nversion: "{version}"\n{card}\n')
        return folder

    def profile(self, text: str, name: str = "pump") -> None:
        (self.folder / "profiles" / f"{name}.yaml").write_text(text)

    def free_port(self) -> int:
        """For a service that cannot tell which port it took."""
        return free_port()

    def start(self, *arguments: str, **options: Any) -> Service:
        """A service in this folder, with `run` where no arguments say otherwise."""
        service = Service(self.folder, *(arguments or ("run",)), **options)
        self._running.append(service)
        return service

    def client(self, port: int, **options: Any) -> Client:
        client = Client(port, **options)
        self._running.append(client)
        return client

    def close(self) -> None:
        for one in reversed(self._running):
            one.kill() if isinstance(one, Service) else one.close()
