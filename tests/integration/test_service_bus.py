"""The service on a real broker: killed and restarted under load, and traffic that is no event."""

import base64
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cbor2
import pytest

Mosquitto = Callable[..., Any]
UNBOUNDED = ("max_inflight_messages 0", "max_queued_messages 0")
"""Mosquitto drops what is beyond its own limits, which is not what is under test."""


@contextmanager
def load(client: Any, process: ModuleType, device: str, rate: float = 1000) -> Iterator[list[str]]:
    """Publishes from a thread of its own until the context ends; the correlation ids so far."""
    sent: list[str] = []
    over = threading.Event()

    def work() -> None:
        while not over.wait(10 / rate):
            sent.extend(client.send_event(device, process.reading("Load", "1e+00")) for _ in range(10))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield sent
    finally:
        over.set()
        thread.join()


def correlations(client: Any) -> Counter[str]:
    return Counter(one.correlation for one in client.results)


def settled(service: Any) -> Any:
    """The counters of Wear when each event received has had its one end."""

    def enough() -> Any:
        counters = service.binding("Wear")["counters"]
        ends = counters["published"] + counters["suppressed"]
        ends += sum(counters["dropped"].values()) + sum(counters["failed"].values())
        return counters if ends == counters["received"] else None

    return service.until(enough, "received = published + suppressed + dropped + failed")


def patient(pump: Any) -> None:
    """Gives the binding a queue that no burst of these tests can fill."""
    text = (pump.folder / "profiles" / "pump.yaml").read_text()
    pump.profile(text + "            limits: {queue: 10000}\n")


@pytest.mark.parametrize("qos", [0, 1])
def test_the_broker_is_killed_under_load(
    pump: Any, process: ModuleType, mosquitto: Mosquitto, qos: int
) -> None:
    broker = mosquitto(*UNBOUNDED)
    patient(pump)
    pump.configure(broker.port, qos=qos)
    service = pump.start().ready()
    client = pump.client(broker.port, qos=qos)
    before = [client.send_event("before", process.reading("Load", "1e+00")) for _ in range(1000)]
    client.wait_results(1000)
    assert [one.correlation for one in client.results] == before
    client.forget_subscription()
    with load(client, process, "during") as during:
        client.got.wait(lambda items: len(items) >= 1500, "load")
        broker.kill()
        service.said("connection lost")
        assert service.get("/live")[0] == 200
        assert service.get("/ready")[0] == 503
        broker.start()
        service.said("connected as", 2)
        client.wait_subscribed()
        service.ready()
        amount = len(client.results)
        client.got.wait(lambda items: len(items) >= amount + 500, "results flow again")
    after = [client.send_event("after", process.reading("Load", "1e+00")) for _ in range(1000)]
    client.got.wait(lambda items: len(items) and items[-1].correlation == after[-1], "the last one")
    seen = correlations(client)
    assert {seen[one] for one in after} == {1}
    assert seen.keys() <= {*before, *during, *after}
    if (
        not qos
    ):  # at QoS 1 an event or a result may come twice, when a connection breaks before its acknowledgement
        assert max(seen.values()) == 1
    print(f"published while the broker was killed: {len(during)}; counters: {settled(service)}")
    assert service.count("connection lost") == 1
    assert service.count("connected as") == 2
    assert service.count("level=ERROR") == 0
    assert service.stop() == 0


@pytest.mark.parametrize("window", [0, 20])
def test_quality_of_service_one_from_end_to_end(
    pump: Any, process: ModuleType, mosquitto: Mosquitto, window: int
) -> None:
    """Thousands at once, with and without a window of what may be unacknowledged: all come back once.

    In order, too; but with a window Mosquitto 2.0.11 itself lets new messages overtake queued ones.
    """
    broker = mosquitto(f"max_inflight_messages {window}", "max_queued_messages 0")
    patient(pump)
    pump.configure(broker.port, qos=1)
    service = pump.start().ready()
    client = pump.client(broker.port, qos=1)
    sent = [client.send_event("pump-3", process.reading("Load", "1e+00")) for _ in range(5000)]
    client.wait_results(5000)
    came = [one.correlation for one in client.results]
    assert came == sent if not window else sorted(came) == sorted(sent)
    counters = settled(service)
    assert (counters["received"], counters["dropped"], counters["failed"]) == (5000, {}, {})
    assert service.stop() == 0


def test_a_broker_that_hangs(pump: Any, process: ModuleType, mosquitto: Mosquitto) -> None:
    """Connections stay open and nothing is read: noticed by keep-alive, said once, over when it is over."""
    broker = mosquitto()
    pump.configure(broker.port)
    service = pump.start(env={"MESSAGEBUS_OPTIONAL_KEEPALIVE": "2"}).ready()
    broker.suspend()
    service.said("connection lost")
    assert service.get("/ready")[0] == 503
    broker.resume()
    service.said("connected as", 2)
    service.ready()
    client = pump.client(broker.port)
    client.send_event("pump-3", process.reading("Load", "1e+00"))
    client.wait_results(1)
    assert service.count("connection lost") == 1
    assert service.stop() == 0


def nested(depth: int) -> bytes:
    return b'{"payload":' * depth + b"1" + b"}" * depth


def malformed(process: ModuleType) -> list[tuple[str, bytes]]:
    """Messages that are no events, or events that are none of ours to answer."""
    topic, good, _ = process.message("pump-3", process.reading("Load", "1e+00"))
    envelope = json.loads(good)

    def spoiled(**changes: Any) -> bytes:
        return json.dumps(envelope | changes).encode()

    def read(value: Any, kind: str = "Float32", resource: str = "Load") -> tuple[str, bytes]:
        return process.message("pump-3", process.reading(resource, value, kind))[:2]

    payloads = [
        b"",
        b"\x00",
        b"null",
        b"[]",
        b'"text"',
        b"17",
        good[: len(good) // 2],
        good + b"}",
        good.replace(b"pump-3", b"pump-\xff\xfe"),
        nested(10_000),
        b"[" * 10_000,
        cbor2.dumps({"payload": {}, "contentType": "application/cbor"}),
        bytes(range(256)) * 40,
        spoiled(payload=None),
        spoiled(payload=17),
        spoiled(payload="no base64 !!"),
        spoiled(payload=base64.b64encode(b"{").decode()),
        spoiled(contentType="application/cbor"),
        spoiled(contentType="text/html"),
        spoiled(payload={}),
        spoiled(payload={"event": None}),
        spoiled(payload={"event": {"readings": "many"}}),
        spoiled(payload={"event": envelope["payload"]["event"] | {"readings": [None]}}),
        spoiled(payload={"event": envelope["payload"]["event"] | {"origin": "yesterday"}}),
        spoiled(errorCode="none"),
        b'{"payload": NaN}',
        good.replace(b'"payload"', b'"payload": 1, "payload"'),
    ]
    readings = [
        read("much"),
        read(""),
        read(None),
        read("NaN"),
        read("+Inf"),
        read("1e+999"),
        read(17),
        read("[1, 2]", "Float32Array"),
        read("1e+00", "Float16"),
        read("text", "String"),
        read({"a": 1}, "Object"),
        read("1e+00", resource="Other"),
    ]
    return [*((topic, payload) for payload in payloads), *readings]


def test_good_events_between_every_kind_of_bad_ones(
    pump: Any, process: ModuleType, mosquitto: Mosquitto
) -> None:
    broker = mosquitto(*UNBOUNDED)
    patient(pump)
    pump.configure(broker.port)
    service = pump.start().ready()
    client = pump.client(broker.port)
    bad = malformed(process)
    huge = (bad[0][0], b"[" + b"1," * 20_000_000 + b"1]")
    sent = []
    for turn in range(50):
        for topic, payload in (*bad, huge) if turn == 25 else bad:
            client.send(topic, payload)
            sent.append(client.send_event("good", process.reading("Load", "1e+00")))
    client.got.wait(lambda items: items and items[-1].correlation == sent[-1], "the last one")
    seen = correlations(client)
    assert [one for one in sent if seen[one] != 1] == []
    good = set(sent)
    assert all(one.values == {"Wear": "3e+00"} for one in client.results if one.correlation in good)
    assert service.count("level=ERROR") == 0
    assert service.count("level=WARN") < 30
    assert "Traceback" not in service.log
    assert service.get("/ready")[0] == 200
    assert settled(service)["dropped"]
    assert service.stop() == 0


def test_own_results_are_not_taken_again(pump: Any, process: ModuleType, mosquitto: Mosquitto) -> None:
    """A profile of the results' own name with a binding on the result: still nothing goes round in circles."""
    broker = mosquitto()
    text = (pump.folder / "profiles" / "pump.yaml").read_text()
    pump.profile(text.replace("name: pump", "name: pump-inference").replace("Load", "Wear"), "circle")
    pump.configure(broker.port)
    service = pump.start().ready()
    client = pump.client(broker.port)
    for count in range(1, 4):
        client.send_event("pump-3", process.reading("Load", "1e+00"))
        client.wait_results(count)
    assert service.stop() == 0
    assert len(client.results) == 3


@pytest.mark.parametrize("prefix", ["site/7", "edgex"])
def test_another_base_topic(
    pump: Any, process: ModuleType, mosquitto: Mosquitto, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = mosquitto()
    pump.configure(broker.port)
    service = pump.start(env={"MESSAGEBUS_BASETOPICPREFIX": prefix}).ready()
    monkeypatch.setattr(process, "RESULTS", f"{prefix}/events/device/app-inference/#")
    client = pump.client(broker.port)
    topic, payload, _ = process.message("pump-3", process.reading("Load", "1e+00"))
    client.send(topic.replace("edgex", prefix, 1), payload)
    (result,) = client.wait_results(1)
    assert result.topic == f"{prefix}/events/device/app-inference/pump-inference/pump-3/Wear"
    assert service.stop() == 0


def memory(pid: int) -> int:
    """Resident memory in kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))


def test_memory_stays_flat(pump: Any, process: ModuleType, mosquitto: Mosquitto) -> None:
    """20 000 events of 200 devices; then as many again cost next to nothing."""
    broker = mosquitto(*UNBOUNDED)
    patient(pump)
    pump.configure(broker.port)
    service = pump.start().ready()
    client = pump.client(broker.port)
    after = []
    for turn in range(1, 11):
        for number in range(2000):
            client.send_event(f"pump-{number % 200}", process.reading("Load", "1e+00"))
        client.wait_results(2000 * turn)
        after.append(memory(service.pid))
    print("resident kB after each 2000 events:", after)
    assert after[-1] - after[1] < 10_000
    assert service.stop() == 0
