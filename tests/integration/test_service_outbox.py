"""Results on a real broker that goes away before they can leave, and a service that is killed before they have."""

import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import paho.mqtt.client as paho
import pytest

Mosquitto = Callable[..., Any]
AMOUNT = 20
SLOW = "            limits: {maxDelay: 5s}\n"
"""Results are late enough for a broker or a service to be ended before them."""


class Durable:
    """A consumer whose subscription the broker keeps while it is away; `got` is what it has received."""

    def __init__(self, port: int, process: ModuleType) -> None:
        self.got: Any = process.Watched()
        self._process = process
        self._port = port
        self._client: paho.Client

    def subscribe(self) -> "Durable":
        """Subscribes and goes away."""
        self.connect()
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.subscribe(self._process.RESULTS, 1)
        assert subscribed.wait(self._process.PATIENCE)
        self.close()
        return self

    def connect(self) -> None:
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, "durable", clean_session=False)
        self._client.on_message = self._arrived
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def results(self, amount: int) -> list[str]:
        """Correlation ids in the order in which results came, each once, when there are so many."""

        def enough(items: Sequence[Any]) -> list[str] | None:
            found = list(dict.fromkeys(one.correlation for one in items if not one.is_status))
            return found if len(found) >= amount else None

        found: list[str] = self.got.wait(enough, f"{amount} results")
        return found

    def _arrived(self, _client: Any, _userdata: Any, message: Any) -> None:
        self.got.add(self._process.Got(message.topic, message.payload))


@pytest.fixture
def broker(mosquitto: Mosquitto, tmp_path: Path) -> Any:
    """A broker that keeps what it holds for absent clients over a restart."""
    folder = tmp_path / "broker"
    folder.mkdir()
    return mosquitto("persistence true", f"persistence_location {folder}/", "max_queued_messages 0")


@pytest.fixture
def slow(pump: Any) -> Any:
    text = (pump.folder / "profiles" / "pump.yaml").read_text()
    pump.profile(text + SLOW)
    return pump


def outbox(service: Any) -> Any:
    return service.get("/api/v3/inference/traffic")[1]["outbox"]


def test_results_wait_on_disk_for_a_broker_that_is_away(slow: Any, process: ModuleType, broker: Any) -> None:
    slow.configure(broker.port, qos=1)
    service = slow.start().ready()
    durable = Durable(broker.port, process).subscribe()
    client = slow.client(broker.port)
    sent = [client.send_event("pump-3", process.reading("Load", "1e+00")) for _ in range(AMOUNT)]
    service.counted("Wear", "received", AMOUNT)
    client.close()
    broker.stop()
    service.until(lambda: outbox(service)["stored"] > AMOUNT, "all results and the status are stored")
    assert any(
        "messages wait on disk for the message bus" in one for one in service.get("/ready")[1]["reasons"]
    )
    broker.start()
    service.until(lambda: outbox(service)["waiting"] == 0, "all have left")
    durable.connect()
    assert durable.results(AMOUNT) == sent
    durable.close()
    counters = service.binding("Wear")["counters"]
    assert (counters["published"], counters["failed"]) == (AMOUNT, {})
    assert service.count("results are kept in") == 1
    assert service.count("what was kept while the message bus was away is out") == 1
    assert service.stop() == 0


def test_results_wait_on_disk_for_the_next_start(slow: Any, process: ModuleType, broker: Any) -> None:
    slow.configure(broker.port, qos=1)
    service = slow.start().ready()
    durable = Durable(broker.port, process).subscribe()
    client = slow.client(broker.port)
    sent = [client.send_event("pump-3", process.reading("Load", "1e+00")) for _ in range(AMOUNT)]
    service.counted("Wear", "received", AMOUNT)
    client.close()
    broker.stop()
    service.until(lambda: outbox(service)["stored"] > AMOUNT, "all results and the status are stored")
    service.stop(signal.SIGKILL)
    broker.start()
    service = slow.start().ready()
    service.said("messages of last time wait for the bus")
    durable.connect()
    assert durable.results(AMOUNT) == sent
    durable.close()
    assert service.stop() == 0


def test_a_killed_service_loses_nothing_that_the_broker_holds(
    slow: Any, process: ModuleType, broker: Any
) -> None:
    slow.configure(broker.port, qos=1)
    session = {"MESSAGEBUS_OPTIONAL_CLEANSESSION": "false"}
    service = slow.start(env=session).ready()
    durable = Durable(broker.port, process).subscribe()
    client = slow.client(broker.port)
    sent = [client.send_event("pump-3", process.reading("Load", "1e+00")) for _ in range(AMOUNT)]
    service.counted("Wear", "received", AMOUNT)
    assert service.binding("Wear")["counters"]["published"] == 0
    service.stop(signal.SIGKILL)
    service = slow.start(env=session).ready()
    durable.connect()
    assert sorted(durable.results(AMOUNT)) == sorted(sent)
    durable.close()
    assert service.stop() == 0
