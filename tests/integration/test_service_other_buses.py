"""The service on Redis, NATS, JetStream and ZeroMQ: events as EdgeX's own services send them in, results out.

The other side speaks the bus through the bare library, not through our code.
"""

import asyncio
import base64
import io
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cbor2
import nats
import numpy as np
import pytest
import redis.asyncio
import zmq
import zmq.asyncio
from nats.aio.msg import Msg
from PIL import Image

from edgex_inference.buses.nats.link import settled
from edgex_inference.testing import onnx_models
from tests.ports import free_port

PATIENCE = 40.0
ORIGIN = 1_795_418_138_745_047_301
CAMERA = """
name: camera
deviceResources:
  - name: Frame
    properties:
      valueType: Binary
      readWrite: R
      mediaType: image/jpeg
      optional:
        inference:
          Parts:
            model: {name: part-detect, task: detection}
            outputs: {PartCount: {value: count, type: Uint16}}
"""
WIDTH = 200_000
WIDE = """
name: wide
deviceResources:
  - name: Row
    properties:
      valueType: Float32Array
      readWrite: R
      optional:
        inference:
          All:
            model: {name: wide, task: raw}
            outputs: {All: {value: y, type: Float32Array}}
"""
"""Its results are larger than what came in: 1 is written `1e+00`."""
RESULTS = "edgex.events.device.app-inference"
LARGE = "max_payload: 8388608"

Start = Callable[..., Any]


def request(number: int, profile: str, device: str, source: str, version: str = "v3", **reading: Any) -> Any:
    """An AddEventRequest with one reading."""
    common = {"origin": ORIGIN, "deviceName": device, "profileName": profile}
    event = {
        "apiVersion": version,
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "sourceName": source,
        **common,
        "readings": [{**common, "resourceName": source, **reading}],
    }
    return {"apiVersion": version, "requestId": "", "event": event}


def load(number: int, version: str = "v3") -> Any:
    return request(number, "pump", "p1", "Load", version, valueType="Float32", value=f"{number}.0e+00")


def picture(number: int, version: str = "v3") -> Any:
    """A JPEG of 1.5 MB."""
    pixels = np.random.default_rng(1).integers(0, 256, (1000, 1150, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=97)
    assert 1_500_000 < len(file.getvalue()) < 2_000_000
    return request(
        number,
        "camera",
        "cam",
        "Frame",
        version,
        valueType="Binary",
        binaryValue=file.getvalue(),
        mediaType="image/jpeg",
    )


def envelope(body: Any, **more: Any) -> bytes:
    """As EdgeX 3 sends it: base64 of JSON, or of CBOR where bytes are inside."""
    binary = any("binaryValue" in one for one in body["event"]["readings"])
    payload = cbor2.dumps(body) if binary else json.dumps(body).encode()
    whole = {
        "apiVersion": "v3",
        "receivedTopic": "edgex/of/an/earlier/hop",
        "correlationID": "c-1",
        "requestID": "",
        "errorCode": 0,
        "payload": base64.b64encode(payload).decode(),
        "contentType": "application/cbor" if binary else "application/json",
    }
    return json.dumps(whole | more).encode()


def opened(data: bytes) -> Any:
    """The event in an envelope of ours."""
    whole = json.loads(data)
    payload = whole.get("payload", whole.get("Payload"))
    return (json.loads(base64.b64decode(payload)) if isinstance(payload, str) else payload)["event"]


def values(event: Any) -> dict[str, Any]:
    return {one["resourceName"]: one.get("value") for one in event["readings"]}


class Results:
    """What the service publishes, but for its statuses."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self._more = asyncio.Event()

    def add(self, topic: str, event: Any) -> None:
        if "InferenceStatus" not in values(event):
            self.events.append((topic, event))
            self._more.set()

    async def wait(self, amount: int) -> list[tuple[str, Any]]:
        async with asyncio.timeout(PATIENCE):
            while len(self.events) < amount:
                self._more.clear()
                await self._more.wait()
        return self.events


def configure(world: Any, kind: str, protocol: str, port: int, **optional: str) -> None:
    lines = [
        f'[Service]\nPort = 0\n[MessageBus]\nType = "{kind}"\nProtocol = "{protocol}"',
        f'Host = "127.0.0.1"\nPort = {port}\n[MessageBus.Optional]',
        *(f'{key} = "{text}"' for key, text in optional.items()),
    ]
    (world.folder / "configuration.toml").write_text("\n".join(lines))
    world.profile(CAMERA, "camera")


async def started(world: Any, version: str) -> Any:
    service = world.start(env={"INFERENCE_EDGEXVERSION": version})
    await asyncio.to_thread(service.ready)
    return service


async def fates(service: Any) -> Any:
    return (await asyncio.to_thread(service.get, "/api/v3/inference/traffic"))[1]["messages"]


def test_what_mqtt_delivers_twice_is_inferred_once(pump: Any, process: ModuleType, mosquitto: Start) -> None:
    broker = mosquitto()
    pump.configure(broker.port, qos=1)
    service = pump.start().ready()
    client = pump.client(broker.port)
    topic, payload, first = process.message("p1", process.reading("Load", "1e+00"))
    client.send(topic, payload)
    client.send(topic, payload)
    last = client.send_event("p1", process.reading("Load", "2e+00"))
    assert [one.correlation for one in client.wait_results(2)] == [first, last]
    assert service.get("/api/v3/inference/traffic")[1]["messages"]["repeated"] == 1


# -- Redis ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def redis_peer(port: int, results: Results) -> AsyncIterator[Any]:
    client = redis.asyncio.Redis(host="127.0.0.1", port=port, protocol=2)
    listener = client.pubsub(ignore_subscribe_messages=True)
    await listener.psubscribe(f"{RESULTS}.*")

    async def listen() -> None:
        async for said in listener.listen():
            results.add(said["channel"].decode(), opened(said["data"]))

    task = asyncio.create_task(listen())
    try:
        yield client
    finally:
        task.cancel()
        await asyncio.wait((task,))
        await listener.aclose()
        await client.aclose()


async def test_redis(pump: Any, run_server: Start) -> None:
    server, results = run_server("Redis"), Results()
    configure(pump, "redis", "redis", server.port)
    async with redis_peer(server.port, results) as client:
        service = await started(pump, "3")
        dummy = '{"apiVersion":"","receivedTopic":"","correlationID":"","requestID":"","errorCode":0,"payload":null}'
        await client.publish("edgex.events.device.device-test.pump.p1.Load", dummy)
        await client.publish("edgex.events.device.device-test.pump.p1.Load", envelope(load(1)))
        await client.publish("edgex.events.device.device-test.camera.cam.Frame", envelope(picture(2)))
        got = await results.wait(2)
        assert (await fates(service))["notEvent"] == 1
    assert got[0][0] == f"{RESULTS}.pump-inference.p1.Wear"
    assert values(got[0][1]) == {"Wear": "3e+00"}
    assert got[1][0] == f"{RESULTS}.camera-inference.cam.Parts"
    assert "PartCount" in values(got[1][1])


# -- NATS -------------------------------------------------------------------------------------------------------

EVENTS = "edgex.events.device.device-test"


@asynccontextmanager
async def nats_peer(port: int, results: Results) -> AsyncIterator[Any]:
    client = await nats.connect(f"nats://127.0.0.1:{port}")

    async def take(said: Msg) -> None:
        if said.headers:
            assert set(said.headers) == {
                "ApiVersion",
                "Content-Type",
                "ErrorCode",
                "RequestId",
                "X-Correlation-ID",
            }
            assert said.headers["Content-Type"] == "application/json"
            results.add(said.subject, json.loads(said.data)["event"])
        else:
            results.add(said.subject, opened(said.data))

    await client.subscribe(f"{RESULTS}.>", cb=take)
    await settled(client)
    try:
        yield client
    finally:
        await client.close()


def bare(body: Any) -> tuple[bytes, dict[str, str]]:
    """As EdgeX sends it in NATS's format: the payload alone, the envelope as headers."""
    binary = any("binaryValue" in one for one in body["event"]["readings"])
    data = cbor2.dumps(body) if binary else json.dumps(body).encode()
    kind = "application/cbor" if binary else "application/json"
    names = {"ApiVersion": "v3", "ErrorCode": "0", "RequestId": "", "X-Correlation-ID": "c-1"}
    return data, {**names, "Content-Type": kind}


@pytest.mark.parametrize("wire", ["nats", "json"])
async def test_nats(pump: Any, run_server: Start, wire: str) -> None:
    server, results = run_server("Nats", LARGE), Results()
    configure(pump, "nats-core", "nats", server.port, Format=wire)
    async with nats_peer(server.port, results) as client:
        await started(pump, "4")
        for subject, body in (
            (f"{EVENTS}.pump.p1.Load", load(1)),
            (f"{EVENTS}.camera.cam.Frame", picture(2)),
        ):
            data, headers = bare(body) if wire == "nats" else (envelope(body), None)
            await client.publish(subject, data, headers=headers)
        got = await results.wait(2)
    assert got[0][0] == f"{RESULTS}.pump-inference.p1.Wear"
    assert values(got[0][1]) == {"Wear": "3e+00"}
    assert "PartCount" in values(got[1][1])


async def test_nats_at_its_default_limit(pump: Any, run_server: Start) -> None:
    """The picture cannot be sent, and the service has said at its start what the limit is."""
    server, results = run_server("Nats"), Results()
    configure(pump, "nats-core", "nats", server.port)
    async with nats_peer(server.port, results) as client:
        service = await started(pump, "4")
        assert service.count("it takes messages of up to 1048576 bytes (max_payload)") == 1
        with pytest.raises(nats.errors.MaxPayloadError):
            await client.publish(f"{EVENTS}.camera.cam.Frame", bare(picture(1))[0])


async def test_a_result_above_the_default_limit(pump: Any, run_server: Start, tmp_path: Path) -> None:
    """It is counted, and the log names the setting; the connection and the next results are not harmed."""
    server, results = run_server("Nats"), Results()
    file = onnx_models.write_affine(tmp_path / "wide.onnx", shape=("N", WIDTH))
    pump.model("wide", [file], "task: raw\nfiles: [{path: wide.onnx}]")
    pump.profile(WIDE, "wide")
    configure(pump, "nats-core", "nats", server.port)
    async with nats_peer(server.port, results) as client:
        service = await started(pump, "4")
        wide = request(1, "wide", "w", "Row", valueType="Float32Array", value=f"[{'0, ' * (WIDTH - 1)}0]")
        for subject, body in ((f"{EVENTS}.wide.w.Row", wide), (f"{EVENTS}.pump.p1.Load", load(2))):
            data, headers = bare(body)
            assert len(data) < 1_000_000
            await client.publish(subject, data, headers=headers)
        await results.wait(1)
        counted = await asyncio.to_thread(
            service.until, lambda: service.binding("All")["counters"]["dropped"], ""
        )
    assert [topic for topic, _ in results.events] == [f"{RESULTS}.pump-inference.p1.Wear"]
    assert counted == {"size": 1}
    line = await asyncio.to_thread(service.said, "raise max_payload in the server's configuration")
    assert "level=WARN" in line


async def test_jetstream_survives_a_kill(pump: Any, run_server: Start) -> None:
    """What came while the service was down is inferred when it is back, what comes twice once."""
    server, results = run_server("Nats", LARGE, streams=True), Results()
    configure(pump, "nats-jetstream", "nats", server.port, Durable="inference", Subject="edgex/#")
    async with nats_peer(server.port, results) as client:
        service = await started(pump, "4")
        stream = client.jetstream()

        async def send(*numbers: int) -> None:
            for number in numbers:
                data, headers = bare(load(number))
                await stream.publish(f"{EVENTS}.pump.p1.Load", data, headers=headers)

        await send(1, 2)
        await results.wait(2)
        await send(2, 3)  # the 2 a second time
        await results.wait(3)
        data, headers = bare(picture(9))
        await stream.publish(f"{EVENTS}.camera.cam.Frame", data, headers=headers)
        await results.wait(4)
        assert (await fates(service))["repeated"] == 1
        service.kill()
        async with asyncio.timeout(PATIENCE):  # until then the server sends, and again after its ack wait
            while (await stream.consumer_info("inference", "inference")).push_bound:
                pass
        await send(4, 5)
        await started(pump, "4")
        await send(6)
        got = await results.wait(7)
    wear = [values(event)["Wear"] for topic, event in got if topic.endswith(".Wear")]
    assert wear == ["3e+00", "5e+00", "7e+00", "9e+00", "1.1e+01", "1.3e+01"]


# -- ZeroMQ -----------------------------------------------------------------------------------------------------


def envelope_of_2(body: Any) -> bytes:
    """As EdgeX 2.1 writes it."""
    whole = json.loads(envelope(body))
    return json.dumps(
        {
            "ReceivedTopic": "",
            "CorrelationID": whole["correlationID"],
            "Payload": whole["payload"],
            "ContentType": whole["contentType"],
        }
    ).encode()


async def test_zeromq_with_two_publishers(pump: Any) -> None:
    """EdgeX 2's core-data, and another service that publishes by itself."""
    ports, results, found = [free_port() for _ in range(3)], Results(), dict[str, Any]()
    configure(
        pump, "zero", "tcp", ports[0], SubscribeHosts=f"127.0.0.1:{ports[1]}", PublishPort=str(ports[2])
    )
    context = zmq.asyncio.Context()
    publishers = [context.socket(zmq.XPUB) for _ in range(2)]
    listener = context.socket(zmq.SUB)
    try:
        for publisher, port in zip(publishers, ports, strict=False):
            publisher.bind(f"tcp://127.0.0.1:{port}")
        listener.connect(f"tcp://127.0.0.1:{ports[2]}")
        listener.setsockopt(zmq.SUBSCRIBE, b"edgex/events/")
        await started(pump, "auto")
        async with asyncio.timeout(PATIENCE):
            for publisher in publishers:  # the slow joiner: until here nothing would arrive
                while not (await publisher.recv()).startswith(b"\x01edgex/events"):
                    pass
            await publishers[0].send_multipart((b"edgex/eventsOfOthers/x", b"no event"))
            said = ((b"pump/p1/Load", load(1, "v2")), (b"camera/cam/Frame", picture(2, "v2")))
            while found.keys() != {"Wear", "Parts"}:  # the first may be said before our listener is known
                for publisher, (topic, body) in zip(publishers, said, strict=True):
                    body["event"]["id"] = str(uuid.uuid4())
                    await publisher.send_multipart((b"edgex/events/core/" + topic, envelope_of_2(body)))
                while await listener.poll(500):
                    topic, data = await listener.recv_multipart()
                    results.add(topic.decode(), opened(data))
                found = {topic.rsplit("/", 1)[1]: values(event) for topic, event in results.events}
    finally:
        context.destroy(linger=0)
    assert found["Wear"] == {"Wear": "3e+00"}
    assert "PartCount" in found["Parts"]
