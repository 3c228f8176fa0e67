"""The service on a real broker: SIGTERM and SIGINT with work in flight, and an output that nobody reads."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from onnx import TensorProto, helper

from edgex_inference.testing import onnx_models
from edgex_inference.testing.kinds import Kind

Mosquitto = Callable[..., Any]
Bind = Callable[..., None]
SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture
def slow(world: Any, tmp_path: Path, bind: Bind) -> Any:
    """The world of a binding whose runs take some 10 ms."""
    file = onnx_models.write(Kind.SLOW, tmp_path / "made")
    world.model("slow", [file], "task: regression\nfiles: [{path: slow.onnx}]")
    block = "{model: {name: slow}, limits: {timeout: 60s}, outputs: {Y: {value: value.0}}}"
    bind({"Slow": block}, "Float32Array")
    return world


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("qos", [0, 1])
def test_what_was_taken_is_answered(
    slow: Any, process: ModuleType, mosquitto: Mosquitto, number: signal.Signals, qos: int
) -> None:
    broker = mosquitto("max_inflight_messages 0", "max_queued_messages 0")
    slow.configure(broker.port, '[Inference]\nDrainTimeout = "60s"', qos=qos)
    service = slow.start().ready()
    client = slow.client(broker.port)
    one = process.reading("SlowIn", "[1, 2, 3, 4]", "Float32Array")
    sent = [client.send_event("pump-3", one) for _ in range(60)]
    service.counted("Slow", "received", 60)
    assert service.stop(number, 60) == 0
    service.said("stopped")
    assert [result.correlation for result in client.wait_results(60)] == sent


def test_a_deadline_ends_the_drain(
    world: Any, process: ModuleType, mosquitto: Mosquitto, acme: Any, acme_block: Any, bind: Bind
) -> None:
    bind({"Stuck": acme_block("stuck", "{timeout: 600s}")})
    broker = mosquitto()
    world.configure(broker.port, '[Inference]\nDrainTimeout = "100ms"')
    service = world.start(env=acme).ready()
    client = world.client(broker.port)
    client.send_event("pump-3", process.reading("StuckIn", "1e+03"))
    service.counted("Stuck", "received", 1)
    assert service.stop() == 0
    assert "Inference.DrainTimeout" in service.said("were not through after 0.1 s")
    assert "Traceback" not in service.log


def test_while_a_model_loads(
    world: Any, process: ModuleType, mosquitto: Mosquitto, acme: Any, acme_block: Any, bind: Bind
) -> None:
    bind({"Endless": acme_block("endless", loads="never")})
    broker = mosquitto()
    world.configure(broker.port, '[Inference]\nDrainTimeout = "100ms"')
    service = world.start(env=acme)
    service.said("connected as")
    client = world.client(broker.port)

    def heard() -> bool:  # connected is not yet subscribed
        client.send_event("pump-3", process.reading("EndlessIn", "1e+00"))
        return bool(service.binding("Endless")["counters"]["received"])

    service.until(heard, "an event taken in")
    assert service.binding("Endless")["status"] == "starting"
    assert service.stop() == 0
    assert "Traceback" not in service.log


def test_more_than_one_signal(slow: Any, process: ModuleType, mosquitto: Mosquitto) -> None:
    broker = mosquitto()
    slow.configure(broker.port, '[Inference]\nDrainTimeout = "60s"')
    service = slow.start().ready()
    client = slow.client(broker.port)
    one = process.reading("SlowIn", "[1, 2, 3, 4]", "Float32Array")
    for _ in range(40):
        client.send_event("pump-3", one)
    service.counted("Slow", "received", 40)
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        service.tell(number)
    assert service.wait() == 0
    assert len(client.wait_results(40)) == 40
    assert "Traceback" not in service.log


@pytest.mark.parametrize("number", SIGNALS)
def test_before_anything_is_up(pump: Any, number: signal.Signals) -> None:
    """The earliest line that the service says comes long before it listens."""
    pump.configure(1)
    service = pump.start(env={"EDGEX_SECURITY_SECRET_STORE": ""})
    service.said("EDGEX_SECURITY_SECRET_STORE")
    assert service.stop(number) in (0, -number, 130)
    assert "Traceback" not in service.log


def test_nobody_reads_the_output(pump: Any, process: ModuleType, mosquitto: Mosquitto) -> None:
    broker = mosquitto()
    pump.configure(broker.port, '[Writable]\nLogLevel = "TRACE"')
    ours, theirs = os.pipe()
    port = pump.free_port()
    service = pump.start(env={"SERVICE_PORT": str(port)}, output=theirs)
    os.close(theirs)
    with os.fdopen(ours) as reader:
        while "has started" not in reader.readline():
            pass
    service.ready()
    client = pump.client(broker.port)
    for count in range(1, 4):
        client.send_event(f"pump-{count}", process.reading("Load", "1e+00"))
        client.send("edgex/events/device/x/y/z/w", b"{ no event")
        client.wait_results(count)
    assert service.get("/ready")[0] == 200
    assert service.stop() == 0


BESIDE = """
import sys, threading
import numpy as np, onnxruntime
from edgex_inference.cli import main
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
feed, ran = {"x": np.ones((300, 300), np.float32)}, threading.Event()
def work():
    while True:
        session.run(None, feed)
        ran.set()
threading.Thread(target=work, daemon=True).start()
ran.wait()
main.main = lambda: print("said") or 7
main.program()
"""


def test_a_run_under_way_does_not_abort_the_end_of_the_process(
    tmp_path: Path, needs: Callable[..., None]
) -> None:
    """Python ends a thread that comes back late by unwinding it, which C++ takes for a crash."""
    needs("onnxruntime")
    square = (TensorProto.FLOAT, (300, 300))
    node = helper.make_node("MatMul", ["x", "x"], ["y"])
    file = onnx_models.save(tmp_path / "square.onnx", [node], {"x": square}, {"y": square}, [])
    done = subprocess.run(
        [sys.executable, "-c", BESIDE, file], capture_output=True, text=True, timeout=250, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "said\n", "")
