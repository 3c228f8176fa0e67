"""What the benchmarks work on: a small auto-encoder, its profiles, and the events of a device of 16 values.

The messages are written here with the standard library, not with our own encoder, and all of them differ.
"""

import base64
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml
from onnx import TensorProto, helper, numpy_helper, save

from edgex_inference.contracts.messages import Message
from tests.bench.fresh import aligned

VALUES = 16
NAMES = tuple(f"R{number}" for number in range(VALUES))
RESULTS = 3
RING = 12_000
"""Messages before the first one comes again: more than the service remembers of what it has inferred (`Repeats`)."""

ORIGIN = 1_795_418_138_745_047_301
BLOCK = {
    "model": {"name": "ae"},
    "outputs": {
        "Score": {"value": "score"},
        "IsAnomaly": {"value": "state"},
        "Took": {"value": "latency"},
    },
}
"""The three readings that the straightforward script publishes too."""


def weights() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The two matrices of the auto-encoder: [VALUES, 32] and [32, VALUES]."""
    numbers = np.random.default_rng(0)
    inward = (numbers.standard_normal((VALUES, 32)) / 4).astype(np.float32)
    return inward, (numbers.standard_normal((32, VALUES)) / 6).astype(np.float32)


def auto_encoder(folder: Path) -> Path:
    """Writes an MLP 16-32-16 with its card into a model store; returns the file."""
    inward, outward = weights()
    nodes = [
        helper.make_node("MatMul", ["x", "inward"], ["wide"]),
        helper.make_node("Relu", ["wide"], ["active"]),
        helper.make_node("MatMul", ["active", "outward"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "ae",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", VALUES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", VALUES])],
        [numpy_helper.from_array(inward, "inward"), numpy_helper.from_array(outward, "outward")],
    )
    place = folder / "ae" / "1"
    place.mkdir(parents=True, exist_ok=True)
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), place / "ae.onnx"
    )
    card = {
        "schema": 1,
        "name": "ae",
        "version": "1",
        "task": "anomaly",
        "files": [{"path": "ae.onnx"}],
        "inputs": {"x": {"kind": "vector", "names": list(NAMES)}},
        "outputs": {"y": {"role": "reconstruction"}},
        "decoder": "reconstruction",
        "score": {"metric": "mse", "limit": 30},
    }
    (place / "model.yaml").write_text(yaml.safe_dump(card))
    return place / "ae.onnx"


def sensor_profile(folder: Path, name: str, **block: object) -> None:
    """Writes a profile of 16 Float32 resources with one binding; `block` adds to it."""
    resources: list[dict[str, object]] = []
    for number, resource in enumerate(NAMES):
        properties: dict[str, object] = {"valueType": "Float32", "readWrite": "R"}
        if number == 0:
            properties["optional"] = {"inference": {"Health": {**BLOCK, **block}}}
        resources.append({"name": resource, "properties": properties})
    folder.mkdir(parents=True, exist_ok=True)
    profile = {"apiVersion": "v3", "name": name, "deviceResources": resources}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(profile))


def sensor_event(number: int, profile: str = "m", device: str = "d") -> dict[str, object]:
    """An AddEventRequest as a device service writes it; `number` makes its values and times differ."""
    origin = ORIGIN + number * 1_000_003
    common = {"deviceName": device, "profileName": profile, "origin": origin}
    readings = [
        {
            "id": str(uuid.uuid4()),
            **common,
            "resourceName": name,
            "valueType": "Float32",
            "value": f"{(index + number % 97) / 3:e}",
        }
        for index, name in enumerate(NAMES)
    ]
    event = {"apiVersion": "v3", "id": str(uuid.uuid4()), **common, "sourceName": "all", "readings": readings}
    return {"apiVersion": "v3", "requestId": str(uuid.uuid4()), "event": event}


def envelope(request: dict[str, object], *, major: str) -> bytes:
    """The message of EdgeX 4, whose payload is JSON as it is, or of EdgeX 3 and 2.3, whose payload is base64."""
    if major == "2":
        return _envelope_of_2(request)
    payload: object = request if major == "4" else _base64(request)
    said = {
        "apiVersion": "v3",
        "receivedTopic": "",
        "correlationID": str(uuid.uuid4()),
        "requestID": "",
        "errorCode": 0,
        "payload": payload,
        "contentType": "application/json",
    }
    return json.dumps(said, separators=(",", ":")).encode()


def _envelope_of_2(request: dict[str, object]) -> bytes:
    event = request["event"]
    assert isinstance(event, dict)
    said = {
        "ApiVersion": "v2",
        "ReceivedTopic": "",
        "CorrelationID": str(uuid.uuid4()),
        "RequestID": "",
        "ErrorCode": 0,
        "Payload": _base64({**request, "apiVersion": "v2", "event": {**event, "apiVersion": "v2"}}),
        "ContentType": "application/json",
    }
    return json.dumps(said, separators=(",", ":")).encode()


def _base64(request: dict[str, object]) -> str:
    return base64.b64encode(aligned(json.dumps(request, separators=(",", ":")).encode())).decode()


def slim(request: dict[str, object], bulk: int = 0) -> dict[str, object]:
    """The same event as EdgeX 4 writes it with EDGEX_OPTIMIZE_EVENT_PAYLOAD; `bulk` more bytes of tags."""
    event = request["event"]
    assert isinstance(event, dict)
    kept = ("resourceName", "valueType", "value")
    readings = [{key: reading[key] for key in kept} for reading in event["readings"]]
    tags = {"note": "x" * bulk} if bulk else {}
    return {**request, "event": {**event, "readings": readings, "tags": tags}}


def sensor_messages(
    amount: int, *, major: str = "4", profiles: tuple[str, ...] = ("m",), devices: tuple[str, ...] = ("d",)
) -> Iterator[Message]:
    """Different messages, over all profiles and devices in turn."""
    pairs = [(profile, device) for device in devices for profile in profiles]
    for number in range(amount):
        profile, device = pairs[number % len(pairs)]
        topic = f"edgex/events/device/device-virtual/{profile}/{device}/all"
        yield Message(topic=topic, payload=envelope(sensor_event(number, profile, device), major=major))
