"""The script that a user would write by hand: one event in, one `run`, one event out. What we are measured against.

    python tests/bench/straightforward.py MODEL             its own time for each event, without a broker
    python tests/bench/straightforward.py MODEL PORT        on the broker of that port of this machine, with paho

It answers the events of device `m` under `plain/events/device/#` and needs nothing of this project.
"""

import base64
import json
import os
import sys
import time
import uuid

import numpy as np
import onnxruntime

MODEL = os.environ.get("STRAIGHTFORWARD_MODEL") or (sys.argv[1] if len(sys.argv) > 1 else "")
LIMIT = 30.0

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])


def reading(event, name, kind, value):
    return {
        "id": str(uuid.uuid4()),
        "origin": event["origin"],
        "deviceName": event["deviceName"],
        "resourceName": name,
        "profileName": event["profileName"] + "-inference",
        "valueType": kind,
        "value": value,
    }


def handle(message):
    """The bytes of an envelope of EdgeX 3 (payload in base64) or EdgeX 4 (payload as it is) → those of the answer."""
    began = time.perf_counter()
    envelope = json.loads(message)
    payload = envelope["payload"]
    encoded = isinstance(payload, str)
    if encoded:
        payload = json.loads(base64.b64decode(payload))
    event = payload["event"]
    values = {one["resourceName"]: float(one["value"]) for one in event["readings"]}
    x = np.array([[values[f"R{n}"] for n in range(16)]], np.float32)
    y = session.run(None, {"x": x})[0]
    score = float(((x - y) ** 2).mean())
    result = {
        "apiVersion": "v3",
        "requestId": str(uuid.uuid4()),
        "event": {
            "apiVersion": "v3",
            "id": str(uuid.uuid4()),
            "deviceName": event["deviceName"],
            "profileName": event["profileName"] + "-inference",
            "sourceName": "Health",
            "origin": event["origin"],
            "readings": [
                reading(event, "Score", "Float32", f"{score:e}"),
                reading(event, "IsAnomaly", "Bool", str(score > LIMIT).lower()),
                reading(event, "Took", "Float32", f"{(time.perf_counter() - began) * 1e3:e}"),
            ],
        },
    }
    answer = {
        "apiVersion": "v3",
        "receivedTopic": "",
        "correlationID": envelope["correlationID"],
        "requestID": "",
        "errorCode": 0,
        "payload": base64.b64encode(json.dumps(result).encode()).decode() if encoded else result,
        "contentType": "application/json",
    }
    return json.dumps(answer).encode()


def serve(port):
    import paho.mqtt.client as mqtt

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_connect = lambda *_: client.subscribe("plain/events/device/#")
    client.on_subscribe = lambda *_: print("ready", flush=True)
    client.on_message = lambda _client, _userdata, message: client.publish(
        "plain/results/m-inference/d/Health", handle(message.payload)
    )
    client.connect("127.0.0.1", port)
    client.loop_forever()


def sample():
    origin = time.time_ns()
    readings = [
        {
            "id": str(uuid.uuid4()),
            "origin": origin,
            "deviceName": "d",
            "resourceName": f"R{n}",
            "profileName": "m",
            "valueType": "Float32",
            "value": f"{n / 3:e}",
        }
        for n in range(16)
    ]
    event = {
        "apiVersion": "v3",
        "id": str(uuid.uuid4()),
        "deviceName": "d",
        "profileName": "m",
        "origin": origin,
    }
    request = {
        "apiVersion": "v3",
        "requestId": "",
        "event": {**event, "sourceName": "all", "readings": readings},
    }
    return {"apiVersion": "v3", "correlationID": str(uuid.uuid4()), "errorCode": 0, "payload": request}


def measure(amount=3000):
    for form in ("EdgeX 4", "EdgeX 3"):
        envelope = sample()
        if form == "EdgeX 3":
            envelope["payload"] = base64.b64encode(json.dumps(envelope["payload"]).encode()).decode()
        message = json.dumps(envelope).encode()
        rounds = []
        for _ in range(6):
            began = time.process_time()
            for _ in range(amount):
                handle(message)
            rounds.append((time.process_time() - began) / amount * 1e6)
        print(
            f"{form}: {sorted(rounds[1:])[2]:.1f} µs of processor time for each event of {len(message)} bytes"
        )


if __name__ == "__main__":
    serve(int(sys.argv[2])) if len(sys.argv) > 2 else measure()
