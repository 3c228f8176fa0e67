"""The service on a real broker and real input: captured messages of EdgeX 4.0 and 3.1.1, pictures, trained models."""

import ast
import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import cbor2
import cv2
import numpy as np
import pytest
import simplejpeg
from onnx import TensorProto, helper

from edgex_inference.testing import onnx_models

Mosquitto = Callable[..., Any]
Message = tuple[str, bytes]
EXACT = {
    "Bool": TensorProto.FLOAT,
    "Int8": TensorProto.INT8,
    "Int16": TensorProto.INT16,
    "Int32": TensorProto.INT32,
    "Int64": TensorProto.INT64,
    "Uint8": TensorProto.UINT8,
    "Uint64": TensorProto.UINT64,
    "Float32": TensorProto.FLOAT,
    "Float64": TensorProto.DOUBLE,
}
"""Value type → the element type of a model that hands it through unchanged."""

MEAN_CARD = """task: raw
files: [{path: mean.onnx}]
inputs:
  image: {kind: image, layout: NCHW, color: rgb, size: [64, 48], fit: stretch, decode: full,
          range: [0, 255], mean: [0, 0, 0], std: [1, 1, 1]}"""


def captured(path: Path) -> list[Message]:
    """Topic and payload of every message in a capture, whichever bus it is of."""
    lines = path.read_text().splitlines()
    if "redis" in path.name:
        starts = [at for at, line in enumerate(lines) if line == "pmessage"]
        return [(lines[at + 2].replace(".", "/"), lines[at + 3].encode()) for at in starts]
    return [(topic, payload.encode()) for topic, payload in (line.split(" ", 1) for line in lines if line)]


def opened(payload: bytes) -> tuple[str, dict[str, Any]]:
    """Correlation id and event of a captured message, read without any code of ours."""
    envelope = json.loads(payload)
    inner = envelope["payload"]
    if isinstance(inner, str):
        raw = base64.b64decode(inner)
        inner = cbor2.loads(raw) if envelope["contentType"] == "application/cbor" else json.loads(raw)
    return envelope["correlationID"], inner["event"]


def known(kind: str) -> bool:
    return kind.removesuffix("Array") in EXACT


def width_of(reading: Mapping[str, Any]) -> int:
    return reading["value"].count(",") + 1 if reading["valueType"].endswith("Array") else 1


def numbers(text: str, kind: str) -> list[Any]:
    """The text of a reading, or of our result, as Python numbers."""
    values = ast.literal_eval(text.replace("true", "1").replace("false", "0"))
    convert = float if kind.startswith(("Float", "Bool")) else int
    return [convert(one) for one in (values if isinstance(values, list) else [values])]


@pytest.fixture
def replayed(world: Any, testdata: Path, tmp_path: Path) -> list[Message]:
    """All messages captured from 4.0 and 3.1.1; a binding for each numeric resource, and one for the picture."""
    folder = testdata / "edgex-captures"
    messages = captured(folder / "mqtt-4.0.txt") + captured(folder / "redis-3.1.1.txt")
    resources: dict[str, dict[str, tuple[str, int]]] = {}
    for topic, payload in messages:
        if "/events/device/" not in topic:
            continue
        event = opened(payload)[1]
        for reading in event["readings"]:
            kind = reading["valueType"]
            if known(kind):
                found = resources.setdefault(event["profileName"], {})
                found[reading["resourceName"]] = (kind, width_of(reading))
    for profile, named in resources.items():
        blocks = []
        for resource, (kind, width) in named.items():
            element = EXACT[kind.removesuffix("Array")]
            _same(world, tmp_path, f"same-{element}-{width}", element, width)
            value = "y" if kind.endswith("Array") else "y.0"
            blocks.append(_resource(resource, kind, f"same-{element}-{width}", value))
        world.profile(f"name: {profile}\ndeviceResources:\n" + "\n".join(blocks), profile)
    _mean(world, tmp_path)
    picture = _resource("jpeg", "Binary", "mean", "mean.0")
    world.profile(f"name: sample-image\ndeviceResources:\n{picture}", "sample-image")
    return messages


def _resource(name: str, kind: str, model: str, value: str) -> str:
    rest = "limits: {overload: all}, " if kind == "Binary" else ""
    block = f"Of{name}: {{model: {{name: {model}}}, {rest}outputs: {{Result{name}: {{value: {value}}}}}}}"
    return (
        f"  - name: {name}\n    properties:\n      valueType: {kind}\n      readWrite: R\n"
        f"      optional: {{inference: {{{block}}}}}"
    )


def _same(world: Any, folder: Path, name: str, element: int, width: int) -> None:
    if (world.folder / "models" / name).exists():
        return
    spec = (element, ("N", width))
    node = helper.make_node("Identity", ["x"], ["y"])
    file = onnx_models.save(folder / f"{name}.onnx", [node], {"x": spec}, {"y": spec})
    world.model(name, [file], f"task: raw\nfiles: [{{path: {name}.onnx}}]")


def _mean(world: Any, folder: Path) -> None:
    """The mean of all pixels of a 64 by 48 picture."""
    node = helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0)
    given, made = (TensorProto.FLOAT, (1, 3, 48, 64)), (TensorProto.FLOAT, (1,))
    file = onnx_models.save(folder / "mean.onnx", [node], {"image": given}, {"mean": made})
    world.model("mean", [file], MEAN_CARD)


@pytest.mark.parametrize("version", ["auto", "3", "4"])
def test_captured_messages(
    world: Any, replayed: list[Message], mosquitto: Mosquitto, judge: Callable[..., Any], version: str
) -> None:
    """Every number that real services sent comes back as it was, in events that EdgeX itself takes."""
    broker = mosquitto()
    world.configure(broker.port, f'[Inference]\nEdgexVersion = "{version}"')
    service = world.start().ready()
    client = world.client(broker.port)
    expected = []
    for topic, payload in replayed:
        client.send(topic, payload)
        if "/events/device/" in topic:
            expected += _answers(opened(payload)[1])
    results = client.wait_results(len(expected))
    have = [_answer(one) for one in results]
    assert sorted(map(repr, have)) == sorted(map(repr, expected))
    everything = [*results, *client.told.items]
    for generation in ("4" if version == "auto" else version,):  # it hears EdgeX 4 first
        assert {verdict.error for verdict in judge(generation, everything)} == {""}
    assert service.count("level=ERROR") == 0
    assert service.stop() == 0
    assert len(client.results) == len(expected)


def _answers(event: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    for reading in event["readings"]:
        kind, name = reading["valueType"], reading["resourceName"]
        where = (event["deviceName"], f"Of{name}", reading["origin"])
        if known(kind):
            found.append((*where, numbers(reading["value"], kind)))
        elif name == "jpeg":
            pixels = simplejpeg.decode_jpeg(reading["binaryValue"], colorspace="RGB")
            found.append((*where, [round(float(pixels.mean()), 3)]))
    return found


def _answer(one: Any) -> Any:
    (reading,) = one.event["readings"]
    have = numbers(reading["value"], reading["valueType"])
    if one.event["sourceName"] == "Ofjpeg":
        have = [round(have[0], 3)]
    return (one.event["deviceName"], one.event["sourceName"], one.event["origin"], have)


FACES = """task: detection
license: MIT
files: [{path: version-RFB-320.onnx, format: onnx}]
inputs:
  image: {tensor: input, kind: image, layout: NCHW, color: rgb, size: [320, 240], fit: stretch, resize: bilinear,
          decode: full, range: [0, 255], mean: [127, 127, 127], std: [128, 128, 128]}
outputs:
  scores: {role: scores, background: 0}
  boxes: {role: boxes, form: corners}
decoder: rfb
priors: {steps: [8, 16, 32, 64], sizes: [[10, 16, 24], [32, 48], [64, 96], [128, 192, 256]],
         variances: [0.1, 0.2], clip: true}
labels: [face]
postprocess: {scoreThreshold: 0.7, nmsIou: 0.5}"""

BOTTLES = """task: detection
license: BSD-3-Clause
files: [{path: FastestDet.onnx, format: onnx}]
inputs:
  image: {tensor: input.1, kind: image, layout: NCHW, color: bgr, size: [352, 352], fit: stretch, resize: bilinear,
          decode: full, range: [0, 1], mean: [0, 0, 0], std: [1, 1, 1]}
outputs:
  grid: {tensor: "758", role: grid}
decoder: fastestdet
labels: coco80
postprocess: {scoreThreshold: 0.65, nmsIou: 0.45}"""

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
          Faces:
            model: {name: face-rfb320, task: detection}
            limits: {overload: all}
            decide: {raise: 20}
            outputs:
              {FaceCount: {value: count}, Crowd: {value: state}, Top: {value: maxScore}, Found: {value: detections}}
          Bottles:
            model: {name: fastestdet, task: detection}
            limits: {overload: all}
            outputs: {BottleCount: {value: count.bottle}, What: {value: labels}}
"""


@pytest.fixture
def camera(world: Any, testdata: Path) -> Any:
    """The world of a camera profile with both trained detectors."""
    models = testdata / "models"
    world.model("face-rfb320", [models / "face-rfb320" / "version-RFB-320.onnx"], FACES)
    world.model("fastestdet", [models / "fastestdet" / "FastestDet.onnx"], BOTTLES)
    world.profile(CAMERA, "camera")
    return world


def picture_event(process: ModuleType, picture: bytes, media_type: str) -> Message:
    """A Binary reading as device services of EdgeX 4 send it: CBOR in a JSON envelope."""
    topic, payload, _ = process.message(
        "cam-1", process.reading("Frame", "", "Binary"), profile="camera", source="Frame"
    )
    envelope = json.loads(payload)
    (reading,) = envelope["payload"]["event"]["readings"]
    reading |= {"binaryValue": picture, "mediaType": media_type}
    envelope["payload"] = base64.b64encode(cbor2.dumps(envelope["payload"])).decode()
    envelope["contentType"] = "application/cbor"
    return topic, json.dumps(envelope).encode()


def bottle_frame(testdata: Path) -> np.ndarray:
    clip = cv2.VideoCapture(str(testdata / "clips" / "bottle-detection.mp4"))
    for _ in range(61):
        found, frame = clip.read()
        assert found
    clip.release()
    return frame


def test_28_faces_and_3_bottles(
    camera: Any, testdata: Path, process: ModuleType, mosquitto: Mosquitto, judge: Callable[..., Any]
) -> None:
    broker = mosquitto()
    camera.configure(broker.port, '[Inference]\nEdgexVersion = "4"')
    service = camera.start().ready()
    client = camera.client(broker.port)
    faces = (testdata / "images" / "faces.jpg").read_bytes()
    bottles = cv2.imencode(".png", bottle_frame(testdata))[1].tobytes()
    client.send(*picture_event(process, faces, "image/jpeg"))
    client.send(*picture_event(process, bottles, "image/png"))
    client.wait_results(4)
    values = {source: [] for source in ("Faces", "Bottles")}
    for one in client.results:
        values[one.event["sourceName"]].append(one.values)
    crowd, _ = values["Faces"]
    assert (crowd["FaceCount"], crowd["Crowd"]) == ("28", "true")
    assert float(crowd["Top"]) > 0.99
    found = crowd["Found"]
    height, width = simplejpeg.decode_jpeg_header(faces)[:2]
    assert found["image"] == {"width": width, "height": height}
    assert len(found["items"]) == 28
    assert {one["label"] for one in found["items"]} == {"face"}
    assert all(0 <= low < high <= 1 for one in found["items"] for low, high in _sides(one["box"]))
    _, still = values["Bottles"]
    assert still["BottleCount"] == "3"
    assert {verdict.error for verdict in judge("4", client.results)} == {""}
    assert service.stop() == 0


def _sides(box: list[float]) -> list[tuple[float, float]]:
    return [(box[0], box[2]), (box[1], box[3])]
