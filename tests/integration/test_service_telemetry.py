"""Metrics on a real broker: switched on and off by the configuration file while the service runs."""

import json
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import paho.mqtt.client as paho

from edgex_inference.contracts.messages import Message

Mosquitto = Callable[..., Any]
TOML = """
[Writable.Telemetry]
Interval = "200ms"
{tables}
[Service]
Port = 0
[MessageBus]
Host = "127.0.0.1"
Port = {port}
[Inference]
EdgexVersion = "4"
Metadata = "none"
"""
ON = """
[Writable.Telemetry.Metrics]
MessagesReceived = true
InferenceInfer = true
[Writable.Telemetry.Tags]
site = "x"
"""


class Listener:
    """Hears the metrics of a broker."""

    def __init__(self, port: int, watched: Any) -> None:
        self.got, ready = watched, threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, "metrics")
        self._client.on_connect = lambda client, *_: client.subscribe("edgex/telemetry/#")
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _client, _userdata, one: self.got.add(
            Message(one.topic, one.payload)
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(60)

    def wait(self, metric: str, value: int) -> Message:
        """The first message of a metric whose first field has reached this value."""

        def enough(items: Any) -> Message | None:
            found = [one for one in items if one.topic.endswith(f"/{metric}")]
            return next((one for one in found if payload(one)["fields"][0]["value"] >= value), None)

        heard: Message = self.got.wait(enough, f"{metric} ≥ {value}")
        return heard

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def payload(message: Message) -> Any:
    return json.loads(message.payload)["payload"]


def test_metrics_follow_the_configuration_file(
    pump: Any, process: ModuleType, mosquitto: Mosquitto, judge: Any
) -> None:
    broker = mosquitto()
    file = pump.folder / "configuration.toml"
    file.write_text(TOML.format(port=broker.port, tables=""))
    service = pump.start().ready()
    listener = Listener(broker.port, process.Watched())
    try:
        client = pump.client(broker.port)
        for load in ("1e+00", "2e+00"):
            client.send_event("pump-3", process.reading("Load", load))
        client.wait_results(2)
        assert listener.got.items == [], "nothing is on until it is switched on"
        file.write_text(TOML.format(port=broker.port, tables=ON))
        received, inferred = listener.wait("MessagesReceived", 2), listener.wait("InferenceInferTime", 2)
        assert {name: tag["value"] for tag in payload(inferred)["tags"] for name in [tag["name"]]} == {
            "service": "app-inference",
            "site": "x",
            "profile": "pump",
            "binding": "Wear",
        }
        assert [one.error for one in judge("4", [received, inferred], kind="metric")] == ["", ""]
        heard = {one.topic for one in listener.got.items}
        assert heard == {
            f"edgex/telemetry/app-inference/{name}" for name in ("MessagesReceived", "InferenceInferTime")
        }
    finally:
        listener.close()
    assert service.stop() == 0
